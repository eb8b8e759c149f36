"""The edit trail of readings that a later delivery replaced."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake import __version__
from meterlake.quality.validation import REPLACED


def build(compared: DataFrame, run_id: str, batch_id: str) -> DataFrame:
    """Rows of `corrected_readings` from the first result of `stg_meter_readings.judge`.

    `batch_id` is the newest of the batches that were staged together.
    """
    return compared.where(F.col("status") == REPLACED).select(
        F.concat_ws(":", "source", "meter_id", F.unix_timestamp("reading_timestamp")).alias("reading_id"),
        "source",
        "meter_id",
        "reading_timestamp",
        "reading_date_local",
        F.col("stood_kwh").alias("before_kwh"),
        F.col("after_kwh"),
        F.col("stood_quality").alias("before_quality"),
        F.col("after_quality"),
        F.lit("superseded").alias("method"),
        F.lit(__version__).alias("rule_version"),
        F.lit(run_id).alias("run_id"),
        F.lit(batch_id).alias("batch_id"),
    )
