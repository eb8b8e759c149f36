"""What the driver hands to tasks: each thing to one of them, in order, about the same to do for all."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from meterlake.shares import frame_of, frame_of_batches, shared_out
from meterlake.tables.ops import LOADED_FILES


def dealt(
    spark: SparkSession, things: list[str], tasks: int, sizes: list[float] | None = None
) -> list[tuple[int, list[str]]]:
    """Each task's number and its share."""
    shares, own = shared_out(spark, things, tasks, sizes)

    def told(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pylist(
                [{"task": batch.column("id")[0].as_py(), "own": list(own(iter([batch])))}], SHARE
            )

    rows = shares.mapInArrow(told, "task bigint, own array<string>").collect()
    return [(row.task, list(row.own)) for row in rows]


SHARE = pa.schema([("task", pa.int64()), ("own", pa.list_(pa.string()))])


@pytest.mark.parametrize(
    ("things", "tasks", "sizes", "expected"),
    [
        pytest.param("abcdef", 3, None, ["ab", "cd", "ef"], id="of_one_size"),
        pytest.param("abcdef", 2, [1, 1, 1, 1, 1, 5], ["abcde", "f"], id="a_large_one_last"),
        pytest.param("abcdef", 2, [9, 1, 1, 1, 1, 1], ["a", "bcdef"], id="a_large_one_first"),
        pytest.param("ab", 8, None, ["a", "b"], id="more_tasks_than_things"),
        pytest.param("", 4, None, [""], id="nothing_to_do"),
    ],
)
def test_each_thing_is_in_one_share(
    spark: SparkSession, things: str, tasks: int, sizes: list[float] | None, expected: list[str]
) -> None:
    shares = dealt(spark, list(things), tasks, sizes)
    assert [(number, "".join(own)) for number, own in shares] == list(enumerate(expected))


def test_rows_of_the_driver_are_the_rows_of_the_frame(spark: SparkSession) -> None:
    rows = [("a", 1, date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)), (None, None, None, None)]
    frame = frame_of(spark, rows, "name string, many bigint, day date, at timestamp")
    assert [tuple(row) for row in frame.selectExpr("name", "many", "day", "unix_timestamp(at)").collect()] == [
        ("a", 1, date(2024, 1, 1), 1_704_067_200),
        (None, None, None, None),
    ]
    nothing = frame_of(spark, [], LOADED_FILES.schema)
    assert nothing.schema == LOADED_FILES.schema
    assert nothing.collect() == []


@pytest.mark.parametrize("lengths", [[], [0], [1, 0, 2], [0, 2, 0, 0, 1], [3]])
def test_no_row_behind_a_batch_without_rows_is_lost(spark: SparkSession, lengths: list[int]) -> None:
    schema = pa.schema([("one", pa.int64())])
    batches = [pa.RecordBatch.from_pydict({"one": [number] * rows}, schema) for number, rows in enumerate(lengths)]
    made = frame_of_batches(spark, batches, "one bigint")
    assert [row.one for row in made.collect()] == [number for number, rows in enumerate(lengths) for _ in range(rows)]
