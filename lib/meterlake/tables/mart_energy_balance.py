from meterlake.tables.shared_columns import ENERGY, READING_DATE_LOCAL, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_ENERGY_BALANCE = Table(
    name="mart_energy_balance",
    layer="gold",
    description="Energy into each transformer, feeder and region against what its customers' meters read, per day. "
    "Where too little is known the losses are null and `status` says why.",
    grain="one transformer, feeder or region and local day",
    owner="analytics",
    columns=(
        SOURCE,
        Column("level", "string", "transformer, feeder or region.", required=True),
        Column("element", "string", "Name of the transformer, feeder or region, as delivered.", required=True),
        Column("region", "string", "Region that the element lies in."),
        Column("feeder", "string", "Feeder that the element is or lies on; null for a region."),
        READING_DATE_LOCAL,
        Column(
            "supplied_kwh", ENERGY, "Energy in: the supply meters, or the sum of the balanced elements below.", "kWh"
        ),
        Column("delivered_kwh", ENERGY, "Energy out: sum of the known readings of the customers' meters.", "kWh"),
        Column(
            "missing_kwh",
            ENERGY,
            "Energy of unknown readings, as if like the known: delivered (1/coverage - 1).",
            "kWh",
        ),
        Column(
            "technical_loss_kwh", ENERGY, "Loss in transformers and lines by the source's model, fixed + I2R.", "kWh"
        ),
        Column(
            "non_technical_loss_kwh",
            ENERGY,
            "What is left: supplied - delivered - missing - technical; below 0 where the model takes too much.",
            "kWh",
        ),
        Column("loss_share", "double", "(supplied - delivered - missing) / supplied."),
        Column("non_technical_share", "double", "Non-technical loss / supplied."),
        Column(
            "customers", "bigint", "Customers' meters of the element with a known reading in the month.", required=True
        ),
        Column("coverage", "double", "Share of the day's intervals of those meters that is known.", required=True),
        Column(
            "status", "string", "balanced, no_supply_meter, supply_incomplete or coverage_below_floor.", required=True
        ),
    ),
    key=("source", "level", "element", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("int_readings_hourly", "int_readings_daily", "int_readings_monthly", "stg_meters"),
    change_feed=True,
    personal_rows=f"customers < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="energy_balance",
        order_by=("source", "level", "reading_date_local", "element"),
        indexes=(("source", "element", "reading_date_local"),),
        low_cardinality=("source", "level", "region", "feeder", "status"),
    ),
)
