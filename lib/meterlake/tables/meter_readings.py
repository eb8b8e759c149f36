from meterlake.tables.shared_columns import BATCH_ID, SOURCE
from meterlake.tables.table import Column, Table

METER_READINGS = Table(
    name="meter_readings",
    layer="bronze",
    description="Every line of every delivered file, typed, with the numbers and the clock as delivered. "
    "Units and time zone are applied in silver, so that a mistake in a declaration can be corrected without the files.",
    grain="one line of one file; of NEM12 one value",
    owner="data-engineering",
    columns=(
        SOURCE,
        Column("meter_id", "string", "The meter as the line, or the name of the file, gives it.", personal=True),
        Column("stamp_local", "timestamp_ntz", "The line's time stamp on the source's clock."),
        Column("value", "double", "The metered quantity in the unit and kind that the source declares."),
        Column("voltage", "double", "Voltage as delivered.", "V"),
        Column("sub_metering_1", "double", "First sub-meter in the source's sub-metering unit."),
        Column("sub_metering_2", "double", "Second sub-meter in the source's sub-metering unit."),
        Column("sub_metering_3", "double", "Third sub-meter in the source's sub-metering unit."),
        Column("temperature", "double", "Air temperature as delivered.", "C"),
        Column("humidity", "double", "Relative humidity as delivered.", "%"),
        Column("wind_speed", "double", "Wind speed in the unit that the source declares."),
        Column("avg_past_consumption", "double", "Average past consumption as delivered, unit as `value`."),
        Column("anomaly_label", "string", "The source's own label of the line."),
        Column("region", "string", "Region as delivered."),
        Column("feeder", "string", "Feeder as delivered."),
        Column("transformer", "string", "Transformer as delivered."),
        Column("customer_id", "string", "Customer as delivered.", personal=True),
        Column("interval_minutes", "int", "Length of the interval, where lines bring their own (NEM12).", "min"),
        Column("unit", "string", "Unit of `value`, where lines bring their own (NEM12)."),
        Column(
            "delivered_quality",
            "string",
            "Quality that the source delivered: NEM12 `flag[method][:reason code[:description]]`, for instance F14:76.",
        ),
        Column(
            "raw_line",
            "string",
            "The line itself where it does not parse, or did so only when it was replayed; of a NEM12 day the first "
            "row has all its records.",
            personal=True,
        ),
        Column("parse_error", "string", "Why the line does not parse; null where it does."),
        Column("source_file", "string", "Path of the file.", required=True, personal=True),
        Column("file_id", "bigint", "Running number of the file in the order of delivery.", required=True),
        Column("line_order", "bigint", "Rises with the position of the line in its file; not dense.", required=True),
        BATCH_ID,
        Column("ingested_at", "timestamp", "When the batch was read, UTC.", required=True),
    ),
    key=("source", "file_id", "line_order"),
    day=None,
    cluster_by=("batch_id", "stamp_local"),
    derives_from=("files",),
)
