"""Consumption and flags over time, in hours, days or weeks on the source's clock."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.store import Store
from meterlake.transforms.stg_meter_readings import local_time

DAYS_OF_SUSPECTS = 400


def load_over_time(store: Store, source: Source, bucket: str) -> DataFrame:
    """start (on the source's clock), kwh: the energy of all meters per hour, day or week."""
    hourly, daily = store.read(INT_READINGS_HOURLY, source.name), store.read(INT_READINGS_DAILY, source.name)
    frame, start = (hourly, local_time(F.col("hour_start"), source)) if bucket == "hour" else (daily, _start(bucket))
    return _over_time(frame, start, F.sum("consumption_kwh").alias("kwh"))


def flagged_over_time(store: Store, source: Source, bucket: str) -> DataFrame:
    """start (on the source's clock), flagged readings, meters with a flag."""
    meters = F.count_distinct("meter_id").alias("meters")
    if bucket == "hour":
        flagged = store.read(MART_ANOMALY_SCORES, source.name).where("is_anomaly")
        start = F.date_trunc("hour", local_time(F.col("reading_timestamp"), source))
        return _over_time(flagged, start, F.count("*").alias("flagged"), meters)
    flags = store.read(MART_ANOMALY_FLAGS, source.name)
    return _over_time(flags, _start(bucket), F.sum("flagged_count").alias("flagged"), meters)


def suspect_days(store: Store, source: Source, meters: list[str]) -> DataFrame:
    """meter_id, reading_date_local, consumption_kwh, flagged_count: the last days of a few meters."""
    daily = store.read(INT_READINGS_DAILY, source.name).where(F.col("meter_id").isin(meters))
    flags = store.read(MART_ANOMALY_FLAGS, source.name).where(F.col("meter_id").isin(meters))
    return (
        daily.select("meter_id", "reading_date_local", "consumption_kwh")
        .join(
            flags.select("meter_id", "reading_date_local", "flagged_count"), ["meter_id", "reading_date_local"], "left"
        )
        .orderBy(F.desc("reading_date_local"), "meter_id")
        .limit(max(1, len(meters)) * DAYS_OF_SUSPECTS)
    )


def _start(bucket: str) -> Column:
    day = F.col("reading_date_local")
    return (F.trunc(day, "week") if bucket == "week" else day).cast("timestamp")


def _over_time(frame: DataFrame, start: Column, *measures: Column) -> DataFrame:
    return frame.groupBy(start.alias("start")).agg(*measures).orderBy("start")
