"""The meters at the head of feeders and transformers, in the long CSV of `ami` without customers and voltages.

They are a source of their own, so that what the grid takes in is never summed with what customers use.
"""

from meterlake.sources.source import Columns, Limits, Source

GRID_SUPPLY = Source(
    name="grid_supply",
    description="Supply meters of feeders and transformers in one CSV, 15 min (meter_id,timestamp,consumption_kwh,...)",
    interval_minutes=15,
    time_zone="UTC",
    columns=Columns(
        timestamp="timestamp",
        value="consumption_kwh",
        meter_id="meter_id",
        region="region",
        feeder="feeder",
        transformer="transformer",
    ),
    # 15 min of a 40 MVA substation transformer.
    limits=Limits(consumption_kwh=(0.0, 10_000.0)),
)
