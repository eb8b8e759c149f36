"""The model of files and log entries: its rules by hand, and what it foretells beside a real table."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.benchmarks import days
from tests.benchmarks.layout_model import Checkpoint, Daily, Rules, State, after, learn, scaled, stands

from meterlake.session import size_to
from meterlake.settings import Settings
from meterlake.tables import store as module
from meterlake.tables import upkeep
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.ops import RUNS
from meterlake.tables.store import Store
from meterlake.tables.table import Table
from meterlake.tuning.commits import LOG

APPEND = Daily(1, 4, 0, 4, 4e6, 900, 200, Checkpoint(10_000, 50))
MERGE = Daily(2, 4, 2, 1, 1e6, 900, 200, Checkpoint(10_000, 50))
OFTEN = Rules(checkpoint_every=10)
MIB = 2**20
# Real days that the model learns from, and the day that it foretells from them.
LEARNT, FORETOLD = 4, 12
TOLERANCE = 0.1


@pytest.mark.parametrize(
    ("daily", "rules", "live", "disk", "entries", "checkpoints"),
    [
        pytest.param(APPEND, OFTEN, 40, 40, 10, 1, id="ten_appends_and_a_checkpoint"),
        pytest.param(MERGE, OFTEN, 10, 60, 20, 2, id="what_a_merge_removed_stays_on_disk"),
        pytest.param(APPEND, replace(OFTEN, optimize_every=5), 1, 42, 12, 3, id="optimize"),
    ],
)
def test_ten_days(daily: Daily, rules: Rules, live: float, disk: float, entries: float, checkpoints: float) -> None:
    found = after(10, daily, rules)
    assert (found.live, found.disk) == (live, disk)
    assert (found.entry_count, found.checkpoint_count) == (entries, checkpoints)


def test_log_entries_end_with_their_retention() -> None:
    """Every tenth commit cleans: 30 days are kept, and what the newest checkpoint before them does not need goes."""
    assert after(365, APPEND, OFTEN).entry_count == pytest.approx(35, abs=10)
    assert after(365, APPEND, replace(OFTEN, log_days=400)).entry_count == 365


def test_vacuum_leaves_what_young_versions_need() -> None:
    kept = after(60, MERGE, Rules(optimize_every=1))
    assert kept.live == 1
    assert kept.disk == pytest.approx(1 + 7 * (4 + 2 + 1), abs=5)


def test_a_target_size_is_not_exceeded() -> None:
    assert after(10, APPEND, Rules(optimize_every=1, target_bytes=8e6)).live == 5


def test_more_data_is_more_files_in_as_many_commits() -> None:
    large = scaled(APPEND, bytes_a_day=64 * MIB * 100, file_bytes=64 * MIB)
    assert (large.commits, large.files, large.live) == (1, 100, 100)
    assert large.entry_bytes == 900 + 96 * 200
    assert scaled(APPEND, bytes_a_day=1, file_bytes=64 * MIB).files == 4


@pytest.mark.slow
def test_what_it_foretells_comes_true(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learnt from the days 2 to 4 of two real tables, foretold for day 12, and after OPTIMIZE."""
    size_to(spark, 0, settings)
    monkeypatch.setattr(module, "CHECKPOINT_EVERY", OFTEN.checkpoint_every)
    store = Store(spark, settings)
    for number in range(LEARNT):
        days.write(store, number)
        if number == 0:
            first = {table: (store.version(table), stands(Path(store.path(table)))) for table in TABLES}
    daily = {table: learnt_of(store, table, first[table][0]) for table in TABLES}
    for number in range(LEARNT, FORETOLD):
        days.write(store, number)

    for table in TABLES:
        folder = Path(store.path(table))
        start = first[table][1]
        foretold, real = after(FORETOLD - 1, daily[table], OFTEN, start), stands(folder)
        for what in ("live", "disk", "commits", "entry_count", "checkpoint_count"):
            assert getattr(real, what) == pytest.approx(getattr(foretold, what), rel=TOLERANCE, abs=1), what
        upkeep.optimize(store, table)
        assert upkeep.files(store, table) == after(1, STILL, Rules(optimize_every=1), real).live == 1
    _age(Path(store.path(RUNS)) / LOG, FORETOLD)
    days.write(store, FORETOLD)
    upkeep.checkpoint(store, RUNS)
    assert stands(Path(store.path(RUNS))).entry_count < FORETOLD * days.MARKS


def learnt_of(store: Store, table: Table, since: int) -> Daily:
    return learn(Path(store.path(table)), since, store.version(table), LEARNT - 1, Checkpoint(0, 0))


TABLES = (INT_READINGS_DAILY, RUNS)
STILL = Daily(0, 0, 0, 0, 0, 0, 0, Checkpoint(0, 0))


def _age(log: Path, days_old: int) -> None:
    """Let the entries look as if a day of work had taken ten, the last one today."""
    for file in log.iterdir():
        if file.is_file() and file.name[:20].isdigit():
            then = time.time() - 86400 * 10 * (days_old - int(file.name[:20]) / days.MARKS)
            os.utime(file, (then, then))


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert stands(tmp_path) == State(entries=[(0, 0.0)], checkpoints=[(0, 0.0, 0.0)])
