"""Which meter-days changed: what a step has to compute again, and what it has to read for that."""

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import DataFrame
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

    def days_in(self, frame: DataFrame, day: str, after: int = 0) -> DataFrame:
        """Rows of exactly the changed meter-days, each also `after` days later."""
        bounded = self._between(frame, day, 0, after)
        if self.days is None:
            return bounded
        return bounded.join(self._widened(after).withColumnRenamed("day", day), on=["meter_id", day], how="left_semi")

    def widened(self, after: int) -> "Changes":
        """The same changes, each also on the `after` following days: what depends on them."""
        if self.nothing or self.last is None:
            return self
        days = None if self.days is None else self._widened(after)
        return Changes(self.source, days, self.first, self.last + timedelta(days=after))

    def by_month(self) -> "Changes":
        """The same changes as meter-months: `day` is the first of the month."""
        if self.first is None or self.last is None:
            return self
        days = None
        if self.days is not None:
            days = self.days.select("meter_id", F.trunc("day", "month").alias("day")).distinct()
        return Changes(self.source, days, self.first.replace(day=1), self.last)

    def _between(self, frame: DataFrame, day: str, before: int, after: int) -> DataFrame:
        of_source = frame.where(F.col("source") == self.source)
        if self.everything:
            return of_source
        if self.first is None or self.last is None:
            return of_source.where(F.lit(False))
        return of_source.where(F.col(day).between(self.first - timedelta(days=before), self.last + timedelta(days=after)))

    def _widened(self, after: int) -> DataFrame:
        assert self.days is not None
        if after == 0:
            return self.days
        following = F.explode(F.sequence("day", F.date_add("day", after)))
        return self.days.select("meter_id", following.alias("day")).distinct()
