from meterlake.tables.shared_columns import ELEMENT_MONTH, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Published, Table

MART_RELIABILITY = Table(
    name="mart_reliability",
    layer="gold",
    description="Reliability indices of IEEE 1366 of a source, region or feeder in a month, from the interruptions of "
    "feeders and transformers longer than 5 minutes in which meters say that they are without power.",
    grain="one source, region or feeder and local month",
    owner="analytics",
    columns=(
        SOURCE,
        *ELEMENT_MONTH,
        Column(
            "meters",
            "bigint",
            "Customers served: meters with a feeder or transformer and a known reading in the month.",
            required=True,
        ),
        Column("interruptions", "bigint", "Of feeders, and of transformers alone.", required=True),
        Column("customers_interrupted", "bigint", "Sum over them.", required=True),
        Column("customer_minutes", "bigint", "Sum over them.", "min", required=True),
        Column("saidi_minutes", "double", "SAIDI: customer_minutes / meters.", "min", required=True),
        Column("saifi", "double", "SAIFI: customers_interrupted / meters.", required=True),
        Column("caidi_minutes", "double", "CAIDI: SAIDI / SAIFI; null where nobody was interrupted.", "min"),
        Column(
            "silent_minutes",
            "bigint",
            "Customer minutes of interruptions that stand on silence alone, in none of the above.",
            "min",
            required=True,
        ),
    ),
    key=("source", "level", "element", "month_local"),
    day="month_local",
    cluster_by=("source", "month_local"),
    derives_from=("mart_feeder_outages", "int_readings_monthly", "stg_meters"),
    change_feed=True,
    personal_rows=f"meters < {SMALLEST_GROUP}",
    published=Published(
        clickhouse="reliability",
        order_by=("source", "level", "element", "month_local"),
        indexes=(("source", "month_local"),),
        low_cardinality=("source", "level", "element", "region"),
    ),
)
