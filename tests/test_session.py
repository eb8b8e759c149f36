"""The session: its settings are in force, it stays inside its home, spark-submit wins, a failure is one sentence."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyspark
import pytest
from py4j.java_gateway import GatewayClient, JavaPackage
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from meterlake import bootstrap
from meterlake.errors import Unreachable, UsageError
from meterlake.session import FIRST_COMPILER_BYTES, _options, _scratch, size_to, spark_session
from meterlake.settings import PROJECT, Settings
from tests.commands import running
from tests.standalone import QUICK, bare_environment, deploy, standalone, stop

MB = 1 << 20


def run_python(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another process with its own Spark, started in an empty folder."""
    folder.mkdir(exist_ok=True)
    known = os.environ | {"PYTHONPATH": str(PROJECT / "lib"), "METERLAKE_CONF": str(PROJECT / "conf" / "test.toml")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=known | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_second_call_gives_the_same_session(spark: SparkSession, settings: Settings) -> None:
    assert spark_session(settings, "another") is spark


def test_settings_are_in_force(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.databricks.delta.snapshotPartitions") == "2"
    assert spark.conf.get("spark.sql.execution.arrow.pyspark.enabled") == "true"
    assert spark.sparkContext.uiWebUrl.startswith("http://127.0.0.1:")


def test_a_name_of_the_jvm_is_looked_up_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no class has stays a package, and a field is read anew, as its value may change."""
    asked: list[str] = []
    send = GatewayClient.send_command

    def told(client: GatewayClient, command: str, *more: Any, **named: Any) -> str:
        asked.append(command)
        return str(send(client, command, *more, **named))

    jvm: Any = spark._jvm
    F.col("a"), jvm.org.apache.spark.sql.delta.DeltaLog.forTable, jvm.java.lang.Long.MAX_VALUE
    monkeypatch.setattr(GatewayClient, "send_command", told)
    F.col("b")
    assert asked == ["c\nz:org.apache.spark.sql.functions\ncol\nsb\ne\n"]
    del asked[:]
    assert jvm.org.apache.spark.sql.delta.DeltaLog.forTable.name == "forTable"
    assert not asked
    assert jvm.java.lang.Long.MAX_VALUE == 2**63 - 1
    assert asked
    assert isinstance(jvm.org.apache.nowhere, JavaPackage)


def test_a_timestamp_is_read_and_shown_as_utc(spark: SparkSession) -> None:
    [row] = spark.range(1).select(F.lit("2024-03-31T01:30:00").cast("timestamp").cast("long").alias("s")).collect()
    assert row["s"] == pd.Timestamp("2024-03-31T01:30:00Z").timestamp()


def test_delta_tables_are_written_merged_and_travelled(spark: SparkSession, tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    spark.range(5).write.format("delta").save(table)
    spark.sql(f"DELETE FROM delta.`{table}` WHERE id > 2")
    assert spark.read.format("delta").load(table).count() == 3
    assert spark.read.format("delta").option("versionAsOf", 0).load(table).count() == 5


def test_python_workers_are_this_python(spark: SparkSession) -> None:
    frame = spark.range(1).mapInPandas(
        lambda frames: (pd.DataFrame({"python": [sys.executable]}) for _ in frames), "python string"
    )
    assert frame.first()["python"] == sys.executable


@pytest.mark.parametrize(
    ("input_bytes", "partitions"),
    [
        pytest.param(0, 1, id="little_work_is_one_partition"),
        pytest.param(9 * MB, 2, id="more_work_uses_every_core"),
        pytest.param(640 * MB, 10, id="one_partition_for_each_64_MB"),
        pytest.param(640 * MB + 1, 11, id="the_rest_gets_its_own"),
        pytest.param(10**15, 4096, id="never_more_than_4096"),
    ],
)
def test_shuffles_are_sized_to_the_work(
    spark: SparkSession, settings: Settings, input_bytes: int, partitions: int
) -> None:
    try:
        assert size_to(spark, input_bytes, settings) == partitions
        assert spark.conf.get("spark.sql.shuffle.partitions") == str(partitions)
        compiled = spark.conf.get("spark.sql.codegen.wholeStage") == "true"
        assert compiled == (partitions > 1)
    finally:
        size_to(spark, 0, settings)


@pytest.mark.parametrize(
    ("master", "text_bytes", "alone"),
    [
        ("local[2]", FIRST_COMPILER_BYTES, True),
        ("local[2]", FIRST_COMPILER_BYTES + 1, False),
        ("local[2]", None, False),
        ("local-cluster[2,1,1024]", None, True),
        ("spark://127.0.0.1:7077", FIRST_COMPILER_BYTES + 1, True),
    ],
)
def test_a_jvm_that_loads_little_or_only_plans_does_without_the_second_compiler(
    settings: Settings, master: str, text_bytes: int | None, alone: bool
) -> None:
    options = _options(settings, master, text_bytes)["spark.driver.extraJavaOptions"]
    assert [option in options for option in bootstrap.FIRST_COMPILER] == [alone, alone]


def test_a_session_writes_only_into_its_home(tmp_path: Path) -> None:
    program = """if True:
        from meterlake.session import spark_session
        from meterlake.settings import load
        settings = load()
        spark = spark_session(settings, "alone")
        spark.range(100).repartition(3).write.format("delta").save(f"{settings.lake_root}/silver/x")
    """
    home = tmp_path / "a home with blanks"
    done = run_python(program, tmp_path / "here", METERLAKE_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "Spark is silent on the screen"
    assert list((tmp_path / "here").iterdir()) == []
    assert {"lake", "logs", "tmp", "warehouse"} == {folder.name for folder in home.iterdir()}
    assert list((home / "logs" / "spark-events").iterdir()), "the history of the run is kept"
    assert (home / "logs" / "spark.log").is_file()


def test_spark_submit_wins(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(
        "import json, sys\n"
        "from meterlake.session import spark_session\n"
        "from meterlake.settings import load\n"
        "spark = spark_session(load(), 'submitted')\n"
        "conf = dict(spark.sparkContext.getConf().getAll())\n"
        "conf['delta'] = spark.range(3).write.format('delta').save(sys.argv[1])\n"
        "print(json.dumps(conf))\n"
    )
    given = tmp_path / "given.jar"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", str(given), str(job)], check=True)
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = ["--master", "local[1]", "--jars", given, "--conf", "spark.sql.session.timeZone=Asia/Tokyo"]
    environment = {
        "PYTHONPATH": str(PROJECT / "lib"),
        "PYSPARK_PYTHON": sys.executable,
        "METERLAKE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [submit, *options, job, tmp_path / "table"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    conf = json.loads(done.stdout.splitlines()[-1])
    assert conf["spark.master"] == "local[1]"
    assert conf["spark.sql.session.timeZone"] == "Asia/Tokyo"
    assert "given.jar" in conf["spark.jars"]
    assert "delta-spark" in conf["spark.jars"]
    assert conf["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension", "what was not given stays ours"


@pytest.mark.parametrize(
    ("master", "sentence"),
    [
        pytest.param("spark://127.0.0.1:9", "No Spark master answers at spark://127.0.0.1:9", id="nobody_listens"),
        pytest.param("lokal", "Spark did not start on lokal (Master must either be yarn", id="no_such_master"),
    ],
)
def test_an_unreachable_cluster_is_one_sentence(tmp_path: Path, master: str, sentence: str) -> None:
    program = """if True:
        from meterlake.errors import Unreachable
        from meterlake.session import spark_session
        from meterlake.settings import load
        try:
            spark_session(load(), "nowhere")
        except Unreachable as error:
            print(error)
    """
    started = time.monotonic()
    done = run_python(program, tmp_path / "here", METERLAKE_HOME=str(tmp_path / "home"), METERLAKE_SPARK_MASTER=master)
    assert done.stdout.startswith(sentence), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert time.monotonic() - started < 60


def test_a_fork_beside_a_product_ends() -> None:
    """PySpark forks for its JVM. With threads of its own OpenBLAS made this stand still, each time of six."""
    program = """if True:
        import meterlake
        import subprocess, threading
        import numpy as np
        square, ended = np.ones((400, 400)), threading.Event()
        def forks():
            for _ in range(200):
                subprocess.run(["true"], preexec_fn=lambda: None)
            ended.set()
        threading.Thread(target=forks, daemon=True).start()
        while not ended.is_set():
            square @ square
        print("ended")
    """
    here = bare_environment() | {"PYTHONPATH": str(PROJECT / "lib")}
    del here["OPENBLAS_NUM_THREADS"]  # ours, from the import of meterlake; the program's own is to set it
    with running([sys.executable, "-c", program], here) as process:
        said, _ = process.communicate(timeout=120)
    assert said == "ended\n"


@pytest.mark.slow
def test_a_cluster_that_gives_no_executor_is_told(tmp_path: Path) -> None:
    """And the work is done as soon as a worker comes. Spark says nothing outside of its log, and waits for ever."""
    program = """if True:
        import logging
        from meterlake import executor_watch
        from meterlake.session import spark_session
        from meterlake.settings import load
        logging.basicConfig(format="%(message)s")
        executor_watch.PATIENCE_SECONDS = 3
        print(spark_session(load(), "alone").range(5).count())
    """
    with standalone(tmp_path / "cluster", workers=0) as master:
        here = bare_environment() | QUICK | {"PYTHONPATH": str(PROJECT / "lib"), "METERLAKE_SPARK_MASTER": master}
        here |= {"METERLAKE_CONF": str(PROJECT / "conf" / "test.toml"), "METERLAKE_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", program]
        with running(command, here, tmp_path) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            worker = deploy(tmp_path / "cluster", "worker.Worker", "--host", "127.0.0.1", "--memory", "2g", master)
            rest = process.stdout.read()
            stop(worker)
    assert first.startswith(f"No executor has come from {master} for 3 s and longer")
    assert rest.splitlines() == ["5"]


def test_the_spills_of_killed_processes_are_removed(settings: Settings) -> None:
    ours, dead = (settings.folder("tmp") / f"spark-{process}" for process in (os.getpid(), 2**22 + 1))
    dead.mkdir()
    (dead / "shuffle.data").write_bytes(b"x")
    assert _scratch(settings) == ours
    assert ours.is_dir()
    assert not dead.exists()


def test_a_home_that_spark_takes_for_two_is_told(settings: Settings) -> None:
    home = settings.home / "north, south"
    with pytest.raises(
        UsageError, match=f"{home} has a comma, and Spark would take it for two folders; choose another"
    ):
        _scratch(settings.model_copy(update={"home": home}))


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        pytest.param(None, "No Java was found in JAVA_HOME", id="no_java"),
        pytest.param("11.0.2", "Java 11 is too old", id="java_11"),
        pytest.param("1.8.0_392", "Java 8 is too old", id="java_8_names_itself_1.8"),
    ],
)
def test_a_missing_java_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, complaint: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if version:
        java = tmp_path / "bin" / "java"
        java.parent.mkdir()
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2019-01-15' >&2\n")
        java.chmod(0o755)
    with pytest.raises(Unreachable, match=complaint) as raised:
        bootstrap.check_java()
    assert "apt-get install openjdk-17-jre-headless" in str(raised.value)


def test_a_missing_set_up_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "SHARE", tmp_path)
    with pytest.raises(Unreachable, match="make setup"):
        bootstrap.jar_paths()
    with pytest.raises(Unreachable, match="make setup"):
        bootstrap.clickhouse_library()
    assert bootstrap.class_archive() is None


def test_no_jar_is_there_twice() -> None:
    """Two versions of one artifact on a class path: which one wins is chance."""
    shipped = [jar.name for jar in (Path(pyspark.__file__).parent / "jars").glob("*.jar")]
    names = [bootstrap._artifact(name) for name in [*shipped, *(jar.name for jar in bootstrap.jar_paths())]]
    ours = {bootstrap._artifact(jar.name) for jar in bootstrap.jar_paths()}
    assert {name for name in ours if names.count(name) > 1} == set()
    assert {"delta-spark_4.2_2.13", "postgresql", "clickhouse-jdbc"} <= ours
