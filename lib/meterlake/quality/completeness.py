"""Completeness: the readings that a meter's local days should have, against those that they have."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source

DAY_MINUTES = 1440


def completeness(daily: DataFrame, source: Source) -> DataFrame:
    """Expected against actual readings of every meter and local day, from the meter's first to its last day.

    A day between them that has no row in `daily` is a day with 0 readings, not a day that is left out. Where lengths
    vary, it counts in intervals of the source's declared length.

    Args:
        daily: rows of int_readings_daily of this source.

    Returns:
        source, meter_id, reading_date_local, expected_count, reading_count, missing_count (all counts bigint) and
        completeness (0-1; above 1 where more readings than intervals are counted).
    """
    own_length = ["interval_minutes"] if source.varies else []
    counted = daily.select("source", "meter_id", "reading_date_local", "reading_count", *own_length)
    length = F.coalesce("interval_minutes", F.lit(source.interval_minutes)) if own_length else source.interval_minutes
    expected = expected_intervals(F.col("reading_date_local"), source.time_zone, length)
    return (
        _every_day(counted)
        .join(counted, on=["source", "meter_id", "reading_date_local"], how="left")
        .withColumn("expected_count", expected)
        .where(F.col("expected_count") > 0)
        .withColumn("reading_count", F.coalesce("reading_count", F.lit(0).cast("bigint")))
        .select(
            "source",
            "meter_id",
            "reading_date_local",
            "expected_count",
            "reading_count",
            F.greatest(F.col("expected_count") - F.col("reading_count"), F.lit(0).cast("bigint")).alias(
                "missing_count"
            ),
            (F.col("reading_count") / F.col("expected_count")).alias("completeness"),
        )
    )


def expected_intervals(day: Column, zone: str, interval_minutes: int | Column) -> Column:
    """Intervals that begin on the local `day` (a date) of a clock in `zone`, as bigint.

    A local day lasts from its first instant to the first instant of the next: 23, 24 or 25 h, 23.5 h where the clock
    moves by half an hour, 0 h for a day that a zone left out (Samoa, 30 December 2011). Where midnight itself does not
    exist (Brazil until 2018) the day begins at 01:00. A change of the clock adds or removes only the whole intervals
    it holds, so a daily or two-hourly meter has as many intervals on such a day as on any other. The result does not
    depend on Spark's session time zone.
    """
    shift = _minutes_between(_first_instant(day, zone), _first_instant(F.date_add(day, 1), zone)) - DAY_MINUTES
    shifted = F.signum(shift) * F.floor(F.abs(shift) / interval_minutes)
    usual = F.floor(F.lit(DAY_MINUTES) / interval_minutes)
    return (usual + shifted).cast("bigint")


def _first_instant(day: Column, zone: str) -> Column:
    """Start of the local day on the UTC clock. Without a zone of its own, so no session setting can move it."""
    return F.convert_timezone(F.lit(zone), F.lit("UTC"), day.cast("timestamp_ntz"))


def _minutes_between(start: Column, end: Column) -> Column:
    """Not `timestamp_diff`: it reads both ends on the session's clock, with its summer time."""
    return (end - start).cast("interval minute").cast("bigint")


def _every_day(counted: DataFrame) -> DataFrame:
    """source, meter_id, reading_date_local: each day between a meter's first and last one, without gaps."""
    span = F.sequence(F.min("reading_date_local"), F.max("reading_date_local"))
    return counted.groupBy("source", "meter_id").agg(F.explode(span).alias("reading_date_local"))
