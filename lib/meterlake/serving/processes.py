"""Server processes that outlive the command that starts them, and are ended only when they are surely ours."""

import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from meterlake.errors import Unreachable

log = logging.getLogger("meterlake")


def spawn(command: list[str], folder: Path, log_file: Path, env: Mapping[str, str] | None = None) -> psutil.Process:
    """Start a server in `folder`, in a session of its own, its output appended to `log_file` (mode 600)."""
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as out:
        started = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=env,
        )
    pid_file(folder).write_text(str(started.pid))
    return psutil.Process(started.pid)


def pid_file(folder: Path) -> Path:
    """`<home>/postgres.pid` for the data folder `<home>/postgres`."""
    return folder.with_suffix(".pid")


def running(folder: Path, marker: str) -> psutil.Process | None:
    """The server of this data folder, or None.

    A pid alone proves nothing, as numbers are used again. Ours works in the data folder, which it was started in, and
    has `marker` in its command line.
    """
    try:
        process = psutil.Process(int(pid_file(folder).read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return process if _is_ours(process, folder, marker) else None


def clear(folder: Path, marker: str) -> None:
    """End what a crashed server left behind (the children of a killed PostgreSQL) before its folder is used again."""
    left = [process for process in psutil.process_iter() if _is_ours(process, folder, marker)]
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        log.warning("Ending process %d, left in %s by a crash.", process.pid, folder)
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)


def stop(folder: Path, marker: str, signal: int, timeout_s: float = 30) -> None:
    """Ask the server of this folder to end, wait, and kill it when it does not. Another process is never touched."""
    process = running(folder, marker)
    if process is not None:
        process.send_signal(signal)
        try:
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            log.warning("Process %d in %s does not end; killing it.", process.pid, folder)
            process.kill()
            process.wait(5)
    pid_file(folder).unlink(missing_ok=True)


def wait_until(
    ready: Callable[[], bool], process: psutil.Process, title: str, log_file: Path, timeout_s: float = 60
) -> None:
    """Wait for a server that was just started.

    Raises:
        Unreachable: it ended, or does not answer in time.
    """
    until = time.monotonic() + timeout_s
    while not ready():
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise Unreachable(f"{title} ended while starting ({_last_words(log_file)}); its log is {log_file}.")
        if time.monotonic() > until:
            raise Unreachable(f"{title} does not answer after {timeout_s:.0f} s; its log is {log_file}.")
        time.sleep(0.05)


def _is_ours(process: psutil.Process, folder: Path, marker: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return Path(process.cwd()) == folder and any(marker in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _last_words(log_file: Path) -> str:
    lines = log_file.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "no word in its log"
