"""Hours of places -> mean load by weekday and hour of the day, per region, feeder and month."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.transforms.int_readings_hourly import MICRO, exact_sum
from meterlake.transforms.place_loads import PLACE
from meterlake.transforms.stg_meter_readings import local_time

WEEK_HOUR = (*PLACE, "month_local", "weekday", "hour_of_day")


def build(loads: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_weekly_load_profile`; hours without a reading do not count.

    Args:
        loads: rows of `int_place_loads`, all of the source in the months concerned.
    """
    began = local_time(F.col("hour_start"), source)
    clock = {
        "month_local": F.trunc(began, "month"),
        "weekday": F.weekday(began) + 1,
        "hour_of_day": F.hour(began),
    }
    cells = loads.where(F.col("known") > 0).withColumns(clock).groupBy(*WEEK_HOUR)
    sums = cells.agg(
        F.floor(F.max("known")).alias("meters"),
        exact_sum("kwh").alias("energy_kwh"),
        exact_sum("known", MICRO).alias("hours"),
    )
    return sums.withColumns({"source": F.lit(source.name), "mean_load_kw": F.col("energy_kwh") / F.col("hours")})
