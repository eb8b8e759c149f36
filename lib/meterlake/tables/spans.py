"""Spans of days: what a step reads and which files it opens, where the days that changed lie far apart."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import date, timedelta
from functools import reduce
from itertools import pairwise
from operator import or_

import pyarrow as pa
import pyarrow.compute as pc

# First and last day.
Span = tuple[date, date]
A_DAY = timedelta(days=1)
# A condition of more parts costs more than the days between two of them.
MOST_SPANS = 24


def around(days: Iterable[date], before: int = 0, after: int = 0) -> list[Span]:
    """The days, with so many before and after each."""
    return widened(((day, day) for day in days), before, after)


def widened(spans: Iterable[Span], before: int, after: int) -> list[Span]:
    """The spans with so many days before and after each, of those that there are: a stamp may be of the year 1."""
    return joined((_moved(first, -before), _moved(last, after)) for first, last in spans)


def months_of(days: Iterable[date]) -> list[Span]:
    """The whole months of the days."""
    return joined((day.replace(day=1), last_day(day)) for day in days)


def last_day(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same days in as few spans as can be, in order."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first - found[-1][1] <= A_DAY:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def bridged(spans: list[Span]) -> list[Span]:
    """These days, of spans in order, and the shortest gaps between them, so that there are MOST_SPANS at most."""
    by_gap = sorted(range(1, len(spans)), key=lambda number: spans[number - 1][1] - spans[number][0])
    begins = sorted([0, *by_gap[: MOST_SPANS - 1]])
    return [(spans[begin][0], spans[end - 1][1]) for begin, end in pairwise([*begins, len(spans)]) if spans]


def between(day: str, spans: Iterable[Span]) -> pc.Expression:
    """The rows of these days, one or more, for Arrow."""
    each = ((pc.field(day) >= pa.scalar(first)) & (pc.field(day) <= pa.scalar(last)) for first, last in spans)
    return reduce(or_, each)


def on_days(day: str, spans: Iterable[Span]) -> str:
    """The same in SQL, of literals, so that Delta skips the files of other days."""
    each = (f"{day} BETWEEN DATE'{first}' AND DATE'{last}'" for first, last in spans)
    return f"({' OR '.join(each) or 'false'})"


def _moved(day: date, by: int) -> date:
    return date.fromordinal(min(max(day.toordinal() + by, date.min.toordinal()), date.max.toordinal()))
