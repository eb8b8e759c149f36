from meterlake.tables.int_readings_hourly import CONSUMPTION_MEASURES
from meterlake.tables.shared_columns import INTERVAL_MINUTES, METER_ID, READING_DATE_LOCAL, SOURCE
from meterlake.tables.table import Column, Table

# The hour of the largest consumption, for a day and a month.
PEAK_MEASURES = (
    Column("peak_hour_start", "timestamp", "Start of the hour with the largest consumption, UTC; the first of equals."),
    Column("peak_hour_of_day", "int", "The same hour on the source's clock, 0-23.", "h"),
    Column("peak_hour_kwh", "double", "Consumption of that hour.", "kWh"),
    Column("peak_power_kw", "double", "Largest active power of a reading.", "kW"),
)

INT_READINGS_DAILY = Table(
    name="int_readings_daily",
    layer="silver",
    description="Consumption, power and peak of each meter and local day.",
    grain="one meter and local day",
    owner="data-engineering",
    columns=(SOURCE, METER_ID, READING_DATE_LOCAL, INTERVAL_MINUTES, *CONSUMPTION_MEASURES, *PEAK_MEASURES),
    key=("source", "meter_id", "reading_date_local"),
    day="reading_date_local",
    cluster_by=("source", "reading_date_local", "meter_id"),
    derives_from=("int_readings_hourly",),
    change_feed=True,
)
