"""Airflow on regions of its own, for tests: started by the Makefile, as a user does it, and what it wrote down."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from meterlake.serving.embedded import stores
from meterlake.serving.publish import counts
from meterlake.settings import PROJECT, Settings, load
from meterlake.tables.catalog import TABLES
from meterlake.tables.reader import Lake
from tests.benchmarks.airflow_times import asked, tasks
from tests.lake import VILLAGE_TOML, half_hours, written
from tests.recover.stories import OF_A_RUN
from tests.standalone import BIN, QUICK, bare_environment

# The tasks of the daily DAG, in their order.
DAILY = (
    "check_source",
    "ingest",
    "validate_raw",
    "stage",
    "vee",
    "validate_staging",
    "aggregate",
    "train_first_model",
    "score",
    "marts",
    "validate_marts",
    "publish",
    "report",
)
METERS = ("a", "b")
FIRST = date(2024, 1, 1)
# The environment that runs the tests stands for the one that `make setup` makes.
MAKE = ["make", "--no-print-directory", "--directory", str(PROJECT), f"VENV={os.path.relpath(sys.prefix, PROJECT)}"]
MAKE += [f"--old-file={os.path.relpath(sys.prefix, PROJECT)}/{stamp}" for stamp in (".setup", ".dev")]


@dataclass
class Site:
    """A region, its home, and the Airflow that works for it, or for others too (`serve`): a task that failed is tried
    again after a second."""

    folder: Path
    master: str
    webhook: str = ""
    deadline_minutes: float = 180
    name: str = "village"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = self.folder / "home"
        self.source = self.folder / "village.toml"
        self.source.write_text(VILLAGE_TOML)
        self.conf = self.folder / "region.toml"
        self.conf.write_text(f'[spark]\ndriver_memory = "1g"\n[quality]\nwebhook = "{self.webhook}"\n')
        self.serve(self)

    def serve(self, *sites: "Site") -> None:
        """Let this site's Airflow work for the regions of these."""
        waits = {"retry_minutes": 1 / 60, "deadline_minutes": self.deadline_minutes}
        lines = _toml(waits)
        for site in sites:
            region = {"name": site.name, "source": site.source, "input": site.folder / "in"}
            lines += ["[[regions]]", *_toml(region | {"home": site.home, "conf": site.conf})]
        (self.folder / "regions.toml").write_text("\n".join(lines) + "\n")

    def deliver(self, day: date, readings: int = 48, kwh: float = 0.5) -> None:
        """Write the day's file of each meter."""
        for meter in METERS:
            lines = half_hours(meter, datetime.combine(day, time()), readings, kwh)
            written(self.folder / "in" / f"{day}-{meter}.csv", *lines)

    @contextmanager
    def started(self, target: str, *variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """`make TARGET` in a session of its own, whose processes end with the block; it writes to `log(target)`."""
        with self.log(target).open("wb") as log:
            process = subprocess.Popen(
                [*MAKE, target, f"HOME_DIR={self.home}", f"SPARK_MASTER={self.master}", *variables],
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            while left := self.processes():
                for number in left:
                    with suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
            process.wait()

    def processes(self) -> dict[int, str]:
        """Number and command line of all that runs for this region's Airflow, in whatever session."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                regions = process.environ().get("METERLAKE_REGIONS")
                if regions == str(self.folder / "regions.toml") and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = " ".join(process.cmdline())
        return found

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
        return kept | QUICK | {"METERLAKE_REGIONS": str(self.folder / "regions.toml")}

    def log(self, target: str) -> Path:
        return self.folder / f"{target}.log"

    def day(self, day: date, *variables: str) -> int:
        """The daily DAG for the files of this day, by `make airflow-day`; its exit code."""
        with self.started("airflow-day", f"DATE={day + timedelta(days=1)}", *variables) as run:
            return run.wait()

    def load(self) -> str:
        """Everything that was delivered, by one spark-submit of jobs/run.py; what it said."""
        command = [BIN / "spark-submit", "--master", self.master, "--py-files", PROJECT / "build" / "meterlake.zip"]
        command += [PROJECT / "jobs" / "run.py", "--source", self.source, "--input", self.folder / "in"]
        environment = bare_environment() | QUICK | {"METERLAKE_PROJECT": str(PROJECT), "METERLAKE_HOME": str(self.home)}
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout + done.stderr

    def lake(self, *without: str) -> dict[str, Counter[tuple[Any, ...]]]:
        """Silver and gold as bags of rows, without what is of a run; nine digits of a number that depends on order."""
        lake, found = Lake.of(self.settings()), {}
        for name, table in TABLES.items():
            if table.layer in ("silver", "gold") and name not in without:
                kept = [column for column in table.names if column not in OF_A_RUN]
                rows = lake.rows(f"SELECT {', '.join(kept)} FROM {name}")
                found[name] = Counter(tuple(_text(row[column]) for column in kept) for row in rows)
        return found

    def settings(self) -> Settings:
        return load(self.conf, self.home)

    def states(self, region: int | None = None) -> dict[str, str]:
        """State of each task of the newest run, of the region of that number where it works for several."""
        return {task["task"]: task["state"] for task in tasks(self.home) if region in (None, task["region"])}

    def tries(self) -> dict[str, int]:
        """How often each task of the newest run was begun."""
        return {task["task"]: task["tries"] for task in tasks(self.home)}

    def run_state(self) -> str:
        """State of the newest run."""
        return str(asked(self.home, "SELECT state FROM dag_run ORDER BY id DESC LIMIT 1")[0]["state"])

    def published(self) -> dict[str, dict[str, int]]:
        """Rows of each mart in both stores."""
        with stores(self.settings()):
            return counts(self.settings())


def _text(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _toml(values: dict[str, Any]) -> list[str]:
    return [f"{name} = {json.dumps(value, default=str)}" for name, value in values.items()]


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A webhook on this machine: its address, and the texts that have arrived there."""
    heard: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Silence: it would write between the test's own lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()
