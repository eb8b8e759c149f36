from meterlake.tables.shared_columns import READING_DATE_LOCAL, REGION, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_FEEDER_OUTAGES = Table(
    name="mart_feeder_outages",
    layer="gold",
    description="When half of the meters of a feeder or transformer were without power at once, and when a meter read "
    "zero alone: told apart by what the neighbours say. Cut where a local month ends.",
    grain="one interruption of a feeder, transformer or meter",
    owner="analytics",
    columns=(
        SOURCE,
        Column("kind", "string", "What was without power: feeder, transformer, or a meter alone.", required=True),
        Column("element", "string", "Name of the feeder, transformer or meter, as delivered.", required=True),
        REGION,
        Column("feeder", "string", "The feeder, or the one that it lies on; null where that is unknown."),
        Column("transformer", "string", "The transformer, or that of the meter; null for a feeder."),
        READING_DATE_LOCAL,
        Column("from_timestamp", "timestamp", "Start of the first dark interval, UTC.", required=True),
        Column("to_timestamp", "timestamp", "End of the last one, UTC.", required=True),
        Column("minutes", "bigint", "Between the two: whole intervals.", "min", required=True),
        Column(
            "evidence",
            "string",
            "What a fifth or more of the dark meters say: voltage (gone) or zeros; silence: fewer do, so that readings "
            "may have been lost on their way.",
            required=True,
        ),
        Column("meters", "bigint", "Meters of the element with a known reading in the month.", required=True),
        Column("meters_interrupted", "bigint", "Those without power for a part of it, at least.", required=True),
        Column("meters_dead", "bigint", "Of these, meters whose voltage was gone.", required=True),
        Column("meters_zero", "bigint", "Of these, others that read zero.", required=True),
        Column("meters_silent", "bigint", "Of these, meters without a reading.", required=True),
        Column(
            "customers_interrupted",
            "bigint",
            "Customers interrupted (IEEE 1366): those who were in no other interruption right before.",
            required=True,
        ),
        Column(
            "customer_minutes",
            "bigint",
            "Customer minutes of interruption (IEEE 1366): sum of the meters' times without power.",
            "min",
            required=True,
        ),
    ),
    key=("source", "kind", "element", "from_timestamp"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("vee_findings", "int_readings_monthly", "stg_meters"),
    change_feed=True,
    personal_rows=f"meters < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="feeder_outages",
        order_by=("source", "kind", "element", "from_timestamp"),
        indexes=(("source", "reading_date_local"),),
        low_cardinality=("source", "kind", "region", "feeder", "evidence"),
    ),
)
