"""The hour that a local clock shows twice in autumn: which of two lines with one stamp comes first.

Nothing in such a line says it, but the order of the lines does, where a file is written as time passes: the stamps of
the hour rise, fall back once, and rise again. Only that is taken for an answer. Where the file is in another order, or
a stamp stands there three times, all lines of the hour are rejected (QC-15, `unclear_hour`). An hour that stands there
once is read as the first one, and completeness shows that the other is missing.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from meterlake.sources.source import FIXED_OFFSET, Source
from meterlake.tables.spans import Span
from meterlake.transforms.stg_meter_readings import local_time

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Repeated:
    """Local times from `start` to before `end` that come twice; the second time is `end - start` later."""

    start: datetime
    end: datetime


def repeated_hours(zone: str, spans: list[Span]) -> list[Repeated]:
    """The repeated hours of a zone's clock on these local days."""
    if FIXED_OFFSET.match(zone):
        return []
    return [hour for span in spans for hour in _repeated_in(ZoneInfo(zone), *span)]


def _repeated_in(clock: ZoneInfo, first: date, last: date) -> list[Repeated]:
    # A day more on either side: days are walked through in UTC. There is none before the year 1 or after 9999.
    first, last = max(first, date(1, 1, 2)), min(last, date(9999, 12, 28))
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    midnights = [begin + timedelta(days=n) for n in range((last - first).days + 4)]
    found = (_repeated(clock, start, start + timedelta(days=1)) for start in midnights)
    return [hour for hour in found if hour and first <= hour.start.date() <= last]


def _repeated(clock: ZoneInfo, early: datetime, late: datetime) -> Repeated | None:
    """The local times that come twice because the clock is put back between two instants."""
    before, after = _offset(clock, early), _offset(clock, late)
    if after >= before:
        return None
    while late - early > MINUTE:
        middle = early + (late - early) // 2 // MINUTE * MINUTE
        early, late = (middle, late) if _offset(clock, middle) == before else (early, middle)
    changes = late.replace(tzinfo=None)
    return Repeated(changes + after, changes + before)


def _offset(clock: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(clock).utcoffset() or timedelta(0)


def told_apart(rows: DataFrame, hours: list[Repeated], source: Source) -> DataFrame:
    """Interpreted rows, those of the second time moved to it and those that nobody can tell marked `unclear_hour`.

    Only the lines of the days on which an hour is repeated are compared with each other.

    Args:
        rows: result of `stg_meter_readings.interpret`.
        hours: what `repeated_hours` found for the days of the rows.
    """
    if not hours:
        return rows
    days = [hour.start.date() for hour in hours]
    on_day = F.coalesce(F.col("stamp_local").cast("date").isin(days), F.lit(False))
    compared = _compared(rows.where(on_day), hours)
    moved = F.col("reading_timestamp") + F.make_dt_interval(secs=F.col("shift_s"))
    instant = F.when(F.col("is_second"), moved).otherwise(F.col("reading_timestamp"))
    placed = compared.withColumn("reading_timestamp", instant).withColumns(
        {
            "reading_date_local": local_time(F.col("reading_timestamp"), source).cast("date"),
            "unclear_hour": F.col("is_unclear"),
        }
    )
    return rows.where(~on_day).unionByName(placed.select(rows.columns))


def _compared(rows: DataFrame, hours: list[Repeated]) -> DataFrame:
    """Rows of the days concerned with `shift_s`, `is_second` and `is_unclear`."""
    stamp, twice = F.col("stamp_local"), F.col("shift_s") > 0
    day = ["meter_id", "file_id", "day"]
    of_day, of_hour = Window.partitionBy(*day), Window.partitionBy(*day, "shift_s")
    in_order = of_hour.orderBy("line_order")
    known = rows.withColumn("shift_s", _shift(stamp, hours)).withColumn("day", stamp.cast("date"))
    rises = F.max_by(stamp, "line_order").over(of_day) > F.min_by(stamp, "line_order").over(of_day)
    passes = known.withColumn("falls", (stamp <= F.lag(stamp).over(in_order)).cast("int")).withColumn(
        "passed", F.coalesce(F.sum("falls").over(in_order), F.lit(0))
    )
    second = F.sum(F.when(F.col("passed") == 1, 1).otherwise(0)).over(of_hour)
    lines, stamps = F.count("*").over(of_hour), F.size(F.collect_set(stamp).over(of_hour))
    answer = rises & (F.max("passed").over(of_hour) == 1) & (second == stamps) & (lines == 2 * stamps)
    return passes.withColumns(
        {
            "is_second": twice & answer & (F.col("passed") == 1),
            "is_unclear": twice & (lines > stamps) & ~answer,
        }
    )


def _shift(stamp: Column, hours: list[Repeated]) -> Column:
    """Seconds by which a stamp's second time is later than its first; 0 where it comes once."""
    shift = F.lit(0)
    for hour in hours:
        # As text: a datetime without a zone would be taken for one of the driver's own zone.
        start, end = (F.lit(f"{moment}").cast("timestamp_ntz") for moment in (hour.start, hour.end))
        within = (stamp >= start) & (stamp < end)
        shift = F.when(within, int((hour.end - hour.start).total_seconds())).otherwise(shift)
    return shift
