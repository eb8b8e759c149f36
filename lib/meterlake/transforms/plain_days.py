"""Hours -> days with Arrow, in the pass over whole meters that makes the hours: as int_readings_daily does.

Spark would read the hours again that the pass has just written, and shuffle them; here a day is a run of neighbours.
"""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import declared
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.transforms.int_readings_hourly import MICRO, QUALITIES, SHARES
from meterlake.transforms.plain_hours import extreme, run_sum
from meterlake.transforms.stg_meter_readings import GRID
from meterlake.vee.clock import DAY_MINUTES, clock_of

Ints = NDArray[np.int64]


def build(hours: ArrowPass, source: Source) -> ArrowPass:
    """Rows of `int_readings_daily`, of the hours that the pass of `plain_hours.build` makes."""
    return ArrowPass(INT_READINGS_DAILY, hours.rows, partial(_days, source=source), of=hours)


def _days(batches: Batches, source: Source) -> Batches:
    """The pass over one partition; each batch holds the hours of whole meters in order of time."""
    schema = to_arrow_schema(INT_READINGS_DAILY.schema, timezone="UTC")
    for hours in batches:
        yield declared(_columns(hours, source), schema)


def _columns(hours: pa.RecordBatch, source: Source) -> dict[str, pa.Array]:
    """Columns of days."""
    meter = hours["meter_id"].dictionary_encode().indices.to_numpy()
    day = hours["reading_date_local"].cast(pa.int32()).to_numpy()
    order = np.lexsort((day, meter))  # a clock that goes back over midnight comes to the day before again
    hours, meter, day = hours.take(pa.array(order)), meter[order], day[order]
    begin = np.flatnonzero((np.diff(day, prepend=day[0] - 1) != 0) | (np.diff(meter, prepend=-1) != 0))
    key = {name: hours[name].take(pa.array(begin)) for name in ("source", "meter_id", "reading_date_local")}

    count = hours["reading_count"].to_numpy()
    known, energy = np.add.reduceat(count, begin), hours["consumption_kwh"]
    of_known = partial(pa.array, mask=known == 0)
    kwh = run_sum(energy, GRID, begin) / GRID
    voltage = pc.multiply(
        hours["avg_voltage_v"], hours["reading_count"].cast(pa.float64())
    )  # an hour's for each reading
    volts = np.add.reduceat(np.where(voltage.is_valid().to_numpy(zero_copy_only=False), count, 0), begin)
    shares = {name: pc.fill_null(hours[f"{name}_share"], 0.0).to_numpy() for name in SHARES}
    quality = pc.index_in(hours["quality"], pa.array(QUALITIES)).to_numpy(zero_copy_only=False)
    expected = _expected(day[begin].astype(np.int64), source)
    peak = _peak(energy, begin)
    power = extreme(hours["max_power_kw"], np.fmax, begin)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            **key,
            "interval_minutes": pa.repeat(source.interval_minutes, len(begin)),
            "consumption_kwh": of_known(kwh),
            "avg_power_kw": of_known(kwh / (known * (source.interval_minutes / 60))),
            "max_power_kw": power,
            "min_power_kw": extreme(hours["min_power_kw"], np.fmin, begin),
            "avg_voltage_v": pa.array(run_sum(voltage, MICRO, begin) / MICRO / volts, mask=volts == 0),
            "reading_count": pa.array(known),
            "expected_count": pa.array(expected),
            "completeness": pa.array(known / expected),
            **{
                f"{name}_share": of_known(np.add.reduceat(np.rint(share * count), begin) / known)
                for name, share in shares.items()
            },
            "quality": pa.DictionaryArray.from_arrays(np.maximum.reduceat(quality, begin), pa.array(QUALITIES)),
            "peak_hour_start": hours["hour_start"].take(peak),
            "peak_hour_of_day": hours["hour_of_day"].take(peak),
            "peak_hour_kwh": energy.take(peak),
            "peak_power_kw": power,
        }


def _peak(energy: pa.Array, begin: Ints) -> pa.Array:
    """The row of each day's largest hour, the first of equals; null where no hour is known."""
    known = pc.fill_null(energy, -np.inf).to_numpy()
    largest = np.maximum.reduceat(known, begin)
    rows = np.flatnonzero(known == np.repeat(largest, np.diff(begin, append=len(known))))
    return pa.array(rows[np.searchsorted(rows, begin)], mask=np.isneginf(largest))


def _expected(day: Ints, source: Source) -> Ints:
    """Intervals that begin on each local day (days since 1970), as completeness.expected_intervals has it."""
    days, of_row = np.unique(day, return_inverse=True)
    clock, minutes = clock_of(source.time_zone), source.interval_minutes
    shift = clock.first_minute(days + 1) - clock.first_minute(days) - DAY_MINUTES
    return np.asarray((DAY_MINUTES // minutes + np.sign(shift) * (np.abs(shift) // minutes))[of_row])
