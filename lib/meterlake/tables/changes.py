"""Which meter-days changed: what a step has to compute again, and what it has to read for that."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, reduce
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.shares import frame_of, frame_of_batches
from meterlake.tables.meter_day_set import MeterDaySet
from meterlake.tables.spans import Span, around, bridged, last_day, months_of, on_days, widened

# As many pairs are held by the driver and stand in plans as values: 20 MB.
FEW_PAIRS = 500_000
# Where so many pairs changed, a day on which most of the meters did is taken with all of them: to look each up costs
# more (docs/performance.md), and of a utility's day there are millions.
MANY_PAIRS, MOST_OF_METERS = 1_000, 0.5
PAIRS = pa.schema({"meter_id": pa.string(), "day": pa.date32()})
# From a changed day to the days that depend on it, or to what stands for those.
DaysOf = Callable[[date], Iterable[date]]


@dataclass(frozen=True)
class Changes:
    """The changed (meter, local day) pairs of one source.

    Attributes:
        source: name of the source.
        days: distinct `meter_id`, `day`; None when everything of the source counts as changed.
        first: first changed day; None together with `last` when nothing changed.
        last: last changed day.
        few: the pairs that have to be looked up, where they are few: all of them, or those of days that are not whole.
        whole: days on which all meters are taken, as most of them changed.
    """

    source: str
    days: DataFrame | None
    first: date | None
    last: date | None
    few: pa.Table | None = None
    whole: frozenset[date] = frozenset()

    @classmethod
    def of_few(
        cls, spark: SparkSession, source: str, rows: pa.Table, day: str = "day", meters: int | None = None
    ) -> "Changes":
        """Changes of a few rows' meters and days, distinct or not.

        Args:
            day: the column that is their day.
            meters: how many the source has, where days may be taken as whole.
        """
        pairs = distinct(rows.select(["meter_id", day]).rename_columns(PAIRS.names).cast(PAIRS))
        frame = frame_of_batches(spark, pairs.to_batches(), from_arrow_schema(PAIRS))
        if meters and pairs.num_rows >= MANY_PAIRS:
            counts = pairs.group_by("day").aggregate([([], "count_all")])
            whole = _whole(zip(*(column.to_pylist() for column in counts.itercolumns()), strict=True), meters)
            if whole:
                return cls._of_whole(source, frame, pairs, whole)
        days = pc.min_max(pairs.column("day")).as_py()
        return cls(source, frame, days["min"], days["max"], pairs)

    @classmethod
    def of_frame(cls, source: str, days: DataFrame, meters: int | None = None) -> "Changes":
        """Changes of distinct `meter_id`, `day` that Spark finds, which are looked at here and now.

        Args:
            days: what may be read more than once.
            meters: how many the source has, where days may be taken as whole.
        """
        few = days.limit(FEW_PAIRS + 1).toArrow()
        if few.num_rows <= FEW_PAIRS:
            return cls.of_few(days.sparkSession, source, few, meters=meters)
        counts = {row.day: row["count"] for row in days.groupBy("day").count().collect()}
        whole = _whole(counts.items(), meters) if meters else frozenset()
        if sum(count for day, count in counts.items() if day not in whole) > FEW_PAIRS:
            return cls(source, days, min(counts), max(counts))
        return cls._of_whole(source, days, days.where(~F.col("day").isin(list(whole))).toArrow().cast(PAIRS), whole)

    @classmethod
    def _of_whole(cls, source: str, days: DataFrame, few: pa.Table, whole: frozenset[date]) -> "Changes":
        """Changes of whole days, perhaps none, and of a few meters on others; `days` has the pairs of both."""
        if not whole:
            return cls.of_few(days.sparkSession, source, few)
        apart = distinct(few.filter(~pc.field("day").isin(list(whole))))
        ends = {*whole, *apart.column("day").unique().to_pylist()}
        return cls(source, days, min(ends), max(ends), apart, whole)

    @property
    def nothing(self) -> bool:
        return self.first is None

    @property
    def everything(self) -> bool:
        return self.days is None and not self.nothing

    def spans(self, before: int = 0, after: int = 0) -> list[Span]:
        """What to read: the changed days, with so many before and after each, and perhaps what lies between; all days
        of the source where everything counts as changed.
        """
        if self.days is None:
            return self.end_to_end(before, after)
        return bridged(around(self.each_day, before, after))

    def end_to_end(self, before: int = 0, after: int = 0) -> list[Span]:
        """The days from so many before the first change to so many after the last."""
        return widened([(self.first, self.last)], before, after) if self.first and self.last else []

    def months(self) -> list[Span]:
        """The whole months of the changed days, in the same way."""
        if self.days is None:
            return [(first.replace(day=1), last_day(last)) for first, last in self.end_to_end()]
        return bridged(months_of(self.each_day))

    def meters_in(self, frame: DataFrame, day: str, spans: list[Span]) -> DataFrame:
        """Rows of the changed meters in these days.

        The bounds are literals, so that Delta skips the files of other days; the semi-join on the (few) changed meters
        leaves out the rest of the rows early.
        """
        bounded = self._between(frame, day, spans)
        if self.days is None or self.whole:
            return bounded
        return bounded.join(self.days.select("meter_id").distinct(), on="meter_id", how="left_semi")

    def days_in(self, frame: DataFrame, day: str) -> DataFrame:
        """Rows of exactly the changed meter-days, and of all meters on whole days."""
        if self.whole:
            assert self.few is not None
            of_whole = self._between(frame, day, around(self.whole))
            others = Changes.of_few(frame.sparkSession, self.source, self.few)
            return of_whole if others.nothing else of_whole.unionByName(others.days_in(frame, day))
        bounded = self._between(frame, day, self.spans())
        if self.days is None:
            return bounded
        return bounded.join(self.days.withColumnRenamed("day", day), on=["meter_id", day], how="left_semi")

    def set_of(self, day: str) -> MeterDaySet | None:
        """The same for tasks to look rows up in, `day` being the column of their day; None where it is too large."""
        return None if self.few is None else MeterDaySet.of(self.few, day, self.whole)

    def also(self, days_of: DaysOf) -> "Changes":
        """The changes of what depends on these: `days_of` gives, for a changed day, the days concerned."""
        if self.days is None or self.nothing:
            return self
        spark = self.days.sparkSession
        concerned = [(day, other) for day in self.each_day for other in set(days_of(day))]
        whole = frozenset(other for day, other in concerned if day in self.whole)
        few = self._moved(concerned) if self.few is not None else None
        if few is not None and not whole:
            return Changes.of_few(spark, self.source, few)
        dependent = F.broadcast(frame_of(spark, concerned, "day date, other date"))
        pairs_of = self.days.join(dependent, on="day").select("meter_id", F.col("other").alias("day"))
        pairs_of = pairs_of.distinct().persist()
        if few is not None:
            return Changes._of_whole(self.source, pairs_of, few, whole)
        others = [other for _, other in concerned]
        return Changes(self.source, pairs_of, min(others), max(others))

    def _moved(self, concerned: list[tuple[date, date]]) -> pa.Table | None:
        """The few pairs with each other day that their day concerns; None where those are not few."""
        assert self.few is not None
        to_other = pa.table(dict(zip(("day", "other"), map(pa.array, zip(*concerned, strict=True)), strict=True)))
        of_day = self.few.group_by("day").aggregate([([], "count_all")]).join(to_other, keys="day")
        if (pc.sum(of_day.column("count_all")).as_py() or 0) > FEW_PAIRS:
            return None
        moved = self.few.join(to_other, "day", join_type="inner")
        return moved.select(["meter_id", "other"]).rename_columns(PAIRS.names)

    @cached_property
    def each_day(self) -> list[date]:
        """The changed days, of changes whose days are told; found by a job where they are not few, and then kept."""
        if self.few is not None:
            return sorted(self.whole.union(self.few.column("day").unique().to_pylist()))
        return sorted(row.day for row in self.days.select("day").distinct().collect()) if self.days else []

    def until(self, day: date) -> "Changes":
        """What changed up to that day, of changes whose days are told."""
        if self.last is None or self.first is None or self.last <= day:
            return self
        if day < self.first:
            return Changes(self.source, None, None, None)
        assert self.days is not None
        days, whole = self.days.where(F.col("day") <= F.lit(day)), frozenset(one for one in self.whole if one <= day)
        if self.few is None:
            return Changes.of_frame(self.source, days)
        few = self.few.filter(pc.field("day") <= pa.scalar(day))
        return Changes._of_whole(self.source, days, few, whole)

    def or_in(self, *others: "Changes") -> "Changes":
        """What changed here or in others of the same source."""
        some = [one for one in (self, *others) if one.first and one.last]
        if len(some) < 2:
            return some[0] if some else self
        first, last = min(one.first for one in some if one.first), max(one.last for one in some if one.last)
        lists = [one.days.select("meter_id", "day") for one in some if one.days is not None]
        if len(lists) < len(some):
            return Changes(self.source, None, first, last)
        few, whole = [one.few for one in some if one.few is not None], frozenset[date]().union(*(o.whole for o in some))
        are_few = len(few) == len(some) and sum(pairs.num_rows for pairs in few) <= FEW_PAIRS
        if are_few and not whole:
            return Changes.of_few(lists[0].sparkSession, self.source, pa.concat_tables(few))
        days = reduce(DataFrame.unionByName, lists).distinct().persist()
        if are_few:
            return Changes._of_whole(self.source, days, pa.concat_tables(few), whole)
        return Changes(self.source, days, first, last)

    def _between(self, frame: DataFrame, day: str, spans: list[Span]) -> DataFrame:
        of_source = frame.where(F.col("source") == self.source)
        return of_source if self.everything else of_source.where(on_days(day, spans))


def _whole(counts: Iterable[tuple[date, int]], meters: int) -> frozenset[date]:
    """The days of which most of so many meters are counted."""
    return frozenset(day for day, count in counts if count > MOST_OF_METERS * meters)


def following_days(count: int, until: date | None = None) -> DaysOf:
    """A day and the `count` days after it, none of them after `until`."""

    def days_of(day: date) -> list[date]:
        after = (day + timedelta(days=number) for number in range(1, count + 1))
        return [day, *(later for later in after if until is None or later <= until)]

    return days_of


def month_of(day: date) -> list[date]:
    """The first day of the day's month."""
    return [day.replace(day=1)]


def distinct(pairs: pa.Table) -> pa.Table:
    """Rows of PAIRS, each once."""
    return cast(pa.Table, pairs.group_by(PAIRS.names).aggregate([]))
