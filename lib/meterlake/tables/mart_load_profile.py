from meterlake.tables.shared_columns import FEEDER, METER_ID, REGION, SOURCE
from meterlake.tables.table import Column, Published, Sums, Table

MART_LOAD_PROFILE = Table(
    name="mart_load_profile",
    layer="gold",
    description="Mean load by local hour for weekdays and weekends, per meter and month. Energy and hours add up, so "
    "seasons, regions and feeders are sums of its rows.",
    grain="one meter, month, kind of day and hour of the day",
    owner="analytics",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        Column("month_local", "date", "First day of the month on the source's clock.", required=True),
        Column(
            "season", "string", "winter, spring, summer or autumn by meteorological months, northern.", required=True
        ),
        Column("day_type", "string", "weekday or weekend.", required=True),
        Column("hour_of_day", "int", "Hour on the source's clock, 0-23.", "h", required=True),
        Column("mean_load_kw", "double", "energy_kwh / hours.", "kW", required=True),
        Column("energy_kwh", "decimal(18,4)", "Energy of those hours.", "kWh", required=True, adds_up=True),
        Column(
            "hours",
            "double",
            "Hours with known readings, part hours counted by their share.",
            "h",
            required=True,
            adds_up=True,
        ),
    ),
    key=("source", "meter_id", "month_local", "day_type", "hour_of_day"),
    day="month_local",
    cluster_by=("source", "month_local", "meter_id"),
    derives_from=("int_readings_hourly", "stg_meters"),
    change_feed=True,
    published=Published(
        clickhouse="load_profile",
        order_by=("source", "meter_id", "month_local", "day_type", "hour_of_day"),
        indexes=(("source", "month_local"),),
        low_cardinality=("source", "region", "feeder", "season", "day_type"),
        sums=Sums(
            by=("source", "month_local", "season", "day_type", "hour_of_day", "region", "feeder"),
            of=("sum(energy_kwh)", "sum(hours)"),
        ),
    ),
)
