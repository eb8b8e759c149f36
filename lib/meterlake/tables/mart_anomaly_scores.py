from meterlake.tables.shared_columns import METER_ID, READING_DATE_LOCAL, READING_ID, READING_TIMESTAMP, SOURCE
from meterlake.tables.table import Column, Published, RegionsOf, Sums, Table

MART_ANOMALY_SCORES = Table(
    name="mart_anomaly_scores",
    layer="gold",
    description="How unusual each reading is, by the champion model, and why where it is flagged.",
    grain="one interval of one meter",
    owner="data-science",
    columns=(
        READING_ID,
        SOURCE,
        METER_ID,
        READING_TIMESTAMP,
        READING_DATE_LOCAL,
        Column("consumption_kwh", "decimal(18,4)", "Energy of the interval.", "kWh", adds_up=True),
        Column("active_power_kw", "double", "Mean active power of the interval.", "kW"),
        Column(
            "expected_kwh", "decimal(18,4)", "What the meter's own past leads to expect; null without a past.", "kWh"
        ),
        Column("anomaly_score", "double", "0 to 1, 1 is worst; above 0.6 is flagged.", required=True),
        Column("raw_score", "double", "The forest's own score before calibration.", required=True),
        Column("is_anomaly", "boolean", "Whether the score is above the threshold.", required=True),
        Column(
            "anomaly_type", "string", "high_consumption, low_consumption or unusual_pattern; null when not flagged."
        ),
        Column("reasons", "string", "The features that explain a flag, with their values; null when not flagged."),
        Column("model_version", "string", "Name and version of the model in the registry.", required=True),
        Column("scored_at", "timestamp", "When it was scored, UTC.", required=True),
    ),
    key=("source", "meter_id", "reading_timestamp"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local", "meter_id"),
    derives_from=("int_consumption_features",),
    checks=(("score_in_range", "anomaly_score BETWEEN 0 AND 1"),),
    change_feed=True,
    published=Published(
        clickhouse="anomaly_scores",
        order_by=("source", "meter_id", "reading_timestamp"),
        indexes=(("source", "is_anomaly", "reading_timestamp"),),
        low_cardinality=("source", "meter_id", "anomaly_type", "model_version"),
        # Of its month: a meter may move.
        regions=(
            RegionsOf(
                mart="mart_consumption_metrics",
                matching=(
                    ("source", "source"),
                    ("meter_id", "meter_id"),
                    ("CAST(date_trunc('month', reading_date_local) AS date)", "period_start_local"),
                ),
                there="period = 'month'",
            ),
        ),
        partition="month",
        sums=Sums(
            by=("source", "reading_timestamp"),
            of=("sum(consumption_kwh)", "sum(expected_kwh)", "max(anomaly_score)", "count()"),
        ),
    ),
)
