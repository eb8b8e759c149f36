"""What was done to put right what had gone wrong, by whom and why, and what it changed."""

from meterlake.tables.shared_columns import (
    METER_ID,
    READING_DATE_LOCAL,
    READING_ID,
    READING_TIMESTAMP,
    RUN_ID,
    SOURCE,
)
from meterlake.tables.table import Column, Table

RECOVERY_ID = Column(
    "recovery_id", "string", "The recovery; its posting in the ledger has the same name.", required=True
)

RECOVERIES = Table(
    name="recoveries",
    layer="ops",
    description="Every backfill, replay, release and restore: period, reason, who, code, row counts before and after.",
    grain="one recovery of one source",
    owner="data-engineering",
    columns=(
        RECOVERY_ID,
        SOURCE,
        Column("kind", "string", "backfill, replay, release or restore.", required=True),
        Column("first_day", "date", "First local day that was asked for; null for all."),
        Column("last_day", "date", "Last local day that was asked for; null for all."),
        Column("reason", "string", "Why, in the words of who asked for it.", required=True),
        Column("requested_by", "string", "Who asked for it.", required=True),
        Column("code_version", "string", "Version of meterlake that did it.", required=True),
        Column("status", "string", "running (or killed: the same command goes on), done or refused.", required=True),
        Column("started_at", "timestamp", "Start, UTC.", required=True),
        Column("finished_at", "timestamp", "End, UTC; null while it runs."),
        Column("versions_before", "map<string,bigint>", "Delta version of each table before it: what the diff reads."),
        Column("rows_before", "map<string,bigint>", "Rows of the source in each table before it."),
        Column("rows_after", "map<string,bigint>", "The same after it."),
        Column("figures", "map<string,double>", "Lines taken through again, and what became of them."),
    ),
    key=("recovery_id", "source"),
    derives_from=(),
    checks=(("status_known", "status IN ('running', 'done', 'refused')"),),
    change_feed=True,
)

RECOVERY_DIFFS = Table(
    name="recovery_diffs",
    layer="ops",
    description="What a recovery changed in the marts, day by day; a day that stayed as it was has no row.",
    grain="one day of one mart in one recovery",
    owner="data-engineering",
    columns=(
        RECOVERY_ID,
        SOURCE,
        Column("mart", "string", "Name of the mart.", required=True),
        Column("day", "date", "Local day, or first day of the period or month, as the mart has it.", required=True),
        Column("rows_added", "bigint", "Rows that were not there before.", required=True),
        Column("rows_removed", "bigint", "Rows that are no longer there.", required=True),
        Column("rows_changed", "bigint", "Rows that differ in anything but the time of scoring.", required=True),
        Column(
            "kwh_before", "decimal(18,4)", "Energy of all rows of the day before; of metrics, the days only.", "kWh"
        ),
        Column("kwh_after", "decimal(18,4)", "The same after.", "kWh"),
    ),
    key=("recovery_id", "source", "mart", "day"),
    derives_from=(
        "mart_consumption_metrics",
        "mart_anomaly_scores",
        "mart_anomaly_flags",
        "mart_inspections",
        "mart_load_profile",
        "mart_weekly_load_profile",
        "mart_load_factors",
        "mart_energy_balance",
        "mart_suspects",
        "mart_region_kpis",
        "mart_feeder_outages",
        "mart_reliability",
        "mart_load_forecast",
    ),
    change_feed=True,
)

RELEASED_READINGS = Table(
    name="released_readings",
    layer="silver",
    description="Quarantined lines that an operator took as valid: no rule rejects them again, whatever is recomputed.",
    grain="one line of one file",
    owner="data-engineering",
    columns=(
        SOURCE,
        Column("file_id", "bigint", "Running number of the file in the order of delivery.", required=True),
        Column("line_order", "bigint", "Position of the line in its file, as in bronze.", required=True),
        READING_ID,
        METER_ID,
        READING_TIMESTAMP,
        READING_DATE_LOCAL,
        Column("reasons", "array<string>", "The rules that it had broken.", required=True),
        Column("reason", "string", "Why it is valid all the same, in the operator's words.", required=True),
        Column("released_by", "string", "Who took it as valid.", required=True),
        Column("released_at", "timestamp", "When, UTC.", required=True),
        RUN_ID,
    ),
    key=("source", "file_id", "line_order"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("quarantined_readings",),
)
