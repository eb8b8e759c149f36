"""Seconds of each task of a home's newest daily run in Airflow, and how many of them were not the step's own.

`make airflow-times`. A task is as long as Airflow says; its step as long as its success marker says (ops.runs). The
rest is start-up and end: spark-submit, the JVM, Python, the session, the application's end. Seconds of the clock: they
hold for the load that the machine had.
"""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from meterlake.settings import load
from meterlake.tables.reader import Lake

STEPS = {"train_first_model": "train"}  # tasks that are not called like their step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    print(told(parser.parse_args().home))


def told(home: Path) -> str:
    """A table: task, tries, seconds of the task, of its step, and the rest with its share."""
    lines = [f"{'task':<18} {'tries':>5} {'task s':>8} {'step s':>8} {'rest s':>8} {'share':>6}"]
    sums = [0.0, 0.0]
    for task, step in timed(home):
        if step is not None:
            sums = [sums[0] + task["seconds"], sums[1] + step]
        lines.append(_line(task["task"], str(task["tries"]), task["seconds"], step))
    return "\n".join([*lines, _line("all that ran", "", *sums)])


def timed(home: Path) -> list[tuple[dict[str, Any], float | None]]:
    """Each task of the newest run with the seconds of its step; None where the step found nothing to do."""
    runs = Lake.of(load(home=home)).rows("SELECT step, seconds, started_at FROM runs ORDER BY started_at")
    seconds = {row["step"]: row["seconds"] for row in runs}
    return [(task, seconds.get(STEPS.get(task["task"], task["task"]))) for task in tasks(home)]


def tasks(home: Path) -> list[dict[str, Any]]:
    """Name, number of the region, state, tries and seconds of each task of Airflow's newest run, as they were begun."""
    return asked(
        home,
        "SELECT replace(task_id, 'region.', '') AS task, map_index AS region, state, try_number AS tries, "
        "(julianday(end_date) - julianday(start_date)) * 86400 AS seconds FROM task_instance "
        "WHERE run_id = (SELECT run_id FROM dag_run ORDER BY id DESC LIMIT 1) "
        "ORDER BY start_date IS NULL, start_date",
    )


def asked(home: Path, query: str) -> list[dict[str, Any]]:
    """Rows of a query to the database of the home's Airflow."""
    file = home / "airflow" / "airflow.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def _line(task: str, tries: str, seconds: float | None, step: float | None) -> str:
    if seconds is None or step is None:
        return f"{task:<18} {tries:>5} {seconds or 0:>8.1f} {'-':>8} {'-':>8} {'-':>6}"
    rest = seconds - step
    return f"{task:<18} {tries:>5} {seconds:>8.1f} {step:>8.1f} {rest:>8.1f} {rest / (seconds or 1):>6.0%}"


if __name__ == "__main__":
    main()
