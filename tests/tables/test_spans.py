"""Spans of days: the same days in fewer words, and days that lie far apart open no files in between."""

from datetime import date, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, write

from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.spans import MOST_SPANS, Span, around, bridged, joined, months_of, on_days
from meterlake.tables.store import Store

START = date(2023, 11, 1)
SPANS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 40)), max_size=60)


def days_of(spans: list[Span]) -> set[date]:
    return {first + timedelta(days=number) for first, last in spans for number in range((last - first).days + 1)}


@given(SPANS)
def test_joined_they_are_the_same_days_and_bridged_no_fewer(drawn: list[tuple[int, int]]) -> None:
    spans = [(START + timedelta(days=first), START + timedelta(days=first + length)) for first, length in drawn]
    found = joined(spans)
    assert days_of(found) == days_of(spans)
    assert found == sorted(found)
    assert all(following[0] > last + timedelta(days=1) for (_, last), following in pairwise(found))
    few = bridged(found)
    assert days_of(few) >= days_of(found)
    assert len(few) == min(len(found), MOST_SPANS)
    assert not found or (few[0][0], few[-1][1]) == (found[0][0], found[-1][1])


def test_the_shortest_gaps_are_bridged() -> None:
    far = [START + timedelta(days=100 * number) for number in range(MOST_SPANS)]
    near = far[3] + timedelta(days=2)
    assert bridged(around([*far, near])) == [(day, near if day == far[3] else day) for day in far]


def test_the_first_and_the_last_day_of_all_have_none_beside_them() -> None:
    assert around([date.min, date.max], 3, 3) == [
        (date.min, date(1, 1, 4)),
        (date(9999, 12, 28), date.max),
    ]


def test_days_around_and_whole_months() -> None:
    leap, other = date(2024, 2, 29), date(2024, 4, 2)
    assert around([other, leap], 1, 1) == [
        (date(2024, 2, 28), date(2024, 3, 1)),
        (date(2024, 4, 1), date(2024, 4, 3)),
    ]
    assert months_of([other, leap]) == [(date(2024, 2, 1), leap), (date(2024, 4, 1), date(2024, 4, 30))]
    assert months_of([leap, date(2024, 3, 5)]) == [(date(2024, 2, 1), date(2024, 3, 31))]
    assert months_of([]) == bridged([]) == []


def test_a_late_reading_opens_no_files_of_the_days_between(spark: SparkSession, settings: Settings) -> None:
    """Today's readings and one of a year ago: what is read are these days, of Arrow's files as of Spark's rows."""
    store, day = Store(spark, settings), "reading_date_local"
    days = [START + timedelta(days=number) for number in range(0, 360, 30)]
    for one in days:
        known = {"source": "village", "meter_id": "a", day: one, "interval_minutes": 30, "quality": "measured"}
        counts = {"reading_count": 48, "expected_count": 48, "completeness": 1.0}
        write(settings, INT_READINGS_DAILY, [known | counts])
    pairs = pa.table({"meter_id": ["a", "a"], "day": [days[0], days[-1]]})
    late = Changes.of_few(spark, VILLAGE.name, pairs)
    assert late.spans(before=1) == [(one - timedelta(days=1), one) for one in (days[0], days[-1])]

    scan = store.scan_meters(INT_READINGS_DAILY, late, late.spans())
    assert scan is not None
    assert len(scan.files) == 2
    rows = store.read(INT_READINGS_DAILY)
    for found in (late.meters_in(rows, day, late.spans()), late.days_in(rows, day)):
        assert [row[day] for row in found.orderBy(day).collect()] == [days[0], days[-1]]
    assert late.meters_in(rows, day, late.end_to_end()).count() == len(days)
    assert rows.where(on_days(day, late.spans())).count() == 2
    assert rows.where(on_days(day, [])).count() == 0


def test_days_of_more_pairs_than_the_driver_holds_are_read_in_the_same_way(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day of a utility: all meters' readings of today, and a few of two months ago."""
    late, today = date(2024, 1, 31), date(2024, 3, 5)
    pairs = spark.createDataFrame([(f"m{n}", today) for n in range(9)] + [("m1", late)], "meter_id string, day date")
    monkeypatch.setattr("meterlake.tables.changes.FEW_PAIRS", 5)
    many = Changes.of_frame(VILLAGE.name, pairs)
    assert many.few is None
    assert (many.first, many.last) == (late, today)
    assert many.spans(1, 2) == [(date(2024, 1, 30), date(2024, 2, 2)), (date(2024, 3, 4), date(2024, 3, 7))]
    assert many.months() == [(date(2024, 1, 1), date(2024, 1, 31)), (date(2024, 3, 1), date(2024, 3, 31))]

    of_old = many.until(date(2024, 3, 4))
    assert of_old.few is not None
    assert of_old.few.to_pylist() == [{"meter_id": "m1", "day": late}]
    assert many.until(date(2024, 1, 1)).nothing


def test_where_everything_changed_all_days_are_read() -> None:
    everything = Changes(VILLAGE.name, None, date(2024, 1, 31), date(2024, 3, 5))
    assert everything.spans(1, 2) == [(date(2024, 1, 30), date(2024, 3, 7))]
    assert everything.months() == [(date(2024, 1, 1), date(2024, 3, 31))]
    nothing = Changes(VILLAGE.name, None, None, None)
    assert nothing.spans() == nothing.months() == []
