"""A pass whose tasks write files: the table holds what the pass makes, and nothing of what it must not hold."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.settings import Settings
from meterlake.tables.arrow_pass import ArrowPass, Rows, whole_meters
from meterlake.tables.arrow_writer import Batches, CheckViolated
from meterlake.tables.changes import Changes
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.store import Store

DAY = date(2024, 1, 1)
EVERYTHING = Changes("village", None, DAY, DAY)


def scored(spark: SparkSession, hours: int, score: float) -> ArrowPass:
    """A pass that scores the first hours of a day of one meter."""

    def work(batches: Batches) -> Batches:
        for batch in batches:
            rows = [_row(hour, score) for hour in batch.column("id").to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, to_arrow_schema(MART_ANOMALY_SCORES.schema, timezone="UTC"))

    return ArrowPass(MART_ANOMALY_SCORES, Rows(spark.range(hours, numPartitions=1)), work)


def _row(hour: int, score: float) -> dict[str, object]:
    start = datetime(2024, 1, 1, hour, tzinfo=UTC)
    who = {"reading_id": f"village:a:{hour}", "source": "village", "meter_id": "a", "reading_timestamp": start}
    what = {"anomaly_score": score, "raw_score": 0.5, "is_anomaly": False}
    return who | what | {"reading_date_local": DAY, "model_version": "m/1", "scored_at": start}


def test_the_table_holds_what_the_pass_makes_and_again_changes_nothing(spark: SparkSession, settings: Settings) -> None:
    store = Store(spark, settings)
    assert store.replace(scored(spark, 5, 0.25), MART_ANOMALY_SCORES, EVERYTHING, note="scored") == 5
    rows = store.read(MART_ANOMALY_SCORES).orderBy("reading_timestamp").collect()
    assert [row.reading_timestamp for row in rows] == [datetime(2024, 1, 1, hour) for hour in range(5)]
    assert store.last_note(MART_ANOMALY_SCORES) == "scored"
    a_day = Changes("village", spark.createDataFrame([("a", DAY)], "meter_id string, day date"), DAY, DAY)
    assert store.replace(scored(spark, 5, 0.25), MART_ANOMALY_SCORES, a_day) == 0
    assert store.replace(scored(spark, 4, 0.25), MART_ANOMALY_SCORES, a_day) == 1
    assert store.read(MART_ANOMALY_SCORES).count() == 4


def test_rows_that_break_a_check_of_the_table_are_not_committed(spark: SparkSession, settings: Settings) -> None:
    store = Store(spark, settings)
    with pytest.raises(CheckViolated, match=r"score_in_range .*nothing of it was written"):
        store.replace(scored(spark, 2, 1.5), MART_ANOMALY_SCORES, EVERYTHING)
    assert store.read(MART_ANOMALY_SCORES).count() == 0
    assert store.version(MART_ANOMALY_SCORES) == 0


def test_batches_are_cut_between_meters_only() -> None:
    meters = ["a"] * 5 + ["b"] * 4 + ["c"] * 3
    whole = pa.record_batch({"meter_id": meters})
    batches = [whole.slice(start, 2) for start in range(0, 12, 2)]
    tables = [table["meter_id"].to_pylist() for table in whole_meters(iter(batches), 4)]
    assert tables == [["a"] * 5, ["b"] * 4 + ["c"] * 3]
    (all_of_it,) = whole_meters(iter(batches), 100)
    assert all_of_it.num_rows == 12
    assert list(whole_meters(iter([]), 4)) == []
