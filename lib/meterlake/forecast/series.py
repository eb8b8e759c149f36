"""Load of an element by the hour: sums of meters. An hour that too few meters reported is unknown, not small."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from meterlake.sources.source import Source
from meterlake.vee.clock import DAY_MINUTES, Clock, clock_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# An hour with less than this share of its usual readings is unknown.
COVERAGE_FLOOR = 0.95
# What is usual: the median of so many days up to the hour. An outage becomes usual after half of it.
USUAL_DAYS = 28


@dataclass(frozen=True)
class LoadSeries:
    """Hours of one element without a gap in time; arrays are (n,).

    Attributes:
        first_minute: start of the first hour, minutes since 1970 UTC.
        kwh: energy of each hour, NaN where unknown.
        temperature_c: mean air temperature of each hour, NaN where unknown; None where the source delivers none.
    """

    first_minute: int
    kwh: Floats
    temperature_c: Floats | None = None

    @property
    def minutes(self) -> Ints:
        """(n,) starts of the hours, minutes since 1970 UTC."""
        return self.first_minute + 60 * np.arange(len(self.kwh), dtype=np.int64)


@dataclass(frozen=True)
class Wall:
    """A series on the clock that people live by.

    Attributes:
        first_day: the first row's local day, days since 1970-01-01.
        kwh: (days, 24) energy by local day and hour. An hour that comes twice is the mean of both; one that does not
            come, and one that is not known, is NaN.
        temperature_c: the same of the temperature, or None.
    """

    first_day: int
    kwh: Floats
    temperature_c: Floats | None = None


def people_live_by(source: Source) -> Clock:
    """The clock of the source's customers: its civil zone where the files run on another one."""
    return clock_of(source.vee.civil_time_zone or source.time_zone)


def summed(
    minute: Ints, kwh: Floats, completeness: Floats, temperature_c: Floats | None = None, until: int | None = None
) -> LoadSeries:
    """The series of hours whose sums stand in any order; hours that are absent are unknown.

    Args:
        minute: (m,) start of each hour, minutes since 1970 UTC, each once.
        kwh: (m,) sum over the known readings.
        completeness: (m,) sum over the meters of known readings / expected ones: how many meters reported.
        until: where the series ends (no hour is later), minutes since 1970 UTC; None: with its last hour.
    """
    place = (minute - minute.min()) // 60
    size = int(place.max()) + 1 if until is None else int(until - minute.min()) // 60
    reporting, energy, warmth = (np.full(size, np.nan) for _ in range(3))
    reporting[:] = 0.0
    reporting[place], energy[place] = completeness, kwh
    if temperature_c is not None:
        warmth[place] = temperature_c
    energy[(reporting <= 0) | (reporting < COVERAGE_FLOOR * usual(reporting))] = np.nan
    return LoadSeries(int(minute.min()), energy, None if temperature_c is None else warmth)


def usual(reporting: Floats) -> Floats:
    """(n,) median of the reporting meters in the USUAL_DAYS that end with each hour; of no later hour."""
    window = USUAL_DAYS * 24
    padded = np.concatenate([np.full(window - 1, np.nan), reporting])
    # One value a day is enough for a median of weeks, and 24 times quicker: hours of the same time of day.
    return np.asarray(np.nanmedian(sliding_window_view(padded, window)[:, 23::24], axis=1))


def on_the_wall(series: LoadSeries, clock: Clock) -> Wall:
    """The series by local day and hour."""
    day, hour = local(series.minutes, clock)
    first = int(day[0])
    place = (day - first) * 24 + hour
    size = (int(day[-1]) - first + 1) * 24
    warmth = None if series.temperature_c is None else _means(series.temperature_c, place, size)
    return Wall(first, _means(series.kwh, place, size), warmth)


def local(minute: Ints, clock: Clock) -> tuple[Ints, Ints]:
    """Local day (days since 1970-01-01) and hour of the day of UTC minutes."""
    day, within = np.divmod(minute + clock.offset(minute), DAY_MINUTES)
    return day, within // 60


def _means(values: Floats, place: Ints, size: int) -> Floats:
    """(size / 24, 24) means of the values at each place; NaN where there is none."""
    known = ~np.isnan(values)
    counts = np.bincount(place[known], minlength=size)
    sums = np.bincount(place[known], weights=values[known], minlength=size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).reshape(-1, 24)
