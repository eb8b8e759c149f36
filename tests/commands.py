"""Commands as users run them: processes in a group of their own, which tell where they stand when a test gives up."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# A thread of a JVM that does something or waits for somebody; two hundred others of it wait for work.
WORKS = re.compile(r"BLOCKED|py4j\.commands|org\.apache\.spark\.(sql|scheduler\.Task|deploy)|io\.delta")


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """The command, begun. It and what it started in its group end with the block.

    When the block is left by an error, pytest's timeout for one, what runs still prints where each of its threads is.
    """
    with subprocess.Popen(
        command,
        env={**environment, "PYTHONFAULTHANDLER": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            _tell(process)
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _tell(process: "subprocess.Popen[str]") -> None:
    """Write to stdout the stacks of the process and of all that descend from it, and what else it said; end them."""
    said = ""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in family:
        with suppress(psutil.NoSuchProcess):
            sys.stdout.write(f"{one.pid} {one.status()} {' '.join(one.cmdline())[:200]}\n")
    for name, number in (("java", signal.SIGQUIT), ("python", signal.SIGABRT), ("", signal.SIGKILL)):
        for one in family:
            with suppress(psutil.NoSuchProcess):
                if one.name().startswith(name):
                    one.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            said = process.communicate(timeout=5)[0]  # read at once: the stacks are more than a pipe holds
    told = said.split("\n\n")
    sys.stdout.write("\n\n".join(part for part in told if "Thread.State" not in part or WORKS.search(part)))
