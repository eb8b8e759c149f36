"""Hours -> mean load by hour of the day, for weekdays and weekends, per meter and month."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.transforms.int_readings_hourly import exact_sum, hours_of

SEASONS = ("winter", "spring", "summer", "autumn")  # meteorological: December begins winter


def build(hourly: DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_load_profile` from all hours of the months concerned; hours without a reading do not count."""
    known = hourly.where(F.col("reading_count") > 0).select(
        "*",
        F.trunc("reading_date_local", "month").cast("date").alias("month_local"),
        F.when(F.weekday("reading_date_local") >= 5, "weekend").otherwise("weekday").alias("day_type"),
    )
    return (
        known.groupBy("source", "meter_id", "month_local", "day_type", "hour_of_day")
        .agg(
            exact_sum("consumption_kwh").alias("energy_kwh"),
            hours_of(source).alias("hours"),
        )
        .withColumn("season", _season(F.col("month_local")))
        .withColumn("mean_load_kw", F.col("energy_kwh") / F.col("hours"))
        .join(meters.select("source", "meter_id", "region", "feeder"), on=["source", "meter_id"], how="left")
    )


def _season(month: Column) -> Column:
    seasons = F.array(*(F.lit(season) for season in SEASONS))
    return F.get(seasons, F.floor(F.pmod(F.month(month), F.lit(12)) / 3).cast("int"))
