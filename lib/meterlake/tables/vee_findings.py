from meterlake.tables.shared_columns import METER_ID, READING_DATE_LOCAL, SOURCE
from meterlake.tables.table import Column, Table

VEE_FINDINGS = Table(
    name="vee_findings",
    layer="silver",
    description="What the rules of validation (docs/vee.md) find in the readings as delivered: which rule, from when "
    "to when, what was judged and by what.",
    grain="one finding of one rule at one meter; a run of intervals is cut where a local week begins",
    owner="data-engineering",
    columns=(
        SOURCE,
        METER_ID,
        READING_DATE_LOCAL,
        Column("rule_id", "string", "The rule, VEE-01 to VEE-16.", required=True),
        Column("rule", "string", "The rule's name.", required=True),
        Column(
            "severity",
            "string",
            "review (kept, flagged), edit (replaced by an estimate) or reject (not used).",
            required=True,
        ),
        Column("from_timestamp", "timestamp", "Start of the first interval, UTC.", required=True),
        Column("to_timestamp", "timestamp", "End of the last interval, UTC.", required=True),
        Column("interval_count", "bigint", "Intervals between the two.", required=True),
        Column("value", "double", "What was judged, in the unit that docs/vee.md names for the rule."),
        Column("reference", "double", "What it was judged by, in the same unit; null where the rule has none."),
        Column("details", "string", "How estimation dealt with the first interval, or why it left it missing."),
    ),
    key=("source", "meter_id", "rule_id", "from_timestamp"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local", "meter_id"),
    derives_from=("stg_meter_readings",),
    change_feed=True,
)
