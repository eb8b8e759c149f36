"""Readings -> hours with Arrow, in the pass over whole meters that makes the features: as int_readings_hourly does.

Where all readings of a source of one interval length are read, their order by meter and time is there already, and an
hour is a run of neighbours, so that nothing has to be aggregated by text and time.
"""

from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass, Rows, since, whole_meters
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import declared, one_batch, same
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.transforms.int_readings_hourly import MICRO, QUALITIES, SHARES
from meterlake.transforms.periods import Ints, begins, extreme, run_sum
from meterlake.transforms.stg_meter_readings import GRID
from meterlake.vee.clock import clock_of

NEEDED = (
    "meter_id",
    "reading_timestamp",
    "reading_date_local",
    "hour_of_day",
    "consumption_kwh",
    "active_power_kw",
    "voltage_v",
    "quality",
)
MINUTE, HOUR = 60_000_000, 3_600_000_000  # microseconds
ROWS_AT_ONCE = 250_000


def build(readings: Rows, source: Source, first: date) -> ArrowPass:
    """Rows of `int_readings_hourly` of the readings of a source that does not vary in its interval length.

    Args:
        readings: whole meters, each in order of time, with the columns NEEDED; of years whose clock `clock_of` knows.
        first: earlier days are for others to look back at.
    """
    return ArrowPass(INT_READINGS_HOURLY, readings, partial(_hours, source=source, first=first))


def _hours(batches: Batches, source: Source, first: date) -> Batches:
    """The pass over one partition; each batch holds whole meters in order of time."""
    schema = to_arrow_schema(INT_READINGS_HOURLY.schema, timezone="UTC")
    for readings in whole_meters(since(batches, first), ROWS_AT_ONCE):
        yield declared(_columns(one_batch(readings.select(NEEDED)), source), schema)


def _columns(readings: pa.RecordBatch, source: Source) -> dict[str, pa.Array]:
    """Columns of hours, of readings with the columns NEEDED."""
    hour_start = _hour_start(readings["reading_timestamp"], source)
    meter = readings["meter_id"].dictionary_encode().indices.to_numpy()
    begin = begins(meter, hour_start)
    first = {name: readings[name].take(pa.array(begin)) for name in ("meter_id", "reading_date_local", "hour_of_day")}

    minutes = source.interval_minutes
    expected = max(1, 60 // minutes)
    energy = readings["consumption_kwh"]
    known, kwh = _count(energy, begin), run_sum(energy, GRID, begin) / GRID
    of_known = partial(pa.array, mask=known == 0)
    power, voltage = readings["active_power_kw"], readings["voltage_v"]
    volts = _count(voltage, begin)
    quality = pc.index_in(readings["quality"], pa.array(QUALITIES)).to_numpy(zero_copy_only=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "source": same(pa.scalar(source.name), len(begin)),
            **first,
            "hour_start": pa.array(hour_start[begin]).cast(pa.timestamp("us", "UTC")),
            "interval_minutes": pa.repeat(minutes, len(begin)),
            "consumption_kwh": of_known(kwh),
            "avg_power_kw": of_known(kwh / (known * (minutes / 60))),
            "max_power_kw": extreme(power, np.fmax, begin),
            "min_power_kw": extreme(power, np.fmin, begin),
            "avg_voltage_v": pa.array(run_sum(voltage, MICRO, begin) / volts / MICRO, mask=volts == 0),
            "reading_count": pa.array(known),
            "expected_count": pa.repeat(expected, len(begin)),
            "completeness": pa.array(known / expected),
            **{
                f"{name}_share": of_known(
                    np.add.reduceat(quality == QUALITIES.index(name), begin, dtype=np.int64) / known
                )
                for name in SHARES
            },
            "quality": pa.DictionaryArray.from_arrays(np.maximum.reduceat(quality, begin), pa.array(QUALITIES)),
        }


def _hour_start(start: pa.Array, source: Source) -> Ints:
    """Microseconds since 1970 of the start of each interval's hour on the source's clock."""
    stamp = start.cast(pa.int64()).to_numpy()
    local = stamp + clock_of(source.time_zone).offset(stamp // MINUTE) * MINUTE
    return stamp - local % HOUR


def _count(values: pa.Array, begin: Ints) -> Ints:
    return np.add.reduceat(values.is_valid().to_numpy(zero_copy_only=False), begin, dtype=np.int64)
