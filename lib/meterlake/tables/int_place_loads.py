from meterlake.tables.shared_columns import READING_DATE_LOCAL, SOURCE
from meterlake.tables.table import SMALLEST_GROUP, Column, Table

INT_PLACE_LOADS = Table(
    name="int_place_loads",
    layer="silver",
    description="Load of each place of the grid, a region and feeder, by local clock hour, of a source whose readings "
    "last an hour at most: the sum of its meters' known hours, kept so that a day more is read once.",
    grain="one region, feeder and hour",
    owner="data-engineering",
    columns=(
        SOURCE,
        Column("region", "string", "Region of the meters, as delivered; empty where it is unknown.", required=True),
        Column("feeder", "string", "Feeder of the meters, as delivered; empty where it is unknown.", required=True),
        Column("hour_start", "timestamp", "Start of the local clock hour, UTC.", required=True),
        READING_DATE_LOCAL,
        Column("kwh", "double", "Sum of the known readings, exact to 1e-8; null when none is known.", "kWh"),
        Column("known", "double", "Meters that are known in it, parts of an hour by their share.", required=True),
    ),
    key=("source", "region", "feeder", "hour_start"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local"),
    derives_from=("int_readings_hourly", "stg_meters"),
    personal_rows=f"known < {SMALLEST_GROUP}",
)
