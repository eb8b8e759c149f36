"""What is computed again: everything of a source, a period of it, or some meter-days."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.tables.changes import Changes
from meterlake.tables.shared_columns import READING_DATE_LOCAL

DAY = READING_DATE_LOCAL.name
PAIR = ["meter_id", DAY]


@dataclass(frozen=True)
class Scope:
    """Rows of one source by their `meter_id` and `reading_date_local`.

    Attributes:
        first, last: local days, both included; None is everything of the source.
        days: distinct `meter_id`, `reading_date_local`; with them the scope is these meter-days, and also every line
            that names no meter or no time, as nothing else tells when to look at it again.
    """

    source: str
    first: date | None = None
    last: date | None = None
    days: DataFrame | None = None

    @property
    def whole(self) -> bool:
        return self.first is None

    def of(self, frame: DataFrame) -> DataFrame:
        """Its rows of a frame with `source`, `meter_id` and `reading_date_local`."""
        own = frame.where(F.col("source") == self.source)
        if self.first is None or self.last is None:
            return own
        inside = own.where(F.col(DAY).between(self.first, self.last))
        if self.days is None:
            return inside
        return inside.join(self.days, on=PAIR, how="left_semi").unionByName(own.where(stray()))

    def lines(self, bronze: DataFrame) -> DataFrame:
        """The lines of bronze among which its own are: two days more, as a clock and a stamp may move the day."""
        own = bronze.where(F.col("source") == self.source)
        if self.first is None or self.last is None:
            return own
        day = F.col("stamp_local").cast("date")
        near = day.between(self.first - timedelta(days=2), self.last + timedelta(days=2))
        no_meter = F.coalesce(F.trim("meter_id"), F.lit("")) == ""
        return own.where(near if self.days is None else near | day.isNull() | no_meter)

    def around(self, frame: DataFrame) -> DataFrame:
        """Rows of the same meters one day before and one day after it, which it must leave as they are."""
        if self.first is None or self.last is None:
            return frame.where(F.lit(False))
        if self.days is None:
            return frame.where((F.col("source") == self.source) & F.col(DAY).isin(*self._edges()))
        near = [self.days.withColumn(DAY, F.date_add(DAY, n)) for n in (-1, 1)]
        beside = reduce(DataFrame.unionByName, near).distinct().join(self.days, on=PAIR, how="left_anti")
        first, last = self._edges()
        bounded = frame.where((F.col("source") == self.source) & F.col(DAY).between(first, last))
        return bounded.join(beside, on=PAIR, how="left_semi")

    def from_the_day_before(self) -> "Scope":
        """With the day before each of its days."""
        if self.first is None:
            return self
        days = self.days
        if days is not None:
            days = days.unionByName(days.withColumn(DAY, F.date_sub(DAY, 1))).distinct()
        return replace(self, first=self._edges()[0], days=days)

    def changes(self, frames: list[DataFrame]) -> Changes:
        """Its meter-days with rows in one of the frames, as the steps take changes."""
        pairs = reduce(DataFrame.unionByName, (self.of(frame).select(*PAIR) for frame in frames)).dropna().distinct()
        days = pairs.select("meter_id", F.col(DAY).alias("day")).localCheckpoint()
        found = Changes.of_frame(self.source, days)
        return Changes(self.source, None, found.first, found.last) if self.whole else found

    def _edges(self) -> tuple[date, date]:
        assert self.first is not None
        assert self.last is not None
        return self.first - timedelta(days=1), self.last + timedelta(days=1)


def of_pairs(source: str, pairs: DataFrame) -> Scope:
    """The scope of these meter-days (`meter_id`, `reading_date_local`; nulls are left out, see `Scope.days`)."""
    # Not persisted: Spark would make a persisted frame anew after each commit to a table that the pairs are found in.
    days = pairs.select("meter_id", DAY).dropna().where(F.col("meter_id") != "").distinct().localCheckpoint()
    first, last = days.agg(F.min(DAY), F.max(DAY)).head() or (None, None)
    never = date(1900, 1, 1)  # no meter-day: only the lines without meter or time
    return Scope(source, first or never, last or never, days)


def stray() -> Column:
    """True for a line or quarantined row without meter or time."""
    return (F.coalesce("meter_id", F.lit("")) == "") | F.col("reading_timestamp").isNull()
