"""Days -> consumption, power and peak per meter and local calendar month."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality.completeness import expected_intervals
from meterlake.sources.source import Source
from meterlake.transforms.int_readings_daily import consumption_measures, peak_of


def build(daily: DataFrame, source: Source) -> DataFrame:
    """Rows of `int_readings_monthly` from all days of the months concerned."""
    months = daily.withColumn("month_local", F.trunc("reading_date_local", "month").cast("date")).groupBy(
        "source", "meter_id", "month_local"
    )
    peak = peak_of("peak_hour_kwh", "peak_hour_start", "peak_hour_of_day").alias("peak")
    return (
        months.agg(*consumption_measures(source), peak, F.max("peak_power_kw").alias("peak_power_kw"))
        .withColumn("expected_count", _expected_in_month(source))
        .withColumn("completeness", F.col("reading_count") / F.col("expected_count"))
        .withColumn("peak_hour_start", F.col("peak.peak_hour_start"))
        .withColumn("peak_hour_of_day", F.col("peak.peak_hour_of_day"))
        .withColumn("peak_hour_kwh", F.col("peak.peak_hour_kwh"))
        .drop("peak")
    )


def _expected_in_month(source: Source) -> Column:
    """Intervals of the whole calendar month: a meter that starts on the 10th is not complete."""
    days = F.sequence(F.col("month_local"), F.last_day("month_local"))
    counts = F.transform(days, lambda day: expected_intervals(day, source.time_zone, source.interval_minutes))
    return F.aggregate(counts, F.lit(0).cast("bigint"), lambda total, count: total + count)
