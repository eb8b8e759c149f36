"""Which of several lines about one interval is current; and that batches one by one equal all at once."""

from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from tests.lake import plan_of

from meterlake.quality.validation import MEASURED, contested, resolve

AT = datetime(2024, 1, 1)
SCHEMA = (
    "source string, meter_id string, reading_timestamp timestamp, reading_date_local date, "
    + ", ".join(f"{name} {'string' if name == 'anomaly_label' else 'double'}" for name in MEASURED)
    + ", source_file string, file_id bigint, line_order bigint, batch_id string"
)


def lines(spark: SparkSession, *given: tuple[int, int, float | None]) -> DataFrame:
    """(file, line, kWh) about one interval of one meter."""
    rest = [None] * (len(MEASURED) - 1)
    rows = [("s", "m", AT, date(2024, 1, 1), kwh, *rest, "f", file, line, "b") for file, line, kwh in given]
    return spark.createDataFrame(rows, SCHEMA)


def statuses(spark: SparkSession, *given: tuple[int, int, float | None]) -> list[str]:
    return [row.status for row in resolve(lines(spark, *given)).orderBy("file_id", "line_order").collect()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([(1, 1, 1.0)], ["current"], id="one_line"),
        pytest.param([(1, 1, 1.0), (1, 2, 1.0)], ["current", "exact_duplicate"], id="same_line_twice"),
        pytest.param([(1, 1, 1.0), (2, 1, 1.0)], ["current", "exact_duplicate"], id="same_value_in_a_later_file"),
        pytest.param([(1, 1, 1.0), (1, 2, 2.0)], ["conflicting_duplicate"] * 2, id="two_values_in_one_file"),
        pytest.param([(1, 1, 1.0), (2, 1, 2.0)], ["superseded", "current"], id="corrected_by_a_later_file"),
        pytest.param(
            [(1, 1, 1.0), (2, 1, 2.0), (3, 1, 1.0)], ["superseded", "superseded", "current"], id="corrected_and_back"
        ),
        pytest.param(
            [(1, 1, 1.0), (2, 1, 2.0), (2, 2, 3.0)],
            ["current", "conflicting_duplicate", "conflicting_duplicate"],
            id="a_conflict_does_not_replace_what_stands",
        ),
        pytest.param([(1, 1, 1.0), (2, 1, None)], ["superseded", "current"], id="withdrawn_by_a_later_file"),
        pytest.param([(0, 0, 1.0), (1, 1, 2.0)], ["replaced", "current"], id="a_standing_reading_is_replaced"),
        pytest.param([(0, 0, 1.0), (1, 1, 1.0)], ["current", "exact_duplicate"], id="a_standing_reading_is_repeated"),
    ],
)
def test_status(spark: SparkSession, given: list[tuple[int, int, float | None]], expected: list[str]) -> None:
    assert statuses(spark, *given) == expected


def test_a_replaced_reading_knows_what_replaced_it(spark: SparkSession) -> None:
    first = resolve(lines(spark, (0, 0, 1.0), (1, 1, 2.0), (2, 1, None))).orderBy("file_id").head()
    assert first is not None
    assert (first.status, first.consumption_kwh, first.after_kwh) == ("replaced", 1.0, None)


def test_nothing_in_nothing_out(spark: SparkSession) -> None:
    assert statuses(spark) == []


def test_one_shuffle_serves_all_windows(spark_for_much: SparkSession) -> None:
    plan = plan_of(resolve(lines(spark_for_much, (1, 1, 1.0))))
    assert plan.count("Exchange hashpartitioning") == 1
    assert plan.count("Sort [") == 1


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0])), min_size=1, max_size=6))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_file_by_file_ends_as_all_at_once(spark: SparkSession, delivered: list[tuple[int, float]]) -> None:
    given = [(file, line, kwh) for line, (file, kwh) in enumerate(sorted(delivered, key=lambda d: d[0]))]
    at_once = [r.consumption_kwh for r in resolve(lines(spark, *given)).where("status = 'current'").collect()]
    standing: list[float] = []
    for file in sorted({file for file, _, _ in given}):
        before = [(0, 0, kwh) for kwh in standing]
        here = [line for line in given if line[0] == file]
        standing = [
            r.consumption_kwh for r in resolve(lines(spark, *before, *here)).where("status = 'current'").collect()
        ]
    assert standing == at_once


@pytest.mark.parametrize("minutes", [1, 7, 15, 30, 60, 1440])
def test_contested_are_the_intervals_with_several_rows(spark: SparkSession, minutes: int) -> None:
    """Counted one by one: every 11th interval of 300 comes twice, every 70th three times, for a meter with gaps."""
    of_meters = {"a": range(300), "b": range(0, 300, 3)}
    given = [
        (meter, AT + timedelta(minutes=minutes * slot))
        for meter, slots in of_meters.items()
        for slot in slots
        for _ in range(3 if slot % 70 == 69 else 2 if slot % 11 == 0 else 1)
    ]
    unknown = [(None, AT), ("a", None), (None, AT), ("a", None)]
    frame = spark.createDataFrame([*given, *unknown], "meter_id string, reading_timestamp timestamp")
    found = {tuple(row) for row in contested(frame, minutes).collect()}
    assert found == {interval for interval, rows in Counter(given).items() if rows > 1}


def test_rows_are_looked_at_again_only_where_an_interval_repeats_and_are_not_shuffled(
    spark_for_much: SparkSession,
) -> None:
    intervals = "cast(id % 3 AS string) AS meter_id", "timestamp_seconds(id * 900) AS reading_timestamp"
    once = spark_for_much.range(1000).selectExpr(*intervals)
    assert "LocalTableScan <empty>" in plan_of(contested(once, 15))
    repeated = plan_of(contested(once.union(once.limit(1)), 15))
    assert "BroadcastHashJoin" in repeated
    assert "SortMergeJoin" not in repeated
