"""mart_anomaly_flags: the meter-days worth a look, with the energy at stake."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS

METER_DAY = ("source", "meter_id", "reading_date_local")
# Of types that are equally common on a day, the first of these is the main one.
TYPES = ("high_consumption", "low_consumption", "unusual_pattern")


def build(scores: DataFrame, meters: DataFrame) -> DataFrame:
    """The meter-days of mart_anomaly_scores with a flag, placed in the grid by stg_meters.

    A flagged reading without an expectation has no known energy at stake and adds nothing to it.
    """
    days = scores.transform(_by_meter_day).withColumn("main_type", _main_type())
    places = meters.select("source", "meter_id", "region", "feeder")
    return days.join(places, on=["source", "meter_id"], how="left").select(
        *(F.col(field.name).cast(field.dataType) for field in MART_ANOMALY_FLAGS.schema)
    )


def _by_meter_day(scores: DataFrame) -> DataFrame:
    """The days with a flag. Their worst reading is a flagged one, as flagged are the scores above the threshold: so the
    texts, which Spark can only aggregate by sorting, are read of the few flagged rows alone.
    """
    at_stake = F.abs(F.col("consumption_kwh") - F.col("expected_kwh"))
    days = scores.groupBy(*METER_DAY).agg(
        F.count("*").alias("reading_count"),
        F.count_if("is_anomaly").alias("flagged_count"),
        F.sum("consumption_kwh").alias("scored_kwh"),
        F.max("anomaly_score").alias("worst_score"),
        F.coalesce(F.sum(F.when(F.col("is_anomaly"), at_stake)), F.lit(0)).alias("energy_at_stake_kwh"),
        *(F.count_if(F.col("anomaly_type") == name).alias(name) for name in TYPES),
    )
    # The highest score of the day, the earliest of equals.
    severity = F.struct("anomaly_score", -F.unix_micros("reading_timestamp"))
    worst = scores.where("is_anomaly").groupBy(*METER_DAY)
    flagged = worst.agg(
        F.max_by("reading_timestamp", severity).alias("worst_reading_timestamp"),
        F.max_by("reasons", severity).alias("reasons"),
    )
    return days.where("flagged_count > 0").join(flagged, on=list(METER_DAY), how="inner")


def _main_type() -> Column:
    commonest = F.greatest(*TYPES)
    return F.coalesce(*(F.when(F.col(name) == commonest, name) for name in TYPES))
