"""Airflow when things go wrong: `make airflow-check`. Everything is real: cluster, jobs, kills, webhook, scheduler."""

import json
import os
import signal
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.airflow_run import DAILY, FIRST, METERS, Site, listening
from tests.lake import written
from tests.standalone import QUICK, free_port, standalone

from meterlake.serving.embedded import never_started

pytest.importorskip("airflow.sdk", reason="Airflow is not installed")
pytestmark = pytest.mark.airflow

BUSY_AFTER = 15  # seconds
FAILED_AT_RAW = dict.fromkeys(DAILY, "upstream_failed") | {
    "check_source": "success",
    "ingest": "success",
    "validate_raw": "failed",
}


def test_given_a_delivery_of_rubbish_when_its_gate_fails_then_nothing_is_published(tmp_path: Path) -> None:
    with standalone(tmp_path / "spark", given=QUICK) as master, listening() as (hook, heard):
        site = Site(tmp_path / "site", master, hook)
        site.deliver(FIRST, readings=20)
        deliver_rubbish(site)
        assert site.day(FIRST) != 0
    assert site.states() == FAILED_AT_RAW
    assert site.run_state() == "failed"
    assert site.tries()["validate_raw"] == 3
    assert [text for text in heard if "task region.validate_raw of energy_pipeline_daily failed" in text] == heard != []
    assert never_started(site.settings()), "no store was touched"
    assert sum(site.lake()["stg_meter_readings"].values()) == 0


def test_given_two_regions_when_one_delivers_rubbish_then_the_other_is_published(tmp_path: Path) -> None:
    with standalone(tmp_path / "spark", given=QUICK) as master:
        north, south = (Site(tmp_path / name, master, name=name) for name in ("north", "south"))
        north.serve(south, north)
        north.deliver(FIRST, readings=60)
        deliver_rubbish(south)
        assert north.day(FIRST) != 0
    assert north.states(0) == FAILED_AT_RAW
    assert north.states(1) == dict.fromkeys(DAILY, "success")
    for rows in north.published().values():
        assert rows["mart_anomaly_scores"] == len(METERS) * 60
    assert never_started(south.settings())


def test_given_three_days_in_a_wrong_unit_when_a_backfill_is_killed_and_retried_then_as_a_load_at_once(
    tmp_path: Path,
) -> None:
    """All but the scores: the model of the first home has learned from the wrong readings."""
    with standalone(tmp_path / "spark", given=QUICK) as master:
        mended, right = Site(tmp_path / "mended", master), Site(tmp_path / "right", master)
        for site in (mended, right):
            for number in range(3):
                site.deliver(FIRST + timedelta(days=number), kwh=30)
        declared = mended.source.read_text()
        mended.load()
        for site in (mended, right):
            site.source.write_text(f'{declared}[units]\nvalue = "Wh"\n')
        right.load()
        last = FIRST + timedelta(days=2)
        params = {"first": str(FIRST), "last": str(last), "reason": "the meters send Wh", "region": "village"}
        before = commits(mended)
        with killing(lambda: commits(mended) > before and first_try(mended)) as killed:
            code = mended.day(last, "DAG=energy_backfill", f"PARAMS={json.dumps(params)}")
    assert code == 0, mended.log("airflow-day").read_text()[-4000:]
    assert mended.states() == {"months": "success", "backfill": "success"}
    assert killed == {"CoarseGrainedExecutorBackend": 2, "SparkSubmit": 1}
    assert mended.tries()["backfill"] > 1, "the first try did not survive"
    without = ("corrected_readings", "mart_anomaly_scores", "mart_anomaly_flags", "mart_inspections")
    assert mended.lake(*without) == right.lake(*without)
    assert sum(mended.lake()["stg_meter_readings"].values()) == len(METERS) * 3 * 48


def deliver_rubbish(site: Site) -> None:
    written(site.folder / "in" / f"{FIRST}-rubbish.csv", *(f"a,{FIRST} 12:00:00,about {n}" for n in range(100)))


def first_try(site: Site) -> bool:
    return site.states().get("backfill") == "running" and site.tries()["backfill"] == 1


def commits(site: Site) -> int:
    """Of the table of current readings: with one more, the backfill is half done."""
    return len(list((site.home / "lake" / "silver" / "stg_meter_readings" / "_delta_log").glob("*.json")))


@contextmanager
def killing(when: Callable[[], bool]) -> Iterator[Counter[str]]:
    """Kill -9 two executors, one after the other, which Spark makes up for, and then the driver, as long as it holds.

    Each executor gets the time to begin with a task. What was killed.
    """
    killed: Counter[str] = Counter()
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.2) and not killed["SparkSubmit"]:
            part = "SparkSubmit" if killed["CoarseGrainedExecutorBackend"] == 2 else "CoarseGrainedExecutorBackend"
            with suppress(psutil.Error, sqlite3.Error):  # what has just ended, or is being written, is asked again
                busy = (process for process in psutil.Process().children(recursive=True) if is_busy(process, part))
                if when() and (process := next(busy, None)):
                    process.kill()
                    killed[part] += 1

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield killed
    finally:
        done.set()
        killer.join()


def is_busy(process: psutil.Process, part: str) -> bool:
    """Whether it is a JVM of this part of Spark, and for so long that it has begun with its work."""
    try:
        of_age = time.time() - process.create_time() > BUSY_AFTER
        return of_age and any(word.endswith(f".{part}") for word in process.cmdline())
    except psutil.Error:  # it has ended
        return False


def test_given_a_wrong_declaration_when_its_job_has_failed_thrice_then_its_region_is_told(tmp_path: Path) -> None:
    with listening() as (hook, heard):
        site = Site(tmp_path, "local[1]", hook)
        site.source.write_text('name = "village"\n')
        params = {"first": str(FIRST), "last": str(FIRST), "reason": "a test", "region": "village"}
        assert site.day(FIRST, "DAG=energy_backfill", f"PARAMS={json.dumps(params)}") != 0
    assert site.states() == {"months": "success", "backfill": "failed"}
    assert site.tries() == {"months": 1, "backfill": 3}
    assert site.run_state() == "failed"
    (text,) = heard
    assert text.startswith("meterlake: task backfill of energy_backfill failed for region village")


def test_given_a_run_that_waits_when_it_is_late_then_it_is_told_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    """`make airflow` with its scheduler: the deadline needs one."""
    with listening() as (hook, heard):
        site = Site(tmp_path, "local[1]", hook, deadline_minutes=0.2)
        site.source.write_text('name = "village"\n')  # so check_source fails, and is asked again in ten minutes
        with scheduling(site) as ask:
            assert ask("importErrors")["total_entries"] == 0
            ask("dags/energy_pipeline_daily", "PATCH", {"is_paused": False})
            until(300, lambda: any("energy_pipeline_daily is not through by" in text for text in heard))


def test_given_a_job_that_runs_when_ctrl_c_comes_then_it_ends_too(tmp_path: Path) -> None:
    site = Site(tmp_path, "local[1]")
    with scheduling(site) as ask:
        ask("dags/energy_maintenance", "PATCH", {"is_paused": False})
        until(300, lambda: any("maintain.py" in words for words in site.processes().values()))


@contextmanager
def scheduling(site: Site) -> Iterator[Callable[..., dict[str, Any]]]:
    """`make airflow`, how to ask its API, and Ctrl-C at the end, after which nothing of it may be left."""
    port = free_port()
    with site.started("airflow", f"AIRFLOW_PORT={port}") as airflow:
        until(300, lambda: healthy(port))
        token = logged_in(site, port)
        until(300, lambda: api(port, "dags", token=token)["total_entries"] == 5)
        yield partial(api, port, token=token)
        os.killpg(airflow.pid, signal.SIGINT)  # as a terminal does for Ctrl-C
        airflow.wait(timeout=120)
        assert site.processes() == {}


def until(seconds: float, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.5)


def healthy(port: int) -> bool:
    try:
        parts = api(port, "monitor/health")
    except OSError:
        return False
    return all(parts[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))


def logged_in(site: Site, port: int) -> str:
    passwords = json.loads((site.home / "airflow" / "simple_auth_manager_passwords.json.generated").read_text())
    login = {"username": "admin", "password": passwords["admin"]}
    return str(asked(f"http://127.0.0.1:{port}/auth/token", "", "POST", login)["access_token"])


def api(port: int, path: str, method: str = "GET", body: Any = None, *, token: str = "") -> dict[str, Any]:
    return asked(f"http://127.0.0.1:{port}/api/v2/{path}", token, method, body)


def asked(url: str, token: str, method: str, body: Any) -> dict[str, Any]:
    given = {"Authorization": f"Bearer {token}"} if token else {}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"} | given, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
