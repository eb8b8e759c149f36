"""The long multi-meter CSV that a head-end system exports, under the column names that meterlake itself uses."""

from meterlake.sources.grid_supply import GRID_SUPPLY
from meterlake.sources.source import Columns, Limits, Losses, Source
from meterlake.sources.tariff import Tariff

AMI = Source(
    name="ami",
    description="Many meters in one CSV, 15 min, with their place in the grid (meter_id,timestamp,consumption_kwh,...)",
    interval_minutes=15,
    time_zone="UTC",
    columns=Columns(
        timestamp="timestamp",
        value="consumption_kwh",
        meter_id="meter_id",
        voltage="voltage_v",
        temperature="temperature_c",
        region="region",
        feeder="feeder",
        transformer="transformer",
        customer_id="customer_id",
    ),
    # A meter that reports its outage says 0 V; an interval that is dark in part has a low mean.
    limits=Limits(voltage_v=(0.0, 276.0)),
    losses=Losses(supply_source=GRID_SUPPLY.name),
    tariff=Tariff(
        weekday={"peak": ((17, 21),), "shoulder": ((7, 17), (21, 23)), "off_peak": ((0, 7), (23, 24))},
        weekend={"shoulder": ((7, 23),), "off_peak": ((0, 7), (23, 24))},
    ),
)
