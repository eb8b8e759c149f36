"""Spark's event log of a run, read into facts per stage: what each step asked of the cluster.

The log is what Spark's history server shows: one JSON object a line, compressed with ZSTD and cut into several files.
Its words are those of `org.apache.spark.util.JsonProtocol`.
"""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from meterlake.errors import UsageError

STEP = "meterlake.step"  # the local property that a step's jobs carry
OTHER = "between"  # jobs of no step
Event = dict[str, Any]


@dataclass
class Stage:
    """A stage of a job, over its tasks. Times in milliseconds, sizes in bytes.

    Attributes:
        submitted, completed: milliseconds since 1970.
        task_ms: how long each task took.
    """

    number: int
    step: str
    name: str
    submitted: int = 0
    completed: int = 0
    task_ms: list[int] = field(default_factory=list)
    cpu_ms: float = 0.0
    gc_ms: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    shuffle_read_bytes: int = 0
    shuffle_written_bytes: int = 0
    spilled_bytes: int = 0

    @property
    def skew(self) -> float:
        """Longest task / median task; 1 where all take the same time."""
        ordered = sorted(self.task_ms)
        return ordered[-1] / max(1, ordered[len(ordered) // 2]) if ordered else 1.0


@dataclass
class Application:
    """A run of Spark.

    Attributes:
        stages: those that ran, in order.
        jobs: number of jobs by step.
        operators: milliseconds by step and operator of the plans, as far as Spark times them; they overlap.
    """

    name: str = ""
    stages: list[Stage] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    operators: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def logs(folder: Path) -> list[Path]:
    """The event logs in a folder, oldest first."""
    return sorted(folder.glob("eventlog_v2_*"), key=lambda log: log.stat().st_mtime)


def read(log: Path) -> Application:
    """Read an event log (a folder of Spark's rolling log).

    Raises:
        UsageError: it is no event log that can be read.
    """
    try:
        return application(_events(log))
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{log} cannot be read as Spark's event log ({error}); name a folder eventlog_v2_*.") from None


def application(events: Iterable[Event]) -> Application:
    """The facts in a stream of events."""
    found = Application()
    stages: dict[int, Stage] = {}
    timers: dict[int, tuple[str, float]] = {}
    for event in events:
        kind = event["Event"].rpartition(".")[2]
        if kind == "SparkListenerApplicationStart":
            found.name = event["App Name"]
        elif kind == "SparkListenerJobStart":
            step = event.get("Properties", {}).get(STEP, OTHER)
            found.jobs[step] += 1
            for info in event["Stage Infos"]:
                stages.setdefault(info["Stage ID"], Stage(info["Stage ID"], step, info["Stage Name"]))
        elif kind in ("SparkListenerSQLExecutionStart", "SparkListenerSQLAdaptiveExecutionUpdate"):
            timers |= dict(_timers(event["sparkPlanInfo"]))
        elif kind == "SparkListenerTaskEnd" and event["Stage ID"] in stages:
            _add_task(stages[event["Stage ID"]], event, timers, found.operators)
        elif kind == "SparkListenerStageCompleted":
            info = event["Stage Info"]
            if stage := stages.get(info["Stage ID"]):
                stage.submitted, stage.completed = info.get("Submission Time", 0), info.get("Completion Time", 0)
    found.stages = [stage for _, stage in sorted(stages.items()) if stage.task_ms]
    return found


def _events(log: Path) -> Iterator[Event]:
    files = sorted(log.glob("events_*"), key=lambda file: int(file.name.split("_")[1]))
    if not files:
        raise UsageError(f"{log} holds no events; name a folder eventlog_v2_* of <home>/logs/spark-events.")
    for file in files:
        with pa.OSFile(str(file)) as stored:
            plain = pa.CompressedInputStream(stored, "zstd") if file.suffix == ".zstd" else stored
            for line in io.TextIOWrapper(plain, encoding="utf-8"):
                yield json.loads(line)


def _add_task(stage: Stage, event: Event, timers: dict[int, tuple[str, float]], operators: dict[str, Any]) -> None:
    info, metrics = event["Task Info"], event.get("Task Metrics") or {}
    stage.task_ms.append(info["Finish Time"] - info["Launch Time"])
    stage.cpu_ms += metrics.get("Executor CPU Time", 0) / 1e6
    stage.gc_ms += metrics.get("JVM GC Time", 0)
    stage.read_bytes += metrics.get("Input Metrics", {}).get("Bytes Read", 0)
    stage.written_bytes += metrics.get("Output Metrics", {}).get("Bytes Written", 0)
    shuffled = metrics.get("Shuffle Read Metrics", {})
    stage.shuffle_read_bytes += shuffled.get("Remote Bytes Read", 0) + shuffled.get("Local Bytes Read", 0)
    stage.shuffle_written_bytes += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    stage.spilled_bytes += metrics.get("Disk Bytes Spilled", 0)
    for update in info.get("Accumulables", ()):
        if timer := timers.get(update["ID"]):
            operator, to_ms = timer
            operators[stage.step][operator] += float(update.get("Update") or 0) * to_ms


def _timers(plan: Event) -> Iterator[tuple[int, tuple[str, float]]]:
    """The timing metrics of a plan: id of the accumulator -> operator and what, and milliseconds per unit."""
    for metric in plan["metrics"]:
        to_ms = {"timing": 1.0, "nsTiming": 1e-6}.get(metric["metricType"])
        if to_ms is not None:
            yield metric["accumulatorId"], (f"{_operator(plan)}: {metric['name']}", to_ms)
    for child in plan["children"]:
        yield from _timers(child)


def _operator(plan: Event) -> str:
    """The node's name; of generated code, the names of the first operators in it."""
    if not plan["nodeName"].startswith("WholeStageCodegen"):
        return str(plan["nodeName"]).strip()
    inside: list[str] = []
    node = plan["children"][0] if plan["children"] else None
    while node and node["nodeName"] != "InputAdapter" and len(inside) < 3:
        inside.append(node["nodeName"].strip())
        node = node["children"][0] if node["children"] else None
    return "+".join(inside)
