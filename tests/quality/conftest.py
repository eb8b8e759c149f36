"""A small story that is true: two London meters, three weeks with the long Sunday of October, and all its tables."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from meterlake.sources.ami import AMI
from meterlake.sources.source import Source
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.table import Table
from meterlake.tables.vee_findings import VEE_FINDINGS
from meterlake.transforms import (
    int_readings_daily,
    int_readings_hourly,
    int_readings_monthly,
    mart_anomaly_flags,
    mart_consumption_metrics,
    mart_load_profile,
    mart_weekly_load_profile,
    place_loads,
    stg_meter_readings,
)
from meterlake.transforms.stg_meter_readings import local_time

FIRST, LAST = "2024-10-21", "2024-11-10"  # a Monday and a Sunday


@pytest.fixture(scope="session")
def london() -> Source:
    return AMI.model_copy(update={"name": "london", "time_zone": "Europe/London", "interval_minutes": 30})


@pytest.fixture(scope="session")
def readings(spark: SparkSession, london: Source) -> DataFrame:
    """Rows of stg_meter_readings: meters a and b, every half-hour, one in 64 of them missing."""
    absent = {name: F.lit(None).cast(field.dataType) for name, field in _fields(STG_METER_READINGS).items()}
    slots = spark.range(21 * 48 + 2).select((F.col("id") * 1800 + _seconds("2024-10-20 23:00")).alias("seconds"))
    meters = spark.createDataFrame([("a",), ("b",)], "meter_id string")
    number = F.abs(F.xxhash64("meter_id", "seconds"))
    delivered = slots.crossJoin(meters).withColumns(
        absent
        | {
            "source": F.lit("london"),
            "meter_id": F.col("meter_id"),
            "reading_timestamp": F.timestamp_seconds("seconds"),
            "consumption_kwh": F.when(number % 64 != 0, F.rint(number % 100_000_007) / 1e8),
            "voltage_v": F.lit(230.0),
            "anomaly_label": F.lit("normal"),
            "batch_id": F.lit("b1"),
        }
    )
    local_day = local_time(F.col("reading_timestamp"), london).cast("date")
    return stg_meter_readings.build(delivered.withColumn("reading_date_local", local_day), london).persist()


@pytest.fixture(scope="session")
def story(spark: SparkSession, readings: DataFrame, london: Source) -> dict[str, DataFrame]:
    """All tables that the marts' gate compares, by name; about one reading in a hundred is flagged."""
    meters = spark.createDataFrame(
        [("london", "a", "north", "f1"), ("london", "b", "south", "f2")],
        "source string, meter_id string, region string, feeder string",
    )
    hourly = int_readings_hourly.build(readings, london).persist()
    daily = int_readings_daily.build(hourly, london).persist()
    scores = _scores(readings)
    tables = {
        "stg_meter_readings": readings,
        "int_readings_hourly": hourly,
        "int_readings_daily": daily,
        "int_readings_monthly": int_readings_monthly.build(daily, london).frame(),
        "mart_consumption_metrics": _published(mart_consumption_metrics.build(daily, meters, london)),
        "mart_anomaly_scores": scores,
        "mart_anomaly_flags": mart_anomaly_flags.build(scores, _no_evidence(spark, london), meters, 0.01),
        "mart_load_profile": _published(mart_load_profile.build(hourly, meters, london)),
        "mart_weekly_load_profile": _published(
            mart_weekly_load_profile.build(place_loads.build(hourly, meters, london), london)
        ),
    }
    return {name: frame.persist() for name, frame in tables.items()}


def _no_evidence(spark: SparkSession, london: Source) -> DataFrame:
    nothing = (spark.createDataFrame([], table.schema) for table in (VEE_FINDINGS, MART_INSPECTIONS, LOSS_FINDINGS))
    return mart_anomaly_flags.evidence_of(*nothing, london)


@pytest.fixture(scope="session")
def bronze(spark: SparkSession) -> DataFrame:
    """Rows of meter_readings: a batch of two files with 200 parsed lines each."""
    absent = {name: F.lit(None).cast(field.dataType) for name, field in _fields(METER_READINGS).items()}
    file_id = F.col("id") % 2 + 1
    lines = spark.range(400).withColumns(
        absent
        | {
            "source": F.lit("london"),
            "meter_id": F.lit("a"),
            "stamp_local": F.timestamp_seconds(F.col("id") * 1800 + _seconds(FIRST)).cast("timestamp_ntz"),
            "value": F.col("id") / 1000,
            "source_file": F.format_string("%d.csv", file_id),
            "file_id": file_id,
            "line_order": F.col("id"),
            "batch_id": F.lit("b1"),
            "ingested_at": F.lit(datetime(2024, 12, 1, tzinfo=UTC)),
        }
    )
    return lines.select(METER_READINGS.names).persist()


@pytest.fixture(scope="session")
def ledger(spark: SparkSession) -> DataFrame:
    """The ledger's row of a batch of 1,000 lines of which 2 were rejected."""
    values = dict.fromkeys(LEDGER.names, 0) | {"source": "london", "batch_id": "b1", "run_id": "r1"}
    counts = {"files": 1, "lines": 1000, "loaded": 1000, "current": 998, "quarantined": 2, "readings_after": 998}
    return spark.createDataFrame([tuple((values | counts).values())], LEDGER.schema)


def _scores(readings: DataFrame) -> DataFrame:
    flagged = F.abs(F.xxhash64("reading_id")) % 100 == 0
    values = {
        "expected_kwh": F.col("consumption_kwh"),
        "anomaly_score": F.when(flagged, 0.9).otherwise(0.3),
        "raw_score": F.lit(0.5),
        "is_anomaly": flagged,
        "anomaly_type": F.when(flagged, "high_consumption"),
        "reasons": F.when(flagged, "twice its mean"),
        "model_version": F.lit("meterlake-london/1"),
        "scored_at": F.lit(datetime(2024, 12, 1, tzinfo=UTC)),
    }
    known = readings.where(F.col("consumption_kwh").isNotNull()).withColumns(values)
    return known.select(*(F.col(name).cast(field.dataType) for name, field in _fields(MART_ANOMALY_SCORES).items()))


def _published(mart: DataFrame) -> DataFrame:
    """Energy with four decimals, as the store writes it."""
    kwh = [name for name in mart.columns if name.endswith("_kwh")]
    return mart.withColumns({name: F.col(name).cast("decimal(18,4)") for name in kwh})


def _fields(table: Table) -> dict[str, T.StructField]:
    return {field.name: field for field in table.schema}


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp())
