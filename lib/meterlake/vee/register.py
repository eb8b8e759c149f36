"""Energy that a cumulative register shows over a gap, spread over the gap's intervals to the last unit."""

import numpy as np
from numpy.typing import NDArray

from meterlake.transforms.stg_meter_readings import GRID

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def spread(values: Floats, wanted: Bools, kwh: Floats, register_kwh: Floats) -> Ints:
    """Scale estimates, in place, so that with the known intervals they sum to the register; all arrays are (n,).

    Between two neighbouring register readings: what the register rose by, less the energy of the known intervals,
    is shared among the wanted ones in proportion to their estimates (evenly where there are none). A stretch is left
    as it is where an interval in it stays unknown, or where less than nothing would be left to share.

    Args:
        values: estimates, NaN where there is none.
        wanted: the intervals to share among. An interval that is neither wanted nor known stays unknown.

    Returns:
        The intervals that now follow the register.
    """
    read = np.flatnonzero(~np.isnan(register_kwh))
    stretch = np.unique(np.searchsorted(read, np.flatnonzero(wanted), side="right") - 1)
    followed = [np.zeros(0, dtype=np.int64)]
    for begin in stretch[(stretch >= 0) & (stretch < len(read) - 1)]:
        first, last = read[begin], read[begin + 1]
        rest = first + np.flatnonzero(~wanted[first:last])
        share = first + np.flatnonzero(wanted[first:last])
        energy = units(register_kwh[last]) - units(register_kwh[first]) - units(kwh[rest]).sum()
        if np.isnan(kwh[rest]).any() or energy < 0:
            continue
        values[share] = portions(int(energy), values[share]) / GRID
        followed.append(share)
    return np.concatenate(followed)


def units(kwh: Floats) -> Ints:
    """kWh as whole units of 1e-8 kWh, 0 where unknown."""
    return np.rint(np.nan_to_num(kwh) * GRID).astype(np.int64)


def portions(total: int, weight: Floats) -> Ints:
    """(n,) whole numbers that sum to `total` exactly, in proportion to weights of 0 or more (largest remainder).

    An unknown weight counts as the mean of the known ones; without a positive one all count the same.
    """
    weight = np.maximum(np.where(np.isnan(weight), _mean(weight), weight), 0.0)
    weight = weight if weight.sum() > 0 else np.ones(len(weight))
    quota = total * (weight / weight.sum())
    whole = np.floor(quota).astype(np.int64)
    whole[np.argsort(whole - quota, kind="stable")[: max(0, total - int(whole.sum()))]] += 1
    whole[np.argmax(whole)] += total - int(whole.sum())  # by how much the quotas' floating point was off, as a rule 0
    return whole


def _mean(weight: Floats) -> float:
    known = weight[~np.isnan(weight)]
    return float(known.mean()) if len(known) else 1.0
