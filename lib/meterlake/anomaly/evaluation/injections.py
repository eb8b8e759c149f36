"""Typed faults for real readings: what goes wrong, from when to when, and what the meter then reads.

Nine kinds are the generator's own (sources/generate_anomalies.py), two are added here. A fault is drawn by a seed, the
meter and the kind, so the same seed gives the same truth table.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from meterlake.sources.generate_anomalies import DAY, HOUR, KINDS, Kind, Moment
from meterlake.sources.generate_draws import uniform

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

JOKAR = "Jokar, Arianpoo, Leung: IEEE Trans. Smart Grid 7 (2016) 216-226"
OWN = "our own choice of size"
# Days before a fault from which its meter's typical energy is taken, and that must be known for the most part.
DAYS_BEFORE = 28
KNOWN_SHARE = 0.9


@dataclass(frozen=True)
class Injection:
    """A kind of fault, in words, and where its form comes from."""

    kind: Kind
    what: str
    source: str


def random_scaling(kwh: Floats, moment: Moment) -> Floats:
    """Each day is multiplied by a factor of its own between 0.1 and 0.8.

    `parameter` picks the factors; the days count from the fault's beginning. Source: the third attack of Jokar et al.,
    IEEE Trans. Smart Grid 7 (2016) 216-226, by day instead of by reading.
    """
    day = np.floor(moment.since_start / DAY).astype(np.int64)
    pick = np.broadcast_to((moment.parameter * 1e9).astype(np.int64), day.shape)
    return kwh * (0.1 + 0.7 * uniform(0, "random scaling", pick, day))


def clock_shift(kwh: Floats, moment: Moment) -> Floats:
    """The readings stand `parameter` hours too late; the fault's last ones come first, so its energy stays.

    All rows are days of one fault, in order. Source: our own choice; 12 h is a clock whose morning and evening are
    mistaken for each other.
    """
    per_day = kwh.shape[1]
    steps = round(float(np.max(moment.parameter)) * per_day / 24)
    return np.roll(kwh.reshape(-1), steps).reshape(kwh.shape)


ADDED = (
    Kind("random_scaling", (7 * DAY, 28 * DAY), (0.0, 1.0), random_scaling, whole_days=True),
    Kind("clock_shift", (7 * DAY, 28 * DAY), (3.0, 12.0), clock_shift, whole_days=True),
)
ABOUT = {
    "partial_theft": ("the meter reads 20 to 80 % of the use", f"{JOKAR}, first attack"),
    "bypass_night": ("from 22 to 6 h it reads 2 to 20 % of the use", f"{JOKAR}, second attack, at fixed hours"),
    "bypass_from_date": ("from a day on it reads 2 to 15 % of the use", OWN),
    "zero_reads": ("it reads nothing", f"{JOKAR}, second attack, whole days"),
    "frozen_value": ("it repeats one value, 0.5 to 1.5 times its mean", f"{JOKAR}, fifth attack"),
    "random_scaling": ("each day is multiplied by its own factor, 0.1 to 0.8", f"{JOKAR}, third attack, by day"),
    "reversed_day": ("each day is read backwards: peak as off-peak", f"{JOKAR}, sixth attack"),
    "spike": ("one or two readings are 8 to 20 times the mean too high", OWN),
    "cold_load_surge": ("after an outage 3 to 6 times the use, falling by half in 40 minutes", OWN),
    "drift": ("the gain slides from 1 to 0.3 to 0.7", OWN),
    "clock_shift": ("the clock is 3 to 12 h slow", OWN),
}
BY_NAME = {kind.name: kind for kind in (*KINDS, *ADDED)}
INJECTIONS = tuple(Injection(BY_NAME[name], what, source) for name, (what, source) in ABOUT.items())


@dataclass(frozen=True)
class Event:
    """One fault: whose (row of the households), its kind, and its minutes, counted from the households' first day."""

    household: int
    kind: Kind
    start: int
    end: int
    parameter: float

    @property
    def first_day(self) -> int:
        return self.start // DAY

    @property
    def days(self) -> int:
        """Days that it touches."""
        return (self.end - 1) // DAY - self.first_day + 1


def draw(
    kwh: Floats, household: int, meter: str, kind: Kind, days: range, count: int, seed: int, interval_minutes: int
) -> list[Event]:
    """Up to `count` faults of one meter inside `days`, each where its readings and those before are known.

    Args:
        kwh: (days, slots) of the meter, NaN where unknown.
    """
    random = np.random.default_rng([seed, crc32(meter.encode()), crc32(kind.name.encode())])
    known = np.concatenate([[0.0], np.cumsum(np.mean(~np.isnan(kwh), axis=1))])
    found = []
    for _ in range(count):
        length = max(int(random.integers(kind.lasts_minutes[0], kind.lasts_minutes[1] + 1)), interval_minutes)
        length = length // DAY * DAY if kind.whole_days else length
        hour = 0 if kind.whole_days else int(random.integers(24))
        touched = -(-(hour * HOUR + length) // DAY)
        start = np.arange(max(days.start, DAYS_BEFORE), days.stop - touched + 1)
        here = known[start + touched] - known[start] >= KNOWN_SHARE * touched
        here &= known[start] - known[start - DAYS_BEFORE] >= KNOWN_SHARE * DAYS_BEFORE
        parameter = round(float(random.uniform(*kind.parameter)), 4)
        if here.any():
            begin = int(random.choice(start[here])) * DAY + hour * HOUR
            found.append(Event(household, kind, begin, begin + length, parameter))
    return found


def injected(kwh: Floats, event: Event) -> tuple[Floats, Bools]:
    """What the meter records instead of `kwh` (days, slots), and which readings are other than they were.

    A reading that the fault does not change (0 of 0 kWh) is not marked, and an unknown one stays unknown.
    """
    rows = slice(event.first_day, event.first_day + event.days)
    per_day = kwh.shape[1]
    minute_of_day = np.arange(per_day) * (DAY // per_day)
    minute = np.arange(rows.start, rows.stop)[:, None] * DAY + minute_of_day
    since = (minute - event.start).astype(np.float64)
    typical = np.nanmean(kwh[max(0, rows.start - DAYS_BEFORE) : rows.start])
    one = np.ones((event.days, 1))
    moment = Moment(since, since / (event.end - event.start), minute_of_day, one * typical, one * event.parameter)
    held = (minute >= event.start) & (minute < event.end)
    recorded = kwh.copy()
    recorded[rows] = np.where(held, np.maximum(event.kind.effect(kwh[rows], moment), 0.0), kwh[rows])
    return recorded, np.abs(np.nan_to_num(recorded - kwh)) > 1e-9
