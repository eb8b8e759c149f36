"""Hours of meters -> hours of the places they hang on: what the marts of load are made of.

A place is a region and feeder as delivered, each null where it is unknown. There are far fewer of them than meters, so
the hours of the meters are added up once, and all marts of load are made of the places' hours.
"""

from pyspark.sql import DataFrame

from meterlake.transforms.int_readings_hourly import MICRO, exact_sum

PLACE = ("region", "feeder")


def build(hourly: DataFrame, meters: DataFrame) -> DataFrame:
    """`kwh` of each place and `hour_start`, and how many meters are `known` in it, parts of an hour by their share."""
    places = meters.select("meter_id", *PLACE)
    of_places = hourly.join(places, on="meter_id", how="left").groupBy(*PLACE, "hour_start")
    return of_places.agg(exact_sum("consumption_kwh").alias("kwh"), exact_sum("completeness", MICRO).alias("known"))
