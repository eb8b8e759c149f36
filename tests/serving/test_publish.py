"""Publishing into the real stores: what a reader sees, before, during and after, and when something goes wrong."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import clickhouse_connect
import psycopg2
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from delta.tables import DeltaTable
from psycopg2.extensions import connection
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.errors import LedgerUnbalanced, Unreachable, UsageError
from meterlake.serving import clickhouse, ddl, postgres, publish
from meterlake.serving.endpoint import endpoint
from meterlake.serving.outgoing import Outgoing
from meterlake.serving.slices import Slice, Wanted, slices_between
from meterlake.settings import Settings
from meterlake.tables.catalog import MARTS
from meterlake.tables.store import Store
from meterlake.tables.table import Column, Table

Rows = Callable[..., DataFrame]
Fetch = Callable[[str], list[tuple[Any, ...]]]
JANUARY, FEBRUARY = Slice("smart_meter", date(2024, 1, 1)), Slice("smart_meter", date(2024, 2, 1))


@pytest.fixture
def both(mart: Table, in_postgres: Fetch, in_clickhouse: Fetch) -> Callable[[str], list[tuple[Any, ...]]]:
    """Select from the mart in both stores, where they must agree: `both("count(*)")`."""
    assert mart.published is not None
    name = mart.published.clickhouse

    def select(what: str, rest: str = "") -> list[tuple[Any, ...]]:
        left = in_postgres(f"SELECT {what} FROM marts.{mart.name} {rest}")
        right = in_clickhouse(f"SELECT {what} FROM energy_analytics.{name} {rest}")
        assert left == right
        return left

    return select


@pytest.fixture
def leftovers(mart: Table, in_postgres: Fetch, in_clickhouse: Fetch) -> Callable[[], list[tuple[Any, ...]]]:
    """Names of the staging tables of this mart that are still there."""
    assert mart.published is not None
    in_clickhouse_is = mart.published.clickhouse

    def names() -> list[tuple[Any, ...]]:
        return in_postgres(
            f"SELECT tablename FROM pg_tables WHERE tablename LIKE '{mart.name}__staging%'"
        ) + in_clickhouse(f"SELECT name FROM system.tables WHERE name LIKE '{in_clickhouse_is}__staging%'")

    return names


def test_published_rows_equal_the_frame(mart: Table, rows: Rows, serving: Settings, both: Any, leftovers: Any) -> None:
    assert publish.needs_full(mart, serving)
    results = publish.publish(mart, rows(days=5, start=date(2024, 1, 30)), None, serving)
    assert [(one.store, one.rows, one.attempts) for one in results] == [("postgres", 5, 1), ("clickhouse", 5, 1)]
    assert both("count(*), sum(consumption_kwh)") == [(5, Decimal("0.6170"))]
    assert not publish.needs_full(mart, serving)
    assert leftovers() == []


VALUES = {
    "quotes_and_backslashes": ("reasons", 'it\'s "quoted", \\back\\slash\\n'),
    "unicode": ("reasons", "Zähler № 7 – 電力 ⚡ ?"),
    "control_characters": ("reasons", "two\nlines\tand a tab\r"),
    "the_end_of_copied_text": ("reasons", "one\n\\.\ntwo"),
    "empty_text_is_not_null": ("reasons", ""),
    "null_text": ("reasons", None),
    "the_word_null": ("reasons", "NULL"),
    "injection": ("reasons", "'; DROP TABLE marts.x; --"),
    "widest_decimal": ("consumption_kwh", Decimal("99999999999999.9999")),
    "smallest_negative_decimal": ("consumption_kwh", Decimal("-0.0001")),
    "null_decimal": ("consumption_kwh", None),
    "a_double_to_its_last_bit": ("score", 0.1 + 0.2),
    "tiny_double": ("score", 1e-300),
    "null_double": ("score", None),
    "null_int": ("rank", None),
    "large_bigint": ("reading_count", 2**62),
    "true": ("is_anomaly", True),
    "old_date": ("reading_date_local", date(1999, 12, 31)),
}


def test_values_arrive_as_they_are(mart: Table, rows: Rows, loading: Settings, both: Any) -> None:
    """One meter per value; all in one publish, as each takes a second."""
    frames = [rows(meter_id=meter, **{column: value}) for meter, (column, value) in VALUES.items()]
    publish.publish(mart, reduce(DataFrame.union, frames), None, loading)
    found = {meter: both(column, f"WHERE meter_id = '{meter}'") for meter, (column, _) in VALUES.items()}
    assert found == {meter: [(value,)] for meter, (_, value) in VALUES.items()}


def test_a_nul_character_is_shown_as_a_replacement(mart: Table, rows: Rows, loading: Settings, both: Any) -> None:
    publish.publish(mart, rows(reasons="a\0b"), None, loading)
    assert both("reasons") == [("a\ufffdb",)]


def test_a_timestamp_is_the_same_instant_in_both_stores(
    mart: Table, rows: Rows, loading: Settings, in_postgres: Fetch, in_clickhouse: Fetch, spark: SparkSession
) -> None:
    """01:30 UTC on the night when clocks go back in Europe, seen by a session and a JVM on other clocks."""
    zones = spark._jvm.java.util.TimeZone  # type: ignore[union-attr]
    before = zones.getDefault()
    frame = rows().selectExpr(
        *(name for name in mart.names if name != "reading_timestamp"),
        "timestamp_seconds(1729992600.75) AS reading_timestamp",
    )
    try:
        zones.setDefault(zones.getTimeZone("Europe/Berlin"))
        publish.publish(mart, frame, None, loading)
    finally:
        zones.setDefault(before)
    assert mart.published is not None
    name = mart.published.clickhouse
    assert in_postgres(f"SELECT extract(epoch FROM reading_timestamp)::bigint FROM marts.{mart.name}") == [
        (1729992600,)
    ]
    assert in_clickhouse(f"SELECT toUnixTimestamp(reading_timestamp) FROM energy_analytics.{name}") == [(1729992600,)]


@pytest.mark.parametrize("deleted", ["none", "some"])
def test_rows_of_files_arrive_as_those_of_spark(
    mart: Table, rows: Rows, loading: Settings, spark: SparkSession, both: Any, deleted: str
) -> None:
    """With what no store can hold, in a file that others' rows and other months' are in, too; `publish` compares."""

    def lake(score: float) -> Store:
        root = loading.lake.model_copy(update={"root": f"{loading.home}/{mart.name}/{score}"})
        made = Store(spark, loading.model_copy(update={"lake": root}))
        at = datetime(2024, 2, 1, 12, 30, 0, 750_000)
        odd = rows(start=date(2024, 2, 1), meter_id="odd", score=score, reasons="a\0b", reading_timestamp=at)
        others = [rows(days=70, score=score), rows(source="london"), rows(source="left_out")]
        made.append(reduce(DataFrame.union, others, odd).coalesce(1), mart)
        return made

    store = lake(0.25)
    publish.publish(mart, store.read(mart), None, loading, store.scan(mart), ["left_out"])
    assert both("source, count(*)", "GROUP BY source ORDER BY source") == [("london", 1), ("smart_meter", 71)]
    assert both("reasons, extract(second FROM reading_timestamp)", "WHERE meter_id = 'odd'") == [("a\ufffdb", 0)]

    store = lake(0.75)
    if deleted == "some":
        DeltaTable.forPath(spark, store.path(mart)).delete("reading_date_local = DATE'2024-02-03'")
    files = store.scan(mart)
    assert (Outgoing(Wanted(mart), store.read(mart), files).whole_files is None) == (deleted == "some")
    publish.publish(mart, store.read(mart), [FEBRUARY], loading, files)
    asked = "WHERE source = 'smart_meter' GROUP BY score ORDER BY score"
    assert both("score, count(*)", asked) == [(0.25, 41), (0.75, 29 if deleted == "some" else 30)]


@pytest.mark.parametrize("partition", ["month", "year"])
def test_only_the_changed_slice_is_replaced(
    partition: str, mart: Table, rows: Rows, serving: Settings, both: Any
) -> None:
    """Also where it is a part of a partition only."""
    mart = replace(mart, published=replace(ddl.published(mart), partition=partition))
    publish.publish(mart, rows(days=4, start=date(2024, 1, 30), score=0.25), None, serving)
    changed = rows(days=4, start=date(2024, 1, 30), score=0.75)
    publish.publish(mart, changed, [FEBRUARY], serving)
    assert both("reading_date_local, score", "ORDER BY 1") == [
        (date(2024, 1, 30), 0.25),
        (date(2024, 1, 31), 0.25),
        (date(2024, 2, 1), 0.75),
        (date(2024, 2, 2), 0.75),
    ]


def test_a_slice_without_rows_is_emptied(mart: Table, rows: Rows, serving: Settings, both: Any) -> None:
    publish.publish(mart, rows(days=4, start=date(2024, 1, 30)), None, serving)
    publish.publish(mart, rows(days=2, start=date(2024, 1, 30)), [FEBRUARY], serving)
    assert both("count(*), max(reading_date_local)") == [(2, date(2024, 1, 31))]


def test_another_source_keeps_its_slice_of_the_same_month(
    mart: Table, rows: Rows, serving: Settings, both: Any
) -> None:
    publish.publish(mart, rows(source="london").union(rows()), None, serving)
    publish.publish(mart, rows(source="london").union(rows()).where("false"), [JANUARY], serving)
    assert both("source, count(*)", "GROUP BY source") == [("london", 1)]


def test_an_empty_mart_is_published_as_an_empty_table(mart: Table, rows: Rows, loading: Settings, both: Any) -> None:
    publish.publish(mart, rows().limit(0), None, loading)
    assert both("count(*)") == [(0,)]
    assert not publish.needs_full(mart, loading)


def test_no_slice_is_no_work(mart: Table, rows: Rows, serving: Settings) -> None:
    assert publish.publish(mart, rows(), [], serving) == []
    assert publish.needs_full(mart, serving)


def test_twice_is_once(mart: Table, rows: Rows, serving: Settings, both: Any) -> None:
    for _ in range(2):
        publish.publish(mart, rows(days=3), None, serving)
        publish.publish(mart, rows(days=3), [JANUARY, FEBRUARY], serving)
    assert both("count(*)") == [(3,)]


def test_what_hangs_on_the_mart_survives_a_republish(
    mart: Table, rows: Rows, serving: Settings, in_postgres: Fetch, reader: connection
) -> None:
    """A grant, a view and a row policy, after a slice, a full publish and a new column."""
    publish.publish(mart, rows(days=4), None, serving)
    in_postgres(f"GRANT SELECT ON marts.{mart.name} TO pg_monitor")
    in_postgres(f"CREATE VIEW marts.{mart.name}_view AS SELECT source, score FROM marts.{mart.name}")
    in_postgres(f"CREATE POLICY mine ON marts.{mart.name} FOR SELECT TO PUBLIC USING (true)")
    wider = replace(mart, columns=(*mart.columns, Column("feeder", "string", "Feeder.")))
    with_feeder = rows(days=4).selectExpr("*", "'F1' AS feeder")
    for table, frame, slices in (
        (mart, rows(days=4), [FEBRUARY]),
        (mart, rows(days=4), None),
        (wider, with_feeder, None),
    ):
        publish.publish(table, frame, slices, serving)
        granted = in_postgres(f"SELECT has_table_privilege('pg_monitor', 'marts.{mart.name}', 'SELECT')")
        policies = in_postgres(f"SELECT count(*) FROM pg_policies WHERE tablename = '{mart.name}'")
        assert (granted, policies) == ([(True,)], [(1,)])
        with reader.cursor() as run:
            run.execute(
                f"SELECT (SELECT count(*) FROM marts.{mart.name}), (SELECT count(*) FROM marts.{mart.name}_view)"
            )
            assert run.fetchone() == (4, 4)


def test_the_reader_reads_and_cannot_write(mart: Table, rows: Rows, serving: Settings, reader: connection) -> None:
    publish.publish(mart, rows(), None, serving)
    assert mart.published is not None
    target, name = f"marts.{mart.name}", f"energy_analytics.{mart.published.clickhouse}"
    with reader.cursor() as run:
        for statement in (
            f"DELETE FROM {target}",
            f"INSERT INTO {target} SELECT * FROM {target}",
            f"UPDATE {target} SET score = 0",
            f"TRUNCATE {target}",
            f"DROP TABLE {target}",
            "CREATE TABLE marts.mine (x int)",
            "CREATE TABLE public.mine (x int)",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                run.execute(statement)
        run.execute(f"SELECT count(*) FROM {target}")
        assert run.fetchone() == (1,)
    known = endpoint(serving, "clickhouse")
    client = clickhouse_connect.get_client(
        host=known.host, port=known.port, username=known.reader, password=serving.secret("clickhouse_reader")
    )
    for statement in (
        f"INSERT INTO {name} SELECT * FROM {name}",
        f"ALTER TABLE {name} DELETE WHERE 1",
        f"TRUNCATE TABLE {name}",
        f"DROP TABLE {name}",
        "CREATE TABLE energy_analytics.mine (x Int8) ENGINE = MergeTree ORDER BY x",
        "SYSTEM STOP LISTEN HTTP",
        "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    ):
        with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
            client.command(statement)
    assert client.query(f"SELECT count() FROM {name}").result_rows == [(1,)]
    client.close()


def test_a_reader_sees_the_old_mart_or_the_new_one(mart: Table, rows: Rows, serving: Settings, both: Any) -> None:
    """Two readers ask all the time while the mart is replaced; no answer may mix 0.25 and 0.75, or miss a row."""
    publish.publish(mart, rows(days=40, score=0.25), None, serving)
    assert mart.published is not None
    query = "SELECT count(*), min(score), max(score) FROM "
    seen: set[tuple[Any, ...]] = set()
    done = threading.Event()

    def ask_postgres() -> None:
        opened = postgres.connect(serving)
        opened.autocommit = True
        with opened.cursor() as run:
            while not done.is_set():
                run.execute(f"{query} marts.{mart.name}")
                seen.add(("postgres", *(run.fetchone() or ())))
        opened.close()

    def ask_clickhouse() -> None:
        client = clickhouse.connect(serving)
        while not done.is_set():
            target = f"energy_analytics.{mart.published.clickhouse if mart.published else ''}"
            seen.add(("clickhouse", *client.query(f"{query} {target}").result_rows[0]))

    readers = [threading.Thread(target=ask) for ask in (ask_postgres, ask_clickhouse)]
    for reader in readers:
        reader.start()
    try:
        publish.publish(
            mart, rows(days=40, score=0.75), slices_between("smart_meter", date(2024, 1, 30), date(2024, 3, 9)), serving
        )
    finally:
        done.set()
        for reader in readers:
            reader.join()
    whole = {(store, 40, score, score) for store in ("postgres", "clickhouse") for score in (0.25, 0.75)}
    assert seen <= whole
    assert {("postgres", 40, 0.25, 0.25), ("clickhouse", 40, 0.25, 0.25)} <= seen, "the old mart was never seen"
    assert both("min(score)") == [(0.75,)]


@pytest.mark.parametrize("store", ["postgres", "clickhouse"])
@pytest.mark.parametrize("step", ["write", "staged", "swap"])
def test_a_publish_that_ends_midway_leaves_the_mart_as_it_was(
    mart: Table,
    rows: Rows,
    serving: Settings,
    both: Any,
    leftovers: Any,
    monkeypatch: pytest.MonkeyPatch,
    store: Any,
    step: str,
) -> None:
    """Whatever is raised before the swap; the staging table that stays behind goes with the next publish."""
    publish.publish(mart, rows(score=0.25), None, serving)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish.TARGETS[store], step, killed)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(mart, rows(score=0.25), [JANUARY], serving)
    assert both("count(*), min(score)") == [(1, 0.25)]
    assert leftovers() != []
    publish.publish(mart, rows(score=0.75), [JANUARY], serving)
    assert both("count(*), min(score)") == [(1, 0.75)]
    assert leftovers() == []


def test_a_failure_inside_the_postgres_swap_rolls_it_back(
    mart: Table, rows: Rows, serving: Settings, in_postgres: Fetch
) -> None:
    """The key is broken by the data: found by the real server, after the old rows were deleted in the transaction."""
    publish.publish(mart, rows(days=2, score=0.25), None, serving)
    twice = rows(days=2, score=0.75).union(rows(days=2, score=0.75))
    with pytest.raises(psycopg2.errors.UniqueViolation):
        publish.publish(mart, twice, [JANUARY], serving)
    assert in_postgres(f"SELECT count(*), max(score) FROM marts.{mart.name}") == [(2, 0.25)]


@pytest.mark.parametrize("store", ["postgres", "clickhouse"])
def test_rows_that_a_retried_task_wrote_twice_are_written_again(
    mart: Table, rows: Rows, serving: Settings, both: Any, monkeypatch: pytest.MonkeyPatch, store: Any
) -> None:
    target, writes = publish.TARGETS[store], []

    def twice_at_first(table: Table, out: Outgoing, staging: str, settings: Settings) -> None:
        writes.append(staging)
        original(table, out, staging, settings)
        if len(writes) == 1:
            original(table, out, staging, settings)

    original = target.write
    monkeypatch.setattr(target, "write", twice_at_first)
    results = publish.publish(mart, rows(days=3), None, serving)
    assert {one.store: one.attempts for one in results} == {"postgres": 1, "clickhouse": 1} | {store: 2}
    assert both("count(*)") == [(3,)]


@pytest.mark.parametrize("store", ["postgres", "clickhouse"])
def test_rows_that_never_agree_are_not_published(
    mart: Table,
    rows: Rows,
    serving: Settings,
    in_postgres: Fetch,
    leftovers: Any,
    monkeypatch: pytest.MonkeyPatch,
    store: Any,
) -> None:
    """A double that differs in its seventh digit is the same to nobody."""
    target = publish.TARGETS[store]
    original = target.write

    def otherwise(table: Table, out: Outgoing, staging: str, settings: Settings) -> None:
        other = out.frame.withColumn("score", F.col("score") + 2e-6)
        original(table, replace(out, frame=other), staging, settings)

    monkeypatch.setattr(target, "write", otherwise)
    with pytest.raises(LedgerUnbalanced, match="sum of score"):
        publish.publish(mart, rows(), None, serving)
    assert leftovers() == []


def test_a_store_that_goes_away_midway_is_said_in_one_sentence(
    mart: Table, rows: Rows, serving: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the staging step is real; then nothing listens any more."""
    moved = serving.model_copy(update={"postgres": serving.postgres.model_copy(update={"port": 1, "embedded": False})})
    with pytest.raises(Unreachable, match=r"PostgreSQL at 127\.0\.0\.1:1 cannot be used \(Connection refused\)"):
        publish.publish(mart, rows(), None, moved)
    original = postgres.write
    monkeypatch.setattr(postgres, "write", lambda table, out, staging, _: original(table, out, staging, moved))
    monkeypatch.setattr(publish, "endpoint", lambda _, store: endpoint(moved, store))
    with pytest.raises(Unreachable, match=r"went away while .* the mart is as it was"):
        publish.publish(mart, rows(), None, serving)


def test_changed_columns_ask_for_a_full_publish(mart: Table, rows: Rows, serving: Settings, both: Any) -> None:
    publish.publish(mart, rows(days=2), None, serving)
    texts = tuple(replace(column, type="string") if column.name == "rank" else column for column in mart.columns)
    changed = replace(mart, columns=tuple(column for column in texts if column.name != "reading_count"))
    assert publish.needs_full(changed, serving)
    with pytest.raises(ValueError, match="publish all of it"):
        publish.publish(changed, rows(days=2), [JANUARY], serving)
    assert both("count(*), sum(reading_count)") == [(2, 96)]
    publish.publish(changed, rows(days=2).withColumn("rank", F.col("rank").cast("string")), None, serving)
    assert both("rank", "ORDER BY 1") == [("0",), ("1",)]
    assert not publish.needs_full(changed, serving)


def test_other_sums_ask_for_a_full_publish(mart: Table, rows: Rows, serving: Settings, both: Any) -> None:
    publish.publish(mart, rows(days=2), None, serving)
    changed = replace(mart, published=replace(ddl.published(mart), sums=None))
    assert publish.needs_full(changed, serving)
    assert publish.lost_rows(changed, rows(days=2), "smart_meter", serving), "though no row has changed"
    publish.publish(changed, rows(days=3), None, serving)
    assert both("count(*)") == [(3,)]
    assert not publish.needs_full(changed, serving)


def test_a_view_on_a_column_that_goes_is_named(mart: Table, rows: Rows, serving: Settings, in_postgres: Fetch) -> None:
    publish.publish(mart, rows(), None, serving)
    in_postgres(f"CREATE VIEW marts.{mart.name}_view AS SELECT rank FROM marts.{mart.name}")
    narrower = replace(mart, columns=tuple(column for column in mart.columns if column.name != "rank"))
    with pytest.raises(UsageError, match=f"view marts.{mart.name}_view"):
        publish.publish(narrower, rows(), None, serving)
    assert in_postgres(f"SELECT count(rank) FROM marts.{mart.name}") == [(1,)]


EMPTIED = {
    "postgres_dropped": ("DROP TABLE marts.{mart} CASCADE", ""),
    "postgres_truncated": ("TRUNCATE marts.{mart}", ""),
    "postgres_month_deleted": ("DELETE FROM marts.{mart} WHERE reading_date_local >= '2024-02-01'", ""),
    "clickhouse_dropped": ("", "DROP TABLE energy_analytics.{mart} SYNC"),
    "clickhouse_truncated": ("", "TRUNCATE TABLE energy_analytics.{mart}"),
}


@pytest.mark.parametrize(("there", "here"), EMPTIED.values(), ids=EMPTIED.keys())
def test_a_mart_that_somebody_emptied_is_noticed(
    there: str, here: str, mart: Table, rows: Rows, serving: Settings, in_postgres: Fetch, in_clickhouse: Fetch
) -> None:
    assert mart.published is not None
    published = rows(days=4, start=date(2024, 1, 30))
    publish.publish(mart, published.union(rows(source="london")), None, serving)
    assert not publish.lost_rows(mart, published, "smart_meter", serving)
    if there:
        in_postgres(there.format(mart=mart.name))
    if here:
        clickhouse.connect(serving).command(here.format(mart=mart.published.clickhouse))
    assert publish.lost_rows(mart, published, "smart_meter", serving)


def test_stores_that_are_down_have_lost_nothing(mart: Table, rows: Rows, settings: Settings) -> None:
    assert not publish.lost_rows(mart, rows(), "smart_meter", settings)


def test_slices_keep_the_months_of_their_source(mart: Table, rows: Rows) -> None:
    frame = rows(days=60, start=date(2024, 1, 15)).union(rows(days=60, start=date(2024, 1, 15), source="london"))
    london = [Slice("london", date(2024, 1, 1)), Slice("london", date(2024, 3, 1))]
    kept = frame.where(Wanted(mart, [FEBRUARY, *london]).sql)
    found = {(row[0], row[1]) for row in kept.selectExpr("source", "month(reading_date_local)").distinct().collect()}
    assert found == {("smart_meter", 2), ("london", 1), ("london", 3)}


def test_slices_between_two_days_are_their_months() -> None:
    found = slices_between("s", date(2023, 11, 30), date(2024, 1, 1))
    assert [one.month for one in found] == [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]


def test_counts_name_each_mart_of_each_running_store(serving: Settings, settings: Settings) -> None:
    found = publish.counts(serving)
    assert {store: set(tables) for store, tables in found.items()} == {
        store: {mart.name for mart in MARTS} for store in ("postgres", "clickhouse")
    }
    assert publish.counts(settings) == {}, "the stores of this home do not run"


def test_many_months_go_in_one_publish(mart: Table, spark: SparkSession, loading: Settings, both: Any) -> None:
    """More partitions than ClickHouse takes in one block by default (100), and rows in no order."""
    frame = spark.range(0, 30_000, 1, 3).selectExpr(
        "'smart_meter' AS source",
        "concat('m', id % 3) AS meter_id",
        "timestamp_seconds(1000000000 + id * 15000) AS reading_timestamp",
        "to_date(timestamp_seconds(1000000000 + id * 15000)) AS reading_date_local",
        "cast(id / 7 AS decimal(18,4)) AS consumption_kwh",
        "rand(7) AS score",
        "int(id % 100) AS rank",
        "id AS reading_count",
        "id % 100 = 0 AS is_anomaly",
        "if(id % 100 = 0, 'ratio', null) AS reasons",
    )
    results = publish.publish(mart, frame, None, loading)
    assert [one.attempts for one in results] == [1, 1]
    assert both("count(*), sum(reading_count), min(reading_date_local)") == [(30_000, 449_985_000, date(2001, 9, 9))]
