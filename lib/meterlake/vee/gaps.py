"""Gaps of a series: stretches of intervals without a value that can be kept."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Gaps:
    """g gaps in the order of time.

    Attributes:
        start, stop: (g,) a gap's first interval and the first one after it.
        good_before, good_after: (g,) whether there is a good reading right before and right after it.
    """

    start: Ints
    stop: Ints
    good_before: Bools
    good_after: Bools

    def __len__(self) -> int:
        return len(self.start)

    @property
    def length(self) -> Ints:
        """(g,) number of intervals."""
        return self.stop - self.start

    @property
    def intervals(self) -> Ints:
        """(sum of length,) index of every interval of every gap."""
        return intervals_of(self.start, self.stop)[0]

    def where(self, chosen: Bools) -> "Gaps":
        return Gaps(self.start[chosen], self.stop[chosen], self.good_before[chosen], self.good_after[chosen])


def gaps_of(wanted: Bools, unknown: Bools, good: Bools) -> Gaps:
    """The gaps that hold a wanted interval: runs of intervals that are wanted or unknown. All are (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted | unknown, [False]])))
    start, stop = edges[::2], edges[1::2]
    holds_wanted = np.logical_or.reduceat(wanted, start) if len(start) else np.zeros(0, dtype=bool)
    start, stop = start[holds_wanted], stop[holds_wanted]
    fenced = np.concatenate([[False], good, [False]])
    return Gaps(start, stop, fenced[start], fenced[stop + 1])


def intervals_of(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Every index from each start up to and without its stop, and the number of the stretch that it belongs to."""
    length = stop - start
    stretch = np.repeat(np.arange(len(start)), length)
    return np.arange(len(stretch)) + (start - (np.cumsum(length) - length))[stretch], stretch
