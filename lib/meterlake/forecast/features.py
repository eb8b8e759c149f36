"""What a forecast knows when it is made: lags, levels and the calendar. Nothing after the origin enters a row.

The origin is the end of a local day. Every lag reaches back to that day or further, so it is at least as long as the
horizon. Energies are divided by the element's level, the mean hour of the 28 days before the origin: trees do not
extrapolate, and a level that moves with the seasons and with new meters would leave the range that they learnt.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meterlake.forecast.series import Wall
from meterlake.vee.daytypes import WEEKDAY, kinds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL_DAYS = 28
# A mean of days needs this share of their hours; the level of 28 days may rest on their first week.
LEAST_KNOWN = 0.5
FIRST_LEVEL_DAYS = 7
WEEKS = 4
LIKE_DAYS = 5

DEFINITION = {
    "hour_of_day": "hour on the local clock, 0-23",
    "weekday": "0 Monday to 6 Sunday",
    "day_kind": "0 working day, 1 weekend, 2 public holiday",
    "days_ahead": "local days from the origin's day to the target's",
    "last_day": "same hour of the origin's day / level",
    "last_week": "same hour and weekday, the newest one known / level",
    "two_weeks": "same hour and weekday, a week before that / level",
    "mean_four_weeks": "mean of the four newest known of same hour and weekday / level",
    "mean_seven_days": "mean of the same hour over the 7 days up to the origin / level",
    "mean_like_days": "mean of the same hour over the 5 newest days that are (no) working days like the target / level",
    "day_level": "mean hour of the origin's day / level",
    "week_level": "mean hour of the 7 days up to the origin / level",
    "evening": "mean of the last 3 hours before the origin / level",
}
WEATHER = {
    "temperature_last_day_c": "mean air temperature of the origin's day: tomorrow's is not delivered",
    "temperature_same_hour_c": "air temperature at the same hour of the origin's day",
    "temperature_change_c": "mean air temperature of the origin's day - mean of the 7 days up to it",
}


@dataclass(frozen=True)
class Rows:
    """Hours to forecast, arrays are (r,).

    Attributes:
        origin: day at whose end the forecast is made, counted from the wall's first day.
        day: local day of the hour, counted alike; hour: hour of that day.
    """

    origin: Ints
    day: Ints
    hour: Ints


@dataclass(frozen=True)
class Known:
    """The past of one element, in which row d of every table holds what is known at the end of day d."""

    wall: Wall
    country: str | None

    @cached_property
    def day_kind(self) -> NDArray[np.int8]:
        """(days + 14,) kinds of the days, also of those to forecast."""
        return kinds(self.wall.first_day + np.arange(len(self.wall.kwh) + 14), self.country)

    @cached_property
    def level(self) -> Floats:
        return _mean_of_days(self.wall.kwh, LEVEL_DAYS, FIRST_LEVEL_DAYS / LEVEL_DAYS * 0.9)

    @cached_property
    def week(self) -> Floats:
        return _mean_of_days(self.wall.kwh, 7)

    @cached_property
    def single(self) -> Floats:
        return _mean_of_days(self.wall.kwh, 1)

    @cached_property
    def seven_days(self) -> Floats:
        return _mean_by_hour(self.wall.kwh, 7)

    @cached_property
    def like_days(self) -> list[tuple[Ints, Floats]]:
        """For working days and for others: their numbers, and (m, 24) the mean of the newest LIKE_DAYS of them."""
        works = self.day_kind[: len(self.wall.kwh)] == WEEKDAY
        found = []
        for wanted in (False, True):
            days = np.flatnonzero(works == wanted)
            found.append((days, _mean_by_hour(self.wall.kwh[days], LIKE_DAYS)))
        return found


def names(weather: bool) -> tuple[str, ...]:
    """The columns of `features`."""
    return (*DEFINITION, *(WEATHER if weather else ()))


def features(known: Known, rows: Rows) -> Floats:
    """(r, names) what is known of each hour at its origin; NaN where something is not."""
    wall, level = known.wall.kwh, known.level[rows.origin]
    kind = known.day_kind[rows.day]
    newest = newest_same_weekday(rows)
    same_hour = [_at(wall, newest - 7 * week, rows.hour) for week in range(WEEKS)]
    energies = [
        wall[rows.origin, rows.hour],
        same_hour[0],
        same_hour[1],
        mean_known(np.stack(same_hour)),
        known.seven_days[rows.origin, rows.hour],
        _like_days(known, rows, kind),
        known.single[rows.origin],
        known.week[rows.origin],
        mean_known(wall[:, -3:].T)[rows.origin],
    ]
    calendar: list[NDArray[np.generic]] = [
        rows.hour,
        (known.wall.first_day + rows.day + 3) % 7,
        kind,
        rows.day - rows.origin,
    ]
    weather = _weather(known.wall.temperature_c, rows) if known.wall.temperature_c is not None else []
    return np.column_stack([*calendar, *(energy / level for energy in energies), *weather])


def newest_same_weekday(rows: Rows) -> Ints:
    """(r,) the newest day up to the origin that has the weekday of the target."""
    return rows.day - 7 * -((rows.origin - rows.day) // 7)


def _like_days(known: Known, rows: Rows, kind: NDArray[np.int8]) -> Floats:
    made = np.full(len(rows.day), np.nan)
    for wanted, (days, means) in zip((False, True), known.like_days, strict=True):
        place = np.searchsorted(days, rows.origin, side="right") - 1
        chosen = ((kind == WEEKDAY) == wanted) & (place >= 0)
        made[chosen] = means[place[chosen], rows.hour[chosen]]
    return made


def _weather(temperature_c: Floats, rows: Rows) -> list[Floats]:
    day, week = _mean_of_days(temperature_c, 1)[rows.origin], _mean_of_days(temperature_c, 7)[rows.origin]
    return [day, temperature_c[rows.origin, rows.hour], day - week]


def _at(wall: Floats, day: Ints, hour: Ints) -> Floats:
    """Values of days that may lie before the first one."""
    return np.where(day >= 0, wall[np.maximum(day, 0), hour], np.nan)


def _mean_of_days(wall: Floats, days: int, least: float = LEAST_KNOWN) -> Floats:
    """(days,) mean of the known hours in so many days up to each one; NaN where less than the share is known."""
    known = ~np.isnan(wall)
    count = _trailing(known.sum(axis=1), days)
    total = _trailing(np.nansum(wall, axis=1), days)
    return np.where(count >= least * 24 * days, total / np.maximum(count, 1), np.nan)


def _mean_by_hour(wall: Floats, days: int) -> Floats:
    """(days, 24) mean of the known values of each hour in so many days up to each one."""
    count, total = _trailing(~np.isnan(wall), days), _trailing(np.nan_to_num(wall), days)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _trailing(values: NDArray[np.generic], days: int) -> Floats:
    """Sums of so many rows up to each one, without the rounding that differences of running sums bring."""
    padded = np.concatenate([np.zeros((days - 1, *values.shape[1:])), values.astype(np.float64)])
    return np.asarray(sum(padded[shift : shift + len(values)] for shift in range(days)))


def mean_known(stacked: Floats) -> Floats:
    """Mean over the first axis of what is known; NaN where nothing is, without a warning."""
    count = (~np.isnan(stacked)).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)
