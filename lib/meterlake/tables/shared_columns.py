"""Columns that mean the same wherever they stand."""

from meterlake.tables.table import Column

# The type of published energy: four decimals of a kWh are 0.1 Wh.
ENERGY = "decimal(18,4)"

SOURCE = Column("source", "string", "Name of the declared source that delivered the data.", required=True)
METER_ID = Column(
    "meter_id",
    "string",
    "The meter (IEC 61968: usage point's meter), as its source names it.",
    required=True,
    personal=True,
)
READING_ID = Column(
    "reading_id",
    "string",
    "Identity of the reading: source:meter:interval start in Unix seconds.",
    required=True,
    personal=True,
)
READING_TIMESTAMP = Column("reading_timestamp", "timestamp", "Start of the interval, UTC.", required=True)
READING_DATE_LOCAL = Column(
    "reading_date_local", "date", "Calendar day of the interval start on the source's clock.", required=True
)
QUALITY = Column(
    "quality", "string", "measured, estimated, edited or missing; of several readings the worst.", required=True
)
REGION = Column("region", "string", "Region of the grid that the meter belongs to, as delivered.")
FEEDER = Column("feeder", "string", "Feeder that supplies the meter, as delivered.")
# What a mart of the grid's elements by month tells of: see transforms.mart_load_factors.on_every_level.
ELEMENT_MONTH = (
    Column("level", "string", "What the element is: source, region or feeder.", required=True),
    Column("element", "string", "Name of the source, region or feeder, as delivered.", required=True),
    Column("region", "string", "Region that the element is or lies in; null for the source."),
    Column("month_local", "date", "First day of the month on the source's clock.", required=True),
)
INTERVAL_MINUTES = Column(
    "interval_minutes", "int", "Length of the readings' intervals; a meter's local day has one.", "min", required=True
)
BATCH_ID = Column(
    "batch_id",
    "string",
    "The batch (one ingest) that delivered it; not_delivered for a reading that stands by its estimate only.",
    required=True,
)
RUN_ID = Column("run_id", "string", "The run that wrote the row.", required=True)
