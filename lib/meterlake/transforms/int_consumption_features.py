"""int_consumption_features: each reading beside its own meter's near past.

One shuffle by meter, one sort, one pass: every window looks back only, so Arrow batches are worked off as they come and
at most eight days of one meter are carried from one batch to the next.

A batch is laid out as a dense grid of UTC days x intervals of a day (NaN where nothing is known). A 24 h window is then
the end of one day and the beginning of the next: two running sums, each anchored at a UTC midnight. So a row's bits
depend on its own and the day before only, not on where the input or the batch begins, and an incremental run equals a
full rebuild.
"""

from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass, Rows, since
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import same
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.spans import A_DAY, Span
from meterlake.transforms.plain_readings import reading_ids
from meterlake.vee.clock import DAY_MINUTES, EPOCH, clock_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = dict[str, pa.Array]

# Whole days that a window or a lag can reach back from the day of a reading.
DAYS_BACK = 7
# Grid cells of one block: 32 MB per array. Only a meter that reads far less often than declared comes near it.
MAX_CELLS = 4_000_000

SERIES = ("meter_id", "reading_timestamp", "consumption_kwh")
# What the pass reads; source and reading_id are cheaper made anew than carried.
CARRIED = (
    *SERIES,
    "reading_date_local",
    "active_power_kw",
    "sub_metering_1_kwh",
    "sub_metering_2_kwh",
    "sub_metering_3_kwh",
    "hour_of_day",
    "day_of_week",
    "temperature_c",
    "humidity_pct",
    "quality",
)
WINDOWS = (
    "rolling_mean_kwh_1h",
    "rolling_mean_kwh_24h",
    "rolling_std_kwh_24h",
    "same_hour_last_day_kwh",
    "same_hour_last_week_kwh",
)


def build(readings: Rows, source: Source, first: date | None = None) -> ArrowPass:
    """Features of every row of `readings`, or of those of the local day `first` and later ones.

    Args:
        readings: rows of stg_meter_readings of the source, by meter (`Rows.by_meter`) with the columns CARRIED: of
            whole meters the days that are `looked_at`, at least. A row whose energy is null counts as unknown in every
            window.
    """
    work = partial(_features, source=source.name, interval_minutes=source.interval_minutes, first=first)
    return ArrowPass(INT_CONSUMPTION_FEATURES, readings, work)


def looked_at(first: date, last: date, source: Source) -> list[Span]:
    """The local days of whose readings the features of other local days are made: those in which their UTC days lie,
    the days before these, and the days a week before; what lies between is not read.
    """
    clock = clock_of(source.time_zone)
    begin, end = clock.first_minute(np.array([(first - EPOCH).days, (last - EPOCH).days + 1]))
    days = np.array([begin, end - 1]) // DAY_MINUTES
    spans = np.stack([days - DAYS_BACK, days - np.array([1, 0])])
    minutes = spans * DAY_MINUTES + np.array([0, DAY_MINUTES - 1])
    local = (minutes + clock.offset(minutes)) // DAY_MINUTES
    (a_week_before, until), (day_before, _) = ((EPOCH + int(day) * A_DAY for day in span) for span in local)
    return [(a_week_before, until), (day_before, last)]


def _features(batches: Batches, source: str, interval_minutes: int, first: date | None = None) -> Batches:
    """The pass over one partition, whose rows are sorted by meter and time."""
    names, made = INT_CONSUMPTION_FEATURES.names, with_windows(batches, interval_minutes)
    for batch in since(made, first) if first else made:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns |= {"source": same(pa.scalar(source), batch.num_rows)} | _ratios(columns) | _calendar(columns)
        columns["reading_id"] = reading_ids(source, columns["meter_id"], columns["reading_timestamp"])
        yield pa.RecordBatch.from_arrays([columns[name] for name in names], names)


def with_windows(batches: Batches, interval_minutes: int) -> Batches:
    """Batches of SERIES and any other columns, sorted by meter and time, with the WINDOWS columns."""
    past: pa.Table | None = None
    for batch in _blocks(batches, 1440 // interval_minutes):
        block = pa.Table.from_batches([batch]).select(SERIES)
        series = block if past is None else pa.concat_tables([past, block])
        known_before = series.num_rows - batch.num_rows
        columns = windows(Series.of(series), interval_minutes)
        arrays = [pa.array(columns[name][known_before:], from_pandas=True) for name in WINDOWS]
        yield pa.RecordBatch.from_arrays([*batch.columns, *arrays], [*batch.schema.names, *WINDOWS])
        past = _recent_days_of_last_meter(series)


def _ratios(columns: Columns) -> Columns:
    """Shares of the reading's energy and its ratio to the day's mean; null when the divisor is 0 or null."""
    energy, mean = columns["consumption_kwh"], columns["rolling_mean_kwh_24h"]
    shares = {f"sub_metering_{n}_ratio": _divided(columns[f"sub_metering_{n}_kwh"], energy) for n in (1, 2, 3)}
    return {"ratio_to_mean_24h": _divided(energy, mean), **shares}


def _divided(part: pa.Array, whole: pa.Array) -> pa.Array:
    return pc.divide(part, pc.if_else(pc.equal(whole, 0.0), pa.scalar(None, whole.type), whole))


def _calendar(columns: Columns) -> Columns:
    month = pc.month(columns["reading_date_local"]).cast(pa.int32())
    return {"is_weekend": pc.greater_equal(columns["day_of_week"], 6), "month_of_year": month}


def _blocks(batches: Batches, slots: int) -> Batches:
    """The batches, those cut up whose grid would be too large (at worst every row is a day of its own)."""
    most_rows = max(1, MAX_CELLS // slots)
    for batch in batches:
        if batch.num_rows == 0:
            continue
        if batch.num_rows <= most_rows or Series.of(batch).day_count * slots <= MAX_CELLS:
            yield batch
        else:
            yield from (batch.slice(start, most_rows) for start in range(0, batch.num_rows, most_rows))


def _recent_days_of_last_meter(series: pa.Table) -> pa.Table:
    """What the next batch may look back at: its first meter can be this one's last."""
    read = Series.of(series)
    needed = (read.meter == read.meter[-1]) & (read.day >= read.day[-1] - DAYS_BACK)
    return series.slice(int(needed.argmax())).combine_chunks()


@dataclass(frozen=True)
class Series:
    """Readings sorted by meter and time: `meter` a running number, `stamp` microseconds since 1970, NaN unknown."""

    meter: Ints
    stamp: Ints
    kwh: Floats

    @classmethod
    def of(cls, rows: pa.Table | pa.RecordBatch) -> "Series":
        meter, stamp, kwh = (_whole(rows.column(name)) for name in SERIES)
        codes = meter.dictionary_encode().indices.to_numpy().astype(np.int64)
        return cls(codes, stamp.cast(pa.int64()).to_numpy(), kwh.to_numpy(zero_copy_only=False))

    @property
    def day(self) -> Ints:
        return self.stamp // 86_400_000_000

    @property
    def meter_day(self) -> Ints:
        """One rising number per meter and UTC day; days of one meter are 1 apart."""
        return (self.meter << 32) + self.day

    @property
    def day_count(self) -> int:
        return 1 + int(np.count_nonzero(np.diff(self.meter_day)))


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def windows(series: Series, interval_minutes: int) -> dict[str, Floats]:
    """The WINDOWS columns of every reading of a non-empty series; NaN where a window holds too few known values.

    A window of T hours holds the intervals that start after t - T and not after t.
    """
    slots, per_hour = 1440 // interval_minutes, -(-60 // interval_minutes)
    meter_day = series.meter_day
    row = np.cumsum(np.diff(meter_day, prepend=meter_day[0]) != 0)
    days = meter_day[np.flatnonzero(np.diff(row, prepend=-1))]
    cell = row * slots + series.stamp // (interval_minutes * 60_000_000) % slots

    grid = np.full((len(days) + 1, slots), np.nan)  # the last row stands for every day without a reading
    grid.ravel()[cell] = series.kwh
    day_before, week_before = _row_of(days, days - 1), _row_of(days, days - 7)
    until, after = _Moments.until_each_slot(grid), _Moments.after_each_slot(grid).at(day_before)

    total, count = _last_hour(until.total, after.total, per_hour), _last_hour(until.count, after.count, per_hour)
    day = until.joined(after)
    by_cell = (_ratio(total, count), day.mean, day.sample_std, grid[day_before], grid[week_before])
    return {name: values.ravel()[cell] for name, values in zip(WINDOWS, by_cell, strict=True)}


def _row_of(days: Ints, wanted: Ints) -> Ints:
    """Grid row of each wanted day, the empty last row where there is none; with an entry for that row itself."""
    found = np.searchsorted(days, wanted)
    rows = np.where(days[np.minimum(found, len(days) - 1)] == wanted, found, len(days))
    return np.append(rows, len(days))


def _last_hour(until: Floats, after_before: Floats, width: int) -> Floats:
    """Sums over the `width` slots that end with each slot, from running sums of the day and of the day before."""
    hour = until.copy()
    hour[:, width:] -= until[:, :-width]
    hour[:, :width] += after_before[:, -width:]
    return hour


def _ratio(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


@dataclass(frozen=True)
class _Moments:
    """Count, sum and sum of squared deviations from the mean, of the known values of a run of slots.

    Deviations are summed by Welford's update (Technometrics 4, 1962): the n-th value adds (x - mean before)^2 (n-1)/n.
    No term is negative, so nothing cancels, and a constant series has a deviation of 0 but for rounding.
    """

    count: Floats
    total: Floats
    squares: Floats

    @classmethod
    def until_each_slot(cls, grid: Floats) -> "_Moments":
        """Of slots 0..k of the day, for every k."""
        known = ~np.isnan(grid)
        values = np.where(known, grid, 0.0)
        count, total = np.cumsum(known, axis=1, dtype=np.float64), np.cumsum(values, axis=1)
        mean_before = np.zeros_like(grid)
        np.divide(total[:, :-1], count[:, :-1], out=mean_before[:, 1:], where=count[:, :-1] > 0)
        share = np.divide(count - 1, count, out=np.zeros_like(grid), where=known)
        return cls(count, total, np.cumsum((values - mean_before) ** 2 * share, axis=1))

    @classmethod
    def after_each_slot(cls, grid: Floats) -> "_Moments":
        """Of slots k+1..end of the day, for every k."""
        backwards = cls.until_each_slot(grid[:, ::-1])
        return cls(*(_shifted(part[:, ::-1]) for part in (backwards.count, backwards.total, backwards.squares)))

    def at(self, rows: Ints) -> "_Moments":
        return _Moments(self.count[rows], self.total[rows], self.squares[rows])

    def joined(self, other: "_Moments") -> "_Moments":
        """Of both runs together (Chan, Golub and LeVeque, The American Statistician 37, 1983)."""
        count = self.count + other.count
        apart = np.nan_to_num(self.mean - other.mean)
        between = np.divide(self.count * other.count, count, out=np.zeros_like(count), where=count > 0)
        return _Moments(count, self.total + other.total, self.squares + other.squares + apart**2 * between)

    @property
    def mean(self) -> Floats:
        return _ratio(self.total, self.count)

    @property
    def sample_std(self) -> Floats:
        return np.sqrt(_ratio(self.squares, self.count - 1))


def _shifted(part: Floats) -> Floats:
    """Inclusive running values as exclusive ones: each slot gets its right neighbour's, the last 0."""
    return np.concatenate([part[:, 1:], np.zeros((len(part), 1))], axis=1)
