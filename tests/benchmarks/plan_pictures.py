"""Spark UI's own pictures of two plans side by side: the features as the textbook makes them, and as meterlake does.

    make plan-pictures [SIZE=meters=1000,days=30]     # docs/images/plans-features.png

Both do the whole work on the same files, each with an event log. Spark's history server draws the plans from these,
Chromium takes the picture, and what stands above a plan is told by the server's REST interface.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.workload import PROJECT, Workload

from meterlake.tuning import history

PORT = 18086
PICTURE = PROJECT / "docs" / "images" / "plans-features.png"
TITLES = {"textbook": "Textbook PySpark: features", "meterlake": "meterlake: hours, days and features"}
# The textbook's query with windows; our pass over readings that another has sent by meter, without a row of Spark's.
MAKES_FEATURES: dict[str, Callable[[list[str]], bool]] = {
    "textbook": lambda operators: "Window" in operators,
    "meterlake": lambda operators: operators.count("MapInArrow") == 2 and "HashAggregate" not in operators,
}
LISTED_SECONDS = 60.0
PIXELS_PER_UNIT, LEAST_WIDTH, GAP, HEAD = 0.9, 400, 24, 70
PAGE = """<!doctype html><meta charset="utf-8">
<link rel="stylesheet" href="{server}/static/bootstrap.min.css">
<link rel="stylesheet" href="{server}/static/webui.css">
<link rel="stylesheet" href="{server}/static/sql/spark-sql-viz.css">
<style>body {{ display: flex; gap: {gap}px; padding: {gap}px; background: white }} h2 {{ font-size: 18px }}
div {{ flex-shrink: 0 }}</style>
{plans}"""
PLAN = '<div id="plan-viz-graph"><h2>{title}</h2><p>{told}</p>{drawing}</div>'


class NoPicture(Exception):
    """Something that draws is missing, or has drawn nothing."""


def run(given: Namespace) -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        raise NoPicture("Chromium is missing; apt-get install chromium, and run it again.")
    workload, folder = Workload.named(given.size), asked.bench_folder(given)
    files, model, out = workload.files(folder / "data"), workload.model(folder / "data"), folder / "out" / "plans"
    shutil.rmtree(out, ignore_errors=True)
    logs = out / "logs"
    logs.mkdir(parents=True)
    told = {"PYSPARK_SUBMIT_ARGS": f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir={logs} pyspark-shell"}
    print("the textbook's pass ...", flush=True)
    passes.call("textbook", "run", files, model, out / "textbook", given.threads, given=told)
    print("meterlake's pass ...", flush=True)
    passes.ours(files, model, out / "meterlake", given.threads)
    for log in (out / "meterlake" / "tables" / "logs" / "spark-events").iterdir():
        log.rename(logs / log.name)
    with history.served(logs, PORT, out / "history.log") as (server, _):
        _picture(server, chromium, out)
    shutil.rmtree(out)
    print(PICTURE.relative_to(PROJECT))


def _picture(server: str, chromium: str, out: Path) -> None:
    """Both plans on one page, as PICTURE."""
    plans = [_plan(server, name, app, chromium, out) for name, app in _applications(server).items()]
    width = sum(wide for _, wide, _ in plans) + (len(plans) + 1) * GAP
    height = max(high for _, _, high in plans) + HEAD + 2 * GAP
    page = out / "plans.html"
    page.write_text(PAGE.format(server=server, gap=GAP, plans="\n".join(drawn for drawn, _, _ in plans)))
    _chromium(chromium, out, f"--window-size={width},{height}", f"--screenshot={PICTURE}", page.as_uri())


def _applications(server: str) -> dict[str, str]:
    """The ids of both runs, once the server has read both logs."""
    until = time.monotonic() + LISTED_SECONDS
    while len(found := _asked(server, "applications")) < len(TITLES):
        if time.monotonic() > until:
            raise NoPicture(f"Spark's history server shows {len(found)} of {len(TITLES)} runs.")
        time.sleep(1)
    ids = {"textbook" if app["name"] == "textbook" else "meterlake": app["id"] for app in found}
    return {name: ids[name] for name in TITLES}


def _plan(server: str, name: str, app: str, chromium: str, out: Path) -> tuple[str, int, int]:
    """The plan of the features as HTML, its width and height in pixels."""
    about = f"applications/{app}"
    queries = _asked(server, f"{about}/sql?details=true&planDescription=false&length=10000")
    having = (one for one in queries if MAKES_FEATURES[name]([node["nodeName"] for node in one["nodes"]]))
    query = max(having, key=lambda one: int(one["duration"]), default=None)
    if query is None:
        raise NoPicture(f"No query of the run of {name} makes the features as it used to; see MAKES_FEATURES.")
    stages = [
        stage
        for job in query["successJobIds"]
        for number in _asked(server, f"{about}/jobs/{job}")["stageIds"]
        for stage in _asked(server, f"{about}/stages/{number}")
        if stage["status"] == "COMPLETE"
    ]
    shuffled = sum(stage["shuffleWriteBytes"] for stage in stages) / 2**20
    spilled = sum(stage["diskBytesSpilled"] for stage in stages) / 2**20
    told = f"{query['duration'] / 1000:.1f} s, {shuffled:,.0f} MiB shuffled, {spilled:,.0f} MiB spilled"
    page = _chromium(chromium, out, "--dump-dom", f"{server}/history/{app}/SQL/execution/?id={query['id']}")
    drawing = re.search(r'<svg[^>]*viewBox="\S+ \S+ (\S+) (\S+)".*?</svg>', page, re.DOTALL)
    if drawing is None:
        raise NoPicture(f"Spark's page of query {query['id']} shows no plan.")
    wide, high = (round(float(units) * PIXELS_PER_UNIT) for units in drawing.groups())
    wide = max(wide, LEAST_WIDTH)
    # Spark's own style fills the width of the page, and 70 % of its height.
    sized = f'<svg style="width: {wide}px; height: {high}px; max-height: none" viewBox'
    drawn = re.sub("<svg[^>]*viewBox", sized, drawing[0], count=1)
    return PLAN.format(title=TITLES[name], told=told, drawing=drawn), wide, high


def _asked(server: str, what: str) -> Any:
    with urllib.request.urlopen(f"{server}/api/v1/{what}", timeout=60) as answer:
        return json.load(answer)


def _chromium(program: str, out: Path, *arguments: str) -> str:
    command = [program, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
    command += [f"--user-data-dir={out / 'browser'}", "--virtual-time-budget=15000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def main() -> int:
    parser = asked.parser(__doc__, "meters=1000,days=30")
    parser.set_defaults(kind="plan-pictures")
    return asked.ending(run, parser.parse_args(), NoPicture)


if __name__ == "__main__":
    sys.exit(main())
