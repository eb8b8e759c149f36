"""Silver, hours and scores summed up by meter-day, days and load profiles by meter and month, for the last gate: of
Spark's rows, or begun by tasks on the files.

There are millions of them; what is smaller is summed side by side (profile_marts.py). What is summed stands here twice,
for Spark and for Arrow, to the same bits.
"""

from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.file_scan import FileScan
from meterlake.tables.partial_sums import on_grid, summed
from meterlake.transforms.int_readings_hourly import exact_sum
from meterlake.transforms.mart_anomaly_flags import TYPES
from meterlake.transforms.stg_meter_readings import GRID

METER_DAY = ("meter_id", "reading_date_local")
METER_MONTH = ("meter_id", "month_local")


def readings(readings: DataFrame | FileScan, source: Source) -> DataFrame:
    """What readings come to, and those of them that were metered: only these get scores."""
    if isinstance(readings, FileScan):
        columns = ("consumption_kwh", "quality", "interval_minutes")
        days = summed(readings, METER_DAY, columns, partial(of_readings, source=source))
        return days.withColumns({name: F.col(name) / GRID for name in ("readings_kwh", "metered_kwh")})
    return readings_of_rows(readings, source)


def readings_of_rows(readings: DataFrame, source: Source) -> DataFrame:
    metered = F.when(F.col("quality") != "estimated", F.col("consumption_kwh"))
    if source.varies:  # a longer reading is split for the scores: its parts are estimates
        metered = F.when(F.col("interval_minutes") <= source.interval_minutes, metered)
    minutes = F.sum(F.when(F.col("metered").isNotNull(), F.col("interval_minutes")).otherwise(0))
    return (
        readings.withColumn("metered", metered)
        .groupBy(*METER_DAY)
        .agg(
            exact_sum("consumption_kwh").alias("readings_kwh"),
            F.count("consumption_kwh").alias("readings_count"),
            exact_sum("metered").alias("metered_kwh"),  # an estimate gets no score
            F.count("metered").alias("metered_count"),
            F.count("*").alias("readings_all"),
            minutes.alias("metered_minutes"),
        )
    )


def of_readings(readings: pa.RecordBatch, source: Source) -> Mapping[str, pa.Array]:
    """What `readings_of_rows` counts and adds up, energies on their grid."""
    kwh = on_grid(readings["consumption_kwh"], GRID)
    counts = pc.fill_null(pc.not_equal(readings["quality"], "estimated"), False)
    if source.varies:
        counts = pc.and_(counts, pc.less_equal(readings["interval_minutes"], source.interval_minutes))
    metered = pc.if_else(counts, kwh, None)
    return {
        "readings_kwh": kwh,
        "readings_count": pc.is_valid(kwh),
        "metered_kwh": metered,
        "metered_count": pc.is_valid(metered),
        "readings_all": pa.repeat(1, readings.num_rows),
        "metered_minutes": pc.if_else(pc.is_valid(metered), readings["interval_minutes"], 0).cast(pa.int64()),
    }


def hours(hours: DataFrame | FileScan) -> DataFrame:
    """Energy and known readings."""
    if isinstance(hours, FileScan):
        columns = ("consumption_kwh", "reading_count")
        days = summed(hours, METER_DAY, columns, of_hours)
        return days.withColumn("hours_kwh", F.col("hours_kwh") / GRID)
    return hours.groupBy(*METER_DAY).agg(
        exact_sum("consumption_kwh").alias("hours_kwh"), F.sum("reading_count").alias("hours_count")
    )


def of_hours(hours: pa.RecordBatch) -> Mapping[str, pa.Array]:
    return {"hours_kwh": on_grid(hours["consumption_kwh"], GRID), "hours_count": hours["reading_count"]}


def scores(scores: DataFrame | FileScan, threshold: float) -> DataFrame:
    """What scored readings come to, how many are flagged, the worst, and rows with a fault of `score_faults`."""
    if isinstance(scores, FileScan):
        columns = ("consumption_kwh", "is_anomaly", "anomaly_type", "anomaly_score")
        addends = partial(of_scores, threshold=threshold)
        days = summed(scores, METER_DAY, columns, addends, largest={"worst": "anomaly_score"})
        return days.withColumn("scores_kwh", F.col("scores_kwh").cast("double"))
    return scores_of_rows(scores, threshold)


def scores_of_rows(scores: DataFrame, threshold: float) -> DataFrame:
    sums = {
        "scores_kwh": F.sum("consumption_kwh").cast("double"),
        "scored": F.count("*"),
        "flagged": F.count_if("is_anomaly"),
        "worst": F.max("anomaly_score"),
        **{name: F.count_if(fault) for name, fault in score_faults(threshold).items()},
    }
    return scores.groupBy(*METER_DAY).agg(*(column.alias(name) for name, column in sums.items()))


def of_scores(scores: pa.RecordBatch, threshold: float) -> Mapping[str, pa.Array]:
    """What `scores_of_rows` counts and adds up, and which rows have a fault of `score_faults`."""
    score, flagged, kind = scores["anomaly_score"], scores["is_anomaly"], scores["anomaly_type"]
    in_range = pc.and_(pc.greater_equal(score, 0.0), pc.less_equal(score, 1.0))
    above, marked = (pc.fill_null(told.cast(pa.int8()), -1) for told in (pc.greater(score, threshold), flagged))
    untyped = pc.invert(pc.is_in(kind, pa.array(TYPES)))
    return {
        "scores_kwh": scores["consumption_kwh"],
        "scored": pa.repeat(1, scores.num_rows),
        "flagged": flagged,
        "scores_out_of_range": pc.invert(pc.fill_null(in_range, False)),
        "flags_unlike_threshold": pc.not_equal(marked, above),
        "types_unlike_flags": pc.if_else(pc.fill_null(flagged, False), untyped, pc.is_valid(kind)),
    }


def score_faults(threshold: float) -> dict[str, Column]:
    """What can be wrong with a row of mart_anomaly_scores: fact -> condition."""
    flagged, score, known_type = F.col("is_anomaly"), F.col("anomaly_score"), F.col("anomaly_type").isin(*TYPES)
    return {
        "scores_out_of_range": ~F.coalesce(score.between(0, 1), F.lit(False)),
        "flags_unlike_threshold": ~flagged.eqNullSafe(score > threshold),
        "types_unlike_flags": F.when(flagged, ~F.coalesce(known_type, F.lit(False))).otherwise(
            F.col("anomaly_type").isNotNull()
        ),
    }


def days(days: DataFrame | FileScan) -> DataFrame:
    """Energy and known readings of each month's days."""
    if isinstance(days, FileScan):
        columns = ("reading_date_local", "consumption_kwh", "reading_count")
        months = summed(days, METER_MONTH, columns, of_days)
        return months.withColumn("days_kwh", F.col("days_kwh") / GRID)
    months = days.withColumn("month_local", F.trunc("reading_date_local", "month"))
    return months.groupBy(*METER_MONTH).agg(
        exact_sum("consumption_kwh").alias("days_kwh"), F.sum("reading_count").alias("days_count")
    )


def of_days(days: pa.RecordBatch) -> Mapping[str, pa.Array]:
    return {
        "month_local": pc.floor_temporal(days["reading_date_local"], unit="month"),
        "days_kwh": on_grid(days["consumption_kwh"], GRID),
        "days_count": days["reading_count"],
    }


def profiles(profiles: DataFrame | FileScan) -> DataFrame:
    """Energy of each month's load profile."""
    if isinstance(profiles, FileScan):
        months = summed(profiles, METER_MONTH, ("energy_kwh",), of_profiles)
    else:
        months = profiles.groupBy(*METER_MONTH).agg(F.sum("energy_kwh").alias("profile_kwh"))
    return months.withColumn("profile_kwh", F.col("profile_kwh").cast("double"))


def of_profiles(profiles: pa.RecordBatch) -> Mapping[str, pa.Array]:
    return {"profile_kwh": profiles["energy_kwh"]}
