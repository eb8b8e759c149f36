"""How the DAGs run a job: spark-submit of jobs/<name>.py for each region of conf/regions.toml. No DAG stands here."""

import os
import sys
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset, DeadlineAlert, DeadlineReference, SyncCallback, task_group

from meterlake.bootstrap import FIRST_COMPILER, archive_options, jar_paths
from meterlake.settings import load

PROJECT = Path(os.environ.get("METERLAKE_PROJECT") or Path(__file__).parents[2]).resolve()
# Made by `make package`; executors of a cluster have no other meterlake.
PACKAGE = PROJECT / "build" / "meterlake.zip"
ENVIRONMENT = {"METERLAKE_PROJECT": str(PROJECT), "PYSPARK_PYTHON": sys.executable}
FIELDS = {"name", "source", "input", "home", "conf"}
# Before the readings of any source: Airflow makes no task of an older run, and calls it a success all the same.
BEGINNING = datetime(1990, 1, 1)
WAITS = {"retry_minutes": 2, "deadline_minutes": 180}

# The day before the run's own, for a run of the schedule, by hand or of a backfill alike.
DAY = "{{ macros.ds_add((logical_date or dag_run.run_after) | ds, -1) }}"
# One name for all jobs of a run; also of a retry, which goes on where the first attempt stopped.
RUN_ID = "run-{{ (dag_run.run_after).strftime('%Y%m%dT%H%M%SZ') }}-{{ dag.dag_id | replace('energy_', '') }}"
SOURCE = "{{ regions[ti.map_index].source }}"
INPUT = "{{ regions[ti.map_index].input }}"


def _read() -> tuple[list[dict[str, str]], dict[str, timedelta]]:
    """The regions, with absolute paths, and the waits of WAITS as the file has them.

    Raises:
        ValueError: a region lacks a name or has one that is unknown, or the file has.
    """
    file = Path(os.environ.get("METERLAKE_REGIONS") or PROJECT / "conf" / "regions.toml")
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    found: list[dict[str, str]] = said.pop("regions")
    if unknown := said.keys() - WAITS.keys():
        raise ValueError(f"{file} has {', '.join(sorted(unknown))}; beside regions it may have {', '.join(WAITS)}.")
    for region in found:
        if set(region) != FIELDS:
            raise ValueError(f"{file}: a region has {', '.join(sorted(region))}; it needs {', '.join(sorted(FIELDS))}.")
        for name in ("input", "home", "conf"):
            if region[name] and "://" not in region[name]:
                region[name] = str(PROJECT / region[name])
    return found, {name: timedelta(minutes=minutes) for name, minutes in (WAITS | said).items()}


REGIONS, WAIT = _read()


def for_each_region(tasks: Callable[[], Any]) -> None:
    """Make the tasks once per region, independent of each other: their map index is the region's number in REGIONS."""

    @task_group
    def region(name: str) -> None:
        tasks()

    region.expand(name=[one["name"] for one in REGIONS])


def job(name: str, *arguments: str, task_id: str = "", makes: tuple[str, ...] = (), **options: Any) -> Any:
    """A task that submits jobs/<name>.py for the region of its map index.

    Args:
        makes: tables that it writes, as assets of the region's lake.
    """
    return SparkSubmitOperator(
        task_id=task_id or name,
        application_args=[*arguments, "--home", "{{ regions[ti.map_index].home }}"],
        env_vars=ENVIRONMENT | {"METERLAKE_CONF": "{{ regions[ti.map_index].conf }}"},
        outlets=[Asset(f"meterlake://lake/{table}") for table in makes],
        **_submitted(name, "regions[ti.map_index]"),
        **options,
    )


def job_for_each(name: str, arguments: Any) -> Any:
    """Tasks that submit jobs/<name>.py one after the other, each with one list of the task `arguments`."""
    one_by_one = SparkSubmitOperator.partial(
        task_id=name, env_vars=ENVIRONMENT, max_active_tis_per_dagrun=1, **_submitted(name, "by_name(params.region)")
    )
    return one_by_one.expand(application_args=arguments)


def _submitted(name: str, region: str) -> dict[str, Any]:
    """What every submit of a job has; `region` is a template's expression."""
    return {
        "name": f"meterlake {name}",
        "application": str(PROJECT / "jobs" / f"{name}.py"),
        "py_files": str(PACKAGE),
        # The connection takes bare names only, and Spark's launcher must be the one of this environment.
        "spark_binary": str(Path(sys.prefix) / "bin" / "spark-submit"),
        "conf": {"spark.driver.memory": f"{{{{ settings({region}).spark.driver_memory }}}}"} | _quick_to_start(),
    }


def _quick_to_start() -> dict[str, str]:
    """How the driver's JVM, which lives for a minute and leaves the work to executors, starts and plans in less time.

    With our jars on its class path from the start, it takes its classes from the archive of set-up.
    """
    archive = archive_options()
    on_path = {"spark.driver.extraClassPath": os.pathsep.join(map(str, jar_paths()))} if archive else {}
    return on_path | {"spark.driver.defaultJavaOptions": " ".join([*archive, *FIRST_COMPILER])}


def by_name(name: str) -> dict[str, str]:
    """The region of this name; there is one, as the form offers no other."""
    return next(region for region in REGIONS if region["name"] == name)


def settings(region: dict[str, str]) -> Any:
    """The settings that the jobs of a region will find."""
    return load(Path(region["conf"]) if region["conf"] else None, Path(region["home"]))


def tell(context: dict[str, Any]) -> None:
    """Send a task's failure to the webhook of [quality] of its region, if one is set."""
    task, params = context["ti"], context["params"]
    region = by_name(params["region"]) if "region" in params else REGIONS[task.map_index]
    what = f"task {task.task_id} of {context['dag'].dag_id} failed for region {region['name']}"
    _say(f"{what} in {context['run_id']}; its log tells why, clear the task to go on.", [region])


def tell_late(context: dict[str, Any]) -> None:
    """Say that a run has missed its deadline, once to each webhook of the regions."""
    run, due = context["dag_run"], str(context["deadline"]["deadline_time"])[:16]
    _say(f"{run['dag_id']} is not through by {due} UTC: {run['dag_run_id']}; see its tasks in Airflow.", REGIONS)


def _say(text: str, regions: list[dict[str, str]]) -> None:
    from meterlake.quality.alerts import deliver

    for webhook in sorted({settings(region).quality.webhook for region in regions} - {""}):
        deliver(f"meterlake: {text}", webhook)


# What the lake does is done once however often a job is submitted, so every task may be retried.
TASK_DEFAULTS = {
    "retries": 2,
    "retry_delay": WAIT["retry_minutes"],
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=20),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell,
}


def dag_options(doc: str | None) -> dict[str, Any]:
    """What all DAGs share: one run at a time, no runs for the past, templates that know the regions."""
    return {
        "start_date": BEGINNING,
        "catchup": False,
        "max_active_runs": 1,
        "default_args": TASK_DEFAULTS,
        "user_defined_macros": {"regions": REGIONS, "by_name": by_name, "settings": settings},
        "doc_md": doc,
        "tags": ["meterlake"],
    }


def deadline() -> DeadlineAlert | None:
    """A run that is not through so long after it was queued is told; it goes on.

    None in `airflow dags test`, as `make airflow-day` runs it: nobody queues that run, and Airflow 3.3 ends it with an
    error after its last task where its DAG has a deadline (`DagRun.update_state` takes the alert for a key).
    """
    if sys.argv[1:3] == ["dags", "test"]:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=WAIT["deadline_minutes"],
        callback=SyncCallback("meterlake_jobs.tell_late"),
    )
