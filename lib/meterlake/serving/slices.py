"""A slice is one source's month of a mart: the unit that is published again when something in it changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import groupby
from operator import attrgetter, or_
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from meterlake.serving.ddl import day, literal
from meterlake.tables.file_scan import FileScan
from meterlake.tables.spans import between, months_of
from meterlake.tables.table import Table


class Slice(NamedTuple):
    source: str
    month: date
    """First day of the month of the mart's day column."""


class Span(NamedTuple):
    """All days of months of a source that follow each other."""

    source: str
    first: date
    last: date


def slices_between(source: str, first: date, last: date) -> list[Slice]:
    """The slices of all months from the first to the last changed day."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [Slice(source, date(month // 12, month % 12 + 1, 1)) for month in months]


def spans(slices: Collection[Slice]) -> list[Span]:
    """The slices by source and in order of time."""
    by_source = groupby(sorted(slices), attrgetter("source"))
    return [Span(source, *span) for source, some in by_source for span in months_of(each.month for each in some)]


@dataclass(frozen=True)
class Wanted:
    """Which rows of a mart are published.

    Attributes:
        slices: None is every month. Their days are literals, too, so that files of others are skipped.
        without: sources that are not published.
    """

    table: Table
    slices: Collection[Slice] | None = None
    without: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """As Spark and ClickHouse both read it."""
        all_of = [f"source != {literal(source)}" for source in self.without]
        if self.slices is not None:
            each = (
                f"source = {literal(of.source)} AND {day(self.table)} BETWEEN DATE '{of.first}' AND DATE '{of.last}'"
                for of in spans(self.slices)
            )
            all_of.append(f"({' OR '.join(each) or 'false'})")
        return " AND ".join(all_of) or "true"

    def of_files(self, files: FileScan) -> FileScan:
        chosen = files.where(~pc.field("source").isin(pa.array(self.without, pa.string())))
        if self.slices is None:
            return chosen
        on = day(self.table)
        each = ((pc.field("source") == of.source) & between(on, [(of.first, of.last)]) for of in spans(self.slices))
        return chosen.where(reduce(or_, each, pc.scalar(False)))
