"""A source declared in kWh that delivers Wh, found after three days: look, rehearse, backfill, replay, release."""

import re
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.conftest import settings_for
from tests.lake import deliver, rows
from tests.recover.stories import WATT_HOURS, contents, forced, ledger_is_true, request, unlike, village_day

from meterlake.errors import UsageError
from meterlake.recover import recovery
from meterlake.recover.backfill import backfill, dry_run
from meterlake.recover.downstream import recompute
from meterlake.recover.quarantine import Selection, counts, release, shown
from meterlake.recover.replay import replay
from meterlake.run import Run
from meterlake.settings import Settings
from meterlake.sources import nem12_records
from meterlake.sources.nem12 import NEM12
from meterlake.sources.nem12_read import rows_of
from meterlake.sources.source import Format
from meterlake.tables.catalog import TABLES
from meterlake.tables.reader import Lake
from meterlake.tables.store import Store

FIXED = WATT_HOURS.model_copy(update={"format": Format(null_marks=("ERR",), missing_is_declared=True)})


def silver_only(run: Run) -> None:
    """Instead of the steps that follow, where a story ends in silver."""


def three_days(folder: Path) -> Path:
    """The second day has a line in error; the third one reading that is above 100 (kWh), and one below 0."""
    village_day(folder, 1)
    village_day(folder, 2, "c,2024-01-02 00:00:00,ERR", "c,2024-01-02 00:30:00,40")
    village_day(folder, 3, "c,2024-01-03 00:00:00,140", "c,2024-01-03 00:30:00,-7")
    return folder


STEPS = ("ingest", "stage", "vee", "aggregate", "marts")


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `in`, the three files, and `home`, into which they went as kWh. Each story has a copy of it."""
    folder = tmp_path_factory.mktemp("published")
    deliver(spark, settings_for(folder / "home"), three_days(folder / "in"), *STEPS)
    return folder


@pytest.fixture
def settings(settings: Settings, published: Path) -> Settings:
    shutil.copytree(published / "home", settings.home, dirs_exist_ok=True)
    return settings


@pytest.mark.slow
def test_given_a_unit_mistake_when_backfilled_then_as_if_it_had_never_been(
    spark: SparkSession, settings: Settings, published: Path, tmp_path: Path
) -> None:
    stood = {name: Store(spark, settings).version(table) for name, table in TABLES.items()}

    rehearsed = dry_run(forced(spark, settings, WATT_HOURS), request("backfill"))
    assert {name: Store(spark, settings).version(table) for name, table in TABLES.items()} == stood
    assert not list((settings.home / "lake" / "_rehearsals").glob("*"))
    done = backfill(forced(spark, settings, WATT_HOURS), request("backfill"), recompute)
    assert [row[2:] for row in rehearsed.diffs] == [row[2:] for row in done.diffs]
    metrics = {row.day: row for row in done.diffs if row.mart == "mart_consumption_metrics"}
    second = metrics[date(2024, 1, 2)]
    assert (second.rows_added, second.rows_removed, second.rows_changed) == (0, 0, 3)
    assert second.kwh_before == 1000 * second.kwh_after

    other = settings.model_copy(update={"home": tmp_path / "rebuilt"})
    deliver(spark, other, published / "in", *STEPS, source=WATT_HOURS)
    assert unlike(contents(spark, settings), contents(spark, other)) == {}
    assert ledger_is_true(spark, settings)
    (record,) = rows(spark, settings, "recoveries")
    assert (record.status, record.requested_by, record.reason) == ("done", "Ann", "the adapter was wrong")
    assert record.rows_before["stg_meter_readings"] + 1 == record.rows_after["stg_meter_readings"]


def test_given_lines_in_quarantine_when_replayed_or_released_then_they_stand_and_the_ledger_balances(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(spark, settings)
    found = {(row.rule, row.lines) for row in counts(store, Selection())}
    assert found == {("unparsable", 1), ("energy_out_of_range", 1), ("negative_energy", 1)}
    (bad,) = shown(store, Selection(rule="unparsable"), limit=5)
    assert (Path(bad.source_file).name, bad.data_line, bad.line) == ("02.csv", 97, "c,2024-01-02 00:00:00,ERR")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "post", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            replay(forced(spark, settings, FIXED), request("replay"), silver_only)
    replay(forced(spark, settings, FIXED), request("replay"), silver_only)
    assert ledger_is_true(spark, settings)
    readings = {f"{r.meter_id} {r.reading_timestamp:%d %H:%M}": r for r in rows(spark, settings, "stg_meter_readings")}
    assert readings["c 02 00:00"].quality == "missing"
    assert readings["c 03 00:00"].consumption_kwh == 0.14
    assert [row.reasons for row in rows(spark, settings, "quarantined_readings")] == [["negative_energy"]]
    assert rows(spark, settings, "loaded_files")[1].unparsable == 0
    assert [row.status for row in rows(spark, settings, "recoveries")] == ["done"]

    before = {name: store.version(TABLES[name]) for name in ("stg_meter_readings", "meter_readings", "ledger")}
    replay(forced(spark, settings, FIXED), request("replay"), silver_only)
    assert {name: store.version(TABLES[name]) for name in before} == before

    with pytest.raises(UsageError, match="No quarantined line is selected"):
        release(forced(spark, settings, FIXED), request("release"), Selection(meter="z"), silver_only)
    release(forced(spark, settings, FIXED), request("release"), Selection(rule="negative_energy"), silver_only)
    assert rows(spark, settings, "quarantined_readings") == []
    assert ledger_is_true(spark, settings)
    (taken,) = rows(spark, settings, "released_readings")
    assert (taken.released_by, taken.reason) == ("Ann", "the adapter was wrong")
    (trail,) = (row for row in rows(spark, settings, "corrected_readings") if row.method == "release")
    assert (trail.before_kwh, trail.after_kwh) == (None, -0.007)


def nem12_file(path: Path) -> Path:
    """A day of half-hours with two exponents among them, and one of 5 minutes at another channel."""
    half_hours = ",".join(["300,20240101", "15e-1", *["1.5"] * 46, "2E0", "A,,,20240102030405,"])
    five_minutes = ",".join(["300,20240101", *["0.25"] * 288, "V,,,20240102030405,"])
    channels = ("200,NMI1,E1B1,1,E1,N1,M1,kWh,30,", "200,NMI1,E1B1,2,B1,N1,M1,kWh,5,")
    qualities = ("400,1,100,A,,", "400,101,288,S14,32,")
    path.write_text(
        "\n".join(
            ["100,NEM12,202401020304,MDP,RET", channels[0], half_hours, channels[1], five_minutes, *qualities, "900"]
        )
    )
    return path


def test_given_nem12_that_an_adapter_could_not_read_when_replayed_then_as_if_it_had_been_read_at_once(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, file = settings_for(tmp_path / "home"), nem12_file(tmp_path / "january.csv")
    lines = file.read_text().splitlines()
    with monkeypatch.context() as patch:  # yesterday's adapter knew neither exponents nor 5 minutes
        patch.setattr(nem12_records, "NUMBER", re.compile(r"[\d.]+$"))
        patch.setattr(nem12_records, "FINEST_MINUTES", 15)
        read = spark.createDataFrame(pa.Table.from_batches(rows_of(lines, 1)))
    with monkeypatch.context() as patch:
        patch.setattr("meterlake.sources.read.read_nem12", lambda *_: read.withColumn("source_file", F.lit(str(file))))
        deliver(spark, settings, file, source=NEM12)
    lake = Lake.of(settings)
    (before,) = lake.rows("SELECT sum(lines) AS lines, sum(unparsable) AS unparsable FROM ledger")
    assert before == {"lines": 48 + 288, "unparsable": 2 + 288}

    replay(forced(spark, settings, NEM12), request("replay"), silver_only)
    bronze = lake.rows(
        "SELECT meter_id, interval_minutes, unit, delivered_quality, stamp_local, value, parse_error "
        "FROM meter_readings ORDER BY line_order"
    )
    today = pa.Table.from_batches(rows_of(lines, 1)).select(list(bronze[0])).to_pylist()
    assert bronze == today
    (after,) = lake.rows(
        "SELECT sum(lines) AS lines, sum(unparsable) AS unparsable, sum(current) AS current FROM ledger"
    )
    assert after == {"lines": 336, "unparsable": 0, "current": 336}
    silver = lake.rows(
        "SELECT quality, count(*) AS readings, sum(consumption_kwh) AS kwh FROM stg_meter_readings GROUP BY 1"
    )
    assert {row["quality"]: (row["readings"], float(row["kwh"])) for row in silver} == {
        "measured": (48 + 100, 72.5 + 25),
        "estimated": (188, 47),
    }


def test_given_a_clock_that_moved_when_a_period_is_backfilled_then_it_is_refused(
    spark: SparkSession, settings: Settings
) -> None:
    moved = FIXED.model_copy(update={"stamp": "end"})
    with pytest.raises(UsageError, match="run `meterlake backfill` without --from and --to"):
        backfill(forced(spark, settings, moved), request("backfill", first=date(2024, 1, 2), last=date(2024, 1, 2)))
    backfill(forced(spark, settings, moved), request("backfill"), silver_only)
    assert ledger_is_true(spark, settings)
    assert f"{rows(spark, settings, 'stg_meter_readings')[0].reading_timestamp}" == "2023-12-31 23:30:00"
