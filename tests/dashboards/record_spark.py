"""`python -m tests.dashboards.record_spark`: the pages that a real Spark shows to Prometheus -> spark_pages/*.txt.

A standalone master, a worker and a driver with one executor, with the files of conf/compose/spark, on loopback. The
tests of the dashboards ask for what stands in these pages, as starting Spark takes longer than all of them.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from meterlake.serving.endpoint import free_port
from meterlake.settings import PROJECT

HOST = "127.0.0.1"
PAGES = Path(__file__).parent / "spark_pages"
CONF = PROJECT / "conf" / "compose" / "spark"
PATIENCE_S = 60


def main() -> int:
    ports = [free_port(HOST, wanted) for wanted in (17077, 17180, 17181, 17140)]
    master, master_page, worker_page, driver_page = ports
    os.environ |= {
        "SPARK_CONF_DIR": str(CONF),
        "_SPARK_AUTH_SECRET": secrets.token_hex(16),
        "SPARK_LOCAL_IP": HOST,
        "PYSPARK_PYTHON": sys.executable,
    }
    address = f"spark://{HOST}:{master}"
    with (
        tempfile.TemporaryDirectory() as scratch,
        _started("master.Master", "--host", HOST, "--port", str(master), "--webui-port", str(master_page)),
        _started(
            "worker.Worker",
            "--webui-port",
            str(worker_page),
            "--work-dir",
            scratch,
            "--cores",
            "1",
            "--memory",
            "1g",
            "--host",
            HOST,
            address,
        ),
    ):
        _read(f"http://{HOST}:{master_page}/json/", '"aliveworkers" : 1')
        spark = _session(address, driver_page)
        spark.range(1_000_000, numPartitions=4).selectExpr("id % 7 AS rest").groupBy("rest").count().collect()
        for name, page in {
            "master": f"{master_page}/metrics/master/prometheus",
            "worker": f"{worker_page}/metrics/prometheus",
            "driver": f"{driver_page}/metrics/prometheus",
            "executors": f"{driver_page}/metrics/executors/prometheus",
        }.items():
            (PAGES / f"{name}.txt").write_text(_read(f"http://{HOST}:{page}", "metrics_"))
        spark.stop()
    return 0


def _session(address: str, page: int) -> SparkSession:
    options = {"spark.ui.port": page, "spark.executor.memory": "512m", "spark.executor.cores": 1}
    builder = SparkSession.builder.appName("meterlake run ami").master(address)
    for name, value in options.items():
        builder = builder.config(name, str(value))
    return builder.getOrCreate()


@contextmanager
def _started(what: str, *words: str) -> Iterator[None]:
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(program), f"org.apache.spark.deploy.{what}", *words]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def _read(address: str, holds: str) -> str:
    """The page, as soon as it holds these words."""
    text, patience = "", time.monotonic() + PATIENCE_S
    while holds not in text:
        if time.monotonic() > patience:
            raise TimeoutError(f"{address} does not show {holds!r}")
        time.sleep(0.5)
        try:
            text = urllib.request.urlopen(address, timeout=5).read().decode()
        except OSError:
            continue
    return text


if __name__ == "__main__":
    sys.exit(main())
