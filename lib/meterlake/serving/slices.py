"""A slice is one source's month of a mart: the unit that is published again when something in it changed."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.serving.ddl import day
from meterlake.tables.table import Table


class Slice(NamedTuple):
    source: str
    month: date
    """First day of the month of the mart's day column."""


def slices_between(source: str, first: date, last: date) -> list[Slice]:
    """The slices of all months from the first to the last changed day."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [Slice(source, date(month // 12, month % 12 + 1, 1)) for month in months]


def within(table: Table, frame: DataFrame, slices: Collection[Slice] | None) -> DataFrame:
    """The rows of the slices (None: all rows).

    The bounds of a source's months are literals too, so that Delta skips the files of other months.
    """
    if slices is None:
        return frame
    wanted = F.lit(False)
    for source in sorted({each.source for each in slices}):
        months = sorted(each.month for each in slices if each.source == source)
        wanted = wanted | _in_months(source, months, day(table))
    return frame.where(wanted)


def _in_months(source: str, months: list[date], column: str) -> Column:
    bounds = F.col(column).between(F.lit(months[0]), F.last_day(F.lit(months[-1])))
    return (F.col("source") == source) & bounds & F.trunc(column, "month").isin(months)
