"""Like days, moved to the level of the days beside a gap and joined to the readings on its edges."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.gaps import Gaps, intervals_of
from meterlake.vee.like_days import LikeDays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# A meter beside a gap may use so many times more, or less, than its like days say; beyond, the level is not believed.
LARGEST_LEVEL = 4.0


def bridged(like_days: LikeDays, gaps: Gaps, interval_minutes: int) -> Floats:
    """(intervals of all gaps,) kWh, NaN where there is too little history.

    With u what is usual (LikeDays), the estimate t is

        t = f u + wb (b - f ub) + wa (a - f ua)        never below 0, or below what the meter shows around the gap
        f = (sum of readings / sum of u over `level_from` on both sides) ^ level_share
        wb = (r^i - r^(2 n - i)) / (1 - r^2n)          wa the same from the other end: i -> n - i

    where b and a are the good readings right before and after the gap, ub and ua what is usual there, i the number of
    steps from b, n the steps from b to a, and r = exp(-interval / memory). The weights are those of the conditional
    mean of a first-order autoregressive process between two known values (an Ornstein-Uhlenbeck bridge); where only b
    is known, wb = r^i.
    """
    policy = like_days.policy
    side = max(1, round(policy.level_from / timedelta(minutes=interval_minutes)))
    begin, end = np.maximum(gaps.start - side, 0), np.minimum(gaps.stop + side, len(like_days.good_kwh))
    around, gap = intervals_of(begin, end)
    readings, usual = like_days.good_kwh[around], like_days.usual_kwh(around)
    first = np.cumsum(end - begin) - (end - begin)  # where each gap's surroundings begin in `around`
    usual *= _level(readings, usual, first, policy.level_share)[gap]
    surprise = np.append(readings - usual, np.nan)
    before = np.where(gaps.good_before, surprise[first + gaps.start - begin - 1], np.nan)
    after = np.where(gaps.good_after, surprise[np.minimum(first + gaps.stop - begin, len(around))], np.nan)
    inside = (around >= gaps.start[gap]) & (around < gaps.stop[gap])
    gap, at = gap[inside], around[inside]
    r = float(np.exp(-timedelta(minutes=interval_minutes) / policy.memory))
    joined = usual[inside] + _joined(at - gaps.start[gap] + 1, gaps.stop[gap] - at, before[gap], after[gap], r)
    lowest = np.fmin(np.fmin.reduceat(readings, first), np.fmin.reduceat(usual, first))
    return np.maximum(joined, np.minimum(lowest, 0.0)[gap])


def _level(readings: Floats, usual: Floats, first: Ints, share: float) -> Floats:
    """(g,) the factor f; 1 where nothing, or nothing positive, can be compared."""
    both = ~np.isnan(readings) & ~np.isnan(usual)
    seen, expected = (np.add.reduceat(np.where(both, kwh, 0.0), first) for kwh in (readings, usual))
    known = (seen > 0) & (expected > 0)
    ratio = np.divide(seen, expected, out=np.ones(len(first)), where=known)
    return np.clip(ratio, 1 / LARGEST_LEVEL, LARGEST_LEVEL) ** share


def _joined(from_before: Ints, to_after: Ints, before: Floats, after: Floats, r: float) -> Floats:
    """The two correction terms: steps from and to the edges, and by how much the readings there differ from usual."""
    steps = from_before + to_after
    scale = 1.0 - r ** (2 * steps)
    both = ~np.isnan(before) & ~np.isnan(after)
    weight_before = np.where(both, (r**from_before - r ** (steps + to_after)) / scale, r**from_before)
    weight_after = np.where(both, (r**to_after - r ** (steps + from_before)) / scale, r**to_after)
    return np.nan_to_num(before) * weight_before + np.nan_to_num(after) * weight_after
