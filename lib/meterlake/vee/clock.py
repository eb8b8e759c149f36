"""A source's clock as arrays: how far local time is ahead of UTC at each minute, and when that changes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from meterlake.sources.source import FIXED_OFFSET

Ints = NDArray[np.int64]
DAY_MINUTES, EPOCH = 1440, date(1970, 1, 1)
# Zone rules are read between these years; a stamp outside takes the offset of the nearest.
FIRST_YEAR, LAST_YEAR = 1990, 2050


@dataclass(frozen=True)
class Clock:
    """Offsets of a zone.

    Attributes:
        changes: minutes since 1970 UTC at which the offset changes, ascending; the first is the beginning of time.
        offsets: minutes ahead of UTC from each of them on.
    """

    changes: Ints
    offsets: Ints

    def offset(self, minute: Ints) -> Ints:
        """Minutes that local time is ahead of UTC at each UTC minute."""
        return self.offsets[np.searchsorted(self.changes, minute, side="right") - 1]

    def folded(self, minute: Ints) -> Ints:
        """Minutes since the clock went back where the hour is one that comes twice, -1 elsewhere."""
        last = np.searchsorted(self.changes, minute, side="right") - 1
        back = self.offsets[np.maximum(last - 1, 0)] - self.offsets[last]
        since = minute - self.changes[last]
        return np.where(since < back, since, -1)

    def utc(self, wall: Ints) -> Ints:
        """UTC minutes of local ones: the first of a time that comes twice; what does not exist is taken as later."""
        guess = wall - self.offset(wall - self.offsets.max())
        return np.where(guess + self.offset(guess) == wall, guess, wall - self.offset(wall))

    def first_minute(self, day: Ints) -> Ints:
        """UTC minute at which each local day (days since 1970) begins: at its midnight, the first of two, and where
        there is none, at the change of the clock that leaves it out.
        """
        last = np.append(self.changes[1:], np.iinfo(np.int64).max)
        begins = np.maximum(self.changes, day[:, None] * DAY_MINUTES - self.offsets)
        return np.asarray(np.where(begins < last, begins, last.max()).min(axis=1))

    def divides(self, interval_minutes: int) -> bool:
        """Whether every change of the clock is a whole number of intervals: then intervals are evenly spaced in UTC."""
        return not np.any(np.diff(self.offsets) % interval_minutes)

    def knows(self, first: date, last: date) -> bool:
        """Whether the zone's rules are read for all days from one to another."""
        return len(self.changes) == 1 or (first.year >= FIRST_YEAR and last.year < LAST_YEAR)

    def ahead_throughout(self, first: date, last: date) -> timedelta | None:
        """How far local time is ahead of UTC from the beginning of one local day to the end of another; None where that
        changes, or lies outside of the years for which a zone's rules are read.
        """
        if not self.knows(first, last):
            return None
        # A day more on either side, as the days are local ones.
        begin, end = ((first - EPOCH).days - 1) * DAY_MINUTES, ((last - EPOCH).days + 2) * DAY_MINUTES
        offsets = np.unique(self.offset(np.array([begin, *(at for at, _, _ in self.between(begin, end)), end])))
        return timedelta(minutes=int(offsets[0])) if len(offsets) == 1 else None

    def between(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """The changes between two UTC minutes: when, offset before and offset after."""
        begin, end = np.searchsorted(self.changes, [first, last + 1])
        return [
            (int(self.changes[i]), int(self.offsets[i - 1]), int(self.offsets[i]))
            for i in range(max(1, int(begin)), int(end))
        ]


@lru_cache
def clock_of(zone: str) -> Clock:
    """The clock of an IANA zone, of a fixed offset like +01:00, or of UTC."""
    if FIXED_OFFSET.match(zone):
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        return Clock(np.array([-(2**62)]), np.array([-minutes if zone[0] == "-" else minutes]))
    info, moment = ZoneInfo(zone), datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    changes, offsets = [-(2**62)], [_ahead(info, moment)]
    while moment.year < LAST_YEAR:
        following = moment + timedelta(days=1)
        if _ahead(info, following) != offsets[-1]:
            at = _change_between(info, moment, following)
            changes.append(int(at.timestamp()) // 60)
            offsets.append(_ahead(info, following))
        moment = following
    return Clock(np.array(changes), np.array(offsets))


def _ahead(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def _change_between(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """The first minute with the later offset, by bisection."""
    before = _ahead(zone, early)
    while late - early > timedelta(minutes=1):
        middle = early + timedelta(minutes=int((late - early).total_seconds()) // 120)
        early, late = (middle, late) if _ahead(zone, middle) == before else (early, middle)
    return late
