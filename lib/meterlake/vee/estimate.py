"""Estimates for what a meter did not deliver: from its neighbours in time, its like days and its register.

Pure arrays of one meter, no Spark. The rules in prose and how good the estimates are: docs/vee.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.bridge import bridged
from meterlake.vee.estimation_policy import EstimationPolicy
from meterlake.vee.gaps import Gaps, gaps_of, intervals_of
from meterlake.vee.like_days import LikeDays, like_days_of
from meterlake.vee.register import GRID, spread

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

METHODS = (
    "not_estimated",
    "linear_interpolation",
    "like_day_mean",
    "like_day_bridge",
    "register_spread",
    "left_missing_too_long",
    "left_missing_too_little_history",
    "no_supply",
)
LINEAR, LIKE_DAY_MEAN, LIKE_DAY_BRIDGE, REGISTER, TOO_LONG, TOO_LITTLE_HISTORY, NO_SUPPLY = range(1, len(METHODS))
DEFAULT = EstimationPolicy()


@dataclass(frozen=True)
class Estimated:
    """n intervals of one meter.

    Attributes:
        values: (n,) kWh on the grid of 1e-8, NaN where nothing was estimated.
        method: (n,) index into METHODS: how an interval was estimated, or why it was left missing.
    """

    values: Floats
    method: NDArray[np.int8]


def estimate(
    kwh: Floats,
    usable: Bools,
    wanted: Bools,
    local_day: NDArray[np.int32],
    slot: NDArray[np.int16],
    kind: NDArray[np.int8],
    interval_minutes: int,
    register_kwh: Floats | None = None,
    policy: EstimationPolicy = DEFAULT,
) -> Estimated:
    """Estimate the wanted intervals of one meter. All arrays are (n,), in the order of UTC, without holes.

    The values depend on nothing farther from a gap than `within` + `level_from` + the distance between two register
    readings: a part of a series with that much around its gaps gives the same as the whole.

    Args:
        kwh: energy of each interval, NaN where unknown.
        usable: whether the reading is measured and good: not estimated, edited, rejected or within an outage.
        wanted: what is to be estimated, whether its energy is unknown or known to be wrong.
        local_day: local day, days since 1970-01-01.
        slot: interval of the local day, 0 to 1440 / interval_minutes - 1.
        kind: kind of the local day (daytypes.py).
        register_kwh: cumulative register at the start of each interval, NaN where unknown; rollovers undone.
    """
    values, method = np.full(len(kwh), np.nan), np.zeros(len(kwh), dtype=np.int8)
    if not wanted.any():
        return Estimated(values, method)
    good = np.where(usable & ~wanted, kwh, np.nan)
    gaps = gaps_of(wanted, np.isnan(kwh), ~np.isnan(good))
    minutes = gaps.length * interval_minutes
    too_long = minutes > policy.longest_gap.total_seconds() / 60
    method[gaps.where(too_long).intervals] = TOO_LONG
    line = gaps.good_before & gaps.good_after & (minutes <= policy.interpolate_up_to.total_seconds() / 60)
    line_first = line & (minutes <= policy.like_days_first_above.total_seconds() / 60)
    _draw_lines(values, method, good, gaps.where(line_first))
    rest = ~line_first & ~too_long
    if rest.any():
        like_days = like_days_of(good, local_day, slot, kind, 1440 // interval_minutes, policy)
        _follow_like_days(values, method, like_days, gaps.where(rest), interval_minutes)
        lacking = gaps.where(rest & line)
        _draw_lines(values, method, good, lacking.where(_any(method == TOO_LITTLE_HISTORY, lacking)))
    if register_kwh is not None:
        shared = wanted & (method != TOO_LONG)
        method[spread(values, shared, np.where(wanted, np.nan, kwh), register_kwh)] = REGISTER
    return Estimated(_on_grid(np.where(wanted, values, np.nan)), np.where(wanted, method, 0).astype(np.int8))


def _draw_lines(values: Floats, method: NDArray[np.int8], good: Floats, gaps: Gaps) -> None:
    """The straight line between the two good neighbours of each gap, in place."""
    at, gap = intervals_of(gaps.start, gaps.stop)
    before, after = good[gaps.start - 1][gap], good[np.minimum(gaps.stop, len(good) - 1)][gap]
    values[at] = before + (after - before) * ((at - gaps.start[gap] + 1) / (gaps.length[gap] + 1))
    method[at] = LINEAR


def _follow_like_days(
    values: Floats, method: NDArray[np.int8], like_days: LikeDays, gaps: Gaps, interval_minutes: int
) -> None:
    """What the meter uses on like days, or that it is not known, in place."""
    bridges = like_days.policy.method == "like_day_bridge"
    at = gaps.intervals
    values[at] = bridged(like_days, gaps, interval_minutes) if bridges else like_days.usual_kwh(at)
    found = LIKE_DAY_BRIDGE if bridges else LIKE_DAY_MEAN
    method[at] = np.where(np.isnan(values[at]), TOO_LITTLE_HISTORY, found)


def _any(flag: Bools, gaps: Gaps) -> Bools:
    """(g,) whether the flag is up somewhere in each gap."""
    at, gap = intervals_of(gaps.start, gaps.stop)
    return np.bincount(gap, weights=flag[at], minlength=len(gaps)) > 0


def _on_grid(kwh: Floats) -> Floats:
    return np.rint(kwh * GRID) / GRID
