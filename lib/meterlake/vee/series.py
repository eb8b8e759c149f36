"""The readings of whole meters as dense series: every interval from a meter's first to its last one, NaN where unknown.

Many meters stand one after the other in flat arrays, so that a rule is a few numpy calls for all of them. The same
readings are also laid out as a grid of local days x clock slots: a column is one time of the day, whatever the clock
did. The second pass through an hour that comes twice has columns of its own behind the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.clock import DAY_MINUTES, Clock, clock_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# A meter that was silent for longer is taken up as a new series: no rule looks back further.
LONGEST_HOLE_DAYS = 100
# Rules that need exact sums count energy in whole tenths of a watt-hour: int64 sums do not depend on where a block
# begins, so that an incremental run equals a full rebuild.
EXACT = 1e4
WEEKDAY, WEEKEND, HOLIDAY = 0, 1, 2

Kinds = Callable[[Ints], NDArray[np.int8]]


@dataclass(frozen=True)
class Series:
    """n intervals of several series, sorted by meter and time.

    Attributes:
        meter: (m,) running number of each series' meter; a meter with a long hole has several series.
        bounds: (m + 1,) where each series begins in the arrays of intervals.
        minute: (n,) start of the interval, minutes since 1970 UTC.
        kwh: (n,) energy as delivered, NaN where unknown.
        present: (n,) whether silver holds a row for the interval.
        row_of: (rows,) index of the interval of each row that the series was made from.
        voltage_v, register_kwh, sub_kwh: (n,) where the source delivers them, else None; `sub_kwh` is the sum of the
            sub-meters.
        civil: the clock that people at the meter live by.
    """

    meter: Ints
    bounds: Ints
    minute: Ints
    kwh: Floats
    present: Bools
    row_of: Ints
    interval_minutes: int
    clock: Clock
    civil: Clock
    kind_of: Kinds
    voltage_v: Floats | None = None
    register_kwh: Floats | None = None
    sub_kwh: Floats | None = None

    @property
    def size(self) -> int:
        return len(self.kwh)

    @property
    def slots(self) -> int:
        """Intervals of a day of 24 h."""
        return DAY_MINUTES // self.interval_minutes

    def intervals(self, hours: float) -> int:
        """So many hours as a number of intervals, at least one."""
        return max(1, round(hours * 60 / self.interval_minutes))

    @cached_property
    def known(self) -> Bools:
        return ~np.isnan(self.kwh)

    @cached_property
    def first(self) -> Bools:
        """(n,) whether the interval is the first of its series."""
        return _marked(self.bounds[:-1], self.size)

    @cached_property
    def number(self) -> Ints:
        """(n,) the series that each interval belongs to."""
        return np.repeat(np.arange(len(self.meter)), np.diff(self.bounds))

    @cached_property
    def exact(self) -> Ints:
        """(n,) energy in tenths of a watt-hour, 0 where unknown."""
        return np.rint(np.where(self.known, self.kwh, 0.0) * EXACT).astype(np.int64)

    @cached_property
    def _local(self) -> Ints:
        return self.minute + self.clock.offset(self.minute)

    @cached_property
    def day(self) -> Ints:
        """(n,) local day, days since 1970."""
        return self._local // DAY_MINUTES

    @cached_property
    def slot(self) -> Ints:
        """(n,) interval of the day on the local clock."""
        return self._local % DAY_MINUTES // self.interval_minutes

    @cached_property
    def row(self) -> Ints:
        """(n,) row of the grid."""
        begins = np.diff(self.day, prepend=self.day[:1]) != 0
        return np.cumsum(begins | self.first) - 1

    @cached_property
    def row_bounds(self) -> Ints:
        """(rows + 1,) where each local day begins in the arrays of intervals."""
        return np.append(np.flatnonzero(np.diff(self.row, prepend=-1)), self.size)

    @cached_property
    def row_series(self) -> Ints:
        """(rows,) the series of each local day."""
        return self.number[self.row_bounds[:-1]]

    @cached_property
    def row_first(self) -> Ints:
        """(rows,) first row of the same series."""
        return self.row[self.bounds[:-1]][self.row_series]

    @cached_property
    def row_day(self) -> Ints:
        return self.day[self.row_bounds[:-1]]

    @cached_property
    def row_kind(self) -> NDArray[np.int8]:
        """(rows,) weekday, weekend or holiday."""
        return self.kind_of(self.row_day)

    @cached_property
    def column(self) -> Ints:
        """(n,) column of each interval in the grid."""
        folded = self.clock.folded(self.minute)
        return np.where(folded < 0, self.slot, self.slots + folded // self.interval_minutes)

    @cached_property
    def grid(self) -> Floats:
        """(rows, slots or more) energy by local day and slot, NaN where unknown."""
        width = int(self.column.max(initial=self.slots - 1)) + 1
        filled = np.full((len(self.row_day), width), np.nan)
        filled.ravel()[self.row * width + self.column] = self.kwh
        return filled

    @cached_property
    def index(self) -> Ints:
        """(rows, slots or more) the interval of each cell of the grid, -1 where there is none."""
        found = np.full(self.grid.shape, -1)
        found.ravel()[self.row * self.grid.shape[1] + self.column] = np.arange(self.size)
        return found

    @cached_property
    def row_known(self) -> Ints:
        """(rows,) intervals of the local day with a known energy."""
        return np.add.reduceat(self.known.astype(np.int64), self.row_bounds[:-1])

    @cached_property
    def row_exact(self) -> Ints:
        """(rows,) energy of the day's known intervals, tenths of a watt-hour."""
        return np.add.reduceat(self.exact, self.row_bounds[:-1])

    @cached_property
    def daily_kwh(self) -> Floats:
        """(rows,) average daily use: the mean of the day's known intervals for 24 h, NaN where none is known."""
        mean = np.divide(
            self.row_exact, self.row_known, out=np.full(len(self.row_day), np.nan), where=self.row_known > 0
        )
        return mean * self.slots / EXACT


def series_of(
    meter: Ints,
    minute: Ints,
    kwh: Floats,
    interval_minutes: int,
    zone: str = "UTC",
    civil_zone: str | None = None,
    kind_of: Kinds | None = None,
    **channels: Floats | None,
) -> Series:
    """Dense series of readings.

    Args:
        meter: running number of the meter of each reading, ascending.
        minute: start of its interval, minutes since 1970 UTC, ascending within a meter, each once.
        kwh: its energy as delivered, NaN where unknown.
        channels: `voltage_v`, `register_kwh`, `sub_kwh` of each reading.
    """
    clock, civil = clock_of(zone), clock_of(civil_zone or zone)
    # Where the clock changes by less than an interval (a daily meter in summer time) intervals are even on the wall.
    even = minute if clock.divides(interval_minutes) else minute + clock.offset(minute)
    first = _begins(meter, even)
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(meter)) - 1
    lengths = (even[ends] - even[starts]) // interval_minutes + 1
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    number = np.cumsum(first) - 1
    index = bounds[number] + (even - even[starts][number]) // interval_minutes
    into = np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths)
    dense = np.repeat(even[starts], lengths) + into * interval_minutes
    return Series(
        meter=meter[starts],
        bounds=bounds,
        minute=dense if clock.divides(interval_minutes) else clock.utc(dense),
        kwh=_spread(kwh, index, len(dense)),
        present=_marked(index, len(dense)),
        row_of=index,
        interval_minutes=interval_minutes,
        clock=clock,
        civil=civil,
        kind_of=kind_of or weekdays_and_weekends,
        **{name: None if values is None else _spread(values, index, len(dense)) for name, values in channels.items()},
    )


def weekdays_and_weekends(day: Ints) -> NDArray[np.int8]:
    """The kind of each day (days since 1970) where no calendar of holidays is declared."""
    return np.where((day + 3) % 7 >= 5, WEEKEND, WEEKDAY).astype(np.int8)  # 1970-01-01 was a Thursday


def _begins(meter: Ints, minute: Ints) -> Bools:
    """Whether a reading is the first of a series: another meter, or after a long hole."""
    first = np.ones(len(meter), dtype=bool)
    hole = np.diff(minute) > LONGEST_HOLE_DAYS * DAY_MINUTES
    first[1:] = (np.diff(meter) != 0) | hole
    return first


def _marked(index: Ints, size: int) -> Bools:
    mark = np.zeros(size, dtype=bool)
    mark[index] = True
    return mark


def _spread(values: Floats, index: Ints, size: int) -> Floats:
    dense = np.full(size, np.nan)
    dense[index] = values
    return dense
