"""What the newest lines say of each meter's place in the grid."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PLACE = ("region", "feeder", "transformer", "customer_id")


def places(lines: DataFrame) -> DataFrame:
    """The few places of each meter and file, each with the last line that tells it.

    Args:
        lines: lines of bronze.
    """
    named = lines.where(F.col("parse_error").isNull() & (F.trim("meter_id") != ""))
    # Summed up in each task: what is left to compare is small.
    return named.groupBy("source", F.trim("meter_id").alias("meter_id"), "file_id", *PLACE).agg(
        F.max("line_order").alias("line_order")
    )


def build(places: DataFrame, known: DataFrame) -> DataFrame:
    """One row per meter of the places: of each column the last value delivered, else what was known.

    Args:
        places: result of `places`.
        known: rows of `stg_meters`; a delivery without a column does not wipe it out.
    """
    delivered = F.struct("file_id", "line_order")
    newest = places.groupBy("source", "meter_id").agg(
        *(F.max_by(name, F.when(F.col(name).isNotNull(), delivered)).alias(f"new_{name}") for name in PLACE)
    )
    place = [F.coalesce(f"new_{name}", name).alias(name) for name in PLACE]
    return newest.join(known, on=["source", "meter_id"], how="left").select("source", "meter_id", *place)
