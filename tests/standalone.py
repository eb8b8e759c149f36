"""A standalone Spark cluster on this machine, for tests and benchmarks: a master and workers, ended with a block."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyspark

# For JVMs that live for a minute or two: their second compiler takes more than it gives (docs/performance.md).
QUICK = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"}
BIN = Path(pyspark.__file__).parent / "bin"


@contextmanager
def standalone(
    folder: Path, workers: int = 1, cores: int = 2, pinned: bool = False, given: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a standalone master with workers of so many cores; all are ended with the block.

    Args:
        pinned: hold worker n, with all that it starts, to the machine's core n.
        given: environment variables of the workers, and so of their executors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"spark://127.0.0.1:{free_port()}"
    host = ["--host", "127.0.0.1", "--webui-port", "0"]
    servers = [deploy(folder, "master.Master", *host, "--port", address.rpartition(":")[2])]
    try:
        wait_for(int(address.rpartition(":")[2]))
        for number in range(workers):
            work = ["--cores", str(cores), "--memory", "3g", "--work-dir", str(folder / f"work-{number}"), address]
            held = ["taskset", "--cpu-list", str(sorted(os.sched_getaffinity(0))[number])] if pinned else []
            servers.append(deploy(folder, "worker.Worker", *host, *work, number=number, held=held, given=given))
        yield address
    finally:
        for server in servers:
            stop(server)


def deploy(
    folder: Path,
    name: str,
    *arguments: str,
    number: int = 0,
    held: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `org.apache.spark.deploy.<name>`; it writes to `<folder>/<name>-<number>.log`."""
    with (folder / f"{name}-{number}.log").open("wb") as log:
        command = [*held, BIN / "spark-class", f"org.apache.spark.deploy.{name}", *arguments]
        environment = bare_environment() | dict(given or {})
        return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and its executors."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def bare_environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return environment | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"nobody listens on {port}")
