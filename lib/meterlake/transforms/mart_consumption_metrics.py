"""Days -> consumption per day, week and month, against the period before and a year before."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import Rows, whole_meters
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import one_batch, same
from meterlake.tables.file_scan import FileScan
from meterlake.tables.months import later
from meterlake.tables.spans import A_DAY, last_day
from meterlake.transforms import periods
from meterlake.transforms.periods import Floats, Ints

Days = NDArray[np.datetime64]  # local days, datetime64[D]

METER = ("source", "meter_id")
NEEDED = (
    *METER,
    *("reading_date_local", "interval_minutes", "consumption_kwh", "reading_count", "expected_count"),
    *("estimated_share", "edited_share", "quality", "peak_hour_kwh", "peak_hour_of_day", "peak_power_kw"),
)
MADE = (
    "source string, meter_id string, period string, period_start_local date, consumption_kwh double, "
    "reading_count bigint, estimated_share double, edited_share double, quality string, expected_count bigint, "
    "completeness double, peak_power_kw double, peak_hour_of_day int, load_factor double, previous_kwh double, "
    "change_pct double, year_before_kwh double, year_change_pct double"
)
MADE_NAMES = [part.split()[0] for part in MADE.split(", ")]
ROWS_AT_ONCE = 250_000


@dataclass(frozen=True)
class Period:
    """A kind of period: from days to its first day, and from a first day to those of the ones it is compared with."""

    name: str
    start: Callable[[Days], Days]
    previous: Callable[[Days], Days]
    year_before: Callable[[Days], Days]


def _monday(day: Days) -> Days:
    return np.asarray(day - (day.astype(np.int64) + 3) % 7)  # 1970 began on a Thursday


def _first_of_month(day: Days) -> Days:
    return day.astype("datetime64[M]").astype("datetime64[D]")


def _months_earlier(day: Days, months: int) -> Days:
    """The same day of the month so many months before, or the last one that there is."""
    month = day.astype("datetime64[M]") - months
    last = (month + 1).astype("datetime64[D]") - 1
    return np.minimum(month.astype("datetime64[D]") + (day - _first_of_month(day)), last)


A_YEAR_EARLIER = partial(_months_earlier, months=12)
PERIODS = (
    Period("day", lambda day: day, lambda day: day - 1, A_YEAR_EARLIER),
    # 52 weeks before, so that a week is compared with one of the same season and the same weekdays.
    Period("week", _monday, lambda week: week - 7, lambda week: week - 364),
    Period("month", _first_of_month, partial(_months_earlier, months=1), A_YEAR_EARLIER),
)


def build(
    daily: FileScan | DataFrame, meters: DataFrame, source: Source, changed: Collection[date] | None = None
) -> DataFrame:
    """Rows of `mart_consumption_metrics` from all days of the periods concerned and of those they are compared with.

    Args:
        changed: of periods that these days do not affect (`affected_days`) no rows are wanted, and few come.
    """
    starts = None if changed is None else {start for day in changed for start in affected_days(day)}
    wanted = None if starts is None else np.array(sorted(starts), dtype="datetime64[D]")
    days = Rows.by_meter(daily, NEEDED, "reading_date_local")
    made = days.through(partial(_metrics, source=source, wanted=wanted), MADE)
    return made.join(meters.select(*METER, "region", "feeder"), on=list(METER), how="left")


def affected_days(day: date) -> list[date]:
    """The first days of all periods that a changed day has a part in, directly or as what others are compared with."""
    a_year_later, week, month = _year_later(day), day - timedelta(days=day.weekday()), day.replace(day=1)
    days = [day, day + A_DAY, a_year_later, a_year_later + A_DAY]
    weeks = [week, week + 7 * A_DAY, week + 364 * A_DAY]
    return [*days, *weeks, month, later(month), later(month, 12)]


def days_to_read(first: date, last: date) -> list[tuple[date, date]]:
    """The days of all periods that changes from `first` to `last` affect, and of those they are compared with.

    That is the months around the change, from the one before to the one after, and the same months a year earlier and
    a year later, with a week for the weeks at their ends: not the 26 months between.

    Returns:
        (from, to) ranges, both days included; they may overlap.
    """
    begin, end = later(first, -1), later(last, 2)
    week = timedelta(days=7)
    return [(later(begin, 12 * year) - week, later(end, 12 * year) + week) for year in (-1, 0, 1)]


def _year_later(day: date) -> date:
    """Of 29 February the 28th."""
    month = later(day, 12)
    return month.replace(day=min(day.day, last_day(month).day))


def _metrics(batches: Batches, source: Source, wanted: Days | None) -> Batches:
    """The pass over one partition: whole meters, each in order of time."""
    for table in whole_meters(batches, ROWS_AT_ONCE):
        days = one_batch(table)
        for period in PERIODS:
            yield from _rows(days, period, source, wanted)


def _rows(days: pa.RecordBatch, period: Period, source: Source, wanted: Days | None) -> Batches:
    """Rows of one kind of period, of those that begin on a wanted day where these are given."""
    start = period.start(days["reading_date_local"].to_numpy(zero_copy_only=False))
    if wanted is not None:
        needed = np.unique(np.concatenate([wanted, period.previous(wanted), period.year_before(wanted)]))
        looked_at = np.isin(start, needed)
        days, start = days.filter(pa.array(looked_at)), start[looked_at]
    if not days.num_rows:
        return
    meter = days["meter_id"].dictionary_encode().indices.to_numpy()
    begin = periods.begins(meter, start.astype(np.int64))
    meter, start = meter[begin], start[begin]
    sums = periods.energy(days, begin)
    kwh = sums["consumption_kwh"].to_numpy(zero_copy_only=False)
    columns = {
        **{name: days[name].take(pa.array(begin)) for name in METER},
        "period": same(pa.scalar(period.name), len(begin)),
        "period_start_local": pa.array(start),
        **sums,
        **_shares(days, begin, sums, source),
    }
    for name, change, of in (
        ("previous_kwh", "change_pct", period.previous),
        ("year_before_kwh", "year_change_pct", period.year_before),
    ):
        before = _found(meter, start, kwh, of(start))
        with np.errstate(divide="ignore", invalid="ignore"):
            pct = np.where(before != 0, (kwh / before - 1) * 100, np.nan)
        columns |= {name: _known(before), change: _known(pct)}
    made = pa.RecordBatch.from_arrays([columns[name] for name in MADE_NAMES], MADE_NAMES)
    yield made if wanted is None else made.filter(pa.array(np.isin(start, wanted)))


def _shares(days: pa.RecordBatch, begin: Ints, sums: dict[str, pa.Array], source: Source) -> dict[str, pa.Array]:
    """How much of each period is known, its peak, and its mean power beside that.

    Args:
        sums: of `periods.energy`.
    """
    expected_count = np.add.reduceat(days["expected_count"].to_numpy(), begin)
    known, expected = (periods.hours(days, begin, source, name) for name in ("reading_count", "expected_count"))
    part, whole = (known, expected) if source.varies else (sums["reading_count"].to_numpy(), expected_count)
    largest = periods.extreme(days["peak_power_kw"], np.fmax, begin)
    kwh, power = (values.to_numpy(zero_copy_only=False) for values in (sums["consumption_kwh"], largest))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "expected_count": pa.array(expected_count),
            "completeness": pa.array(part / whole),
            "peak_power_kw": largest,
            "peak_hour_of_day": days["peak_hour_of_day"].take(periods.peak(days["peak_hour_kwh"], begin)),
            "load_factor": _known(np.where(power > 0, kwh / known / power, np.nan)),
        }


def _found(meter: Ints, start: Days, kwh: Floats, asked: Days) -> Floats:
    """(n,) energy of each row's meter in the period that begins on the day asked for; NaN where there is none.

    Args:
        meter, start, kwh: (n,) in order of meter and start.
    """
    keys, wanted = ((meter.astype(np.int64) << 32) + days.astype(np.int64) for days in (start, asked))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, kwh[place], np.nan)


def _known(values: Floats) -> pa.Array:
    return pa.array(values, from_pandas=True)
