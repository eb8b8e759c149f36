"""The Spark session: one for the whole process, set up the same way on a laptop, in a job and in a test."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from pyspark import SparkConf, SparkContext, inheritable_thread_target
from pyspark.sql import DataFrame, SparkSession

from meterlake import executor_watch, jvm_names, object_store
from meterlake.bootstrap import FIRST_COMPILER, archive_options, check_java, jar_paths, s3_jar_paths
from meterlake.errors import Unreachable, UsageError
from meterlake.settings import PROJECT, Settings

T = TypeVar("T")
Begin = Callable[[DataFrame], DataFrame]

MOST_PARTITIONS = 4096
# Up to so many bytes a plan is worked off as it stands: compiling it would take longer than running it.
SMALL_BYTES = 8 << 20
SMALL = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
# Up to so much text, or where tasks run in other JVMs, the driver's second compiler costs more than its faster code
# saves: most of what it compiles is the planner and code generated for one query (docs/performance.md).
FIRST_COMPILER_BYTES = 1 << 30
LOGGING = "log4j2.properties"
WORKER_DAEMON = "meterlake.worker_daemon"
HADOOP_JARS = "SPARK_DIST_CLASSPATH"


def spark_session(settings: Settings, app_name: str, text_bytes: int | None = None) -> SparkSession:
    """The active session, or a new one; what spark-submit was given wins over what stands here.

    Args:
        text_bytes: size of the files that it is started to load, where that is known.

    Raises:
        Unreachable: Java or the jars are missing, or the cluster or the object store of the lake does not answer.
        UsageError: the path of the home has a comma, and tasks run here.
    """
    if active := SparkSession.getActiveSession():
        return active
    if object_store.is_s3(settings.lake_root):
        object_store.check(settings.lake_root)
    given = _submitted()
    master = given.get("spark.master", settings.spark.master)
    if not given:
        _answers(master)
        _prepare_environment(settings, master)
    options = _defaults() | _options(settings, master, text_bytes) | _jars(settings, given, master)
    options |= {name: value for name, value in given.items() if name in options and name != "spark.jars"}
    builder = SparkSession.builder.appName(app_name)
    for name, value in options.items():
        builder = builder.config(name, value)
    said = settings.folder("logs") / "spark.err"
    try:
        with _stderr_to(said):
            spark = builder.getOrCreate()
    except Exception as error:  # Py4J raises what the JVM raised, of any kind
        check_java()
        raise Unreachable(f"Spark did not start on {master} ({_reason(error, said)}); see {said}.") from error
    jvm_names.remember(spark._jvm)
    for name, value in _of_cores(spark.sparkContext.defaultParallelism).items():
        if name not in given:
            spark.conf.set(name, value)
    if not _is_one_jvm(master):
        executor_watch.watch(spark)
    return spark


def _of_cores(cores: int) -> dict[str, str]:
    return {
        "spark.sql.shuffle.partitions": str(cores),  # 200 by default: too many tasks for a small table
        # As many as cores by default, which the branches of a union share: of three branches each is left to one task.
        "spark.sql.adaptive.coalescePartitions.minPartitionNum": str(4 * cores),
        # Else a frame that is kept has a partition for every share of the lake, however few its rows are.
        "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
    }


def size_to(spark: SparkSession, work_bytes: int, settings: Settings) -> int:
    """Fit the session to the work and return the number of shuffle partitions: each holds `spark.partition_bytes`.

    Work of at most SMALL_BYTES runs in one partition, interpreted and without adaptive planning: in a JVM that has just
    started, most of its time would go into compiling Java code for expressions that see a few thousand rows. Measured
    on the 5,000 readings of the smart_meter file, 2 cores, 2026-11-22: a whole run 115 s instead of 147 s.
    """
    small = work_bytes <= SMALL_BYTES
    for name, value in SMALL.items():
        if small:
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)
    wanted = -(-work_bytes // settings.spark.partition_bytes)
    partitions = 1 if small else min(max(wanted, spark.sparkContext.defaultParallelism), MOST_PARTITIONS)
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    return partitions


def is_small(spark: SparkSession) -> bool:
    """Whether the session was last fitted to work of at most SMALL_BYTES."""
    return all(spark.conf.get(name) == value for name, value in SMALL.items())


def at_once(spark: SparkSession, work: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """What each piece of work returns, done in so many threads, whose jobs belong to the caller's step.

    The first error is raised when all have ended.
    """
    with ThreadPoolExecutor(threads) as pool:
        # Wrapped one by one: the wrapper holds the thread's own copy of the local properties.
        begun = [pool.submit(inheritable_thread_target(spark)(one)) for one in work]
    return [one.result() for one in begun]


@contextmanager
def beside(spark: SparkSession, work: Callable[[], object]) -> Iterator[None]:
    """Do the work in a thread while the block runs, both for the caller's step; its error is raised at the end."""
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(inheritable_thread_target(spark)(work))
        yield
        begun.result()


def as_it_is(frame: DataFrame) -> DataFrame:
    """What stands for `begun` where nothing is begun."""
    return frame


@contextmanager
def begun(spark: SparkSession) -> Iterator[Begin]:
    """A function that has a frame's rows made at once and kept for the block, beside the planning of what reads them.

    The plan of many tables takes seconds, in which no task runs.
    """
    kept: list[DataFrame] = []
    with ThreadPoolExecutor() as pool:

        def begin(frame: DataFrame) -> DataFrame:
            kept.append(frame.persist())
            pool.submit(inheritable_thread_target(spark)(frame.count))  # an error comes again to who reads the frame
            return frame

        yield begin
    for frame in kept:
        frame.unpersist()


def _submitted() -> dict[str, str]:
    """The settings of the spark-submit that runs this program; empty when there is none."""
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return {}
    SparkContext._ensure_initialized()
    return dict(SparkConf().getAll())


def _defaults() -> dict[str, str]:
    """conf/spark-defaults.conf, in Spark's own format: name, white space, value."""
    lines = (PROJECT / "conf" / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {name: value.strip() for name, value in pairs}


def _options(settings: Settings, master: str, text_bytes: int | None) -> dict[str, str]:
    """What depends on this machine, this home, this cluster and the work."""
    logs = settings.folder("logs")
    events = logs / "spark-events"
    events.mkdir(exist_ok=True)
    does_much = _is_one_jvm(master) and (text_bytes is None or text_bytes > FIRST_COMPILER_BYTES)
    options = {
        "spark.master": master,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": _java_options(logs, does_much),
        "spark.sql.warehouse.dir": str(settings.folder("warehouse")),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
    }
    if _is_local(master):
        options["spark.local.dir"] = str(_scratch(settings))
        options["spark.driver.host"] = options["spark.driver.bindAddress"] = "127.0.0.1"
    if _is_one_jvm(master):
        options["spark.python.daemon.module"] = WORKER_DAEMON
        options["spark.executorEnv.PYTHONPATH"] = str(Path(__file__).parents[1])  # perhaps a zip
    return options | (object_store.spark_options(settings) if settings.uses_s3 else {})


def _java_options(logs: Path, does_much: bool) -> str:
    """Logging to the home folder, the class archive (ignored where the class path is another, without a word), and
    which compilers a JVM has that does not do much."""
    options = [f"-Dmeterlake.logs={logs}", f"-Dlog4j2.configurationFile={(PROJECT / 'conf' / LOGGING).as_uri()}"]
    options += [*archive_options(), *(() if does_much else FIRST_COMPILER)]
    return " ".join(f'"{option}"' for option in options)


def _jars(settings: Settings, given: dict[str, str], master: str) -> dict[str, str]:
    """Our jars: on the class path of a driver that starts here, as in the archive of classes; to executors they are
    shipped, beside the given ones."""
    ours = [str(path) for path in jar_paths()]
    on_path = {} if given else {"spark.driver.extraClassPath": os.pathsep.join(ours)}
    if not given and _is_one_jvm(master):
        return on_path
    if settings.uses_s3:
        with suppress(Unreachable) if given else nullcontext():  # the cluster that we were submitted to may have them
            ours += map(str, s3_jar_paths())
    if given:
        _add_to_driver(ours)
    theirs = given["spark.jars"].split(",") if given.get("spark.jars") else []
    return on_path | {"spark.jars": ",".join(dict.fromkeys([*theirs, *ours]))}


def _add_to_driver(jars: list[str]) -> None:
    """spark-submit filled the driver's class path before it started us; `spark.jars` only reaches the executors now."""
    jvm = SparkContext._jvm
    assert jvm is not None
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for jar in jars:
        loader.addURL(jvm.java.io.File(jar).toURI().toURL())


def _is_local(master: str) -> bool:
    return master.startswith("local")


def _is_one_jvm(master: str) -> bool:
    return bool(re.match(r"local(\[|$)", master))


def _prepare_environment(settings: Settings, master: str) -> None:
    """What the JVM reads before any setting: the address it binds to, the Python of its workers, the jars for s3a."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _is_local(master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    if settings.uses_s3 and _is_one_jvm(master):
        # At the end of the class path, where Spark wants Hadoop's own jars: in front the class archive would not fit.
        there = filter(None, [os.environ.get(HADOOP_JARS)])
        os.environ[HADOOP_JARS] = os.pathsep.join([*there, *map(str, s3_jar_paths())])


@contextmanager
def _stderr_to(file: Path) -> Iterator[None]:
    """A JVM that starts in this block, and its Python workers, write their stderr to `file`, not over our progress."""
    sys.stderr.flush()
    screen = os.dup(2)
    with open(file, "ab") as out:
        os.dup2(out.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)


def _answers(master: str) -> None:
    """Ask a standalone master's port first: Spark itself needs a minute to give up."""
    addresses = re.findall(r"([\w.-]+):(\d+)", master.removeprefix("spark://")) if master.startswith("spark://") else []
    for host, port in addresses:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=5):
            return
    if addresses:
        raise Unreachable(f"No Spark master answers at {master}; start it, or correct METERLAKE_SPARK_MASTER.")


def _scratch(settings: Settings) -> Path:
    """This process's folder for shuffles and spills; those of processes that were killed are removed.

    Raises:
        UsageError: its path has a comma.
    """
    parent = settings.folder("tmp")
    if "," in str(parent):
        raise UsageError(
            f"{settings.home} has a comma, and Spark would take it for two folders; choose another home with --home or "
            "METERLAKE_HOME."
        )
    for folder in parent.glob("spark-*"):
        if not Path("/proc", folder.name.removeprefix("spark-")).exists():
            shutil.rmtree(folder, ignore_errors=True)
    folder = parent / f"spark-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


def _reason(error: Exception, said: Path) -> str:
    """What the JVM complained about, as words; a JVM that ended before PySpark reached it has left them in `said`."""
    early = "JAVA_GATEWAY_EXITED" in str(error)
    lines = said.read_text(errors="replace").splitlines() if early else str(error).splitlines()
    causes = [line.strip() for line in lines if re.search(r"\w(Exception|Error)\b", line)] or [type(error).__name__]
    return re.sub(r"^.*?\w(Exception|Error): *", "", causes[-1 if early else 0]).rstrip(". ")
