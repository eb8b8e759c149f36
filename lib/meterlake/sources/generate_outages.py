"""Interruptions of supply: which feeder, transformer or single meter is without power, from when to when.

Drawn for each element and day, to the minute; one may go on past midnight. In an interval that is dark in part less
flows and the voltage, a mean, is lower. In one that is dark as a whole a meter reads 0 kWh at 0 V, or it says nothing.
"""

import numpy as np
from numpy.typing import NDArray

from meterlake.sources import generate_load as load
from meterlake.sources.generate_draws import Floats, Ints, uniform

SHORTEST, LONGEST = 10, 720  # minutes; lengths are even on a logarithmic scale
SILENT_SHARE = 0.4  # of the meters say nothing without power
DAY = 1440


def begun(seed: int, rate: float, level: str, element: Ints, day: Ints) -> tuple[Ints, Ints]:
    """The outage that begins at each element on each day: from which minute since 1970 to before which, equal where
    there is none. `rate` is the share of element-days that have one.
    """
    draw = uniform(seed, f"outage of {level}", element, day, count=3)
    length = np.rint(SHORTEST * (LONGEST / SHORTEST) ** draw[:, 2]).astype(np.int64)
    start = day * DAY + (draw[:, 1] * DAY).astype(np.int64)
    return start, start + np.where(draw[:, 0] < rate, length, 0)


def dark(seed: int, rate: float, meters: load.Meters, day: Ints, interval_minutes: int) -> Floats:
    """The share of each interval in which each meter is without power, (n, k)."""
    if not rate:
        return np.zeros((len(day), DAY // interval_minutes))
    minute = day[:, None] * DAY + np.arange(DAY)
    out = np.zeros(minute.shape, dtype=bool)
    for level, element in (("feeder", meters.feeder), ("transformer", meters.transformer), ("meter", meters.number)):
        for ago in (0, 1):
            start, end = (at[:, None] for at in begun(seed, rate, level, element, day - ago))
            out |= (minute >= start) & (minute < end)
    return np.asarray(out.reshape(len(day), -1, interval_minutes).mean(axis=2))


def silent(seed: int, rate: float, number: Ints, day: Ints, interval_minutes: int) -> NDArray[np.bool_]:
    """Which readings never come, as the meter says nothing without power, (n, k)."""
    quiet = uniform(seed, "silent in an outage", number) < SILENT_SHARE
    return quiet[:, None] & (dark(seed, rate, load.population(seed, number), day, interval_minutes) == 1.0)
