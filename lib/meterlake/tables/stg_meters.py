from meterlake.tables.shared_columns import FEEDER, METER_ID, REGION, SOURCE
from meterlake.tables.table import Column, Table

STG_METERS = Table(
    name="stg_meters",
    layer="silver",
    description="What is known of each meter apart from its readings: its place in the grid, as last delivered.",
    grain="one meter",
    owner="data-engineering",
    columns=(
        SOURCE,
        METER_ID,
        REGION,
        FEEDER,
        Column("transformer", "string", "Distribution transformer that supplies the meter, as delivered."),
        Column(
            "customer_id",
            "string",
            "Customer (IEC 61968: customer account) that the meter bills, as delivered.",
            personal=True,
        ),
    ),
    key=("source", "meter_id"),
    derives_from=("meter_readings",),
)
