"""A home that an earlier version of meterlake made gets what was declared since; what was added to a table is known."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.lake import row_of

from meterlake.session import SMALL_BYTES, size_to
from meterlake.settings import Settings
from meterlake.tables import store as module
from meterlake.tables.ops import RUNS
from meterlake.tables.reader import Lake
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
from meterlake.tables.table import Table

OLD = replace(STG_METER_READINGS, columns=tuple(c for c in STG_METER_READINGS.columns if c.name != "delivered_kwh"))


def reading(spark: SparkSession, table: Table, hour: int, **more: Any) -> DataFrame:
    """One whole reading of the meter a."""
    values = {
        "reading_id": f"village:a:{hour}",
        "source": "village",
        "meter_id": "a",
        "reading_timestamp": datetime(2024, 1, 1, hour),
        "interval_minutes": 60,
        "consumption_kwh": 1.0,
        "active_power_kw": 1.0,
        "reading_date_local": date(2024, 1, 1),
        "hour_of_day": hour,
        "day_of_week": 1,
        "quality": "measured",
        "batch_id": "one",
    } | more
    return spark.createDataFrame([tuple(values.get(name) for name in table.names)], table.schema)


def test_a_home_made_before_a_column_was_declared_is_read_and_written(spark: SparkSession, settings: Settings) -> None:
    Store(spark, settings).append(reading(spark, OLD, 1), OLD)
    store = Store(spark, settings)
    assert store.read(STG_METER_READINGS).columns == STG_METER_READINGS.names
    assert store.read(STG_METER_READINGS, version=0).where("delivered_kwh IS NOT NULL").count() == 0
    version = store.version(STG_METER_READINGS)
    edited = {"quality": "edited", "consumption_kwh": 1.0, "delivered_kwh": 9.0}
    store.append(reading(spark, STG_METER_READINGS, 2, **edited), STG_METER_READINGS)
    found = store.read(STG_METER_READINGS).orderBy("reading_timestamp").select("delivered_kwh").collect()
    assert [row.delivered_kwh for row in found] == [None, 9.0]
    (described,) = [f for f in store.read(STG_METER_READINGS).schema if f.name == "delivered_kwh"]
    assert described.metadata["comment"].endswith("[kWh]")
    changed = store.changes(STG_METER_READINGS, "village", version)
    assert changed.days is not None
    assert changed.days.count() == 1


def test_a_home_made_before_gets_few_checkpoints(spark: SparkSession, settings: Settings) -> None:
    Store(spark, settings).ensure(RUNS)
    path, often = Store(spark, settings).path(RUNS), "'delta.checkpointInterval' = '10'"
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ({often})")
    store = Store(spark, settings)
    for _ in range(12):
        store.append_rows([row_of(RUNS, source="ami", step="stage", started_at=datetime.now(UTC))], RUNS)
    detail = DeltaTable.forPath(spark, path).detail().head()
    assert detail is not None
    assert detail.properties["delta.checkpointInterval"] == str(module.CHECKPOINT_EVERY)
    assert not list(Path(path, "_delta_log").glob("*.checkpoint*"))


def test_rows_are_cast_only_where_they_are_of_another_type(spark: SparkSession) -> None:
    def casts(frame: DataFrame) -> int:
        plan = frame._jdf.queryExecution().analyzed().toString()
        return plan.count("cast(")

    fits = reading(spark, STG_METER_READINGS, 1)
    assert casts(module._conformed(fits, STG_METER_READINGS)) == 0
    other = fits.withColumn("interval_minutes", F.col("interval_minutes").cast("long"))
    assert module._conformed(other, STG_METER_READINGS).dtypes == fits.dtypes
    assert casts(module._conformed(other, STG_METER_READINGS)) == casts(other) + 1
    turned = fits.select(*reversed(fits.columns))
    assert module._conformed(turned, STG_METER_READINGS).columns == STG_METER_READINGS.names


def test_a_frame_that_the_caller_keeps_stays_kept(spark: SparkSession, settings: Settings) -> None:
    """What an exchange keeps for itself, it lets go; the caller's own rows may have cost hours."""
    store, made = Store(spark, settings), reading(spark, STG_METER_READINGS, 1).persist()
    store.append(reading(spark, STG_METER_READINGS, 2), STG_METER_READINGS)
    stands = store.read(STG_METER_READINGS)
    assert store.exchange(made, stands, STG_METER_READINGS, "t.source = 'village'") == 2
    assert made.storageLevel.useMemory
    made.unpersist()


def test_a_small_table_is_read_without_spark_where_the_work_is_small(spark: SparkSession, settings: Settings) -> None:
    """The same rows as Spark's, of the kinds of columns that tables have, without those deleted, and no job."""
    Store(spark, settings).append(reading(spark, OLD, 1), OLD)
    store = Store(spark, settings)
    more = [reading(spark, STG_METER_READINGS, hour, delivered_kwh=9.0) for hour in (2, 3)]
    store.append(more[0].union(more[1]).coalesce(1), STG_METER_READINGS)
    store.append_rows(ran("1", "2"), RUNS)
    DeltaTable.forPath(spark, store.path(STG_METER_READINGS)).delete("hour_of_day = 2")
    tables = ((STG_METER_READINGS, "village"), (STG_METER_READINGS, "another"), (RUNS, None))

    size_to(spark, 2 * SMALL_BYTES, settings)
    by_spark = [store.read(table, source) for table, source in tables]
    wanted = [(frame.schema, frame.sort(frame.columns[0]).collect()) for frame in by_spark]
    size_to(spark, SMALL_BYTES, settings)
    here = [store.read(table, source) for table, source in tables]
    assert [frame.columns for frame in here] == [schema.names for schema, _ in wanted]
    assert [[field.dataType for field in frame.schema] for frame in here] == [
        [field.dataType for field in schema] for schema, _ in wanted
    ]
    assert [frame.sort(frame.columns[0]).collect() for frame in here] == [rows for _, rows in wanted]
    assert [len(rows) for _, rows in wanted] == [2, 0, 2]
    plans = [frame._jdf.queryExecution().optimizedPlan().toString() for frame in here]
    assert all(plan.startswith("LocalRelation") for plan in plans)


def test_a_time_of_any_year_is_asked_back_as_spark_wrote_it(spark: SparkSession, settings: Settings) -> None:
    """Nanoseconds end in 2262."""
    store, far = Store(spark, settings), datetime(2999, 1, 1, 4, tzinfo=UTC)
    store.append(reading(spark, STG_METER_READINGS, 4, reading_timestamp=far), STG_METER_READINGS)
    (found,) = store.ask("SELECT reading_timestamp FROM stg_meter_readings")
    assert found.reading_timestamp.replace(tzinfo=UTC) == far


def test_few_files_are_read_without_delta_and_others_by_it(
    spark_for_much: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows either way, with null where a file is older than a column."""
    Store(spark_for_much, settings).append(reading(spark_for_much, OLD, 1), OLD)
    store, table = Store(spark_for_much, settings), STG_METER_READINGS
    new = [reading(spark_for_much, table, hour, delivered_kwh=9.0) for hour in (2, 3)]
    store.append(new[0].union(new[1]).coalesce(1), table)

    ways = {
        "Location: InMemoryFileIndex": "files",
        "Location: PreparedDeltaFileIndex": "delta",
        "MapInArrow": "tasks",
    }

    def way(frame: DataFrame) -> str:
        plan = frame._jdf.queryExecution().executedPlan().toString()
        return next((way for sign, way in ways.items() if sign in plan), "values")

    files = len(Lake.of(settings).files(table))
    assert files > 1
    assert way(store.read(table)) == "files"
    assert way(store.read(table, version=store.version(table))) == "files"
    assert way(store.read(table, version=store.version(table) - 1)) == "delta"
    monkeypatch.setattr(module, "FEW_FILES", files - 1)
    assert way(store.read(table)) == "delta"
    monkeypatch.undo()
    whole = store.read(table, "village").sort("reading_timestamp").collect()
    assert [row.delivered_kwh for row in whole] == [None, 9.0, 9.0]

    DeltaTable.forPath(spark_for_much, store.path(table)).delete("hour_of_day = 2")
    held = store.read(table, "village")
    assert way(held) == "values"
    monkeypatch.setattr(module, "HELD_BYTES", 1)
    passed = store.read(table, "village")
    assert way(passed) == "tasks"
    monkeypatch.setattr(module, "PASSED_BYTES", 1)
    left = store.read(table, "village")
    assert way(left) == "delta"
    for frame in (held, passed, left):
        assert frame.sort("reading_timestamp").collect() == [whole[0], whole[2]]


def ran(*run_ids: str) -> list[tuple[Any, ...]]:
    values = {"step": "stage", "source": "village", "started_at": datetime(2024, 1, 1, tzinfo=UTC), "seconds": 1.0}
    values |= {"rows_in": 1, "rows_out": 1, "code_version": "1", "figures": {"flagged": 0.5}}
    return [tuple((values | {"run_id": run_id}).get(name) for name in RUNS.names) for run_id in run_ids]


def test_rows_that_were_added_are_told_and_others_make_it_unknown(spark: SparkSession, settings: Settings) -> None:
    """Also in a home whose table had no change feed, from the version on that has it."""
    Store(spark, settings).append_rows(ran("one"), replace(RUNS, change_feed=False))
    store = Store(spark, settings)
    old = store.version(RUNS)
    store.append_rows(ran("two"), RUNS)
    fed = store.version(RUNS)
    assert store.added(RUNS, old - 1, fed) is None
    store.append_rows(ran("three"), RUNS)
    store.append_rows(ran("four", "five"), RUNS)
    newest = store.version(RUNS)
    for since, names in ((old, {"two", "three", "four", "five"}), (fed, {"three", "four", "five"})):
        added = store.added(RUNS, since, newest)
        assert added is not None
        assert set(added.column("run_id").to_pylist()) == names
        assert added.column_names == RUNS.names
        assert added.column("figures").to_pylist() == [[("flagged", 0.5)]] * len(names)
    assert store.added(RUNS, newest, newest) is None, "a version that is not there yet"

    longer = store.read(RUNS).where("run_id = 'two'").withColumn("seconds", F.lit(2.0))
    store.upsert(longer, RUNS)
    assert store.added(RUNS, newest, store.version(RUNS)) is None


def test_rows_that_an_answer_had_and_has_no_more(spark: SparkSession, settings: Settings) -> None:
    store, asked = (
        Store(spark, settings),
        "SELECT meter_id, coalesce(region, '') AS region FROM stg_meters WHERE source = :source",
    )

    def placed(meter: str, region: str | None) -> DataFrame:
        return spark.createDataFrame(
            [row_of(STG_METERS, source="village", meter_id=meter, region=region)], STG_METERS.schema
        )

    store.append(placed("a", None), STG_METERS)
    since = store.version(STG_METERS)
    assert not store.lost(asked, STG_METERS, since, "village"), "the same version"
    store.append(placed("b", "north"), STG_METERS)
    assert not store.lost(asked, STG_METERS, since, "village"), "a meter more"
    store.upsert(placed("a", "north"), STG_METERS)
    assert store.lost(asked, STG_METERS, since, "village")
    assert not store.lost(asked, STG_METERS, since, "town")
    assert store.lost(asked, STG_METERS, None, "village"), "never looked at"
    store.upsert(placed("a", None), STG_METERS)
    assert not store.lost(asked, STG_METERS, since, "village"), "as it was"
    then, now = ({file.name for file in Lake.of(settings).files(STG_METERS, version)} for version in (since, None))
    assert then - now
    for name in then - now:
        Path(store.path(STG_METERS), name).unlink()
    assert store.lost(asked, STG_METERS, since, "village"), "what it was cannot be read any more"
