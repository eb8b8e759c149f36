"""Consumption and flags over time, in hours, days or weeks on the source's clock."""

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.store import Store
from meterlake.transforms.stg_meter_readings import local_time

SUSPECTS = 4
DAYS_OF_SUSPECTS = 400


def load_by_hour(store: Store, source: Source) -> DataFrame:
    """start (on the source's clock), kwh: the energy of all meters per hour."""
    start = local_time(F.col("hour_start"), source)
    return _over_time(store.read(INT_READINGS_HOURLY, source.name), start, F.sum("consumption_kwh").alias("kwh"))


def load_by_day(days: pd.DataFrame, bucket: str) -> pd.DataFrame:
    """The same per day or week, from the days that are known already."""
    start = pd.to_datetime(days["reading_date_local"])
    if bucket == "week":
        start = start - pd.to_timedelta(start.dt.weekday, unit="D")
    energy = days["consumption_kwh"].groupby(start.rename("start")).sum(min_count=1)
    return energy.rename("kwh").reset_index()


def flagged_over_time(store: Store, source: Source, bucket: str) -> DataFrame:
    """start (on the source's clock), flagged readings, worst score, meters with a flag."""
    meters = F.count_distinct("meter_id").alias("meters")
    if bucket == "hour":
        flagged = store.read(MART_ANOMALY_SCORES, source.name).where("is_anomaly")
        start = F.date_trunc("hour", local_time(F.col("reading_timestamp"), source))
        return _over_time(flagged, start, F.count("*").alias("flagged"), F.max("anomaly_score").alias("worst"), meters)
    flags = store.read(MART_ANOMALY_FLAGS, source.name).where("flagged_count > 0")
    return _over_time(
        flags, _start(bucket), F.sum("flagged_count").alias("flagged"), F.max("worst_score").alias("worst"), meters
    )


def suspects(store: Store, source: Source) -> DataFrame:
    """The last days of the meters with the most energy at stake, the worst meter's first.

    Returns:
        meter_id, stake_kwh, flagged_days (of the meter), reading_date_local, consumption_kwh, flagged_count (of the
        day, null without a flag).
    """
    flags = store.read(MART_ANOMALY_FLAGS, source.name).where("flagged_count > 0")
    daily = store.read(INT_READINGS_DAILY, source.name)
    stake = F.sum("energy_at_stake_kwh").cast("double").alias("stake_kwh")
    worst = flags.groupBy("meter_id").agg(F.count("*").alias("flagged_days"), stake)
    worst = worst.orderBy(F.desc_nulls_last("stake_kwh"), "meter_id").limit(SUSPECTS)
    flagged = flags.select("meter_id", "reading_date_local", "flagged_count")
    return (
        daily.select("meter_id", "reading_date_local", "consumption_kwh")
        .join(F.broadcast(worst), on="meter_id", how="inner")
        .join(flagged, on=["meter_id", "reading_date_local"], how="left")
        .orderBy(F.desc("reading_date_local"))
        .limit(SUSPECTS * DAYS_OF_SUSPECTS)
        .orderBy(F.desc("stake_kwh"), "meter_id", "reading_date_local")
    )


def _start(bucket: str) -> Column:
    day = F.col("reading_date_local")
    return (F.trunc(day, "week") if bucket == "week" else day).cast("timestamp")


def _over_time(frame: DataFrame, start: Column, *measures: Column) -> DataFrame:
    return frame.groupBy(start.alias("start")).agg(*measures).orderBy("start")
