"""Which meter-days changed: what a step has to compute again, and what it has to read for that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Changes:
    """The changed (meter, local day) pairs of one source.

    Attributes:
        source: name of the source.
        days: distinct `meter_id`, `day`; None when everything of the source counts as changed.
        first: first changed day; None together with `last` when nothing changed.
        last: last changed day.
    """

    source: str
    days: DataFrame | None
    first: date | None
    last: date | None

    @property
    def nothing(self) -> bool:
        return self.first is None

    @property
    def everything(self) -> bool:
        return self.days is None and not self.nothing

    def meters_in(self, frame: DataFrame, day: str, before: int = 0, after: int = 0) -> DataFrame:
        """Rows of the changed meters from `before` days before the first change to `after` days after the last.

        The bounds are literals, so that Delta skips the files of other days; the semi-join on the (few) changed meters
        leaves out the rest of the rows early.
        """
        bounded = self._between(frame, day, before, after)
        if self.days is None:
            return bounded
        return bounded.join(self.days.select("meter_id").distinct(), on="meter_id", how="left_semi")

    def days_in(self, frame: DataFrame, day: str) -> DataFrame:
        """Rows of exactly the changed meter-days."""
        bounded = self._between(frame, day, 0, 0)
        if self.days is None:
            return bounded
        return bounded.join(self.days.withColumnRenamed("day", day), on=["meter_id", day], how="left_semi")

    def also(self, days_of: Callable[[Column], Column]) -> "Changes":
        """The changes of what depends on these: `days_of` gives, for a changed day, the array of days concerned."""
        if self.days is None or self.nothing:
            return self
        days = self.days.select("meter_id", F.explode(days_of(F.col("day"))).alias("day")).distinct().persist()
        first, last = days.agg(F.min("day"), F.max("day")).head() or (None, None)
        return Changes(self.source, days, first, last)

    def until(self, day: date) -> "Changes":
        """What changed up to that day, of changes whose days are told."""
        if self.last is None or self.first is None or self.last <= day:
            return self
        if day < self.first:
            return Changes(self.source, None, None, None)
        assert self.days is not None
        return Changes(self.source, self.days.where(F.col("day") <= F.lit(day)), self.first, day)

    def or_in(self, *others: "Changes") -> "Changes":
        """What changed here or in others of the same source."""
        some = [one for one in (self, *others) if one.first and one.last]
        if len(some) < 2:
            return some[0] if some else self
        first, last = min(one.first for one in some if one.first), max(one.last for one in some if one.last)
        lists = [one.days.select("meter_id", "day") for one in some if one.days is not None]
        if len(lists) < len(some):
            return Changes(self.source, None, first, last)
        return Changes(self.source, reduce(DataFrame.unionByName, lists).distinct().persist(), first, last)

    def _between(self, frame: DataFrame, day: str, before: int, after: int) -> DataFrame:
        of_source = frame.where(F.col("source") == self.source)
        if self.everything:
            return of_source
        if self.first is None or self.last is None:
            return of_source.where(F.lit(False))
        return of_source.where(
            F.col(day).between(self.first - timedelta(days=before), self.last + timedelta(days=after))
        )


def following_days(count: int, until: date | None = None) -> Callable[[Column], Column]:
    """A day and the `count` days after it, none of them after `until`."""

    def last(day: Column) -> Column:
        after = F.date_add(day, count)
        return F.greatest(day, F.least(after, F.lit(until))) if until else after

    return lambda day: F.sequence(day, last(day))


def month_of(day: Column) -> Column:
    """The first day of the day's month."""
    return F.array(F.trunc(day, "month").cast("date"))
