"""Labelled anomalies: what goes wrong at a meter, from when to when, and what the reading becomes.

An event is drawn for each meter and calendar month and stays inside its month, so a reading's label depends on nothing
but the seed, the meter and the day.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from meterlake.sources.generate_draws import Floats, Ints, uniform
from meterlake.sources.generate_load import LARGEST_KWH

HOUR, DAY = 60, 1440


@dataclass(frozen=True)
class Moment:
    """Where readings stand in their event: (r, k) arrays, or (r, 1) where one value holds for the row."""

    since_start: Floats  # minutes
    share: Floats  # of the event's length, 0 to 1
    minute_of_day: Ints
    typical_kwh: Floats  # the meter's mean per interval
    parameter: Floats


@dataclass(frozen=True)
class Kind:
    """A kind of anomaly. `effect(kwh, moment)` gives the recorded kWh; `parameter` is drawn from the range given.

    Of a `real` one the energy flows as it is recorded; else only the meter says so.
    """

    name: str
    lasts_minutes: tuple[int, int]
    parameter: tuple[float, float]
    effect: Callable[[Floats, Moment], Floats]
    whole_days: bool = False
    real: bool = False


def _at_night(kwh: Floats, moment: Moment) -> Floats:
    night = (moment.minute_of_day >= 22 * HOUR) | (moment.minute_of_day < 6 * HOUR)
    return np.where(night, kwh * moment.parameter, kwh)


KINDS = (
    # The meter reads `parameter` of the energy used.
    Kind("partial_theft", (7 * DAY, 28 * DAY), (0.2, 0.8), lambda kwh, m: kwh * m.parameter),
    # The same, from 22:00 to 06:00 only.
    Kind("bypass_night", (7 * DAY, 28 * DAY), (0.02, 0.2), _at_night),
    # From a date to the end of the month nearly nothing is read.
    Kind("bypass_from_date", (31 * DAY, 31 * DAY), (0.02, 0.15), lambda kwh, m: kwh * m.parameter),
    Kind("zero_reads", (1 * DAY, 7 * DAY), (0.0, 0.0), lambda kwh, m: kwh * 0.0),
    # One value, `parameter` times the meter's mean, again and again.
    Kind("frozen_value", (1 * DAY, 5 * DAY), (0.5, 1.5), lambda kwh, m: 0.0 * kwh + m.parameter * m.typical_kwh),
    # `parameter` times the meter's mean on top.
    Kind("spike", (1, 45), (8.0, 20.0), lambda kwh, m: kwh + m.parameter * m.typical_kwh),
    # After an outage everything starts at once: 1 + `parameter` at first, decaying with a time constant of one hour.
    Kind(
        "cold_load_surge",
        (2 * HOUR, 5 * HOUR),
        (2.0, 5.0),
        lambda kwh, m: kwh * (1 + m.parameter * np.exp(-m.since_start / HOUR)),
        real=True,
    ),
    # The meter's gain slides from 1 to 1 + `parameter`.
    Kind("drift", (10 * DAY, 28 * DAY), (-0.7, -0.3), lambda kwh, m: kwh * (1 + m.parameter * m.share)),
    # The day is read backwards: peak as off-peak.
    Kind("reversed_day", (1 * DAY, 5 * DAY), (0.0, 0.0), lambda kwh, m: kwh[:, ::-1], whole_days=True),
)
NAMES = tuple(kind.name for kind in KINDS)


@dataclass(frozen=True)
class Events:
    """One event or none (kind -1) for each row; minutes since 1970-01-01 of the file's clock, end exclusive."""

    kind: Ints
    start: Ints
    end: Ints
    parameter: Floats

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Events":
        return Events(*(getattr(self, field.name)[rows] for field in fields(self)))


def events(seed: int, rate: float, meter: Ints, month: Ints) -> Events:
    """The event of each (meter, month since January 1970); `rate` is the share of meter-months that have one."""
    draw = uniform(seed, "anomaly", meter, month, count=5)
    kind = (draw[:, 1] * len(KINDS)).astype(np.int64)
    first, last = _first_minute(month), _first_minute(month + 1)
    shortest, longest = np.array([k.lasts_minutes for k in KINDS]).T
    low, high = np.array([k.parameter for k in KINDS]).T
    step = np.array([DAY if k.whole_days else HOUR for k in KINDS])[kind]
    start = first + (draw[:, 2] * 0.6 * (last - first)).astype(np.int64) // step * step
    length = shortest[kind] + (draw[:, 3] * (longest - shortest + 1)[kind]).astype(np.int64)
    length = np.where(step == DAY, length // DAY * DAY, length)
    parameter = np.round(low[kind] + draw[:, 4] * (high - low)[kind], 4)
    return Events(np.where(draw[:, 0] < rate, kind, -1), start, np.minimum(start + length, last), parameter)


def recorded_kwh(kwh: Floats, event: Events, day: Ints, typical_kwh: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What the meters record instead of `kwh` (n, k), and which readings an anomaly holds."""
    interval = DAY // kwh.shape[1]
    minute_of_day = np.arange(kwh.shape[1]) * interval
    kwh, held = kwh.copy(), np.zeros(kwh.shape, dtype=bool)
    touched = (event.kind >= 0) & (event.start < (day + 1) * DAY) & (event.end > day * DAY)
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(touched & (event.kind == number))
        if not len(rows):
            continue
        these = event[rows]
        minute = day[rows, None] * DAY + minute_of_day
        since = (minute - these.start[:, None]).astype(np.float64)
        share = since / (these.end - these.start)[:, None]
        moment = Moment(since, share, minute_of_day, typical_kwh[rows, None], these.parameter[:, None])
        held[rows] = (minute >= these.start[:, None]) & (minute < these.end[:, None])
        kwh[rows] = np.where(held[rows], np.clip(kind.effect(kwh[rows], moment), 0.0, LARGEST_KWH), kwh[rows])
    return kwh, held


def months_of(day: Ints) -> Ints:
    """The month, counted from January 1970, of each day."""
    return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _first_minute(month: Ints) -> Ints:
    return month.astype("datetime64[M]").astype("datetime64[m]").astype(np.int64)
