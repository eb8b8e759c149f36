"""Ingest and stage on real files: nothing is lost, nothing is doubled, whatever comes in whatever order."""

import shutil
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from meterlake import stage as stage_module
from meterlake import status as status_module
from meterlake.errors import InputError, LedgerUnbalanced
from meterlake.quality import survey as survey_module
from meterlake.settings import Settings
from meterlake.stage import Scope, check_balance, pending
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.months import all_months
from meterlake.tables.ops import LEDGER
from meterlake.tables.reader import Lake
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from tests.lake import VILLAGE, deliver, half_hours, rows, run_of, written

DAY = datetime(2024, 1, 1)


def ledger(spark: SparkSession, settings: Settings) -> list[dict[str, int]]:
    names = ("lines", "loaded", "unparsable", "current", "exact_duplicates", "superseded", "quarantined", "replaced")
    entries = sorted(rows(spark, settings, "ledger"), key=lambda row: row.readings_after)
    return [{name: entry[name] for name in names if entry[name]} for entry in entries]


def readings(spark: SparkSession, settings: Settings) -> list[tuple[str, str, float | None]]:
    found = rows(spark, settings, "stg_meter_readings")
    return [(row.meter_id, f"{row.reading_timestamp:%d %H:%M}", row.consumption_kwh) for row in found]


def read_without_spark(settings: Settings) -> list[tuple[str, str, float | None]]:
    """The same by the reader of `meterlake ui`, where a deletion vector hides a row that was corrected."""
    log = Path(settings.lake_root, "silver", "stg_meter_readings", "_delta_log")
    assert any('"deletionVector"' in entry.read_text() for entry in log.glob("*.json"))
    found = Lake.of(settings).rows("SELECT * FROM stg_meter_readings ORDER BY reading_timestamp")
    return [(row["meter_id"], f"{row['reading_timestamp']:%d %H:%M}", row["consumption_kwh"]) for row in found]


@pytest.fixture(params=["surveyed_here", "surveyed_by_tasks", "not_few"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the lines that Spark has to judge are found: of a small delivery, of a large one, and where they are many."""
    if request.param == "surveyed_by_tasks":
        monkeypatch.setattr(survey_module, "is_small", lambda _: False)
    if request.param == "not_few":
        monkeypatch.setattr(survey_module, "FEW_LINES", 0)


@pytest.mark.usefixtures("way")
def test_every_line_is_accounted_for(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    bad = ["a,2024-01-01 00:15:00,1", "a,2024-01-01 02:00:00,-1", "a,x,1", "a,2024-01-01 03:00:00", ",2024-01-01,1"]
    good = half_hours("a", DAY, 3)
    deliver(spark, settings, written(tmp_path / "f.csv", *good, good[0], *bad))
    assert ledger(spark, settings) == [
        {"lines": 9, "loaded": 7, "unparsable": 2, "current": 3, "exact_duplicates": 1, "quarantined": 3}
    ]
    reasons = sorted(tuple(row.reasons) for row in rows(spark, settings, "quarantined_readings"))
    assert reasons == [("exact_duplicate",), ("missing_meter",), ("negative_energy",), ("off_cadence_timestamp",)]


def test_the_same_file_twice_changes_nothing(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    file = written(tmp_path / "f.csv", *half_hours("a", DAY, 4))
    deliver(spark, settings, file)
    before = rows(spark, settings, "stg_meter_readings")
    again = shutil.copy(file, tmp_path / "other name.csv")
    outcomes = deliver(spark, settings, Path(again))
    assert outcomes["ingest"].nothing_new
    assert outcomes["stage"].nothing_new
    assert "loaded before" in outcomes["ingest"].said[0]
    assert rows(spark, settings, "stg_meter_readings") == before


@pytest.mark.usefixtures("way")
def test_a_stage_killed_after_its_commit_comes_to_the_same_end(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(spark, settings, written(tmp_path / "1.csv", "a,2024-01-01 00:00:00,1", "a,2024-01-01 00:30:00,2"))
    file = written(tmp_path / "2.csv", "a,2024-01-01 00:30:00,3", "a,2024-01-01 00:30:00,3", "a,2024-01-01 01:00:00,4")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage_module, "_ledger", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(spark, settings, file)
    assert len(ledger(spark, settings)) == 1
    outcomes = deliver(spark, settings, file)
    assert outcomes["ingest"].nothing_new
    assert ledger(spark, settings)[1] == {"lines": 3, "loaded": 3, "current": 2, "exact_duplicates": 1, "replaced": 1}
    assert readings(spark, settings) == [("a", "01 00:00", 1.0), ("a", "01 00:30", 3.0), ("a", "01 01:00", 4.0)]
    assert read_without_spark(settings) == readings(spark, settings)
    assert len(rows(spark, settings, "corrected_readings")) == 1


def test_an_ingest_killed_before_its_record_is_forgotten(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "1.csv", *half_hours("a", DAY, 3))
    with monkeypatch.context() as patch:
        patch.setattr("meterlake.ingest._counted", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            deliver(spark, settings, file)
    assert len(rows(spark, settings, "meter_readings")) == 3
    deliver(spark, settings, file)
    assert len(rows(spark, settings, "meter_readings")) == 3
    assert ledger(spark, settings) == [{"lines": 3, "loaded": 3, "current": 3}]


@pytest.mark.usefixtures("way")
def test_late_lines_are_compared_with_their_own_days(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corrections of January and March beside a stamp of a clock that stands at its beginning."""
    months = [f"a,2024-0{month}-01 00:00:00,{month}" for month in (1, 2, 3)]
    deliver(spark, settings, written(tmp_path / "1.csv", *months))
    scopes: list[Scope] = []

    def noted(*of: Any) -> Scope:
        scopes.append(as_ever(*of))
        return scopes[-1]

    as_ever = stage_module._scope
    monkeypatch.setattr(stage_module, "_scope", noted)
    late = ["a,2024-01-01 00:00:00,10", "a,2024-01-01 00:00:00,10", "a,0001-01-01 00:00:00,5"]
    deliver(spark, settings, written(tmp_path / "2.csv", *late, "a,2024-03-01 00:00:00,30", "a,9999-12-31 23:30:00,1"))
    assert scopes[0].spans == [
        (date.min, date(1, 1, 3)),
        (date(2023, 12, 30), date(2024, 1, 3)),
        (date(2024, 2, 28), date(2024, 3, 3)),
        (date(9999, 12, 29), date.max),
    ]
    (entry,) = (one for one in ledger(spark, settings) if one["lines"] == 5)
    assert entry == {
        "lines": 5,
        "loaded": 5,
        "current": 2,
        "exact_duplicates": 1,
        "replaced": 2,
        "quarantined": 2,
    }
    found = {row.reading_timestamp: row.consumption_kwh for row in rows(spark, settings, "stg_meter_readings")}
    assert found == {DAY: 10.0, datetime(2024, 2, 1): 2.0, datetime(2024, 3, 1): 30.0}


def test_a_bad_file_stops_only_itself(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    written(folder / "good.csv", *half_hours("a", DAY, 2))
    written(folder / "other.csv", "1,2", header="x,y")
    written(folder / "none.csv")
    outcome = deliver(spark, settings, folder)["ingest"]
    assert any("other.csv has no column 'at', 'kwh', 'meter'" in said for said in outcome.said)
    assert any("none.csv has a header but no readings" in said for said in outcome.said)
    assert len(readings(spark, settings)) == 2
    (refusal,) = (row for row in rows(spark, settings, "quality_results") if row.expectation.endswith("can be read"))
    assert "other.csv" in refusal.expectation
    assert refusal.suite == "alerts"
    assert not refusal.success


def test_only_bad_files_are_an_error(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column 'at', 'kwh', 'meter'"):
        deliver(spark, settings, written(tmp_path / "f.csv", "1", header="x"))


def test_a_wrong_line_count_stops_the_run(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two readers of a file must agree; here the second one is made to miscount."""
    monkeypatch.setattr("meterlake.sources.inspect.count_data_lines", lambda *_: 7)
    from meterlake.sources import inspect

    seen = inspect.inspect(str(written(tmp_path / "f.csv", *half_hours("a", DAY, 3))), VILLAGE)
    monkeypatch.setattr("meterlake.ingest.inspect_files", lambda *_: [seen])
    with pytest.raises(LedgerUnbalanced, match=r"lines of .*f.csv = loaded \+ unparsable"):
        deliver(spark, settings, tmp_path / "f.csv")
    assert rows(spark, settings, "meter_readings") == []


@pytest.mark.parametrize("wrong", ["lines", "current", "readings_after"])
def test_an_unbalanced_entry_is_told(wrong: str) -> None:
    values = dict.fromkeys(LEDGER.names, 0) | {"batch_id": "b"}
    check_balance(Row(*values)(*values.values()))
    values[wrong] = 1
    with pytest.raises(LedgerUnbalanced, match="Ledger does not balance: batch b"):
        check_balance(Row(*values)(*values.values()))


def test_questions_of_the_steps_have_the_same_answers_with_spark_and_without(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """delta-rs answers for a small lake, Spark for a large one and on HDFS; also where a file has a deleted row."""
    deliver(spark, settings, written(tmp_path / "1.csv", *half_hours("a", DAY, 100)), "ingest", "stage", "aggregate")
    deliver(spark, settings, written(tmp_path / "2.csv", "a,2024-01-01 00:30:00,3"), "ingest", "stage")
    run = run_of(spark, settings)
    run.fit()
    everything = run.store.changes(INT_READINGS_DAILY, "village", None)

    def answers() -> list[object]:
        store = run.store
        return [
            store.ask("SELECT count(*) AS readings, max(consumption_kwh) AS kwh FROM stg_meter_readings"),
            store.ask("SELECT inputs, started_at FROM runs WHERE step = :step ORDER BY started_at", step="stage"),
            store.changes(STG_METER_READINGS, "village", None),
            store.count(INT_READINGS_DAILY, everything),
            store.count(INT_READINGS_DAILY, everything, "reading_count < 48"),
            [store.has(STG_METERS, source, "feeder IS NULL") for source in ("village", "town")],
            all_months(store, "village"),
            [store.version_noted(STG_METER_READINGS, note) for note in (store.last_note(STG_METER_READINGS), "none")],
            pending(run),
            status_module.status(settings),
        ]

    monkeypatch.setattr(status_module, "TABLES", ("ledger", "stg_meters"))
    without = answers()
    monkeypatch.setattr(Lake, "within_reach", False)
    assert answers() == without
    assert without[0] == [Row(readings=100, kwh=3.0)]
    assert without[3:-1] == [3, 1, [True, False], [date(2024, 1, 1)], [2, None], []]
