"""In what two versions of a mart differ, day by day."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.tables.table import Table

# They differ whenever a reading is scored or a load forecast, although nothing else does.
OF_A_RUN = {"scored_at", "made_at"}
NO_ENERGY = "CAST(NULL AS DECIMAL(18,4))"
ENERGY = {
    "mart_consumption_metrics": "CASE WHEN period = 'day' THEN consumption_kwh END",
    "mart_anomaly_scores": "consumption_kwh",
    "mart_anomaly_flags": "energy_at_stake_kwh",
    "mart_inspections": "consumption_kwh",
    "mart_load_profile": "energy_kwh",
    "mart_weekly_load_profile": "energy_kwh",
    "mart_load_factors": "CASE WHEN level = 'source' AND band = 'all' THEN energy_kwh END",
    "mart_energy_balance": "CASE WHEN level = 'feeder' THEN delivered_kwh END",
    "mart_suspects": "recoverable_kwh",
    "mart_region_kpis": "billed_kwh",
    "mart_feeder_outages": NO_ENERGY,
    "mart_reliability": NO_ENERGY,
    "mart_load_forecast": "load_p50_kwh",
}


def diff(before: DataFrame | None, after: DataFrame, mart: Table) -> DataFrame:
    """Rows of `recovery_diffs` without `recovery_id` and `source`; no row for a day on which both agree.

    Args:
        before: rows of one source; None where the mart did not exist.
    """
    old = _told_apart(after.where(F.lit(False)) if before is None else before, mart, "before")
    both = old.join(_told_apart(after, mart, "after"), on=list(mart.key), how="full_outer")
    came, went = F.col("hash_before").isNull(), F.col("hash_after").isNull()
    differs = ~came & ~went & (F.col("hash_before") != F.col("hash_after"))
    days = both.groupBy(F.coalesce("day_before", "day_after").alias("day")).agg(
        F.count_if(came).alias("rows_added"),
        F.count_if(went).alias("rows_removed"),
        F.count_if(differs).alias("rows_changed"),
        F.sum("kwh_before").alias("kwh_before"),
        F.sum("kwh_after").alias("kwh_after"),
    )
    changed = days.where(F.col("rows_added") + F.col("rows_removed") + F.col("rows_changed") > 0)
    return changed.withColumn("mart", F.lit(mart.name))


def _told_apart(rows: DataFrame, mart: Table, when: str) -> DataFrame:
    return rows.select(
        *mart.key,
        F.col(str(mart.day)).alias(f"day_{when}"),
        F.expr(ENERGY[mart.name]).alias(f"kwh_{when}"),
        _fingerprint(mart).alias(f"hash_{when}"),
    )


def _fingerprint(mart: Table) -> Column:
    """Null and the order of columns count, so that a value that moves to a neighbour is a change."""
    texts = [F.coalesce(F.col(name).cast("string"), F.lit("\\N")) for name in mart.measures if name not in OF_A_RUN]
    return F.xxhash64(*texts)
