"""What a rule found: stretches of intervals, each with the value that was judged and what it was judged by."""

from dataclasses import dataclass

import numpy as np

from meterlake.vee.series import Bools, Floats, Ints, Series

WEEK_DAYS = 7


@dataclass(frozen=True)
class Findings:
    """k stretches of a series.

    Attributes:
        begin: (k,) first interval of each.
        end: (k,) the interval after the last.
        value: (k,) what was judged.
        reference: (k,) what it was judged by; NaN where a rule has none.
    """

    begin: Ints
    end: Ints
    value: Floats
    reference: Floats

    def __len__(self) -> int:
        return len(self.begin)

    def mask(self, size: int) -> Bools:
        """(size,) the intervals that lie in a stretch."""
        steps = np.zeros(size + 1, dtype=np.int64)
        np.add.at(steps, self.begin, 1)
        np.subtract.at(steps, self.end, 1)
        return np.cumsum(steps[:-1]) > 0


NONE = np.empty(0, dtype=np.int64)
NOTHING = Findings(NONE, NONE, np.empty(0), np.empty(0))


def of_days(series: Series, rows: Bools, value: Floats, reference: Floats) -> Findings:
    """The local days that are marked, each as one stretch."""
    row = np.flatnonzero(rows)
    return Findings(series.row_bounds[row], series.row_bounds[row + 1], value[row], reference[row])


def of_intervals(mask: Bools, value: Floats, reference: Floats) -> Findings:
    """The intervals that are marked, one by one."""
    at = np.flatnonzero(mask)
    return Findings(at, at + 1, value[at], reference[at])


def runs(series: Series, mask: Bools) -> tuple[Ints, Ints]:
    """Begin and end (exclusive) of each unbroken run of marked intervals; a run ends with its series."""
    before = np.concatenate([[False], mask[:-1]])
    begins = mask & (series.first | ~before)
    ends = np.append(series.first[1:], True) | ~np.append(mask[1:], False)
    return np.flatnonzero(begins), np.flatnonzero(mask & ends) + 1


def by_week(series: Series, begin: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
    """Runs cut where a local week begins (Monday 00:00), and which run each piece is of.

    So what is told about a day depends on a bounded time around it: an incremental run tells the same as a full one.
    """
    week = (series.day + 3) // WEEK_DAYS  # 1970-01-01 was a Thursday
    pieces = week[end - 1] - week[begin] + 1
    run = np.repeat(np.arange(len(begin)), pieces)
    if not len(run):
        return begin, end, run
    starts = np.flatnonzero((np.diff(week, prepend=week[:1]) != 0) | series.first)
    nth = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    here = np.searchsorted(starts, begin, side="right") - 1
    cut_from = np.maximum(begin[run], starts[here[run] + nth])
    following = np.append(starts, series.size)[here[run] + nth + 1]
    return cut_from, np.minimum(end[run], following), run


def joined(begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Stretches in order, those that touch or overlap made one."""
    if not len(begin):
        return begin, end
    new = np.ones(len(begin), dtype=bool)
    new[1:] = begin[1:] > np.maximum.accumulate(end)[:-1]
    starts = np.flatnonzero(new)
    return begin[starts], np.maximum.reduceat(end, starts)
