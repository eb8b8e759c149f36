from meterlake.tables.shared_columns import FEEDER, METER_ID, READING_DATE_LOCAL, REGION, SOURCE
from meterlake.tables.table import Column, Published, Table

MART_ANOMALY_FLAGS = Table(
    name="mart_anomaly_flags",
    layer="gold",
    description="The scored meter-days for which anything speaks: a flagged reading, a rule, the day as a whole or the "
    "balance of the transformer; what does, how sure that makes, and what energy is at stake.",
    grain="one meter and local day with evidence",
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
        Column("worst_reading_timestamp", "timestamp", "Interval start of the worst flagged reading, UTC."),
        Column("main_type", "string", "The commonest type among the flagged readings; null where none is flagged."),
        Column("reasons", "string", "Reasons of the worst reading."),
        Column(
            "energy_at_stake_kwh",
            "decimal(18,4)",
            "Sum over the flagged readings of the distance between metered and expected energy; null without any.",
            "kWh",
            adds_up=True,
        ),
        Column(
            "evidence",
            "string",
            "What speaks for the day, of: reading (one is flagged), rule (VEE finds something at this meter), day (it "
            "stands in mart_inspections), balance (it stands in loss_findings).",
        ),
        Column(
            "confidence",
            "double",
            "Share of the meter-days with just this evidence that are anomalous, 0 to 1: measured on faults put into "
            "real readings (docs/anomalies.md), for the base rate of `model.base_rate`.",
        ),
        Column("why", "string", "What the evidence says, the surest first."),
    ),
    key=("source", "meter_id", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("mart_anomaly_scores", "vee_findings", "mart_inspections", "loss_findings", "stg_meters"),
    checks=(("confidence_in_range", "confidence BETWEEN 0 AND 1"),),
    change_feed=True,
    published=Published(
        clickhouse="anomaly_flags",
        order_by=("source", "reading_date_local", "meter_id"),
        indexes=(("source", "worst_score"), ("source", "confidence")),
        low_cardinality=("source", "meter_id", "region", "feeder", "main_type", "evidence"),
    ),
)
