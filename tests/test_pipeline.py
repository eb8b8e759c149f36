"""The main job as a user runs it, on generated files, checked against their truth; and killed in every long step."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from meterlake.settings import PROJECT, load
from meterlake.sources.generate import Rates, generate
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store
from tests.benchmarks.rows import OF_A_RUN
from tests.commands import running
from tests.standalone import QUICK

KILLED_IN = ("ingest", "stage", "vee", "aggregate", "score", "marts", "publish")
UNPARSABLE = {"unparsable_number", "unparsable_timestamp", "too_few_fields", "too_many_fields"}
REASONS = {
    "exact_duplicate": "exact_duplicate",
    "conflicting_duplicate": "conflicting_duplicate",
    "negative_energy": "negative_energy",
    "out_of_range": "energy_out_of_range",
    "future_timestamp": "future_timestamp",
    "off_cadence": "off_cadence_timestamp",
    "missing_meter": "missing_meter",
}


@pytest.fixture(scope="module")
def sample(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 meters, 4 days, 15 min, with many defects of every kind."""
    out = tmp_path_factory.mktemp("sample")
    rates = Rates(exact_duplicate=0.01, conflicting_duplicate=0.005, bad_row=0.02)
    generate(spark, str(out), meters=20, start=date(2024, 1, 29), days=4, rates=rates)
    return out


@pytest.fixture(scope="module")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run that nothing disturbed."""
    home = tmp_path_factory.mktemp("undisturbed")
    runs_through(home, sample / "readings")
    return home


def run(home: Path, files: str | Path, *arguments: str | Path) -> AbstractContextManager["subprocess.Popen[str]"]:
    """`meterlake run` on these readings."""
    command: list[str | Path] = [sys.executable, "-m", "meterlake.cli", "run", "--source", "ami", "--home", home]
    environment = os.environ | QUICK | {"METERLAKE_CONF": str(PROJECT / "conf" / "test.toml")}
    return running([*command, "--input", files, *arguments], environment)


def runs_through(home: Path, files: str | Path, *arguments: str | Path) -> None:
    with run(home, files, *arguments) as process:
        said, _ = process.communicate()
        assert process.returncode == 0, said


def is_killed_in(step: str, home: Path, files: str | Path, *arguments: str | Path) -> None:
    """Kill -9 the run and everything that it started as soon as it says that the step begins."""
    with run(home, files, *arguments) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == [step, "..."]:
                return
        pytest.fail(f"the run ended ({process.wait()}) before {step}")


def far_postgres(folder: Path) -> Path:
    """Settings in which PostgreSQL is a server of somebody else, at a port where nobody listens."""
    conf = folder / "far.toml"
    conf.write_text((PROJECT / "conf" / "test.toml").read_text() + "\n[postgres]\nembedded = false\nport = 1\n")
    return conf


def ends_where_a_store_is_down(home: Path, files: Path) -> None:
    """The run does what it can, says in its last line which store is down, and ends with the code for that."""
    with run(home, files, "--conf", far_postgres(home.parent)) as process:
        said, _ = process.communicate()
    assert process.returncode == 3, said
    assert "PostgreSQL" in said.splitlines()[-1]
    assert "Traceback" not in said


def lake(spark: SparkSession, home: Path) -> Store:
    return Store(spark, load(conf=PROJECT / "conf" / "test.toml", home=home))


def contents(spark: SparkSession, home: Path) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every table but those that tell of runs, as a bag of rows without what is of a run."""
    store, found = lake(spark, home), {}
    for name, table in TABLES.items():
        if table.layer != "ops":
            kept = [column for column in table.names if column not in OF_A_RUN]
            rows = store.read(table).select(kept).collect()
            found[name] = Counter(tuple(map(str, row)) for row in rows)
    return found


def truth(sample: Path) -> list[dict[str, str]]:
    defects = []
    for file in sorted((sample / "truth").glob("defects-*.csv")):
        with file.open(newline="") as lines:
            defects += list(csv.DictReader(lines))
    return defects


def test_every_defect_is_found_one_by_one(spark: SparkSession, sample: Path, undisturbed: Path) -> None:
    store = lake(spark, undisturbed)
    defects = truth(sample)
    raw = Counter(row.raw_line for row in store.read(TABLES["meter_readings"]).where("raw_line IS NOT NULL").collect())
    assert raw == Counter(defect["line"] for defect in defects if defect["kind"] in UNPARSABLE)
    quarantined = store.read(TABLES["quarantined_readings"]).collect()
    found = Counter(
        (reason, row.meter_id or "", f"{row.reading_timestamp}") for row in quarantined for reason in row.reasons
    )
    for kind, reason in REASONS.items():
        lines = [d["line"].split(",") for d in defects if d["kind"] == kind]
        wanted = Counter((meter, at) for meter, at, *_ in lines)
        here = Counter({(meter, at): count for (why, meter, at), count in found.items() if why == reason})
        # Of a conflict the truth has one row, the quarantine both lines.
        factor = 2 if kind == "conflicting_duplicate" else 1
        assert {key: count * factor for key, count in wanted.items()} == dict(here), kind
        assert wanted, kind


def test_stores_hold_what_the_lake_holds(spark: SparkSession, undisturbed: Path) -> None:
    from meterlake.serving.embedded import stores
    from meterlake.serving.publish import counts

    store = lake(spark, undisturbed)
    with stores(store.settings):
        published = counts(store.settings)
    # Nobody measures the supply of this sample's feeders: its balances are empty, and there to be asked.
    marts = {name: store.read(table).count() for name, table in TABLES.items() if table.published}
    assert published == {"postgres": marts, "clickhouse": marts}
    assert marts["mart_anomaly_scores"] > 7_000


def test_report_and_gates_are_there(undisturbed: Path, spark: SparkSession) -> None:
    assert "<html" in (undisturbed / "reports" / "latest.html").read_text()
    assert (undisturbed / "data_docs" / "index.html").exists()
    verdicts = lake(spark, undisturbed).read(TABLES["quality_results"]).collect()
    suites = {"raw_readings", "staging_readings", "marts_metrics", "model_drift"}
    assert {row.suite for row in verdicts} >= suites
    assert sum(row.suite in suites for row in verdicts) >= 20


def test_a_second_run_changes_nothing(spark: SparkSession, sample: Path, undisturbed: Path) -> None:
    before = {name: lake(spark, undisturbed).version(table) for name, table in TABLES.items()}
    runs_through(undisturbed, sample / "readings")
    assert {name: lake(spark, undisturbed).version(table) for name, table in TABLES.items()} == before


@pytest.mark.slow
def test_killed_in_every_long_step_and_with_a_store_down_it_ends_the_same(
    spark: SparkSession, sample: Path, undisturbed: Path, tmp_path: Path
) -> None:
    home, files = tmp_path / "home", sample / "readings"
    for step in KILLED_IN:
        if step == "publish":
            ends_where_a_store_is_down(home, files)
        is_killed_in(step, home, files)
    runs_through(home, files)
    expected, found = contents(spark, undisturbed), contents(spark, home)
    assert {name: found[name] == expected[name] for name in expected} == dict.fromkeys(expected, True)


def test_the_profile_charges_every_step(undisturbed: Path) -> None:
    from meterlake.tuning import events, profile

    oldest = events.logs(undisturbed / "logs" / "spark-events")[0]
    charged = {cost.step for cost in profile.costs(events.read(oldest))}
    assert {"ingest", "stage", "vee", "train", "score", "marts", "publish", "report", "all"} <= charged
    assert "aggregate" not in charged, "so little is aggregated by the run's own process, without a job of Spark's"
    assert events.OTHER not in charged, "jobs of a step's threads are its own, too"


def test_status_tells_all_of_it(spark: SparkSession, undisturbed: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "meterlake.cli", "status", "--json", "--home", str(undisturbed)],
        capture_output=True,
        text=True,
        check=True,
    )
    status = json.loads(told.stdout)
    assert status["ledger"][0]["balances"]
    estimated = sum(
        row.batch_id == "not_delivered" for row in lake(spark, undisturbed).read(TABLES["stg_meter_readings"]).collect()
    )
    assert estimated > 0
    assert status["tables"]["stg_meter_readings"] == status["ledger"][0]["current"] + estimated
