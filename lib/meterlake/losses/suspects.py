"""Which meters of one transformer or feeder may hide energy, and how much of it a truck may bring back.

A meter's shortfall is what it reads less than its own past month, moved as its region has moved. That alone accuses
everyone who went on holiday. Energy that was used but not metered is missing at the transformer, too, on the same days
and in the same amounts: so the unexplained loss of the element is regressed on the shortfalls of its meters, with
coefficients from 0 to 1. The regression is that of S.-C. Yip et al., "Detection of energy theft and defective smart
meters in smart grids using linear regression", Int. J. Electrical Power & Energy Systems 91 (2017) 230-240, on
shortfalls instead of readings: so a customer who always used little has nothing to answer for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_LIKE_DAYS = 5  # of the past month, of one kind, to tell what is usual
LEAST_PAST_DAYS = 14
LEAST_BALANCED_DAYS = 10
# A shortfall of fewer standard errors is the weather of the customer's life.
STANDARD_ERRORS = 2.0
# What the model of technical loss may be wrong by, as a share of the supply; seen as such it is nobody's shortfall.
MODEL_ERROR = 0.05


@dataclass(frozen=True)
class Days:
    """The n days of a past month and the month judged, of the m meters of one element.

    Attributes:
        kwh: (m, n), nan where a day is not wholly known.
        kind: (n,) what kind of day it is (vee/daytypes.py).
        past: (n,) whether the day belongs to the past month.
        level: (n,) mean use of a meter of the region, kWh.
        unexplained: (n,) non-technical loss of the element, kWh; nan where it has no balance.
        supplied: (n,) energy in, kWh.
    """

    kwh: Floats
    kind: NDArray[np.int8]
    past: Bools
    level: Floats
    unexplained: Floats
    supplied: Floats


@dataclass(frozen=True)
class Judged:
    """Arrays (m,); nan where the past is too short to judge.

    Attributes:
        reference_kwh: what the month's known days would have had.
        shortfall_kwh: how much less they had.
        standard_errors: the same in its standard errors.
        unexplained_kwh: how much of it is missing at the element, too; nan where there is no balance.
        recoverable_kwh: what is expected to come back: probability x shortfall.
        since: index of the day on which the shortfall began; -1 where there is none.
    """

    reference_kwh: Floats
    shortfall_kwh: Floats
    standard_errors: Floats
    unexplained_kwh: Floats
    recoverable_kwh: Floats
    since: NDArray[np.int64]

    @property
    def probability(self) -> Floats:
        return np.divide(
            self.recoverable_kwh,
            self.shortfall_kwh,
            out=np.zeros_like(self.shortfall_kwh),
            where=self.shortfall_kwh > 0,
        )


def judge(days: Days) -> Judged:
    """The shortfall of each meter in the month, what of it the element's loss confirms, and what may be recovered.

    Without a balance the shortfall is shrunk by its own noise only (positive part of James and Stein, 1961):
    shortfall (1 - (2 standard errors / shortfall)^2). With one it is the smaller of that and the confirmed part.
    """
    reference = usual(days)
    short = reference - days.kwh
    now = ~days.past
    known = np.isfinite(short[:, now])
    shortfall = np.where(known.any(axis=1), np.nansum(short[:, now], axis=1), np.nan)
    error = _spread(short[:, days.past]) * np.sqrt(known.sum(axis=1))
    # A meter that never moved and moves now: no error is expected at all.
    standard_errors = np.divide(shortfall, error, out=np.where(shortfall > 0, np.inf, 0.0), where=error > 0)
    above = np.maximum(standard_errors, STANDARD_ERRORS)
    shrunk = np.nan_to_num(np.maximum(shortfall, 0.0) * (1 - (STANDARD_ERRORS / above) ** 2))
    confirmed = _confirmed(short[:, now], standard_errors > 1, days.unexplained[now], days.supplied[now])
    expected = np.where(np.isnan(confirmed), shrunk, np.minimum(confirmed, shrunk))
    return Judged(
        reference_kwh=np.where(known.any(axis=1), np.nansum(np.where(known, reference[:, now], 0.0), axis=1), np.nan),
        shortfall_kwh=shortfall,
        standard_errors=standard_errors,
        unexplained_kwh=confirmed,
        recoverable_kwh=np.where(np.isnan(shortfall), np.nan, expected),
        since=_began(short, now, expected > 0),
    )


def usual(days: Days) -> Floats:
    """What each meter would have used, (m, n): the median of its past days of the kind, moved as the region has moved.

    Of a kind with fewer than 5 known past days, the median of all; nan where fewer than 14 are known at all.
    """
    moved = np.ones(len(days.level))
    reference = np.full(days.kwh.shape, np.nan)
    past = np.where(days.past, days.kwh, np.nan)
    enough = np.isfinite(past).sum(axis=1) >= LEAST_PAST_DAYS
    for kind in np.unique(days.kind):
        of_kind = days.kind == kind
        like, whole = past[:, of_kind], days.past & of_kind
        few = np.isfinite(like).sum(axis=1) < LEAST_LIKE_DAYS
        middle = np.full(len(days.kwh), np.nan)
        middle[enough & ~few] = np.nanmedian(like[enough & ~few], axis=1)
        middle[enough & few] = np.nanmedian(past[enough & few], axis=1)
        reference[:, of_kind] = middle[:, None]
        level = days.level[whole] if whole.sum() >= LEAST_LIKE_DAYS else days.level[days.past]
        base = np.nanmedian(level) if np.isfinite(level).any() else np.nan
        moved[of_kind] = days.level[of_kind] / base if base > 0 else 1.0
    return reference * np.where(np.isfinite(moved), moved, 1.0)


def _spread(short: Floats) -> Floats:
    """Standard deviation of the known past days, (m,); nan where there are none."""
    count = np.isfinite(short).sum(axis=1)
    mean = np.divide(np.nansum(short, axis=1), count, out=np.full(len(short), np.nan), where=count > 0)
    square = np.nansum((short - mean[:, None]) ** 2, axis=1)
    return np.sqrt(np.divide(square, count, out=np.full(len(short), np.nan), where=count > 0))


def _confirmed(short: Floats, candidate: Bools, unexplained: Floats, supplied: Floats) -> Floats:
    """The part of each meter's shortfall that is missing at the element, too, kWh (m,); nan without a balance.

    unexplained(d) = sum_i c_i max(0, short_i(d)) + e supplied(d), least squares, 0 <= c_i <= 1, |e| <= 0.05.
    """
    balanced = np.isfinite(unexplained)
    if balanced.sum() < LEAST_BALANCED_DAYS:
        return np.full(len(short), np.nan)
    confirmed = np.zeros(len(short))
    rows = np.flatnonzero(candidate)
    if len(rows):
        missing = np.nan_to_num(np.maximum(short[rows], 0.0))
        matrix = np.vstack([missing, supplied[None]]).T[balanced]
        bounds = (np.append(np.zeros(len(rows)), -MODEL_ERROR), np.append(np.ones(len(rows)), MODEL_ERROR))
        share = lsq_linear(matrix, unexplained[balanced], bounds, method="bvls").x[:-1]
        confirmed[rows] = share * missing.sum(axis=1)
    return confirmed


def _began(short: Floats, now: Bools, wanted: Bools) -> NDArray[np.int64]:
    """The first day of the run of days with the largest sum of shortfall above half its mean (Kadane's algorithm)."""
    began = np.full(len(short), -1)
    days = np.flatnonzero(now)
    for row in np.flatnonzero(wanted):
        excess = np.nan_to_num(short[row, now])
        excess = excess - excess.mean() / 2
        best, total, first = 0.0, 0.0, 0
        for day, value in enumerate(excess):
            if total <= 0:
                total, first = 0.0, day
            total += value
            if total > best:
                best, began[row] = total, days[first]
    return began
