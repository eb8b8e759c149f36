"""Hours -> days with Arrow, in the pass over whole meters that makes the hours: as int_readings_daily does.

Spark would read the hours again that the pass has just written, and shuffle them; here a day is a run of neighbours.
"""

from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import declared
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.transforms import periods


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
    begin = periods.begins(meter, day)
    measures = periods.energy(hours, begin) | periods.power(hours, begin, source)
    expected = periods.expected_intervals(day[begin].astype(np.int64), source.time_zone, source.interval_minutes)
    peak = periods.peak(hours["consumption_kwh"], begin)
    return {
        **{name: hours[name].take(pa.array(begin)) for name in ("source", "meter_id", "reading_date_local")},
        "interval_minutes": pa.repeat(source.interval_minutes, len(begin)),
        **measures,
        "expected_count": pa.array(expected),
        "completeness": pa.array(measures["reading_count"].to_numpy() / expected),
        "peak_hour_start": hours["hour_start"].take(peak),
        "peak_hour_of_day": hours["hour_of_day"].take(peak),
        "peak_hour_kwh": hours["consumption_kwh"].take(peak),
        "peak_power_kw": measures["max_power_kw"],
    }
