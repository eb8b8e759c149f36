"""Spark's history server over the event logs of a home: the Spark UI of runs that have ended, on loopback."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

from meterlake.errors import Unreachable, UsageError

SERVER = "org.apache.spark.deploy.history.HistoryServer"
HOST = "127.0.0.1"
READY_SECONDS = 90.0
LISTED_SECONDS = 20.0
END_SECONDS = 10.0
# What session.py writes is rolled and compressed; the server finds out by itself. It must not try another port than
# the one that is told, nor delete logs: how long they are kept is the operator's business.
OPTIONS = {
    "spark.history.fs.update.interval": "5s",
    "spark.history.fs.cleaner.enabled": "false",
    "spark.port.maxRetries": "0",
}


def serve(logs: Path, port: int, said: Path, ready: Callable[[str], None]) -> None:
    """Show the event logs in a folder until SIGINT (Ctrl-C) or SIGTERM; nothing is left running.

    Args:
        ready: called with the address once it answers, and has read the first log.
        logs, port, said: and what it raises, as in `served`.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with served(logs, port, said) as (address, server):
            ready(address)
            server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def served(logs: Path, port: int, said: Path) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """The address of a server that shows the event logs in a folder, and its process, which ends with the block.

    Args:
        said: file for what the server says.

    Raises:
        UsageError: there is no event log yet.
        Unreachable: the server does not start, for instance as the port is taken.
    """
    if not any(logs.glob("*")):
        raise UsageError(f"{logs} holds no event log yet; run something first.")
    with said.open("wb") as out:
        command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), SERVER]
        server = subprocess.Popen(command, env=_environment(logs, port), stdout=out, stderr=subprocess.STDOUT)
    address = f"http://{HOST}:{port}"
    try:
        _wait(server, address, said)
        yield address, server
    finally:
        _end(server)


def _environment(logs: Path, port: int) -> dict[str, str]:
    """spark-class takes the server's settings and its address from the environment."""
    options = OPTIONS | {"spark.history.fs.logDirectory": f"file://{logs}", "spark.history.ui.port": str(port)}
    told = " ".join(f'"-D{name}={value}"' for name, value in options.items())
    return os.environ | {"SPARK_HISTORY_OPTS": told, "SPARK_LOCAL_IP": HOST}


def _wait(server: "subprocess.Popen[bytes]", address: str, said: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while _listed(address) is None:
        if server.poll() is not None or time.monotonic() > until:
            words = [line for line in said.read_text(errors="replace").splitlines() if "xception" in line]
            reason = words[0].strip() if words else "it does not answer"
            raise Unreachable(f"Spark's history server did not start on {address} ({reason}); see {said}.")
        time.sleep(0.2)
    # It answers before it has read a log: whoever looks at once would see an empty page. A broken log is never listed.
    until = time.monotonic() + LISTED_SECONDS
    while not _listed(address) and time.monotonic() < until:
        time.sleep(0.2)


def _listed(address: str) -> int | None:
    """How many runs the server shows; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/applications", timeout=5) as answer:
            return len(json.load(answer))
    except (OSError, ValueError):  # while it starts it may also answer with something else than a list
        return None


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
