"""How the DAGs run a job: spark-submit of jobs/<name>.py for each region of conf/regions.toml. No DAG stands here."""

import os
import sys
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset, task_group

PROJECT = Path(os.environ.get("METERLAKE_PROJECT") or Path(__file__).parents[2]).resolve()
# Made by `make package`; executors of a cluster have no other meterlake.
PACKAGE = PROJECT / "build" / "meterlake.zip"
ENVIRONMENT = {"METERLAKE_PROJECT": str(PROJECT), "PYSPARK_PYTHON": sys.executable}
FIELDS = {"name", "source", "input", "home", "conf"}

# The day before the run's own, for a run of the schedule, by hand or of a backfill alike.
DAY = "{{ macros.ds_add((logical_date or dag_run.run_after) | ds, -1) }}"
# One name for all jobs of a run; also of a retry, which goes on where the first attempt stopped.
RUN_ID = "run-{{ (dag_run.run_after).strftime('%Y%m%dT%H%M%SZ') }}-{{ dag.dag_id | replace('energy_', '') }}"
SOURCE = "{{ regions[ti.map_index].source }}"
INPUT = "{{ regions[ti.map_index].input }}"


def _regions() -> list[dict[str, str]]:
    """The regions, with absolute paths.

    Raises:
        ValueError: a region lacks a name or has one that is unknown.
    """
    file = Path(os.environ.get("METERLAKE_REGIONS") or PROJECT / "conf" / "regions.toml")
    found: list[dict[str, str]] = tomllib.loads(file.read_text(encoding="utf-8"))["regions"]
    for region in found:
        if set(region) != FIELDS:
            raise ValueError(f"{file}: a region has {', '.join(sorted(region))}; it needs {', '.join(sorted(FIELDS))}.")
        for name in ("input", "home", "conf"):
            if region[name] and "://" not in region[name]:
                region[name] = str(PROJECT / region[name])
    return found


REGIONS = _regions()


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
        **_submitted(name),
        **options,
    )


def job_for_each(name: str, arguments: Any) -> Any:
    """Tasks that submit jobs/<name>.py one after the other, each with one list of the task `arguments`."""
    one_by_one = SparkSubmitOperator.partial(
        task_id=name, env_vars=ENVIRONMENT, max_active_tis_per_dagrun=1, **_submitted(name)
    )
    return one_by_one.expand(application_args=arguments)


def _submitted(name: str) -> dict[str, Any]:
    return {
        "name": f"meterlake {name}",
        "application": str(PROJECT / "jobs" / f"{name}.py"),
        "py_files": str(PACKAGE),
        # The connection takes bare names only, and Spark's launcher must be the one of this environment.
        "spark_binary": str(Path(sys.prefix) / "bin" / "spark-submit"),
    }


def tell(context: dict[str, Any]) -> None:
    """Send a failure to the webhook of [quality], if one is set."""
    from meterlake.quality.alerts import deliver
    from meterlake.settings import load

    webhook = load().quality.webhook
    if not webhook:
        return
    task = context["ti"]
    what = f"task {task.task_id} (map index {task.map_index}) of {context['dag'].dag_id} failed"
    deliver(f"meterlake: {what} in {context['run_id']}; its log tells why, clear the task to go on.", webhook)


# What the lake does is done once however often a job is submitted, so every task may be retried.
TASK_DEFAULTS = {
    "retries": 2,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=20),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell,
}


def dag_options(doc: str | None) -> dict[str, Any]:
    """What all DAGs share: one run at a time, no runs for the past, templates that know the regions."""
    return {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": TASK_DEFAULTS,
        "user_defined_macros": {"regions": REGIONS},
        "doc_md": doc,
        "tags": ["meterlake"],
    }
