"""What a meter usually uses at a time of the day, from its good readings on days of the same kind nearby."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.daytypes import HOLIDAY, WEEKEND
from meterlake.vee.estimation_policy import EstimationPolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NO_DAY = -1


@dataclass(frozen=True)
class LikeDays:
    """The good readings of one meter by local day.

    Attributes:
        policy: how like days are chosen and weighed.
        good_kwh: (n,) the series, NaN where a reading is unknown or not to be learnt from.
        row: (n,) row of each interval's local day in the two arrays below.
        slot: (n,) interval of the local day.
        table: (days, slots) the same kWh. Of an hour that comes twice the later one stands here.
        kind: (days,) kind of each day. `within` rows before the first day and after the last one are NO_DAY, empty.
    """

    policy: EstimationPolicy
    good_kwh: Floats
    row: Ints
    slot: NDArray[np.int16]
    table: Floats
    kind: NDArray[np.int8]

    def usual_kwh(self, interval: Ints) -> Floats:
        """What is usual in intervals of the series, NaN where fewer than `least_like_days` readings tell.

        like_day_mean: the mean of the nearest; of two equally near days the earlier one goes first.
        like_day_bridge: sum(w kWh) / sum(w) with w = exp(-days off / nearness).
        """
        rows, place = np.unique(self.row[interval], return_inverse=True)
        return np.stack([self._usual_day(row) for row in rows])[place, self.slot[interval]]

    def _usual_day(self, row: int) -> Floats:
        """(slots,) what is usual on one day."""
        away = np.arange(1, self.policy.within.days + 1)
        off = np.stack([-away, away], axis=1).reshape(-1)
        kind = self.kind[row + off]
        alike = off[kind == self.kind[row]]
        usual = self._usual(row, alike)
        if self.kind[row] == HOLIDAY and self.policy.holidays_like_weekends:
            helped = self._usual(row, np.concatenate([alike, off[kind == WEEKEND]]))
            usual = np.where(np.isnan(usual), helped, usual)
        return usual

    def _usual(self, row: int, off: Ints) -> Floats:
        """(slots,) the same by given days, so many days off, in the order in which they count."""
        readings = self.table[row + off]
        known = ~np.isnan(readings)
        if self.policy.method == "like_day_mean":
            weight = (known & (np.cumsum(known, axis=0) <= self.policy.like_days)).astype(np.float64)
        else:
            weight = known * np.exp(-np.abs(off) * (86400 / self.policy.nearness.total_seconds()))[:, None]
        total = (weight * np.where(known, readings, 0.0)).sum(axis=0)
        enough = known.sum(axis=0) >= self.policy.least_like_days
        return np.divide(total, weight.sum(axis=0), out=np.full(len(enough), np.nan), where=enough)


def like_days_of(
    good_kwh: Floats,
    local_day: NDArray[np.int32],
    slot: NDArray[np.int16],
    kind: NDArray[np.int8],
    slots: int,
    policy: EstimationPolicy,
) -> LikeDays:
    """Lay out a series by local day. All arrays are (n,); `slots` is the number of intervals of a day of 24 h."""
    margin = policy.within.days
    row = local_day.astype(np.int64) - int(local_day[0]) + margin
    days = int(row[-1]) + 1 + margin
    table, kinds = np.full((days, slots), np.nan), np.full(days, NO_DAY, dtype=np.int8)
    good = np.flatnonzero(~np.isnan(good_kwh))
    table[row[good], slot[good]] = good_kwh[good]
    kinds[row] = kind
    return LikeDays(policy, good_kwh, row, slot, table, kinds)
