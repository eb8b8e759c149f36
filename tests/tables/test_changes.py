"""Changed meter-days, where they are more than the driver holds: of most meters on some days, of a few on others."""

from datetime import date, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.lake import VILLAGE, write

from meterlake.settings import Settings
from meterlake.tables.changes import Changes, following_days
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.store import Store

DAY = "reading_date_local"
METERS = [f"m{number}" for number in range(10)]
LATE, TODAY = date(2024, 1, 31), date(2024, 3, 5)
DAYS = [LATE, LATE + timedelta(days=1), TODAY - timedelta(days=1), TODAY]


@pytest.fixture(autouse=True)
def five_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meterlake.tables.changes.FEW_PAIRS", 5)
    monkeypatch.setattr("meterlake.tables.changes.MANY_PAIRS", 3)


def frame(spark: SparkSession, pairs: list[tuple[str, date]]) -> DataFrame:
    return spark.createDataFrame(pairs, "meter_id string, day date")


@pytest.fixture
def utility(spark: SparkSession) -> Changes:
    """All meters' readings of today but one's, and a few of five weeks ago."""
    pairs = [(meter, TODAY) for meter in METERS[1:]] + [("m1", LATE), ("m2", LATE)]
    return Changes.of_frame(VILLAGE.name, frame(spark, pairs), len(METERS))


@pytest.fixture
def store(spark: SparkSession, settings: Settings) -> Store:
    """A day of each meter, in a file for each of DAYS."""
    counts = {"reading_count": 48, "expected_count": 48, "completeness": 1.0}
    known = {"source": "village", "interval_minutes": 30, "quality": "measured"} | counts
    for day in DAYS:
        write(settings, INT_READINGS_DAILY, [known | {"meter_id": meter, DAY: day} for meter in METERS])
    return Store(spark, settings)


def test_a_day_of_most_meters_is_whole(utility: Changes) -> None:
    assert utility.whole == {TODAY}
    assert utility.few is not None
    assert sorted(utility.few.to_pylist(), key=str) == [{"meter_id": name, "day": LATE} for name in ("m1", "m2")]
    assert (utility.first, utility.last, utility.each_day) == (LATE, TODAY, [LATE, TODAY])
    assert utility.spans(1) == [(LATE - timedelta(days=1), LATE), (TODAY - timedelta(days=1), TODAY)]


def test_its_rows_are_those_of_all_meters_and_of_the_few_on_other_days(utility: Changes, store: Store) -> None:
    wanted = {("m1", LATE), ("m2", LATE), *((meter, TODAY) for meter in METERS)}
    rows = store.read(INT_READINGS_DAILY)
    assert {(row.meter_id, row[DAY]) for row in utility.days_in(rows, DAY).collect()} == wanted
    scan = store.scan_days(INT_READINGS_DAILY, utility)
    assert scan is not None
    assert len(scan.files) == 2
    found = [row for batch in scan.here(["meter_id", DAY]) for row in batch.to_pylist()]
    assert {(row["meter_id"], row[DAY]) for row in found} == wanted
    assert utility.meters_in(rows, DAY, utility.spans()).count() == 2 * len(METERS)


def test_what_depends_on_a_whole_day_is_whole(utility: Changes) -> None:
    after = utility.also(following_days(1, TODAY))
    assert after.whole == {TODAY}
    assert after.each_day == [LATE, LATE + timedelta(days=1), TODAY]
    assert after.days is not None
    assert after.days.count() == len(METERS) - 1 + 4, "the pairs themselves are told, too"
    weeks = utility.also(following_days(40))
    assert weeks.few is None, "two meters' 40 days are more than five"
    assert (weeks.first, weeks.last) == (LATE, TODAY + timedelta(days=40))


def test_without_the_whole_day_the_rest_is_few(spark: SparkSession, utility: Changes) -> None:
    rest = utility.until(TODAY - timedelta(days=1))
    assert rest.whole == set()
    assert rest.each_day == [LATE]
    of_few = Changes.of_frame(VILLAGE.name, frame(spark, [("m1", TODAY), ("m2", TODAY), ("m1", LATE)]), 3)
    assert (of_few.whole, of_few.each_day) == ({TODAY}, [LATE, TODAY])
    assert Changes.of_frame(VILLAGE.name, frame(spark, [("m1", TODAY), ("m2", TODAY)]), 3).whole == set()
    assert utility.until(TODAY) is utility
    assert utility.until(LATE - timedelta(days=1)).nothing


def test_others_on_a_whole_day_add_nothing(spark: SparkSession, utility: Changes) -> None:
    more = Changes.of_frame(VILLAGE.name, frame(spark, [("m0", TODAY), ("m3", LATE)]))
    both = utility.or_in(more)
    assert both.whole == {TODAY}
    assert both.few is not None
    assert sorted(both.few.column("meter_id").to_pylist()) == ["m1", "m2", "m3"]


def test_many_pairs_on_days_of_few_meters_are_looked_up_by_spark(spark: SparkSession, store: Store) -> None:
    some = [(meter, day) for meter in METERS[:4] for day in DAYS]
    spread = Changes.of_frame(VILLAGE.name, frame(spark, some), len(METERS))
    assert (spread.whole, spread.few) == (set(), None)
    assert store.scan_days(INT_READINGS_DAILY, spread) is None
    assert spread.days_in(store.read(INT_READINGS_DAILY), DAY).count() == len(some)
