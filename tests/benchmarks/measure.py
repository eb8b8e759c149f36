"""Run a process and watch its whole tree: wall and processor seconds, and the most memory it ever held."""

import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

EVERY_SECONDS = 0.5
# A look at a process's memory walks its page tables, 0.08 s for a tree of 6 GiB, in which it can map no memory.
MEMORY_EVERY_SECONDS = 2.0
# A JVM may outlive the Python that started it by a moment.
GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Measured:
    """What one process tree took.

    Attributes:
        seconds: from start to exit, the interpreter's and the JVM's start included.
        cpu_seconds: user and system time, sampled: a process that lived less than half a second may be missed.
        peak_bytes: largest sum over the tree of PSS (shared pages counted once), sampled every MEMORY_EVERY_SECONDS.
        bytes_on_disk: size of what it kept.
        steps: seconds of its steps as it tells them.
        jvm_bytes: largest PSS of its Java processes alone, sampled.
        facts: what else it tells, see job.py.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    bytes_on_disk: int = 0
    steps: dict[str, float] | None = None
    jvm_bytes: int = 0
    facts: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class ContenderFailed(Exception):
    """A contender's process ended with an error."""

    def __init__(self, command: list[str], code: int, said: Path) -> None:
        last = said.read_text(errors="replace").strip().splitlines()[-8:]
        super().__init__(f"{' '.join(command[1:5])} ended with {code}; the end of {said}:\n" + "\n".join(last))


def watched(command: list[str], environment: dict[str, str], cwd: Path, said: Path) -> Measured:
    """Run a command to its end; what it says goes to the file `said`.

    Raises:
        ContenderFailed: it ended with an error.
    """
    said.parent.mkdir(parents=True, exist_ok=True)
    with said.open("wb") as out:
        began = time.monotonic()
        started = subprocess.Popen(command, env=environment, cwd=cwd, stdout=out, stderr=subprocess.STDOUT)
        tree = _Tree(psutil.Process(started.pid))
        try:
            while started.poll() is None:
                tree.sample()
                _wait(started)
            seconds = time.monotonic() - began
            tree.end(GRACE_SECONDS)
        except BaseException:
            tree.end(0)
            raise
    if started.returncode:
        raise ContenderFailed(command, started.returncode, said)
    return Measured(seconds, sum(tree.cpu.values()), tree.peak, jvm_bytes=tree.jvm_peak)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(EVERY_SECONDS)
    except subprocess.TimeoutExpired:
        return


class _Tree:
    """A process and all that it started, also those whose parent has gone."""

    def __init__(self, root: psutil.Process) -> None:
        self.root = root
        self.members: dict[psutil.Process, None] = {root: None}
        self.cpu: dict[psutil.Process, float] = {}
        self.peak = self.jvm_peak = 0
        self.memory_due = 0.0

    def sample(self) -> None:
        for member in list(self.members):
            with suppress(psutil.Error):
                self.members |= dict.fromkeys(member.children(recursive=True))
        for member in list(self.members):
            try:
                times = member.cpu_times()
            except psutil.Error:
                self.members.pop(member)
            else:
                self.cpu[member] = times.user + times.system
        if time.monotonic() >= self.memory_due:
            self._look_at_memory()
            self.memory_due = time.monotonic() + MEMORY_EVERY_SECONDS

    def _look_at_memory(self) -> None:
        held = of_jvm = 0
        for member in self.members:
            with suppress(psutil.Error, OSError):
                held += (size := _pss(member.pid))
                of_jvm += size if member.name() == "java" else 0
        self.peak, self.jvm_peak = max(self.peak, held), max(self.jvm_peak, of_jvm)

    def end(self, grace_seconds: float) -> None:
        """Wait until nothing of the tree is left; end what stays."""
        self.members.pop(self.root, None)
        _, alive = psutil.wait_procs(list(self.members), timeout=grace_seconds)
        for member in (*alive, self.root):
            if member.is_running() and member.status() != psutil.STATUS_ZOMBIE:
                member.terminate()


def _pss(pid: int) -> int:
    """Proportional set size in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
