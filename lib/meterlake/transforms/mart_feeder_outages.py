"""Findings of zeros, lost voltage and gaps -> interruptions of feeders and transformers, and meters that are alone.

Findings are runs and few; readings are not touched. One shuffle by line and month brings the neighbours together. A
line is a feeder, or a transformer whose feeder is unknown; a meter of which neither is known has no neighbours.
"""

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.outages.interruptions import DEAD, SILENT, ZERO
from meterlake.outages.line import FOUND, told_of_line
from meterlake.sources.source import Source
from meterlake.tables.mart_feeder_outages import MART_FEEDER_OUTAGES
from meterlake.tables.months import later
from meterlake.transforms.stg_meter_readings import local_time
from meterlake.vee.clock import clock_of

STATE_OF = {"outage": DEAD, "zero_run": ZERO, "gap": SILENT}
# A finding ends in the local week that it begins in, and one that touches it a week later.
REACHES_DAYS = 7
LINE_MONTH = ("line", "no_feeder", "month_local")
EDGES = {"from_timestamp": "begin", "to_timestamp": "end"}
MONTHS = "month_local date, first bigint, last bigint"


def calendar(months: list[date], source: Source) -> list[tuple[date, int, int]]:
    """Rows of MONTHS: where each local month begins and ends, minutes since 1970 UTC."""
    clock, epoch = clock_of(source.time_zone), datetime(1970, 1, 1)
    edges = [[datetime(day.year, day.month, 1) - epoch for day in (month, later(month))] for month in months]
    minutes = [clock.utc(np.array([edge.total_seconds() // 60 for edge in pair], dtype=np.int64)) for pair in edges]
    return [(month, int(first), int(last)) for month, (first, last) in zip(months, minutes, strict=True)]


def affected_days(day: date) -> list[date]:
    """The days whose months a change in the findings of a day concerns."""
    return [day, day + timedelta(days=REACHES_DAYS)]


def served(monthly: DataFrame, meters: DataFrame) -> DataFrame:
    """`meter_id`, `month_local` and place of the meters with a reading in the month and a place in the grid.

    A transformer lies on one line, whatever single meters say.
    """
    lies_on = meters.where("transformer IS NOT NULL").groupBy("transformer").agg(F.max("feeder").alias("lies_on"))
    feeder = F.when(F.col("transformer").isNull(), F.col("feeder")).otherwise(F.col("lies_on"))
    places = meters.join(lies_on, on="transformer", how="left")
    known = places.select("meter_id", "region", "transformer", feeder.alias("feeder")).where(
        F.coalesce("feeder", "transformer").isNotNull()
    )
    return monthly.where(F.col("reading_count") > 0).select("meter_id", "month_local").join(known, on="meter_id")


def build(findings: DataFrame, members: DataFrame, months: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_feeder_outages` of these months.

    Args:
        findings: rows of `vee_findings` of the source in the months and the REACHES_DAYS before each.
        members: what `served` gives for the months.
        months: rows of `calendar`.
    """
    placed = members.withColumns({"line": F.coalesce("feeder", "transformer"), "no_feeder": F.col("feeder").isNull()})
    lines = placed.groupBy(*LINE_MONTH).agg(
        F.count("feeder").alias("line_meters"), F.max("region").alias("line_region")
    )
    transformers = placed.where(F.col("transformer").isNotNull()).groupBy("transformer", "month_local")
    runs = (
        _runs(findings)
        .join(F.broadcast(months), on="month_local")
        .where(F.col("end") >= F.col("first"))
        .join(placed.drop("region"), on=["meter_id", "month_local"])
        .join(lines, on=list(LINE_MONTH))
        .join(transformers.agg(F.count("*").alias("transformer_meters")), on=["transformer", "month_local"], how="left")
    )
    zero_is_dark = source.columns.voltage is None

    def of_line(runs: pa.Table) -> pa.Table:  # Spark tells by the types of the arguments what it is to pass
        return told_of_line(runs, zero_is_dark)

    found = runs.groupBy(*LINE_MONTH).applyInArrow(of_line, FOUND)
    begin, end = (F.timestamp_seconds(F.col(name) * 60) for name in ("begin", "end"))
    return (
        found.withColumn("source", F.lit(source.name))
        .withColumns({"from_timestamp": begin, "to_timestamp": end, "minutes": F.col("end") - F.col("begin")})
        .withColumn("reading_date_local", local_time(F.col("from_timestamp"), source).cast("date"))
        .select(*MART_FEEDER_OUTAGES.names)
    )


def _runs(findings: DataFrame) -> DataFrame:
    """The runs once for each month that they may lie in: `meter_id`, `month_local`, `begin`, `end`, `state`."""
    state = F.create_map(*(F.lit(part) for pair in STATE_OF.items() for part in pair))
    ends = (F.col("reading_date_local"), F.date_add("reading_date_local", REACHES_DAYS))
    months = F.array_distinct(F.array(*(F.trunc(day, "month").cast("date") for day in ends)))
    return findings.where(F.col("rule").isin(*STATE_OF)).select(
        "meter_id",
        F.explode(months).alias("month_local"),
        *((F.unix_timestamp(edge) / 60).cast("bigint").alias(name) for edge, name in EDGES.items()),
        state[F.col("rule")].cast("bigint").alias("state"),
    )
