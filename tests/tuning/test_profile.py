"""The profile of a real session's event log: what steps are charged with, and two runs side by side."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest
from tests.standalone import free_port

from meterlake.errors import UsageError
from meterlake.settings import PROJECT
from meterlake.tuning import events, page, profile

PROGRAM = """if True:
    from pathlib import Path
    from pyspark.sql import functions as F
    from meterlake.session import spark_session
    from meterlake.settings import load
    from meterlake.tuning.events import STEP
    settings = load(conf=Path(r"{conf}"), home=Path(r"{home}"))
    spark = spark_session(settings, "profiled")
    spark.conf.set("spark.sql.shuffle.partitions", 3)
    spark.conf.set("spark.sql.adaptive.coalescePartitions.enabled", "false")
    spark.sparkContext.setLocalProperty(STEP, "write")
    spark.range(20_000, numPartitions=2).withColumn("key", F.col("id") % 7).write.parquet(r"{home}/rows")
    spark.sparkContext.setLocalProperty(STEP, "count")
    spark.read.parquet(r"{home}/rows").groupBy("key").count().collect()
    spark.stop()
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("profiled")
    program = PROGRAM.format(home=home, conf=PROJECT / "conf" / "test.toml")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT / "lib")
    (found,) = events.logs(home / "logs" / "spark-events")
    return found


def test_a_step_is_charged_with_its_jobs(log: Path) -> None:
    write, count, everything = profile.costs(events.read(log))
    assert (write.step, count.step, everything.step) == ("write", "count", "all")
    assert (write.jobs, write.tasks, write.shuffled) == (1, 2, 0.0)
    assert write.written > 0.01
    assert count.tasks >= 1 + 3, "listing is no task; a reader at least, and a partition each"
    assert 0 < count.read < write.written, "the key alone is read"
    assert count.shuffled > 0
    assert everything.tasks == write.tasks + count.tasks
    assert everything.busy == pytest.approx(write.busy + count.busy)
    assert 0 < everything.cpu <= everything.busy
    assert "(" in count.slowest


def test_the_table_names_every_column_and_step(log: Path) -> None:
    lines = profile.table(profile.costs(events.read(log))).splitlines()
    assert lines[0].split()[:3] == ["step", "clock", "s"]
    assert [line.split()[0] for line in lines[1:]] == ["write", "count", "all"]


def test_a_run_beside_itself_has_the_ratio_1(log: Path) -> None:
    costs = profile.costs(events.read(log))
    rows = [line.split() for line in profile.compared(costs, costs).splitlines()[1:]]
    assert {row[3] for row in rows} == {"1.00"}


def test_the_page_needs_no_network(log: Path, tmp_path: Path) -> None:
    application = events.read(log)
    text = page.write(application, profile.costs(application), tmp_path / "a" / "profile.html").read_text()
    assert "Profile of profiled" in text
    assert "<td>write</td>" in text
    assert 'src="http' not in text


def test_a_folder_without_events_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no events; name a folder eventlog_v2_"):
        events.read(tmp_path)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_history_server_shows_it_and_leaves_nothing_behind(log: Path, ended_by: signal.Signals) -> None:
    """`meterlake spark-ui` reads what session.py wrote: rolled into a folder, compressed."""
    home = log.parents[2]
    command = [sys.executable, "-m", "meterlake.cli", "spark-ui", "--home", str(home), "--port", str(free_port())]
    with subprocess.Popen(command, cwd=PROJECT / "lib", stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            address = serving.stdout.readline().split()[0]
            # A shell of spark-class may be there as a zombie: the JVM took its process over and never asks for its end.
            family = psutil.Process(serving.pid).children(recursive=True)
            (server,) = (one for one in family if one.status() != psutil.STATUS_ZOMBIE)
            with urllib.request.urlopen(f"{address}/api/v1/applications", timeout=60) as answer:
                (application,) = json.load(answer)
            assert (application["name"], application["attempts"][0]["completed"]) == ("profiled", True)
            jobs = f"{address}/api/v1/applications/{application['id']}/jobs"
            with urllib.request.urlopen(jobs, timeout=60) as answer:
                assert len(json.load(answer)) >= 2
            serving.send_signal(ended_by)
            assert serving.wait(timeout=30) == 0
        finally:
            serving.kill()  # where one of these fails, the block would wait for ever
    assert not server.is_running()


def test_a_port_that_is_taken_is_told(log: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "meterlake.cli", "spark-ui", "--home", str(log.parents[2])]
        command += ["--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, cwd=PROJECT / "lib", capture_output=True, text=True, check=False)
    assert (done.returncode, "did not start on http://127.0.0.1" in done.stderr) == (3, True)
