from meterlake.tables.shared_columns import BATCH_ID, SOURCE
from meterlake.tables.table import Column, Table

QUARANTINED_READINGS = Table(
    name="quarantined_readings",
    layer="silver",
    description="Every loaded line that is not a current reading because it broke a rule or repeats another one, "
    "with the names of all rules it broke.",
    grain="one rejected line",
    owner="data-engineering",
    columns=(
        SOURCE,
        Column("meter_id", "string", "The meter, where the line has one.", personal=True),
        Column("reading_timestamp", "timestamp", "Start of the interval, UTC, where it is known."),
        Column("reading_date_local", "date", "Local day of the interval, where it is known."),
        Column("consumption_kwh", "double", "Energy of the interval as far as it is known.", "kWh"),
        Column("reasons", "array<string>", "Names of the rules that the line broke.", required=True),
        Column("source_file", "string", "Path of the file.", required=True, personal=True),
        Column("file_id", "bigint", "Running number of the file in the order of delivery.", required=True),
        Column("line_order", "bigint", "Position of the line in its file, as in bronze.", required=True),
        BATCH_ID,
    ),
    key=("source", "file_id", "line_order"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("meter_readings",),
)
