"""Rows exchanged in the driver: what MERGE and the change data feed say, without either."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.errors import Overtaken
from meterlake.settings import Settings
from meterlake.tables import arrow_writer, changes, exchange, upkeep
from meterlake.tables import store as stores
from meterlake.tables.arrow_pass import ArrowPass, Rows
from meterlake.tables.arrow_writer import CheckViolated
from meterlake.tables.changes import Changes
from meterlake.tables.differences import KeyTwice
from meterlake.tables.exchange import Standing
from meterlake.tables.file_scan import FileScan
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES as SCORES
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE as PROFILE
from meterlake.tables.reader import Lake
from meterlake.tables.store import Store
from meterlake.tuning import commits

FIRST = date(2024, 1, 1)
Scores = dict[tuple[str, int], float]  # (meter, hour since FIRST) -> score


@pytest.fixture
def store(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(arrow_writer, "GROUP_ROWS", 7)  # so that rows lie in many row groups
    return Store(spark, settings)


def scored(store: Store, scores: Scores, source: str = "village") -> DataFrame:
    start = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
    rows = [
        {
            **dict.fromkeys(SCORES.names),
            "reading_id": f"{source}:{meter}:{hour}",
            "source": source,
            "meter_id": meter,
            "reading_timestamp": start + timedelta(hours=hour),
            "reading_date_local": (start + timedelta(hours=hour)).date(),
            "anomaly_score": score,
            "raw_score": float("nan"),
            "is_anomaly": score > 0.9,
            "anomaly_type": "high_consumption" if score > 0.9 else None,
            "model_version": "m/1",
            "scored_at": start,
        }
        for (meter, hour), score in scores.items()
    ]
    return store.spark.createDataFrame([tuple(row.values()) for row in rows], SCORES.schema)


def stands(store: Store, source: str = "village") -> Scores:
    """By Delta's own reader."""
    frame = store.spark.read.format("delta").load(store.path(SCORES)).where(f"source = '{source}'")
    rows = frame.select("meter_id", "reading_timestamp", "anomaly_score").collect()
    found = {(row[0], round((row[1] - datetime(2024, 1, 1)).total_seconds() / 3600)): row[2] for row in rows}
    assert len(found) == len(rows)
    return found


def few(store: Store, *pairs: tuple[str, int], source: str = "village") -> Changes:
    """Changes of some meters and days since FIRST."""
    rows = [{"meter_id": meter, "day": FIRST + timedelta(days=day)} for meter, day in pairs]
    return Changes.of_few(store.spark, source, pa.Table.from_pylist(rows))


def operations(store: Store) -> list[str]:
    return [commit.operation for commit in commits.of_table(Path(store.path(SCORES)))]


def a_month(meters: str = "abc", days: int = 3) -> Scores:
    return {(meter, hour): 0.1 + hour / 1000 for meter in meters for hour in range(24 * days)}


def test_rows_of_the_changed_days_become_those_made(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    store.append(scored(store, a_month("a"), "town"), SCORES)
    files = {file.name for file in Lake.of(store.settings).files(SCORES)}
    made = {key: score for key, score in a_month().items() if key[0] == "b" and 24 <= key[1] < 48}
    made |= {("b", 24): 0.95, ("b", 25): 0.96}  # two differ
    del made["b", 47]  # one is gone
    made |= {("c", 70): a_month()["c", 70]}  # and of this day one is left, as it was
    changed = store.replace(scored(store, made), SCORES, few(store, ("b", 1), ("c", 2)))
    assert changed == 2 + 1 + 23
    others = {key: score for key, score in a_month().items() if (key[0], key[1] // 24) not in {("b", 1), ("c", 2)}}
    assert stands(store) == others | made
    assert stands(store, "town") == a_month("a")
    now = Lake.of(store.settings).files(SCORES)
    assert files <= {file.name for file in now}, "no file was written again"
    last = commits.of_table(Path(store.path(SCORES)))[-1]
    assert (last.operation, last.rows, last.files) == ("MERGE", changed, 1)
    scan = store.scan(SCORES, source=["village"])
    assert scan is not None
    assert sum(batch.num_rows for batch in scan.here(["meter_id"])) == len(stands(store)), "delta-rs sees the same"


def test_doing_it_twice_changes_nothing(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    made, days = scored(store, {("a", 1): 0.5}), few(store, ("a", 0))
    assert store.replace(made, SCORES, days, note="once") == 24
    before = stands(store)
    assert store.replace(made, SCORES, days) == 0
    assert stands(store) == before
    assert store.version_noted(SCORES, "once") == len(operations(store)) - 1, "nothing was committed after it"


def test_a_file_of_which_nothing_is_left_leaves_the_table(store: Store) -> None:
    store.append(scored(store, a_month("a", 1)).coalesce(1), SCORES)
    assert store.replace(scored(store, {}), SCORES, few(store, ("a", 0))) == 24
    assert stands(store) == {}
    assert Lake.of(store.settings).files(SCORES) == []


def test_days_of_which_nothing_stands_are_appended(store: Store) -> None:
    store.append(scored(store, a_month(days=1)), SCORES)
    later = {("a", hour): 0.2 for hour in range(24, 48)}
    assert store.replace(scored(store, later), SCORES, few(store, ("a", 1))) == 24
    assert operations(store)[-1] == "WRITE"
    assert stands(store) == a_month(days=1) | later


def test_a_row_that_breaks_a_check_is_not_written(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    with pytest.raises(CheckViolated, match="score_in_range"):
        store.replace(scored(store, {("a", 0): 1.5}), SCORES, few(store, ("a", 0)))
    assert stands(store) == a_month()


def test_a_key_made_twice_is_not_written(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    twice = scored(store, {("a", 0): 0.5}).union(scored(store, {("a", 0): 0.6}))
    with pytest.raises(KeyTwice, match="mart_anomaly_scores: two rows have the same key"):
        store.replace(twice, SCORES, few(store, ("a", 0)))
    assert stands(store) == a_month()


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_BYTES"])
def test_what_is_not_few_goes_by_spark_to_the_same_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    store.append(scored(store, a_month()), SCORES)
    monkeypatch.setattr(exchange, limit, 5)
    assert store.replace(scored(store, {("a", 1): 0.5}), SCORES, few(store, ("a", 0))) == 24
    assert stands(store) == {key: score for key, score in a_month().items() if key >= ("a", 24)} | {("a", 1): 0.5}


def test_whole_days_are_written_anew_where_they_are_too_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """All meters on the second day, of which one is gone, and one meter on the third."""
    store.append(scored(store, a_month()), SCORES)
    store.append(scored(store, a_month("a"), "town"), SCORES)
    monkeypatch.setattr(changes, "MANY_PAIRS", 1)
    pairs = pa.Table.from_pylist(
        [{"meter_id": m, "day": FIRST + timedelta(days=d)} for m, d in (("a", 1), ("b", 1), ("c", 1), ("a", 2))]
    )
    days = Changes.of_few(store.spark, "village", pairs, meters=3)
    assert days.whole == {FIRST + timedelta(days=1)}
    made = {key: score + 0.5 for key, score in a_month("ab").items() if 24 <= key[1] < 48} | {("a", 50): 0.9}
    others = {
        (meter, hour): score for (meter, hour), score in a_month().items() if hour < 24 or (hour >= 48 and meter != "a")
    }
    monkeypatch.setattr(exchange, "MOST_ROWS", 5)
    assert store.replace(scored(store, made), SCORES, days) == 48 + 24
    assert stands(store) == others | made
    assert stands(store, "town") == a_month("a")
    assert operations(store)[-2:] == ["WRITE", "MERGE"]
    assert store.replace(scored(store, made), SCORES, days) == 48
    assert stands(store) == others | made


def test_a_log_without_the_files_entries_goes_by_spark(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    log = Path(store.path(SCORES)) / "_delta_log"
    for number in range(4):
        store.replace(scored(store, {("a", 1): number / 100}), SCORES, few(store, ("a", 0)))
        if number == 2:
            upkeep.checkpoint(store, SCORES)
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    for entry in log.glob("*.json"):
        if entry.name[:20] < checkpoint.name[:20]:
            entry.unlink()
    assert store.replace(scored(store, {("b", 1): 0.5}), SCORES, few(store, ("b", 0))) == 24
    assert stands(store)["b", 1] == 0.5, "the entries were found in the checkpoint"
    (log / "_last_checkpoint").unlink()
    assert store.replace(scored(store, {("c", 1): 0.5}), SCORES, few(store, ("c", 0))) == 24
    assert stands(store)["c", 1] == 0.5, "by Spark, which finds the checkpoint without being told"


def test_months_become_those_made(store: Store) -> None:
    def profile(months: dict[int, float]) -> DataFrame:
        rows = [
            {
                **dict.fromkeys(PROFILE.names),
                "source": "village",
                "meter_id": "a",
                "month_local": date(2024, month, 1),
                "day_type": "weekday",
                "hour_of_day": 7,
                "season": "winter",
                "hours": 22.0,
                "energy_kwh": Decimal(load),
                "mean_load_kw": load,
            }
            for month, load in months.items()
        ]
        return store.spark.createDataFrame([tuple(row.values()) for row in rows], PROFILE.schema)

    def loads() -> dict[int, float]:
        return {row.month_local.month: float(row.mean_load_kw) for row in store.read(PROFILE).collect()}

    store.replace_months(profile({1: 1.0, 2: 2.0, 3: 3.0}), PROFILE, "village", None)
    months = [date(2024, month, 1) for month in (1, 3, 4)]
    assert store.replace_months(profile({1: 1.0, 4: 4.0}), PROFILE, "village", months) == 2
    assert loads() == {1: 1.0, 2: 2.0, 4: 4.0}
    store.replace_months(profile({5: 5.0}), PROFILE, "village", None)
    assert loads() == {5: 5.0}


def test_a_pass_takes_out_the_rows_that_it_replaces(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    coming = {("a", 5): 0.7, ("c", 30): 0.8, ("d", 0): 0.9}
    replaced = scored(store, {key: 0.0 for key in coming if key[0] != "d"}).toArrow()
    made = ArrowPass(SCORES, Rows(scored(store, coming)), lambda batches: batches)
    places = replaced.select([*SCORES.key, "reading_date_local"])
    assert store.replace_by_pass(made, SCORES, "village", places, "again") == 3
    assert stands(store) == a_month() | coming
    assert store.last_note(SCORES) == "again"
    last = commits.of_table(Path(store.path(SCORES)))[-1]
    assert last.rows == 3


def changed_by_feed(store: Store, since: int) -> set[tuple[str, date]]:
    feed = store._feed(SCORES, since, store.version(SCORES)).where("source = 'village'")
    return {(row.meter_id, row.reading_date_local) for row in feed.select("meter_id", "reading_date_local").collect()}


def told(changes: Changes) -> set[tuple[str, date]]:
    return {(row.meter_id, row.day) for row in changes.days.collect()} if changes.days else set()


def test_changes_are_those_of_the_feed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(scored(store, a_month()), SCORES)
    since = store.version(SCORES)
    store.replace(scored(store, {("b", 30): 0.5}), SCORES, few(store, ("b", 1)))
    store.append(scored(store, {("d", 0): 0.5}), SCORES)
    store.append(scored(store, {("e", 0): 0.5}, "town"), SCORES)
    monkeypatch.setattr(exchange, "MOST_ROWS", 1)  # by MERGE, with a feed of its own
    store.replace(scored(store, {("c", 60): 0.5}), SCORES, few(store, ("c", 2)))
    found = store.changes(SCORES, "village", since)
    assert found.few is not None
    assert (
        told(found)
        == changed_by_feed(store, since)
        == {
            ("b", date(2024, 1, 2)),
            ("c", date(2024, 1, 3)),
            ("d", date(2024, 1, 1)),
        }
    )
    assert (found.first, found.last) == (date(2024, 1, 1), date(2024, 1, 3))
    assert len(told(store.changes(SCORES, "village", -1))) == 10, "since before there was a table"


def test_what_is_moved_only_is_no_change(store: Store) -> None:
    store.append(scored(store, a_month()), SCORES)
    store.replace(scored(store, {("b", 30): 0.5}), SCORES, few(store, ("b", 1)))
    since = store.version(SCORES)
    store.spark.sql(f"OPTIMIZE delta.`{store.path(SCORES)}`")
    store.replace(scored(store, {("a", 3): 0.5}), SCORES, few(store, ("a", 0)))
    assert store.version(SCORES) == since + 2
    found = store.changes(SCORES, "village", since)
    assert told(found) == {("a", date(2024, 1, 1))}, "the feed tells it"
    assert store.changes(SCORES, "village", store.version(SCORES)).nothing


def test_many_exchanges_in_any_order_end_as_told(store: Store) -> None:
    """Twelve exchanges: what stands is what a dictionary holds, and each net change is what differs in it."""
    lots = random.Random(5)
    kept: Scores = {}
    store.append(scored(store, a_month()), SCORES)
    kept |= a_month()
    states: list[tuple[int, Scores]] = [(store.version(SCORES), dict(kept))]
    for _ in range(12):
        pairs = {(lots.choice("abcd"), lots.randrange(4)) for _ in range(lots.randrange(1, 5))}
        made = {
            (meter, day * 24 + hour): lots.choice([0.1, 0.2, 0.1 + (day * 24 + hour) / 1000])
            for meter, day in pairs
            for hour in range(24)
            if lots.random() < 0.5
        }
        store.replace(scored(store, made), SCORES, few(store, *pairs))
        kept = {key: score for key, score in kept.items() if (key[0], key[1] // 24) not in pairs} | made
        assert stands(store) == kept
        states.append((store.version(SCORES), dict(kept)))
    for version, before in states[:-1]:
        differ = {key for key in before.keys() | kept.keys() if before.get(key) != kept.get(key)}
        days = {(meter, FIRST + timedelta(days=hour // 24)) for meter, hour in differ}
        # A row that was changed and changed back is another row in another file.
        assert days <= told(store.changes(SCORES, "village", version))


@pytest.mark.parametrize("most", [1_000_000, 1], ids=["driver", "spark"])
def test_amending_touches_the_named_columns_only(store: Store, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(stores, "MOST_ROWS", most)
    store.append(scored(store, a_month()), SCORES)
    asked = {("a", 0): 0.9, ("b", 30): 0.8, ("d", 5): 0.7, ("c", 3): 0.0, ("d", 6): 0.0}
    frame = scored(store, asked).withColumns({"gone": F.col("anomaly_score") == 0, "model_version": F.lit("m/2")})
    store.amend(frame, SCORES, "village", (FIRST, FIRST + timedelta(days=2)), ("anomaly_score",), "amended")
    expected = a_month() | {key: score for key, score in asked.items() if score}
    del expected["c", 3]
    assert stands(store) == expected
    newer = store.read(SCORES).where("model_version = 'm/2'").select("meter_id").collect()
    assert [row.meter_id for row in newer] == ["d"], "of rows that stood only the score was amended"
    assert store.last_note(SCORES) == "amended"


def test_who_was_overtaken_writes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.append(scored(store, a_month()), SCORES)
    of = Standing.of

    def while_another_writes(scan: FileScan | None) -> Standing | None:
        found = of(scan)
        store.append(scored(store, {("z", 0): 0.5}), SCORES)
        return found

    monkeypatch.setattr(Standing, "of", while_another_writes)
    with pytest.raises(Overtaken, match=r"got a version after 1 .*nothing was written, run it again"):
        store.replace(scored(store, {("a", 0): 0.5}), SCORES, few(store, ("a", 0)))
    assert stands(store) == a_month() | {("z", 0): 0.5}
