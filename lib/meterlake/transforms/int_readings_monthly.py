"""Days -> consumption, power and peak per meter and local calendar month."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality.completeness import expected_intervals
from meterlake.sources.source import Source
from meterlake.transforms.int_readings_daily import consumption_measures, peak_of
from meterlake.transforms.int_readings_hourly import minutes_of


def build(daily: DataFrame, source: Source) -> DataFrame:
    """Rows of `int_readings_monthly` from all days of the months concerned."""
    months = daily.withColumn("month_local", F.trunc("reading_date_local", "month").cast("date")).groupBy(
        "source", "meter_id", "month_local"
    )
    peak = peak_of("peak_hour_kwh", "peak_hour_start", "peak_hour_of_day").alias("peak")
    lengths = [
        minutes_of("reading_count").alias("known_minutes"),
        minutes_of("expected_count").alias("minutes_of_days"),
        F.sum("expected_count").alias("expected_of_days"),
        F.max_by("interval_minutes", "reading_date_local").alias("last_length"),
    ]
    return (
        months.agg(
            *consumption_measures(source),
            peak,
            F.max("peak_power_kw").alias("peak_power_kw"),
            *(lengths if source.varies else []),
        )
        .withColumn("expected_count", _expected_in_month(source))
        .withColumn("completeness", _completeness(source))
        .withColumn("peak_hour_start", F.col("peak.peak_hour_start"))
        .withColumn("peak_hour_of_day", F.col("peak.peak_hour_of_day"))
        .withColumn("peak_hour_kwh", F.col("peak.peak_hour_kwh"))
        .drop("peak", "known_minutes", "minutes_of_days", "expected_of_days", "last_length")
    )


def _expected_in_month(source: Source) -> Column:
    """Intervals of the whole calendar month: a meter that starts on the 10th is not complete.

    Where lengths vary, a day without a row counts in intervals of the length that the month's last day has.
    """
    if source.varies:
        without_row = _minutes_of_month(source) - F.col("minutes_of_days")
        return (F.col("expected_of_days") + F.rint(without_row / F.col("last_length"))).cast("bigint")
    return _intervals_of_month(source, source.interval_minutes)


def _completeness(source: Source) -> Column:
    """The share of the month that is known: of its intervals, or where their lengths vary of its minutes."""
    if source.varies:
        return F.col("known_minutes") / _minutes_of_month(source)
    return F.col("reading_count") / F.col("expected_count")


def _minutes_of_month(source: Source) -> Column:
    return _intervals_of_month(source, 1)


def _intervals_of_month(source: Source, minutes: int) -> Column:
    days = F.sequence(F.col("month_local"), F.last_day("month_local"))
    counts = F.transform(days, lambda day: expected_intervals(day, source.time_zone, minutes))
    return F.aggregate(counts, F.lit(0).cast("bigint"), lambda total, count: total + count)
