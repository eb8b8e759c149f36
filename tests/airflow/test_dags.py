"""The DAGs as Airflow reads them: they parse, their jobs exist, the order is right, a gate stops what follows."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.airflow_run import DAILY

from meterlake.bootstrap import class_archive
from meterlake.cli import _parser
from meterlake.settings import PROJECT

pytest.importorskip("airflow.sdk", reason="Airflow is not installed")

REGIONS = """
deadline_minutes = 90

[[regions]]
name = "north"
source = "ami"
input = "in/north"
home = "homes/north"
conf = "conf/test.toml"

[[regions]]
name = "south"
source = "london"
input = "s3a://bucket/south"
home = "homes/south"
conf = ""
"""

MEMORY = {"north": "3g", "south": "8g"}  # of conf/test.toml, and the default


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "regions.toml").write_text(REGIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(folder))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        patch.setenv("METERLAKE_REGIONS", str(folder / "regions.toml"))
        patch.syspath_prepend(str(PROJECT / "airflow" / "dags"))  # as Airflow does with the folder of its DAGs
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(PROJECT / "airflow" / "dags")
        assert bag.import_errors == {}
        yield dict(bag.dags)


def test_all_are_there_and_run_one_at_a_time(dags: dict[str, Any]) -> None:
    schedules = {name: dag.schedule for name, dag in dags.items()}
    assert schedules == {
        "energy_pipeline_daily": "0 6 * * *",
        "energy_forecast_daily": "30 7 * * *",
        "energy_training_weekly": "0 3 * * 0",
        "energy_maintenance": "0 2 * * 6",
        "energy_backfill": None,
    }
    for dag in dags.values():
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        assert dag.doc_md
        # Airflow makes no task of a run before it, and the oldest readings in the project's own tests are of 2006.
        assert dag.start_date < datetime(2006, 1, 1, tzinfo=UTC)


def test_the_day_goes_through_every_step_in_order(dags: dict[str, Any]) -> None:
    daily = dags["energy_pipeline_daily"]
    follows = {task_id: sorted(task.downstream_task_ids) for task_id, task in daily.task_dict.items()}
    ids = [f"region.{name}" for name in DAILY]
    assert follows == {one: [after] for one, after in pairwise(ids)} | {ids[-1]: []}
    assert all(daily.task_dict[task].trigger_rule == "all_success" for task in ids), "a gate that fails stops the rest"
    assert [alert.interval for alert in daily.deadline] == [timedelta(minutes=90)]


def test_a_model_is_judged_before_it_scores(dags: dict[str, Any]) -> None:
    weekly = dags["energy_training_weekly"].task_dict
    train, promote = weekly["region.train"], weekly["region.promote"]
    assert train.downstream_task_ids == {"region.promote"}
    assert "--challenger" in train.application_args
    assert promote.application_args[:1] == ["promote"]
    assert "--if-no-worse" in promote.application_args


def test_a_run_by_hand_has_no_deadline(dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import meterlake_jobs

    assert meterlake_jobs.deadline() is not None
    monkeypatch.setattr("sys.argv", ["airflow", "dags", "test", "energy_pipeline_daily", "2024-01-31"])
    assert meterlake_jobs.deadline() is None


@pytest.mark.parametrize("by_hand", [False, True])
def test_every_job_exists_and_takes_its_arguments(dags: dict[str, Any], by_hand: bool) -> None:
    """Rendered for each region as Airflow does it, then read by the command line's own parser."""
    from airflow.sdk.execution_time import macros

    at = datetime(2024, 3, 1, 6, tzinfo=UTC)
    known = {"dag_run": SimpleNamespace(run_after=at), "logical_date": None if by_hand else at, "macros": macros}
    jobs = [(dag, task) for dag in dags.values() for task in dag.task_dict.values() if hasattr(task, "application")]
    assert len(jobs) == len(DAILY) + 5
    for dag, task in jobs:
        assert Path(task.application).parent == PROJECT / "jobs"
        assert Path(task.application).is_file()
        render = dag.get_template_env().from_string
        for number, region in enumerate(dag.user_defined_macros["regions"]):
            here = known | {
                "dag": dag,
                **dag.user_defined_macros,
                "ti": SimpleNamespace(map_index=number),
            }
            given = [render(text).render(here) for text in task.application_args]
            assert render(task.conf["spark.driver.memory"]).render(here) == MEMORY[region["name"]]
            parsed = _parser().parse_args([Path(task.application).stem, *given])
            assert str(parsed.home) == region["home"]
            if hasattr(parsed, "first"):
                assert (parsed.first, parsed.last) == (date(2024, 2, 29), date(2024, 2, 29))
                assert (parsed.source, parsed.input) == (region["source"], region["input"])
            assert getattr(parsed, "run_id", None) in (
                None,
                f"run-20240301T060000Z-{dag.dag_id.removeprefix('energy_')}",
            )


def test_a_job_starts_from_the_archive_of_classes(dags: dict[str, Any], tmp_path: Path) -> None:
    """Its JVM says of each class where it came from; the archive is not used, without a word, if anything differs."""
    if class_archive() is None:
        pytest.skip("set-up could make no archive here")
    task, loaded = dags["energy_maintenance"].task_dict["region.maintain"], tmp_path / "loaded.txt"
    told = {"spark.driver.extraJavaOptions": f"-Xlog:class+load:file={loaded}"}
    conf = {name: value for name, value in task.conf.items() if "{{" not in value} | told
    options = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
    command = [task._spark_binary, *options, "--version"]
    subprocess.run(command, env=os.environ | task.env_vars, capture_output=True, check=True)
    sources = Counter(line.rpartition("source: ")[2] for line in loaded.read_text().splitlines())
    assert sources["shared objects file (top)"] > 1000


def test_regions_have_absolute_paths(dags: dict[str, Any]) -> None:
    north, south = dags["energy_pipeline_daily"].user_defined_macros["regions"]
    assert (north["home"], north["conf"]) == (str(PROJECT / "homes/north"), str(PROJECT / "conf/test.toml"))
    assert (south["input"], south["conf"]) == ("s3a://bucket/south", "")


@pytest.mark.parametrize(
    ("first", "last", "periods"),
    [
        pytest.param("2024-01-30", "2024-03-02", ["01-30 01-31", "02-01 02-29", "03-01 03-02"], id="months"),
        pytest.param("2024-02-03", "2024-02-05", ["02-03 02-05"], id="three_days"),
    ],
)
def test_a_backfill_is_cut_into_months(dags: dict[str, Any], first: str, last: str, periods: list[str]) -> None:
    months = dags["energy_backfill"].task_dict["months"].python_callable
    given = months(params={"first": first, "last": last, "reason": "why", "region": "north"})
    found = [_parser().parse_args(["backfill", *arguments]) for arguments in given]
    assert [f"{one.first:%m-%d} {one.last:%m-%d}" for one in found] == periods
    assert {str(one.conf) for one in found} == {str(PROJECT / "conf/test.toml")}
