"""How strange a meter's day is beside its own past weeks and its peers: slow faults, which no single reading shows.

Pure numpy on grids of whole days. A day is described by numbers (`features`), each larger the stranger. Its surprise is
how rare such a number is among ordinary days, and its score the sum of the two largest: two signs must agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The past that a day is compared with: days before it, nearest and farthest. The last week is left out, being
# what is judged by week; at least so many known days make a past.
NEAREST, FARTHEST, LEAST = 8, 56, 14
WEEK = 7
# Share of the own level and of the typical level of all meters that keeps ratios of trifles near 1.
FLOOR = 0.05
# Least spread of a logarithm of energies that is believed: nobody's days are alike within 10 %.
LEAST_SPREAD = 0.1
# At most this share of the meter's mean reading is "nothing".
NOTHING = 0.05
KNOWN_SHARE = 0.5


@dataclass(frozen=True)
class Days:
    """What a day is, shape (c, w) each; NaN where too little is known.

    Attributes:
        energy: kWh of the day, filled up from its known readings.
        base: the 10 % quantile of its readings, kWh: what never rests.
        top: its largest reading, kWh.
        night: share of its energy between 22 and 6 h.
        idle_hours, frozen_hours: longest run of readings near zero, and of equal ones that are not.
        profile: (c, w, 24) share of its energy by hour.
    """

    energy: Floats
    base: Floats
    top: Floats
    night: Floats
    idle_hours: Floats
    frozen_hours: Floats
    profile: Floats


def days_of(kwh: Floats) -> Days:
    """The days of grids (c, w, slots)."""
    slots = kwh.shape[2]
    enough = np.mean(~np.isnan(kwh), axis=2) >= KNOWN_SHARE
    known = np.where(enough[..., None], kwh, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _mean(known)
        hourly = _mean(known.reshape(*kwh.shape[:2], 24, slots // 24)) if slots > 24 else known
        profile = hourly / np.nansum(hourly, axis=2, keepdims=True)
        night = np.nansum(profile[..., [22, 23, 0, 1, 2, 3, 4, 5]], axis=2)
    own = median(past(mean, 1, FARTHEST), 1)
    ordered = np.sort(known, axis=2)  # NaN last
    count = np.sum(~np.isnan(known), axis=2)
    at = np.maximum(count // 10, 0)[..., None]
    base = np.take_along_axis(ordered, np.minimum(at, slots - 1), axis=2)[..., 0]
    top = np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., None], axis=2)[..., 0]
    near_zero = known <= NOTHING * own[..., None]
    same = np.zeros(known.shape, dtype=bool)
    same[..., 1:] = (known[..., 1:] == known[..., :-1]) & ~near_zero[..., 1:]
    per_hour = slots / 24

    def hours(runs: Floats) -> Floats:
        return np.where(enough, runs / per_hour, np.nan)

    return Days(
        mean * slots,
        base,
        top,
        np.where(enough, night, np.nan),
        hours(longest(near_zero)),
        hours(longest(same)),
        profile,
    )


def longest(mask: NDArray[np.bool_]) -> Floats:
    """(c, w) longest run of true values of each day, in slots."""
    position = np.arange(1, mask.shape[2] + 1)
    last_false = np.maximum.accumulate(np.where(mask, 0, position), axis=2)
    return np.max(position - last_false, axis=2).astype(np.float64)


def peer_level(kwh: Floats) -> Floats:
    """(m, w) how much the other meters use beside their own past four weeks: 1 is as usual; 1 where there is no other.

    The median over the others of energy / median of the past 28 days. It holds weather and holidays.
    """
    energy = days_of(kwh).energy
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = energy / median(past(energy, 1, 28), LEAST)
    ratio[~np.isfinite(ratio)] = np.nan
    level = np.ones_like(energy)
    for row in range(len(energy) if len(energy) > 1 else 0):
        level[row] = np.nan_to_num(median(np.delete(ratio, row, axis=0).T, 1), nan=1.0)
    return level


def past(values: Floats, nearest: int, farthest: int) -> Floats:
    """(c, w, n) of each day the values `farthest` to `nearest` days before; NaN before the beginning."""
    pad = [(0, 0), (farthest, 0)] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, pad, constant_values=np.nan)
    return sliding_window_view(padded, farthest - nearest + 1, axis=1)[:, : values.shape[1]]


def features(kwh: Floats, peers: Floats, typical_kwh: float) -> dict[str, Floats]:
    """Numbers of each day (c, w), larger is stranger; NaN where the day or its past is not known.

    Tried and left out, each for more false alarms than finds in cross-validation on the training households: more
    energy than usual (by day, by week, base load), distance of the form of the day from the usual, jumps between days.

    Args:
        kwh: (c, w, slots) whole days, NaN where unknown.
        peers: (c, w) of `peer_level`.
        typical_kwh: energy of an ordinary day among all meters.
    """
    day = days_of(kwh)
    base_floor = typical_kwh / kwh.shape[2]
    level, level_week = _against_past(day.energy, FLOOR * typical_kwh, peers)
    _, base_week = _against_past(day.base, FLOOR * base_floor, None)
    night = _week_mean(day.night) - _reference(day.night)
    shape = _profiles(day.profile)
    return {
        "low_day": -level,
        "low_week": -level_week,
        "low_base_week": -base_week,
        "night_less_week": -night,
        "night_more_week": night,
        "idle_hours": day.idle_hours - _most(day.idle_hours, NEAREST),
        "frozen_hours": day.frozen_hours - _most(day.frozen_hours, NEAREST),
        "top": _log_ratio(day.top, _most(day.top, 1), FLOOR * base_floor),
        **shape,
    }


def _against_past(value: Floats, floor: float, peers: Floats | None) -> tuple[Floats, Floats]:
    """Day and week beside the past, as logarithms of ratios in units of the meter's own spread."""
    reference = _reference(value)
    expected = reference if peers is None else reference * peers
    floor_here = floor + FLOOR * reference
    log = np.log((value + floor_here) / (expected + floor_here))
    spread = LEAST_SPREAD + _spread(log)
    return log / spread, _week_mean(log) / (LEAST_SPREAD + _spread(_week_mean(log)))


def _profiles(profile: Floats) -> dict[str, Floats]:
    """Whether another clock, or the day read backwards, fits the usual form of the day better than the day as it is."""
    reference = _mean(past(profile, NEAREST, FARTHEST))
    week = _mean(past(profile, 0, WEEK - 1))
    three = _mean(past(profile, 0, 2))
    as_is = _correlation(week, reference)
    shifted = np.max([_correlation(np.roll(week, -k, axis=2), reference) for k in range(2, 23)], axis=0)
    backwards = _correlation(profile[..., ::-1], reference) - _correlation(profile, reference)
    backwards_three = _correlation(three[..., ::-1], reference) - _correlation(three, reference)
    return {
        "shifted_week": shifted - as_is,
        "backwards_day": backwards,
        "backwards_three_days": backwards_three,
    }


def _correlation(one: Floats, other: Floats) -> Floats:
    """Pearson's, along the last axis; 0 where one of them is flat."""
    a, b = one - one.mean(axis=-1, keepdims=True), other - other.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.sum(a * b, axis=-1) / np.sqrt(np.sum(a * a, axis=-1) * np.sum(b * b, axis=-1))
    return np.where(np.isinf(found), 0.0, found)


def _log_ratio(value: Floats, other: Floats, floor: float) -> Floats:
    return np.log((value + floor) / (other + floor))


def _reference(values: Floats) -> Floats:
    return median(past(values, NEAREST, FARTHEST), LEAST)


def _most(values: Floats, nearest: int) -> Floats:
    """The 95 % quantile of the past."""
    return _quantile(past(values, nearest, FARTHEST), 0.95, LEAST)


def _spread(values: Floats) -> Floats:
    """Of the past: 1.4826 times the median distance from the median (Hampel, JASA 69, 1974)."""
    window = past(values, NEAREST, FARTHEST)
    middle = median(window, LEAST)
    return 1.4826 * median(np.abs(window - middle[..., None]), LEAST)


def _week_mean(values: Floats) -> Floats:
    """Mean of the known ones of the last seven days, of at least four."""
    window = past(values, 0, WEEK - 1)
    return np.where(np.sum(~np.isnan(window), axis=-1) >= 4, _mean(window), np.nan)


def _mean(values: Floats) -> Floats:
    """Along the last axis, of what is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def median(values: Floats, least: int) -> Floats:
    return _quantile(values, 0.5, least)


def _quantile(values: Floats, level: float, least: int) -> Floats:
    """Along the last axis, of what is known; NaN where that is less than `least`."""
    ordered = np.sort(values, axis=-1)
    count = np.sum(~np.isnan(ordered), axis=-1)
    at = np.maximum(count - 1, 0) * level
    low, part = np.floor(at).astype(np.int64), at % 1
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below, above = (np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0] for index in (low, high))
    return np.where(count >= least, below + part * (above - below), np.nan)


@dataclass(frozen=True)
class Surprise:
    """-ln of the share of ordinary days that are at least as strange: straight between the stored quantiles, and beyond
    the 99 % quantile an exponential tail with the ordinary days' mean excess."""

    values: Floats
    surprise: Floats
    scale: float

    @classmethod
    def of(cls, ordinary: Floats) -> "Surprise":
        known = ordinary[np.isfinite(ordinary)]
        levels = np.concatenate([np.linspace(0, 0.9, 19), 1 - np.geomspace(0.1, 0.01, 12)[1:]])
        at = np.quantile(known, levels)
        excess = known[known > at[-1]] - at[-1]
        return cls(at, -np.log(1 - levels), max(float(excess.mean()) if len(excess) else 0.0, 1e-9))

    def __call__(self, values: Floats) -> Floats:
        inside = np.interp(values, self.values, self.surprise)
        beyond = self.surprise[-1] + (values - self.values[-1]) / self.scale
        return np.where(np.isnan(values), 0.0, np.where(values > self.values[-1], beyond, inside))


def two_largest(surprises: Floats) -> Floats:
    """The sum of the two largest along the first axis.

    Chosen on the training households: the largest alone raised four times the false alarms for as many finds, the
    sum of all found less.
    """
    return np.sort(surprises, axis=0)[-2:].sum(axis=0)


Scorer = Callable[[Floats, Floats], Floats]


def fit(kwh: Floats, peers: Floats, judged: NDArray[np.bool_]) -> Scorer:
    """A score (c, w) of days, learnt from the days `judged` of an ordinary population: the sum of the two largest
    surprises among the features.
    """
    typical = float(np.nanmedian(days_of(kwh).energy))
    ordinary = features(kwh, peers, typical)
    surprises = {name: Surprise.of(values[judged]) for name, values in ordinary.items()}

    def score(kwh: Floats, peers: Floats) -> Floats:
        found = features(kwh, peers, typical)
        return two_largest(np.stack([surprises[name](values) for name, values in found.items()]))

    return score
