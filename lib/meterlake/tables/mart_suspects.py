from meterlake.tables.shared_columns import ENERGY, FEEDER, METER_ID, REGION, SOURCE
from meterlake.tables.table import Column, Published, Table

MART_SUSPECTS = Table(
    name="mart_suspects",
    layer="gold",
    description="The meters of a month where energy may be recovered; the list for the truck is in the order of "
    "`recoverable_kwh`. Only meters with something to recover.",
    grain="one meter and local month with a shortfall",
    owner="analytics",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        Column("transformer", "string", "Distribution transformer that supplies the meter, as delivered."),
        Column("month_local", "date", "First day of the month on the source's clock.", required=True),
        Column(
            "since_local", "date", "The day on which the shortfall began, as far as the month shows it.", required=True
        ),
        Column("consumption_kwh", ENERGY, "Metered on the month's known days.", "kWh", required=True, adds_up=True),
        Column(
            "reference_kwh",
            ENERGY,
            "What its past month makes usual for those days, moved as its region has moved.",
            "kWh",
            required=True,
        ),
        Column("shortfall_kwh", ENERGY, "reference_kwh - consumption_kwh.", "kWh", required=True, adds_up=True),
        Column(
            "standard_errors",
            "double",
            "The shortfall in its standard errors, by the meter's past days.",
            required=True,
        ),
        Column("balanced_by", "string", "The transformer or feeder whose balance was asked; null where none has one."),
        Column(
            "confirmed_kwh",
            ENERGY,
            "The part of the shortfall that is missing there, too; null without a balance.",
            "kWh",
        ),
        Column("probability", "double", "recoverable_kwh / shortfall_kwh.", required=True),
        Column(
            "recoverable_kwh",
            ENERGY,
            "What an inspection is expected to bring back in such a month.",
            "kWh",
            required=True,
            adds_up=True,
        ),
        Column("reason", "string", "The same in a sentence.", required=True),
    ),
    key=("source", "meter_id", "month_local"),
    day="month_local",
    cluster_by=("source", "month_local"),
    derives_from=("int_readings_daily", "mart_energy_balance", "stg_meters"),
    change_feed=True,
    published=Published(
        clickhouse="suspects",
        order_by=("source", "month_local", "meter_id"),
        indexes=(("source", "month_local", "recoverable_kwh"),),
        low_cardinality=("source", "region", "feeder", "balanced_by"),
    ),
)
