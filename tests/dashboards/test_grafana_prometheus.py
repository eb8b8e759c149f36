"""Every PromQL expression of Grafana's dashboards on a real Prometheus that has asked the real `meterlake metrics`.

Prometheus runs with the jobs of conf/compose/prometheus/prometheus.yml; only their addresses are this machine's. Of
Spark it reads pages that a real cluster has shown once: record_spark.py says how.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from tests.conftest import settings_for
from tests.dashboards import small_home
from tests.dashboards.boards import Question, data_sources, promql, questions
from tests.lake import write

from meterlake.serving.endpoint import free_port
from meterlake.settings import PROJECT, Settings

HOST = "127.0.0.1"
PROMQL = [one for one in questions() if data_sources()[one.source]["type"] == "prometheus"]
PAGES = Path(__file__).parent / "spark_pages"
SPARK = {"spark-master": "master", "spark-worker": "worker", "spark-driver": "driver", "spark-executors": "executors"}
# A rate needs two readings within its window: Prometheus asks twice a second here.
EVERY, WINDOW, SAMPLES = "500ms", "10s", 4
PATIENCE_S, STARTING = 25, 503
FIGURES = {
    "Ledger balances": {"ami": 1.0},
    "Runs": {"passed": 1.0, "gate_failed": 1.0},
    "Gates that fail now": {"ami": 0.0, "village": 1.0},
    "Warnings now": {"ami": 2.0, "village": 0.0},
    "Completeness": {"ami": pytest.approx(6.5 / 7)},
    "Flagged share": {"ami": pytest.approx(0.02)},
}

Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_for(tmp_path_factory.mktemp("metrics-home"))
    for table, rows in small_home.home().items():
        write(settings, table, rows)
    return settings


@pytest.fixture(scope="module")
def ask(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The series of an expression."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (apt-get install prometheus), so that no PromQL can be asked")
    with ExitStack() as running:
        port = running.enter_context(exporter(home))
        targets = {
            "meterlake": port,
            **{job: running.enter_context(page(PAGES / f"{name}.txt")) for job, name in SPARK.items()},
        }
        answer = running.enter_context(prometheus(program, targets, tmp_path_factory.mktemp("prometheus")))
        yield answer


@contextmanager
def exporter(home: Settings) -> Iterator[int]:
    port = free_port(HOST, 18091)
    command = [sys.executable, "-m", "meterlake.cli", "metrics", "--port", str(port), "--home", str(home.home)]
    with started(command):
        yield port


@contextmanager
def started(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": "lib"}, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0


@contextmanager
def page(file: Path) -> Iterator[int]:
    """A server that shows nothing but this page."""

    class Recorded(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain;charset=utf-8")
            self.end_headers()
            self.wfile.write(file.read_bytes())

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Recorded)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(program: str, targets: dict[str, int], folder: Path) -> Iterator[Ask]:
    """Prometheus, as soon as it has asked every target some times."""
    configured = yaml.safe_load((PROJECT / "conf" / "compose" / "prometheus" / "prometheus.yml").read_text())
    jobs = [job for job in configured["scrape_configs"] if job["job_name"] in targets]
    assert {job["job_name"] for job in jobs} == set(targets)
    for job in jobs:
        job.pop("dns_sd_configs", None)
        job |= {"scrape_interval": EVERY, "scrape_timeout": EVERY}
        job["static_configs"] = [{"targets": [f"{HOST}:{targets[job['job_name']]}"]}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": EVERY}, "scrape_configs": jobs}))
    port = free_port(HOST, 19090)
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    ask = partial(series, port)
    with started([*command, f"--web.listen-address={HOST}:{port}"]):
        waits = time.monotonic() + PATIENCE_S
        while len(ask(f"sum_over_time(up[1m]) >= {SAMPLES}")) < len(targets):
            assert time.monotonic() < waits, ask("up")
            time.sleep(0.2)
        yield ask


def series(port: int, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers; nothing while it starts. What it does not understand is an error."""
    address = f"http://{HOST}:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return list(json.loads(answer.read())["data"]["result"])
    except urllib.error.HTTPError as error:
        if error.code != STARTING:
            raise ValueError(error.read().decode()) from error
    except OSError:
        pass
    return []


@pytest.mark.parametrize("question", PROMQL, ids=lambda one: one.id)
def test_an_expression_finds_what_its_legend_names(ask: Ask, question: Question) -> None:
    found = ask(promql(question.text, WINDOW, small_home.SOURCES))
    assert found
    named = re.findall(r"{{(\w+)}}", question.target["legendFormat"])
    assert [one["metric"] for one in found if not set(named) <= set(one["metric"])] == []
    assert len({tuple(one["metric"].get(name) for name in named) for one in found}) == len(found) or not named
    if question.title in FIGURES:
        shown = {one["metric"][named[0]]: float(one["value"][1]) for one in found}
        assert FIGURES[question.title] == shown


def test_an_expression_with_a_mistake_is_refused(ask: Ask) -> None:
    with pytest.raises(ValueError, match="parse error"):
        ask("sum by (source (meterlake_runs)")
