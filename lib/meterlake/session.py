"""The Spark session: one for the whole process, set up the same way on a laptop, in a job and in a test."""

import os
import re
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from meterlake.bootstrap import check_java, jar_paths
from meterlake.errors import Unreachable
from meterlake.settings import PROJECT, Settings

MOST_PARTITIONS = 4096


def spark_session(settings: Settings, app_name: str) -> SparkSession:
    """The active session, or a new one; what spark-submit was given wins over what stands here.

    Raises:
        Unreachable: Java or the jars are missing, or the cluster does not answer.
    """
    if active := SparkSession.getActiveSession():
        return active
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # spark-submit has started the JVM and holds its own settings
    given = _submitted() if submitted else {}
    master = given.get("spark.master", settings.spark.master)
    if not submitted:
        _answers(master)
        _prepare_environment(master)
    options = _defaults() | _options(settings, master)
    builder = SparkSession.builder.appName(app_name)
    for name, value in (options | _kept(given, options)).items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:  # Py4J raises what the JVM raised, of any kind
        check_java()
        log = settings.folder("logs") / "spark.log"
        raise Unreachable(f"Spark did not start on {master} ({_reason(error)}); see {log}.") from error
    if "spark.sql.shuffle.partitions" not in given:
        spark.conf.set("spark.sql.shuffle.partitions", spark.sparkContext.defaultParallelism)
    return spark


def size_to(spark: SparkSession, input_bytes: int, settings: Settings) -> int:
    """Set the number of shuffle partitions so that each holds about `spark.partition_bytes` of the input; returns it."""
    wanted = -(-input_bytes // settings.spark.partition_bytes)
    partitions = min(max(wanted, spark.sparkContext.defaultParallelism), MOST_PARTITIONS)
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    return partitions


def _options(settings: Settings, master: str) -> dict[str, str]:
    """What depends on this machine, this home and this cluster."""
    logs = settings.folder("logs")
    events = logs / "spark-events"
    events.mkdir(exist_ok=True)
    options = {
        "spark.master": master,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": f"-Dmeterlake.logs={logs}",
        "spark.jars": ",".join(map(str, jar_paths())),
        "spark.sql.warehouse.dir": str(settings.folder("warehouse")),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
    }
    if _is_local(master):
        options["spark.local.dir"] = str(_scratch(settings))
        options["spark.driver.host"] = options["spark.driver.bindAddress"] = "127.0.0.1"
    return options


def _defaults() -> dict[str, str]:
    """conf/spark-defaults.conf, in Spark's own format: name, white space, value."""
    lines = (PROJECT / "conf" / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {name: value.strip() for name, value in pairs}


def _submitted() -> dict[str, str]:
    """The settings of the spark-submit that runs this program."""
    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())


def _kept(given: dict[str, str], options: dict[str, str]) -> dict[str, str]:
    """Given settings win, but given jars join ours."""
    kept = {name: value for name, value in given.items() if name in options}
    if jars := given.get("spark.jars"):
        kept["spark.jars"] = ",".join(dict.fromkeys([*jars.split(","), *options["spark.jars"].split(",")]))
    return kept


def _is_local(master: str) -> bool:
    return master.startswith("local")


def _prepare_environment(master: str) -> None:
    """What the JVM reads before any setting: its logging, the address it binds to, the Python of its workers."""
    os.environ.setdefault("SPARK_CONF_DIR", str(PROJECT / "conf"))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _is_local(master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


def _answers(master: str) -> None:
    """Ask a standalone master's port first: Spark itself needs a minute to give up."""
    addresses = re.findall(r"([\w.-]+):(\d+)", master.removeprefix("spark://")) if master.startswith("spark://") else []
    for host, port in addresses:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
            return
    if addresses:
        raise Unreachable(f"No Spark master answers at {master}; start it, or correct METERLAKE_SPARK_MASTER.")


def _scratch(settings: Settings) -> Path:
    """This process's folder for shuffles and spills; those of processes that were killed are removed."""
    parent = settings.folder("tmp")
    for folder in parent.glob("spark-*"):
        if not Path("/proc", folder.name.removeprefix("spark-")).exists():
            shutil.rmtree(folder, ignore_errors=True)
    folder = parent / f"spark-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


def _reason(error: Exception) -> str:
    """The first line of what the JVM or PySpark says."""
    text = error.getMessage() if isinstance(error, PySparkException) else str(error)
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    causes = [line for line in lines if "Exception" in line] or lines or [type(error).__name__]
    return causes[0].removeprefix(": ")
