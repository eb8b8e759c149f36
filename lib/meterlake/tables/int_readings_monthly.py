from meterlake.tables.int_readings_daily import PEAK_MEASURES
from meterlake.tables.int_readings_hourly import CONSUMPTION_MEASURES
from meterlake.tables.shared_columns import METER_ID, SOURCE
from meterlake.tables.table import Column, Table

INT_READINGS_MONTHLY = Table(
    name="int_readings_monthly",
    layer="silver",
    description="Consumption, power and peak of each meter and local calendar month.",
    grain="one meter and local month",
    owner="data-engineering",
    columns=(
        SOURCE,
        METER_ID,
        Column("month_local", "date", "First day of the month on the source's clock.", required=True),
        *CONSUMPTION_MEASURES,
        *PEAK_MEASURES,
    ),
    key=("source", "meter_id", "month_local"),
    day="month_local",
    cluster_by=("source", "month_local", "meter_id"),
    derives_from=("int_readings_daily",),
)
