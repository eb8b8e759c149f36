"""A measured value with the range that a bootstrap gives it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Figure:
    """A value and the range that holds 95 % of the bootstrap's draws; NaN where no draw has a value."""

    value: float
    low: float
    high: float


def figure(values: ArrayLike) -> Figure:
    """The first value, which is of all, with the range of the draws behind it (Efron's percentile interval)."""
    value, *draws = np.asarray(values, dtype=np.float64)
    known = np.array(draws)[~np.isnan(draws)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return Figure(float(value), float(low), float(high))
