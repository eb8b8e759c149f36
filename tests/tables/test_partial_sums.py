"""Sums that tasks begin on files: bit for bit what Spark makes of the rows, also of those that are left of a file."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from meterlake.settings import Settings
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.partial_sums import on_grid, summed
from meterlake.tables.store import Store
from meterlake.transforms.int_readings_hourly import exact_sum

KEY = ("source", "meter_id", "reading_date_local")
START = datetime(2024, 1, 1, tzinfo=UTC)
TABLE = MART_ANOMALY_SCORES


def fill(store: Store, meter: str, hours: range) -> None:
    """Scores of a meter, a fifth of them flagged; every seventh has no energy, b's none has a power."""
    rows = [
        {
            **dict.fromkeys(TABLE.names),
            "reading_id": f"village:{meter}:{hour}",
            "source": "village",
            "meter_id": meter,
            "reading_timestamp": START + timedelta(hours=hour),
            "reading_date_local": date(2024, 1, 1 + hour // 24),
            "consumption_kwh": Decimal(hour) / 7 if hour % 7 else None,
            "active_power_kw": hour / 3 if meter == "a" else None,
            "anomaly_score": hour / 100,
            "raw_score": 0.5,
            "is_anomaly": hour % 5 == 0,
            "anomaly_type": "low_consumption" if hour % 5 == 0 else None,
            "model_version": "m/1",
            "scored_at": START,
        }
        for hour in hours
    ]
    store.append(store.spark.createDataFrame([tuple(row.values()) for row in rows], TABLE.schema), TABLE)


def addends(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    return {
        "rows": pa.repeat(1, rows.num_rows),
        "low": pc.equal(rows["anomaly_type"], "low_consumption"),
        "kwh": rows["consumption_kwh"],
        "power": on_grid(rows["active_power_kw"], 1e6),
    }


def test_they_are_those_of_spark(spark: SparkSession, settings: Settings) -> None:
    store = Store(spark, settings)
    fill(store, "a", range(60))
    fill(store, "b", range(30))
    DeltaTable.forPath(spark, store.path(TABLE)).delete("meter_id = 'a' AND anomaly_score IN (0.05, 0.33, 0.5)")
    days = store.read(TABLE, "village").groupBy(*KEY)
    expected = days.agg(
        F.count("*").alias("rows"),
        F.count_if(F.col("anomaly_type") == "low_consumption").alias("low"),
        F.sum("consumption_kwh").cast("decimal(38,4)").alias("kwh"),
        exact_sum("active_power_kw", 1e6).alias("power"),
        F.max("anomaly_score").alias("worst"),
    )
    rows = sorted(expected.collect(), key=str)
    assert len(rows) == 5
    first, second, nobodys = date(2024, 1, 1), date(2024, 1, 2), date(2023, 1, 1)
    for bounds in ((first, date(2024, 12, 31)), (first, second), (nobodys, nobodys)):
        scan = store.scan(TABLE, bounds, source=["village"])
        assert scan is not None
        assert any(file.deleted is not None for file in scan.files) == (bounds[0] == first)
        columns = ("anomaly_type", "consumption_kwh", "active_power_kw")
        found = summed(scan, KEY, columns, addends, largest={"worst": "anomaly_score"})
        found = found.withColumn("power", F.col("power") / 1e6)
        assert found.dtypes == expected.dtypes
        wanted = [row for row in rows if bounds[0] <= row.reading_date_local <= bounds[1]]
        assert sorted(found.collect(), key=str) == wanted


def test_what_does_not_fit_the_grid_is_an_error() -> None:
    assert on_grid(pa.array([0.1 + 0.2, None, -0.1]), 1e8).to_pylist() == [30_000_000, None, -10_000_000]
    assert on_grid(pa.array([None, None], pa.float64()), 1e8).to_pylist() == [None, None]
    for strange in (float("nan"), float("inf"), 1e12):
        with pytest.raises(pa.ArrowInvalid):
            on_grid(pa.array([strange]), 1e8)
