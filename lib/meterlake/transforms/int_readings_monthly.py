"""Days -> consumption, power and peak per meter and local calendar month."""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass, Rows, whole_meters
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import declared, one_batch
from meterlake.tables.file_scan import FileScan
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.transforms import periods
from meterlake.transforms.periods import Floats, Ints

NEEDED = tuple(name for name in INT_READINGS_DAILY.names if name != "completeness")
ROWS_AT_ONCE = 250_000


def build(daily: FileScan | DataFrame, source: Source) -> ArrowPass:
    """Rows of `int_readings_monthly` from all days of the months concerned."""
    days = Rows.by_meter(daily, NEEDED, "reading_date_local")
    return ArrowPass(INT_READINGS_MONTHLY, days, partial(_months, source=source))


def _months(batches: Batches, source: Source) -> Batches:
    """The pass over one partition: whole meters, each in order of time."""
    schema = to_arrow_schema(INT_READINGS_MONTHLY.schema, timezone="UTC")
    for days in whole_meters(batches, ROWS_AT_ONCE):
        yield declared(_columns(one_batch(days), source), schema)


def _columns(days: pa.RecordBatch, source: Source) -> dict[str, pa.Array]:
    day = days["reading_date_local"].to_numpy(zero_copy_only=False)
    month = day.astype("datetime64[M]")
    begin = periods.begins(days["meter_id"].dictionary_encode().indices.to_numpy(), month.astype(np.int64))
    measures = periods.energy(days, begin) | periods.power(days, begin, source)
    peak = periods.peak(days["peak_hour_kwh"], begin)
    expected, completeness = _expected(days, begin, month[begin], measures["reading_count"].to_numpy(), source)
    return {
        **{name: days[name].take(pa.array(begin)) for name in ("source", "meter_id")},
        "month_local": pa.array(month[begin].astype("datetime64[D]")),
        **measures,
        "expected_count": pa.array(expected),
        "completeness": pa.array(completeness),
        **{name: days[name].take(peak) for name in ("peak_hour_start", "peak_hour_of_day", "peak_hour_kwh")},
        "peak_power_kw": periods.extreme(days["peak_power_kw"], np.fmax, begin),
    }


def _expected(
    days: pa.RecordBatch, begin: Ints, month: NDArray[np.datetime64], known: Ints, source: Source
) -> tuple[Ints, Floats]:
    """Intervals of the whole calendar month, of which a meter that starts on the 10th has not all, and the known share.

    Where lengths vary, that is the share of its minutes, and a day without a row counts in intervals of the length that
    the month's last day has.
    """
    if not source.varies:
        expected = _intervals(month, source, source.interval_minutes)
        return expected, known / expected
    minutes, last = _intervals(month, source, 1), np.append(begin[1:], days.num_rows) - 1
    without_row = minutes - periods.minutes(days, begin, "expected_count")
    length = days["interval_minutes"].to_numpy()[last]
    of_days = np.add.reduceat(days["expected_count"].to_numpy(), begin)
    expected = of_days + np.rint(without_row / length).astype(np.int64)
    return expected, periods.minutes(days, begin, "reading_count") / minutes


def _intervals(month: NDArray[np.datetime64], source: Source, minutes: int) -> Ints:
    """(n,) intervals of so many minutes in each month."""
    months, of_row = np.unique(month, return_inverse=True)
    days = [np.arange(one, one + 1, dtype="datetime64[D]").astype(np.int64) for one in months]
    counts = [periods.expected_intervals(of, source.time_zone, minutes).sum() for of in days]
    return np.array(counts, dtype=np.int64)[of_row]
