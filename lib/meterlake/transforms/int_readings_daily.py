"""Hours -> consumption, power and peak per meter and local day."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality.completeness import expected_intervals
from meterlake.sources.source import Source
from meterlake.transforms.int_readings_hourly import MICRO, SHARES, exact_sum, hours_of, joint_share, worst_quality


def build(hourly: DataFrame, source: Source) -> DataFrame:
    """Rows of `int_readings_daily` from all hours of the days concerned."""
    days = hourly.groupBy("source", "meter_id", "reading_date_local")
    peak = peak_of("consumption_kwh", "hour_start", "hour_of_day").alias("peak")
    length = F.col("interval_minutes") if source.varies else source.interval_minutes
    expected = expected_intervals(F.col("reading_date_local"), source.time_zone, length)
    return (
        days.agg(F.max("interval_minutes").alias("interval_minutes"), *consumption_measures(source), peak)
        .withColumn("expected_count", expected)
        .withColumn("completeness", F.col("reading_count") / F.col("expected_count"))
        .withColumn("peak_hour_start", F.col("peak.hour_start"))
        .withColumn("peak_hour_of_day", F.col("peak.hour_of_day"))
        .withColumn("peak_hour_kwh", F.col("peak.consumption_kwh"))
        .withColumn("peak_power_kw", F.col("max_power_kw"))
        .drop("peak")
    )


def peak_of(energy: str, start: str, hour_of_day: str) -> Column:
    """The hour of a group with the largest energy as a struct of the three columns; the first of equals."""
    return F.max(
        F.when(
            F.col(energy).isNotNull(), F.struct(energy, (-F.unix_timestamp(start)).alias("earlier"), start, hour_of_day)
        )
    )


def consumption_measures(source: Source) -> list[Column]:
    """The measures that a day takes from its hours."""
    voltage = F.sum(F.rint(F.col("avg_voltage_v") * F.col("reading_count") * MICRO).cast("bigint")) / MICRO
    with_voltage = F.sum(F.when(F.col("avg_voltage_v").isNotNull(), F.col("reading_count")))
    return [
        exact_sum("consumption_kwh").alias("consumption_kwh"),
        F.try_divide(exact_sum("consumption_kwh"), hours_of(source)).alias("avg_power_kw"),
        F.max("max_power_kw").alias("max_power_kw"),
        F.min("min_power_kw").alias("min_power_kw"),
        F.try_divide(voltage, with_voltage).alias("avg_voltage_v"),
        F.sum("reading_count").alias("reading_count"),
        *(joint_share(quality).alias(f"{quality}_share") for quality in SHARES),
        worst_quality().alias("quality"),
    ]
