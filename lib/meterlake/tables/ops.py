"""The operational tables: what ran, what it read, that nothing was lost, what failed."""

from meterlake.tables.shared_columns import BATCH_ID, RUN_ID, SOURCE
from meterlake.tables.table import Column, Table

RUNS = Table(
    name="runs",
    layer="ops",
    description="One row per step that succeeded, written last: the step's success marker and its lineage.",
    grain="one successful step of one run",
    owner="data-engineering",
    columns=(
        RUN_ID,
        Column("step", "string", "Name of the step.", required=True),
        SOURCE,
        Column("started_at", "timestamp", "Start, UTC.", required=True),
        Column("seconds", "double", "Duration.", "s", required=True),
        Column("rows_in", "bigint", "Rows read that were new or changed.", required=True),
        Column("rows_out", "bigint", "Rows written.", required=True),
        Column("inputs", "map<string,bigint>", "Delta version of each table read; the next run reads what came after."),
        Column("outputs", "map<string,bigint>", "Delta version of each table after the step."),
        Column("figures", "map<string,double>", "Further figures of the step."),
        Column("code_version", "string", "Version of meterlake.", required=True),
    ),
    key=("run_id", "step", "source"),
    derives_from=(),
    change_feed=True,
)

LOADED_FILES = Table(
    name="loaded_files",
    layer="ops",
    description="Every file that was delivered: its content's hash, its lines, and what came of it.",
    grain="one file of one batch",
    owner="data-engineering",
    columns=(
        SOURCE,
        Column("file_id", "bigint", "Running number in the order of delivery.", required=True),
        Column("source_file", "string", "Path; of some sources the meter's name.", required=True, personal=True),
        Column("sha256", "string", "SHA-256 of the uncompressed content.", required=True),
        Column("bytes", "bigint", "Size uncompressed.", "B", required=True),
        Column("lines", "bigint", "Data lines counted in the bytes: header and blank lines aside.", required=True),
        Column("loaded", "bigint", "Lines that parse.", required=True),
        Column("unparsable", "bigint", "Lines kept as raw text with the reason.", required=True),
        Column("extra_columns", "array<string>", "Columns of the file that the source does not declare."),
        Column("header_line", "string", "Its header, by which raw lines are parsed again after an adapter was fixed."),
        BATCH_ID,
        Column("ingested_at", "timestamp", "When it was read, UTC.", required=True),
    ),
    key=("source", "file_id"),
    derives_from=("files",),
    change_feed=True,
)

LEDGER = Table(
    name="ledger",
    layer="ops",
    description="The proof that nothing was lost, per batch: lines = loaded + unparsable; loaded = current + "
    "exact_duplicates + superseded + quarantined; readings_after = readings_before + current - replaced. A recovery "
    "posts what it moved as differences under its own name (no files), so that the sums are true of the tables.",
    grain="one batch or one recovery",
    owner="data-engineering",
    columns=(
        SOURCE,
        BATCH_ID,
        Column("files", "bigint", "Files in the batch.", required=True),
        Column("lines", "bigint", "Data lines in their bytes.", required=True),
        Column("loaded", "bigint", "Lines that parse.", required=True),
        Column("unparsable", "bigint", "Lines that do not parse, kept raw in bronze.", required=True),
        Column("current", "bigint", "Lines of the batch that became current readings.", required=True),
        Column("exact_duplicates", "bigint", "Lines that repeat a reading, value by value.", required=True),
        Column("superseded", "bigint", "Lines of the batch that a later file of it replaces.", required=True),
        Column("quarantined", "bigint", "Lines that broke a rule.", required=True),
        Column(
            "other_quantity",
            "bigint",
            "Of the quarantined lines those that are about no active energy (kVArh, volts) and break no other rule.",
            required=True,
        ),
        Column("replaced", "bigint", "Earlier readings that this batch superseded.", required=True),
        Column("readings_before", "bigint", "Current readings in the scope of the batch before it.", required=True),
        Column("readings_after", "bigint", "Current readings in the scope of the batch after it.", required=True),
        RUN_ID,
    ),
    key=("source", "batch_id"),
    derives_from=("loaded_files", "meter_readings", "stg_meter_readings", "quarantined_readings"),
    checks=(
        ("lines_balance", "lines = loaded + unparsable"),
        ("loaded_balance", "loaded = current + exact_duplicates + superseded + quarantined"),
        ("state_balance", "readings_after = readings_before + current - replaced"),
    ),
    change_feed=True,
)

QUALITY_RESULTS = Table(
    name="quality_results",
    layer="ops",
    description="The verdict of every expectation and alert of every run.",
    grain="one expectation of one run",
    owner="data-engineering",
    columns=(
        RUN_ID,
        SOURCE,
        Column(
            "suite",
            "string",
            "Name of the suite: raw_readings, staging_readings, marts_metrics, alerts, model_drift or day_drift.",
            required=True,
        ),
        Column("expectation", "string", "What was expected, in words.", required=True),
        Column("severity", "string", "critical or warning.", required=True),
        Column("success", "boolean", "Whether it was met.", required=True),
        Column("observed", "string", "What was observed."),
        Column("checked_at", "timestamp", "When, UTC.", required=True),
    ),
    key=("run_id", "source", "suite", "expectation"),
    derives_from=("meter_readings", "stg_meter_readings", "int_consumption_features", "mart_consumption_metrics"),
    change_feed=True,
)
