"""Households as dense grids of days and slots, split for training and test, untouched or with a fault in each copy."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.anomaly.evaluation.injections import Event, injected
from meterlake.anomaly.meter_day import HISTORY, MeterDays
from meterlake.vee.delivered import MeterSeries

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# A copy with a fault begins so many days before it, and its days after the fault are judged for so long.
DAYS_BACK, DAYS_AFTER = 63, 7
# From so many meters on, training and test are of different meters; below, of different months only.
FEWEST_TO_SPLIT = 4


@dataclass(frozen=True)
class Households:
    """Meters on a common grid of local days.

    Attributes:
        meters: names, m of them.
        first_day: days since 1970-01-01 of the grid's first day.
        kwh: (m, days, slots) NaN where unknown.
    """

    meters: tuple[str, ...]
    first_day: int
    interval_minutes: int
    kwh: Floats

    def of(self, rows: Ints) -> "Households":
        chosen = tuple(self.meters[row] for row in rows)
        return Households(chosen, self.first_day, self.interval_minutes, self.kwh[rows])


@dataclass(frozen=True)
class Population:
    """Series to be judged by day: c of them over w days.

    Attributes:
        meter: (c,) whose series it is.
        first_day: (c,) days since 1970-01-01 of its first day.
        kwh: (c, w, slots).
        judged: (c, w) the days that count.
        anomalous: (c, w) the days that a fault has changed.
        missing_kwh: (c,) energy that the fault hides; negative where it adds some.
        balance_odds: (c, w) logarithm of the odds that the meter is wrong, by what its transformer misses
            (evaluation/streets.py); NaN where nobody has asked.
    """

    interval_minutes: int
    meter: Ints
    first_day: Ints
    kwh: Floats
    judged: Bools
    anomalous: Bools
    missing_kwh: Floats
    balance_odds: Floats

    def of(self, rows: Bools | Ints) -> "Population":
        """Some of the series."""
        return Population(
            self.interval_minutes,
            self.meter[rows],
            self.first_day[rows],
            self.kwh[rows],
            self.judged[rows],
            self.anomalous[rows],
            self.missing_kwh[rows],
            self.balance_odds[rows],
        )

    def known(self) -> tuple[Ints, Ints, Ints, pa.Table]:
        """Of the n known readings the series, day and slot, and a table in their order: `series`, `reading_timestamp`
        (the grid's clock as if it were UTC) and `kwh`.
        """
        series, day, slot = np.nonzero(~np.isnan(self.kwh))
        minute = (self.first_day[series] + day) * 1440 + slot * self.interval_minutes
        stamp = pa.array(minute * 60_000_000).cast(pa.timestamp("us"))
        kwh = self.kwh[series, day, slot]
        return series, day, slot, pa.table({"series": series, "reading_timestamp": stamp, "kwh": kwh})


def households(series: list[MeterSeries], interval_minutes: int) -> Households:
    """The series on one grid. A day of 23 hours has unknown slots; of one of 25 the repeated keep the last."""
    first = min(int(one.local_day[0]) for one in series)
    last = max(int(one.local_day[-1]) for one in series)
    kwh = np.full((len(series), last - first + 1, 1440 // interval_minutes), np.nan)
    for row, one in enumerate(series):
        kwh[row, one.local_day - first, one.slot] = one.kwh
    return Households(tuple(one.meter for one in series), first, interval_minutes, kwh)


def split(of: Households) -> tuple[Households, range, Households, range]:
    """Training meters and days, test meters and days: every second meter, the first and the second half of the days."""
    everyone = np.arange(len(of.meters))
    train, test = (everyone[0::2], everyone[1::2]) if len(everyone) >= FEWEST_TO_SPLIT else (everyone, everyone)
    days = of.kwh.shape[1]
    return of.of(train), range(HISTORY, days // 2), of.of(test), range(days // 2, days)


def untouched(of: Households, days: range) -> Population:
    """The meters as they are; what counts are the given days."""
    count, length, _ = of.kwh.shape
    judged = np.zeros((count, length), dtype=bool)
    judged[:, days.start : days.stop] = True
    return Population(
        of.interval_minutes,
        np.arange(count),
        np.full(count, of.first_day),
        of.kwh,
        judged & enough_known(of.kwh),
        np.zeros((count, length), dtype=bool),
        np.zeros(count),
        np.full((count, length), np.nan),
    )


def with_faults(of: Households, events: list[Event]) -> Population:
    """One copy of its meter for each fault, cut to the days around it; the fault's days and those after count.

    The days after a fault are no longer anomalous: a flag there is a false alarm.
    """
    length = DAYS_BACK + max(event.days for event in events) + DAYS_AFTER
    shape = (len(events), length, of.kwh.shape[2])
    kwh, missing = np.full(shape, np.nan), np.zeros(len(events))
    judged, anomalous = np.zeros(shape[:2], dtype=bool), np.zeros(shape[:2], dtype=bool)
    for row, event in enumerate(events):
        truth = of.kwh[event.household]
        recorded, changed = injected(truth, event)
        begin = event.first_day - DAYS_BACK
        there = slice(max(begin, 0), min(begin + length, len(truth)))
        here = slice(there.start - begin, there.stop - begin)
        kwh[row, here] = recorded[there]
        anomalous[row, here] = changed[there].any(axis=1)
        judged[row, DAYS_BACK : DAYS_BACK + event.days + DAYS_AFTER] = True
        missing[row] = np.nansum(truth - recorded)
    meter = np.array([event.household for event in events])
    first = np.array([of.first_day + event.first_day - DAYS_BACK for event in events])
    judged &= enough_known(kwh)
    unasked = np.full(judged.shape, np.nan)
    return Population(of.interval_minutes, meter, first, kwh, judged, anomalous & judged, missing, unasked)


def enough_known(kwh: Floats) -> Bools:
    """(c, w) days with enough readings and enough known days before."""
    return MeterDays.grid(kwh).judged.reshape(kwh.shape[:2])
