from meterlake.tables.shared_columns import FEEDER, METER_ID, READING_DATE_LOCAL, REGION, SOURCE
from meterlake.tables.table import Column, Published, Table

MART_ANOMALY_FLAGS = Table(
    name="mart_anomaly_flags",
    layer="gold",
    description="The meter-days with at least one flagged reading: how many, how bad, and what energy is at stake.",
    grain="one meter and local day with a flag",
    owner="analytics",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        READING_DATE_LOCAL,
        Column("reading_count", "bigint", "Scored readings of the day.", required=True, adds_up=True),
        Column("flagged_count", "bigint", "Flagged readings of the day.", required=True, adds_up=True),
        Column(
            "scored_kwh",
            "decimal(18,4)",
            "Energy of the scored readings of the day: what was metered, without estimates.",
            "kWh",
            adds_up=True,
        ),
        Column("worst_score", "double", "Highest score of the day, 0 to 1.", required=True),
        Column("worst_reading_timestamp", "timestamp", "Interval start of that reading, UTC.", required=True),
        Column("main_type", "string", "The commonest type among the flagged readings.", required=True),
        Column("reasons", "string", "Reasons of the worst reading."),
        Column(
            "energy_at_stake_kwh",
            "decimal(18,4)",
            "Sum over the flagged readings of the distance between metered and expected energy.",
            "kWh",
            adds_up=True,
        ),
    ),
    key=("source", "meter_id", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("mart_anomaly_scores", "stg_meters"),
    change_feed=True,
    published=Published(
        clickhouse="anomaly_flags",
        order_by=("source", "reading_date_local", "meter_id"),
        indexes=(("source", "worst_score"),),
        low_cardinality=("source", "meter_id", "region", "feeder", "main_type"),
    ),
)
