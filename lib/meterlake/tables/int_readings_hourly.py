from meterlake.tables.shared_columns import INTERVAL_MINUTES, METER_ID, QUALITY, READING_DATE_LOCAL, SOURCE
from meterlake.tables.table import Column, Table

# The measures of an hour, a day and a month are the same: declared once.
CONSUMPTION_MEASURES = (
    Column("consumption_kwh", "double", "Sum of the known readings, exact to 1e-8; null when none is known.", "kWh"),
    Column("avg_power_kw", "double", "Mean of the readings' active power.", "kW"),
    Column("max_power_kw", "double", "Largest active power of a reading.", "kW"),
    Column("min_power_kw", "double", "Smallest active power of a reading.", "kW"),
    Column("avg_voltage_v", "double", "Mean voltage.", "V"),
    Column("reading_count", "bigint", "Readings with a known value.", required=True),
    Column(
        "expected_count", "bigint", "Intervals that the local period has (a day has 23, 24 or 25 h).", required=True
    ),
    Column("completeness", "double", "reading_count / expected_count.", required=True),
    Column("estimated_share", "double", "Estimated readings / reading_count; null when none is known."),
    Column("edited_share", "double", "Edited readings / reading_count; null when none is known."),
    QUALITY,
)

INT_READINGS_HOURLY = Table(
    name="int_readings_hourly",
    layer="silver",
    description="Consumption and power of each meter and local clock hour.",
    grain="one meter and hour",
    owner="data-engineering",
    columns=(
        SOURCE,
        METER_ID,
        Column("hour_start", "timestamp", "Start of the local clock hour, UTC.", required=True),
        READING_DATE_LOCAL,
        Column("hour_of_day", "int", "Hour on the source's clock, 0-23.", "h", required=True),
        INTERVAL_MINUTES,
        *CONSUMPTION_MEASURES,
    ),
    key=("source", "meter_id", "hour_start"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local", "meter_id"),
    derives_from=("stg_meter_readings",),
)
