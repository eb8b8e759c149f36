"""Tables read without Spark's rows: the same rows as Delta's own reader has, or no scan at all."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from meterlake.settings import Settings
from meterlake.tables import arrow_writer, file_scan
from meterlake.tables import store as stores
from meterlake.tables.arrow_pass import ArrowPass, Rows
from meterlake.tables.changes import Changes
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.reader import Lake
from meterlake.tables.store import Store

DAY = date(2024, 1, 1)
STAMPS = "spark.sql.parquet.outputTimestampType"
COLUMNS = ("source", "meter_id", "reading_timestamp", "anomaly_score", "reasons")


def fill(store: Store, source: str, hours: int) -> None:
    """Scores of one meter of a source: of even hours by Spark, with the stamps of an old home, of others by Arrow."""
    rows = [
        {
            **dict.fromkeys(MART_ANOMALY_SCORES.names),
            "reading_id": f"{source}:a:{hour}",
            "source": source,
            "meter_id": "a",
            "reading_timestamp": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour),
            "reading_date_local": DAY,
            "anomaly_score": hour / 100,
            "raw_score": 0.5,
            "is_anomaly": False,
            "model_version": "m/1",
            "scored_at": datetime(2024, 2, 1, tzinfo=UTC),
        }
        for hour in range(hours)
    ]
    frame = store.spark.createDataFrame([tuple(row.values()) for row in rows], MART_ANOMALY_SCORES.schema)
    if hours % 2 == 0:
        store.spark.conf.set(STAMPS, "INT96")
        store.append(frame, MART_ANOMALY_SCORES)
        store.spark.conf.set(STAMPS, "TIMESTAMP_MICROS")
    else:
        store.append_passes([ArrowPass(MART_ANOMALY_SCORES, Rows(frame), lambda batches: batches)])


def found(scan: file_scan.FileScan) -> list[tuple[object, ...]]:
    shares, read = scan.by_tasks(COLUMNS)
    made = shares.mapInArrow(read, "source string, meter_id string, at timestamp, score double, reasons string")
    return sorted(map(tuple, made.collect()))


@pytest.mark.parametrize("piece_bytes", [1, 1 << 20])
def test_it_reads_what_delta_reads(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(file_scan, "PIECE_BYTES", piece_bytes)  # one byte: a file in more pieces than it has row groups
    store = Store(spark, settings)
    fill(store, "village", 6)
    fill(store, "village", 3)
    fill(store, "town", 4)
    scan = store.scan(MART_ANOMALY_SCORES, source=["village"])
    assert scan is not None
    rows = store.read(MART_ANOMALY_SCORES, "village").select(*COLUMNS)
    assert found(scan) == sorted(map(tuple, rows.collect()))
    assert len(found(scan)) == 9
    late = scan.where(pc.field("anomaly_score") > pa.scalar(0.03))
    assert found(late) == sorted(map(tuple, rows.where("anomaly_score > 0.03").collect()))
    coded = replace(scan, coded=True)
    texts = pa.Table.from_batches(coded.where(pc.field("anomaly_type").is_null()).here(("meter_id", "source")))
    assert texts.column("meter_id").type == pa.dictionary(pa.int32(), pa.string())
    assert texts.column("meter_id").to_pylist() == ["a"] * 9, "also of a file in which the type is null throughout"
    assert len(scan.files) < len(Lake.of(settings).files(MART_ANOMALY_SCORES)), "files of the town are not opened"


@pytest.mark.parametrize("piece_bytes", [1, 1 << 20])
def test_rows_that_are_deleted_are_left_out(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(file_scan, "PIECE_BYTES", piece_bytes)
    store = Store(spark, settings)
    assert store.scan(MART_ANOMALY_SCORES, source=["village"]) is None, "no table, no scan"
    monkeypatch.setattr(arrow_writer, "GROUP_ROWS", 4)  # so that a deleted row stands behind other row groups
    fill(store, "village", 15)
    a_day = Changes("village", spark.createDataFrame([("a", DAY)], "meter_id string, day date"), DAY, DAY)
    kept = store.read(MART_ANOMALY_SCORES).where("anomaly_score NOT IN (0.02, 0.05, 0.14)")
    assert store.replace(kept, MART_ANOMALY_SCORES, a_day) == 3
    scan = store.scan(MART_ANOMALY_SCORES, source=["village"])
    assert scan is not None
    assert any(file.deleted is not None for file in scan.files)
    rows = store.read(MART_ANOMALY_SCORES).select(*COLUMNS)
    assert found(scan) == sorted(map(tuple, rows.collect()))
    late = scan.where(pc.field("anomaly_score") > pa.scalar(0.03))
    assert found(late) == sorted(map(tuple, rows.where("anomaly_score > 0.03").collect()))
    copy = Store(spark, settings.model_copy(update={"home": settings.home / "rehearsal"}))
    DeltaTable.forPath(spark, store.path(MART_ANOMALY_SCORES)).clone(copy.path(MART_ANOMALY_SCORES), isShallow=True)
    assert copy.scan(MART_ANOMALY_SCORES, source=["village"]) is None, "its files lie in the other's folder"
    monkeypatch.setattr(stores, "MOST_DELETED", 1)
    assert store.scan(MART_ANOMALY_SCORES, source=["village"]) is None, "too many to be sent to the tasks"
