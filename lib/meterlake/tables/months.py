"""Whole months: what a mart is made again by whose rows are about many meters."""

from calendar import monthrange
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.tables.changes import Changes
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.store import Store

DAY = READING_DATE_LOCAL.name


def all_months(store: Store, source: str) -> list[date]:
    """The first days of all months that the source has readings of."""
    asked = "SELECT DISTINCT month_local AS month FROM int_readings_monthly WHERE source = :source ORDER BY month"
    return [row.month for row in store.ask(asked, source=source)]


def changed_months(*changes: Changes) -> list[date]:
    """The first days of the months that hold a changed day."""
    frames = [changed.days for changed in changes if changed.days is not None]
    if not frames:
        return []
    days = reduce(DataFrame.unionByName, frames)
    return sorted(row[0] for row in days.select(F.trunc("day", "month").cast("date")).distinct().collect())


def later(month: date, by: int = 1) -> date:
    """The first day of the month so many months after the one of `month`."""
    number = month.year * 12 + month.month - 1 + by
    return date(number // 12, number % 12 + 1, 1)


def about(months: list[date], everything: bool = False) -> str:
    """A condition on the month of a row that is about one."""
    return "true" if everything else " OR ".join(f"month_local = DATE'{month}'" for month in months) or "false"


def within(months: list[date]) -> str:
    """A condition on the day, of literals, so that Delta skips the files of other months."""
    ends = (month.replace(day=monthrange(month.year, month.month)[1]) for month in months)
    days = (f"{DAY} BETWEEN DATE'{first}' AND DATE'{last}'" for first, last in zip(months, ends, strict=True))
    return " OR ".join(days) or "false"
