"""Balances and months -> what each region took in, billed and lost in a month, in energy and in money."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Losses, Source
from meterlake.tables.mart_region_kpis import MART_REGION_KPIS
from meterlake.transforms.mart_energy_balance import BALANCED

KEY = ("region", "month_local")
# Column of mart_energy_balance -> its sum here.
SUMS = {
    "supplied_kwh": "delivered_kwh",
    "delivered_kwh": "billed_kwh",
    "missing_kwh": "missing_kwh",
    "technical_loss_kwh": "technical_loss_kwh",
    "non_technical_loss_kwh": "non_technical_loss_kwh",
}


def build(balances: DataFrame, monthly: DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_region_kpis` of the months that `balances` holds whole.

    Args:
        balances: rows of `mart_energy_balance` of the source.
        monthly: rows of `int_readings_monthly` of its customers' meters.
        meters: rows of `stg_meters` of the source.
    """
    assert source.losses is not None
    placed = meters.where(F.col("region").isNotNull()).select("meter_id", "region")
    known = placed.groupBy("region").agg(F.count("*").alias("meters"))
    told = (
        _balanced(balances)
        .join(_online(monthly, placed), on=list(KEY), how="left")
        .join(known, on="region", how="left")
        .withColumns({name: F.coalesce(name, F.lit(0)) for name in ("meters", "meters_online")})
    )
    return (
        told.withColumns(_cost(source.losses)).withColumn("source", F.lit(source.name)).select(MART_REGION_KPIS.names)
    )


def _balanced(balances: DataFrame) -> DataFrame:
    """Energies of the balanced days of each region and month; null where it has none, never 0."""
    balanced = F.col("status") == BALANCED
    sums = (F.sum(F.when(balanced, F.col(name))).alias(sum_of) for name, sum_of in SUMS.items())
    month = F.trunc("reading_date_local", "month").cast("date").alias("month_local")
    regions = balances.where(F.col("level") == "region").groupBy(F.col("element").alias("region"), month)
    months = regions.agg(F.count("*").alias("days"), F.count_if(balanced).alias("days_balanced"), *sums)
    lost = F.col("delivered_kwh") - F.col("billed_kwh") - F.col("missing_kwh")
    return months.withColumn("loss_share", F.try_divide(lost, F.col("delivered_kwh")).cast("double"))


def _online(monthly: DataFrame, placed: DataFrame) -> DataFrame:
    """Meters with a known reading in the month, and how complete their months are."""
    online = monthly.where(F.col("reading_count") > 0).join(placed, on="meter_id")
    complete = F.try_divide(F.sum("reading_count"), F.sum("expected_count"))
    return online.groupBy(*KEY).agg(F.count("*").alias("meters_online"), complete.alias("completeness"))


def _cost(losses: Losses) -> dict[str, Column]:
    """Money for energy that was not paid for. A negative loss is an error of the model, not an income."""
    lost = F.greatest(F.col("non_technical_loss_kwh"), F.lit(0))
    cost = F.lit(None) if losses.energy_price is None else lost.cast("double") * losses.energy_price
    return {"non_technical_loss_cost": cost, "currency": F.lit(losses.currency)}
