"""What kind of day a local date is: working days, weekends and holidays are not used alike."""

from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meterlake.errors import UsageError

WEEKDAY, WEEKEND, HOLIDAY = 0, 1, 2
SATURDAY_AND_SUNDAY = frozenset({5, 6})
EPOCH = date(1970, 1, 1).toordinal()


def kinds(local_day: NDArray[np.integer], country: str | None = None) -> NDArray[np.int8]:
    """The kind of each local day: WEEKDAY, WEEKEND or HOLIDAY; a holiday on a weekend is a HOLIDAY.

    Args:
        local_day: days since 1970-01-01 on the local clock, in any order and number.
        country: ISO 3166 code of a country (GB) or a part of it (GB-ENG, AU-NSW), whose public holidays and weekend
            hold; None: no holidays, and Saturday and Sunday are the weekend.

    Raises:
        UsageError: the package `holidays` knows no such country.
    """
    days, place = np.unique(local_day, return_inverse=True)
    weekend = _weekend(country) if country else SATURDAY_AND_SUNDAY
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    kind = np.where(np.isin(weekday, list(weekend)), WEEKEND, WEEKDAY).astype(np.int8)
    if country and len(days):
        years = range(_year(days[0]), _year(days[-1]) + 1)
        kind[np.isin(days, np.concatenate([_holidays(country, year) for year in years]))] = HOLIDAY
    return kind[place.reshape(np.shape(local_day))]


@lru_cache
def _weekend(country: str) -> frozenset[int]:
    return frozenset(_calendar(country, None).weekend)


@lru_cache(maxsize=1000)
def _holidays(country: str, year: int) -> NDArray[np.int64]:
    """The holidays of a year, days since 1970-01-01."""
    return np.array([day.toordinal() - EPOCH for day in _calendar(country, year)], dtype=np.int64)


def _calendar(country: str, year: int | None):  # type: ignore[no-untyped-def]  # a class that holidays makes up
    import holidays  # takes a quarter of a second; only sources with a country need it

    code, _, part = country.partition("-")
    try:
        return holidays.country_holidays(code, subdiv=part or None, years=year)
    except NotImplementedError:
        raise UsageError(
            f"country {country!r} has no calendar of holidays; declare an ISO 3166 code like GB, GB-ENG or AU-NSW."
        ) from None


def _year(day: int) -> int:
    return date.fromordinal(EPOCH + int(day)).year
