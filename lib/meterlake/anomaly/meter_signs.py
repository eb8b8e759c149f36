"""What a meter's daily energies of some weeks or months look like: what a classifier of meters learns from.

Pure numpy. Each row is a meter, each column a day, NaN where the day is not known: how many days are unknown, and where
they lie, is no sign (in the public theft file 29 of the 41 customers with an empty day are flagged).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.meter_day import Surprise, longest, mean, median, two_largest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Share of the typical day that keeps ratios of trifles near 1.
FLOOR = 0.05
# Least spread of a logarithm of energies that is believed.
LEAST_SPREAD = 0.1
WEEK = 7
COMBINED = "two largest surprises"


@dataclass(frozen=True)
class Sign:
    """A number of a meter.

    Attributes:
        formula: how it is made. u is a day's energy by the typical day's, l = ln(u + 0.05); means and medians are
            of the known days.
        told: what a value of it says, in words.
    """

    formula: str
    told: Callable[[float], str]


def _beside(log_ratio: float) -> str:
    change = np.expm1(log_ratio)
    return f"{abs(change):.0%} {'above' if change > 0 else 'below'}"


SIGNS = {
    "uses little": Sign(
        "-ln(mean u + 0.05)", lambda value: f"uses {max(np.exp(-value) - FLOOR, 0.0):.2f} times the median"
    ),
    "days without use": Sign("share of u = 0", lambda value: f"{value:.0%} of its days are without use"),
    "longest run without use": Sign("longest run of u = 0", lambda value: f"{value:.0f} days in a row without use"),
    "falls from first to second half": Sign(
        "ln of (mean u + 0.05) of the first half of its known days by that of the second",
        lambda value: f"its second half lies {_beside(-value)} its first",
    ),
    "a day unlike its own (Hampel)": Sign(
        "largest |l - median l| / (0.1 + 1.4826 MAD of l)",
        lambda value: f"one day lies {value:.0f} spreads from its usual",
    ),
    "jumps from day to day": Sign(
        "mean of |l - l of the day before|",
        lambda value: f"a day lies {np.expm1(value):.0%} off the one before, on average",
    ),
    "falls in the last week": Sign(
        "ln of (mean u + 0.05) of the days before the last seven known by that of these",
        lambda value: f"its last week lies {_beside(-value)} the time before",
    ),
    "varies": Sign("MAD of l", lambda value: f"half of its days lie more than {np.expm1(value):.0%} off its usual"),
    "highest day": Sign("largest l - median l", lambda value: f"its highest day lies {_beside(value)} its usual"),
    "lowest day": Sign("median l - smallest l", lambda value: f"its lowest day lies {_beside(-value)} its usual"),
    "steepest fall": Sign("largest l of the day before - l", lambda value: f"one day lies {_beside(-value)} the last"),
    "steepest rise": Sign("largest l - l of the day before", lambda value: f"one day lies {_beside(value)} the last"),
    "like the day before": Sign(
        "mean of (l - median l) x the same a day before, by (0.01 + variance of l)",
        lambda value: f"autocorrelation of {value:.2f} with the day before",
    ),
    "like the week before": Sign(
        "mean of (l - median l) x the same a week before, by (0.01 + variance of l)",
        lambda value: f"autocorrelation of {value:.2f} with the week before",
    ),
    "repeats": Sign(
        "share of days with the day before's energy", lambda value: f"{value:.0%} of its days repeat the one before"
    ),
    "differs by day of the week": Sign(
        "(largest - smallest mean u of a day of the week) / (mean u + 0.05)",
        lambda value: f"its days of the week differ by {value:.0%} of its mean",
    ),
    "even load": Sign("median of the days' mean by highest power", lambda value: f"a load factor of {value:.2f}"),
    "base load": Sign(
        "median of the days' lowest by mean power", lambda value: f"a base load of {value:.0%} of its mean"
    ),
    "load becomes uneven": Sign(
        "median of mean by highest power in the first half of its known days less that of the second",
        lambda value: f"a load factor {abs(value):.2f} {'lower' if value > 0 else 'higher'} than before",
    ),
    "base load falls": Sign(
        "median of lowest by mean power in the first half of its known days less that of the second",
        lambda value: f"a base load {abs(value):.0%} of its mean {'lower' if value > 0 else 'higher'} than before",
    ),
}
DEFINITION = {name: sign.formula for name, sign in SIGNS.items()}
# Those whose direction is clear before any label is seen: what a thief's meter would do.
UNTAUGHT = tuple(SIGNS)[:6]


@dataclass(frozen=True)
class Days:
    """Days of n meters, arrays (n, days), NaN where unknown.

    Attributes:
        kwh: energy.
        even: mean by highest power of the day; `base`: lowest by mean power. None where no hours are delivered.
    """

    kwh: Floats
    even: Floats | None = None
    base: Floats | None = None

    def at(self, rows: Bools) -> "Days":
        even, base = (None if values is None else values[rows] for values in (self.even, self.base))
        return Days(self.kwh[rows], even, base)


def signs(of: Days, typical_kwh: float) -> dict[str, Floats]:
    """(n,) of each of SIGNS, NaN where too little is known.

    Args:
        typical_kwh: energy of an ordinary day among all meters.
    """
    use = of.kwh / typical_kwh
    known = ~np.isnan(use)
    rank, count = np.cumsum(known, axis=1), known.sum(axis=1, keepdims=True)
    first, week = rank <= count // 2, rank > count - WEEK
    log, zero = np.log(use + FLOOR), use == 0
    own = log - median(log, 1)[:, None]
    distance, step = median(np.abs(own), 1), np.diff(log, axis=1)
    days_of_week = np.stack([mean(use[:, day::WEEK], 1) for day in range(min(WEEK, use.shape[1]))])
    found = {
        "uses little": -np.log(mean(use, 1) + FLOOR),
        "days without use": mean(np.where(known, zero, np.nan), 1),
        "longest run without use": longest(zero),
        "falls from first to second half": _fall(use, first, ~first),
        "a day unlike its own (Hampel)": _largest(np.abs(own)) / (LEAST_SPREAD + 1.4826 * distance),
        "jumps from day to day": mean(np.abs(step), 1),
        "falls in the last week": _fall(use, ~week, week),
        "varies": distance,
        "highest day": _largest(own),
        "lowest day": _largest(-own),
        "steepest fall": _largest(-step),
        "steepest rise": _largest(step),
        "like the day before": _like(own, 1),
        "like the week before": _like(own, WEEK),
        "repeats": mean(np.where(np.isnan(step), np.nan, step == 0), 1),
        "differs by day of the week": (_largest(days_of_week.T) + _largest(-days_of_week.T)) / (mean(use, 1) + FLOOR),
    }
    for level, change, values in (
        ("even load", "load becomes uneven", of.even),
        ("base load", "base load falls", of.base),
    ):
        shape = np.full_like(use, np.nan) if values is None else values
        halves = (median(np.where(half, shape, np.nan), 1) for half in (first, ~first))
        found |= {level: median(shape, 1), change: np.subtract(*halves)}
    return {name: found[name] for name in SIGNS}


def matrix(found: dict[str, Floats]) -> Floats:
    """(n, signs) in the order of SIGNS."""
    return np.column_stack([found[name] for name in SIGNS])


def surprise(found: dict[str, Floats]) -> Floats:
    """(n,) how strange each meter is among these, no label seen: the sum of its two largest surprises of UNTAUGHT."""
    return two_largest(np.stack([Surprise.of(found[name])(found[name]) for name in UNTAUGHT]))


def _fall(use: Floats, before: Bools, after: Bools) -> Floats:
    earlier, later = (mean(np.where(when, use, np.nan), 1) for when in (before, after))
    return np.log((earlier + FLOOR) / (later + FLOOR))


def _largest(values: Floats) -> Floats:
    """Of what is known; NaN where nothing is."""
    top = np.max(np.where(np.isnan(values), -np.inf, values), axis=1, initial=-np.inf)
    return np.where(np.isfinite(top), top, np.nan)


def _like(own: Floats, days: int) -> Floats:
    return mean(own[:, days:] * own[:, :-days], 1) / (0.01 + mean(own**2, 1) - mean(own, 1) ** 2)
