from meterlake.tables.shared_columns import ENERGY, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_WEEKLY_LOAD_PROFILE = Table(
    name="mart_weekly_load_profile",
    layer="gold",
    description="Mean load by weekday and local hour, per region, feeder and month, of a source whose readings last an "
    "hour at most. Energy and hours add up, so regions, weekdays and seasons are sums of its rows.",
    grain="one region, feeder, month, weekday and hour of the day",
    owner="analytics",
    columns=(
        SOURCE,
        Column("region", "string", "Region of the meters, as delivered; empty where it is unknown.", required=True),
        Column("feeder", "string", "Feeder of the meters, as delivered; empty where it is unknown.", required=True),
        Column("month_local", "date", "First day of the month on the source's clock.", required=True),
        Column("weekday", "int", "Day of the week on the source's clock, 1 (Monday) to 7 (ISO 8601).", required=True),
        Column("hour_of_day", "int", "Hour on the source's clock, 0-23.", "h", required=True),
        Column("meters", "bigint", "Whole meters known at once, in the hour of most of them.", required=True),
        Column("mean_load_kw", "double", "Of a meter: energy_kwh / hours.", "kW", required=True),
        Column("energy_kwh", ENERGY, "Energy of those hours of all meters.", "kWh", required=True),
        Column(
            "hours",
            "double",
            "Hours of all meters with known readings, part hours counted by their share.",
            "h",
            required=True,
        ),
    ),
    key=("source", "region", "feeder", "month_local", "weekday", "hour_of_day"),
    day="month_local",
    cluster_by=("source", "month_local"),
    derives_from=("int_readings_hourly", "stg_meters"),
    change_feed=True,
    personal_rows=f"meters < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="weekly_load_profile",
        order_by=("source", "region", "feeder", "month_local", "weekday", "hour_of_day"),
        indexes=(("source", "month_local"),),
        low_cardinality=("source", "region", "feeder"),
    ),
)
