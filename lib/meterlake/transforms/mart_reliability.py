"""Interruptions -> the indices of IEEE 1366 per source, region, feeder and month."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.outages.interruptions import EVIDENCE, KINDS, METER, SILENT
from meterlake.sources.source import Source
from meterlake.tables.mart_reliability import MART_RELIABILITY
from meterlake.transforms.mart_load_factors import ELEMENT, on_every_level

SUSTAINED_MINUTES = 5  # IEEE 1366: shorter interruptions are momentary, and in other indices
SUMS = ("interruptions", "customers_interrupted", "customer_minutes", "silent_minutes")


def build(outages: DataFrame, members: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_reliability`; an element without an interruption has zeros.

    Args:
        outages: rows of `mart_feeder_outages` of the source in whole months.
        members: its customers in the same months (mart_feeder_outages.served).
    """
    element_month = (*ELEMENT, "month_local")
    served = on_every_level(members, source).groupBy(*element_month)
    told = served.agg(F.count("*").alias("meters"), F.max("region_of").alias("region")).join(
        _sums(outages, source), on=list(element_month), how="left"
    )
    meters, minutes, customers = (F.col(name) for name in ("meters", "customer_minutes", "customers_interrupted"))
    return (
        told.fillna(0, subset=list(SUMS))
        .withColumns(
            {
                "source": F.lit(source.name),
                "saidi_minutes": minutes / meters,
                "saifi": customers / meters,
                "caidi_minutes": F.try_divide(minutes, customers),
            }
        )
        .select(*MART_RELIABILITY.names)
    )


def _sums(outages: DataFrame, source: Source) -> DataFrame:
    """SUMS of each element and month."""
    sustained = outages.where((F.col("kind") != KINDS[METER]) & (F.col("minutes") > SUSTAINED_MINUTES))
    month = F.trunc("reading_date_local", "month").cast("date").alias("month_local")
    silent = F.col("evidence") == EVIDENCE[SILENT]
    counted = {
        "interruptions": F.lit(1),
        "customers_interrupted": F.col("customers_interrupted"),
        "customer_minutes": F.col("customer_minutes"),
    }
    rows = sustained.select(
        "region",
        "feeder",
        month,
        *(F.when(silent, 0).otherwise(value).alias(name) for name, value in counted.items()),
        F.when(silent, F.col("customer_minutes")).otherwise(0).alias("silent_minutes"),
    )
    sums = (F.sum(name).alias(name) for name in SUMS)
    return on_every_level(rows, source).groupBy(*ELEMENT, "month_local").agg(*sums)
