"""Maintenance on real tables: fewer files, the same rows, and no step that believes something changed."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.benchmarks import days

from meterlake.cli import main
from meterlake.maintain import maintain
from meterlake.session import size_to
from meterlake.settings import Settings
from meterlake.tables import upkeep
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.ops import RUNS
from meterlake.tables.store import Store
from meterlake.tuning.commits import LOG


def test_maintenance_merges_files_and_changes_no_row(
    spark: SparkSession, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    size_to(spark, 0, settings)
    store = Store(spark, settings)
    for number in range(3):
        days.write(store, number)
    rows, version = _rows(store), store.version(INT_READINGS_DAILY)
    files = upkeep.files(store, INT_READINGS_DAILY) + upkeep.files(store, RUNS)
    assert files >= 3 + days.MARKS * 3

    assert maintain(settings, upkeep.KEPT_HOURS) == files - 2, "both tables have one file now, the others never existed"
    assert _rows(store) == rows
    assert store.changes(INT_READINGS_DAILY, "village", version).nothing
    assert sorted((Path(store.path(RUNS)) / LOG).glob("*.checkpoint*"))

    before = _on_disk(store)
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    try:
        upkeep.vacuum(store, INT_READINGS_DAILY, hours=0)
    finally:
        spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")
    assert (_on_disk(store), before > 1) == (1, True), "of the old versions nothing is left"
    assert _rows(store) == rows

    assert maintain(settings, upkeep.KEPT_HOURS) == 0, "nothing is left to do"


def test_a_table_is_vacuumed_in_few_tasks(spark: SparkSession, settings: Settings) -> None:
    """Delta lists its folders in 10,000 tasks unless it is told otherwise: half a minute a table."""
    store, tracker = Store(spark, settings), spark.sparkContext.statusTracker()
    days.write(store, 0)
    spark.sparkContext.setJobGroup("vacuum", "one table")
    try:
        upkeep.vacuum(store, INT_READINGS_DAILY)
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup("vacuum")]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    assert 0 < sum(stage.numTasks for stage in stages if stage) < 200


def test_a_week_must_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["maintain", "--home", str(tmp_path), "--keep-hours", "24"])
    assert "168 or more" in capsys.readouterr().err


def _rows(store: Store) -> list[str]:
    return sorted(map(str, [*store.read(INT_READINGS_DAILY).collect(), *store.read(RUNS).collect()]))


def _on_disk(store: Store) -> int:
    """Data files and files of the change feed, whatever version they belong to."""
    folder = Path(store.path(INT_READINGS_DAILY))
    return sum(1 for file in folder.rglob("*.parquet") if LOG not in file.parts)
