"""Whole months: what a mart is made again by whose rows are about many meters."""

from datetime import date
from typing import TYPE_CHECKING

from meterlake.tables.changes import Changes
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.spans import months_of, on_days

if TYPE_CHECKING:
    from meterlake.tables.store import Store

DAY = READING_DATE_LOCAL.name


def all_months(store: "Store", source: str) -> list[date]:
    """The first days of all months that the source has readings of."""
    asked = "SELECT DISTINCT month_local AS month FROM int_readings_monthly WHERE source = :source ORDER BY month"
    return [row.month for row in store.ask(asked, source=source)]


def changed_months(*changes: Changes) -> list[date]:
    """The first days of the months that hold a changed day."""
    return sorted({day.replace(day=1) for changed in changes for day in changed.each_day})


def later(month: date, by: int = 1) -> date:
    """The first day of the month so many months after the one of `month`."""
    number = month.year * 12 + month.month - 1 + by
    return date(number // 12, number % 12 + 1, 1)


def about(months: list[date]) -> str:
    """A condition on the month of a row that is about one."""
    return " OR ".join(f"month_local = DATE'{month}'" for month in months) or "false"


def within(months: list[date], day: str = DAY) -> str:
    """A condition on the day of rows that lie in these months."""
    return on_days(day, months_of(months))
