"""What a run cost, step by step, as a table, and one run beside another."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from meterlake.tuning.events import Application, Stage

ALL = "all"  # the line below the steps


@dataclass(frozen=True)
class Cost:
    """A step's jobs. Seconds and mebibytes.

    Attributes:
        clock: from its first stage to the end of its last.
        busy: sum over its tasks; two full cores give 2 x clock.
        skew: longest / median task of its heaviest stage.
        slowest: the operator that Spark timed longest, and its seconds over all tasks.
    """

    step: str
    clock: float
    busy: float
    cpu: float
    gc: float
    jobs: int
    stages: int
    tasks: int
    skew: float
    read: float
    written: float
    shuffled: float
    spilled: float
    slowest: str


COLUMNS: dict[str, Callable[[Cost], str]] = {
    "step": lambda cost: cost.step,
    "clock s": lambda cost: f"{cost.clock:,.1f}",
    "task s": lambda cost: f"{cost.busy:,.1f}",
    "cpu s": lambda cost: f"{cost.cpu:,.1f}",
    "gc s": lambda cost: f"{cost.gc:,.1f}",
    "jobs": lambda cost: f"{cost.jobs:,}",
    "stages": lambda cost: f"{cost.stages:,}",
    "tasks": lambda cost: f"{cost.tasks:,}",
    "skew": lambda cost: f"{cost.skew:,.1f}",
    "in MiB": lambda cost: f"{cost.read:,.1f}",
    "out MiB": lambda cost: f"{cost.written:,.1f}",
    "shuffle MiB": lambda cost: f"{cost.shuffled:,.1f}",
    "spill MiB": lambda cost: f"{cost.spilled:,.1f}",
    "slowest operator": lambda cost: cost.slowest,
}


def costs(application: Application) -> list[Cost]:
    """A cost per step, in the order in which the steps began, and one of all in the end."""
    by_step: dict[str, list[Stage]] = {}
    for stage in application.stages:
        by_step.setdefault(stage.step, []).append(stage)
    each = [_cost(step, stages, application) for step, stages in by_step.items()]
    return [*each, _cost(ALL, application.stages, application)] if each else []


def _cost(step: str, stages: list[Stage], application: Application) -> Cost:
    def mebibytes(name: str) -> float:
        return sum(getattr(stage, name) for stage in stages) / 2**20

    heaviest = max(stages, key=lambda stage: sum(stage.task_ms))
    timed = sum(application.operators.values(), Counter()) if step == ALL else application.operators.get(step)
    slowest = "".join(f"{operator} ({ms / 1000:,.1f} s)" for operator, ms in (timed or Counter()).most_common(1))
    return Cost(
        step=step,
        clock=(max(stage.completed for stage in stages) - min(stage.submitted for stage in stages)) / 1000,
        busy=sum(sum(stage.task_ms) for stage in stages) / 1000,
        cpu=sum(stage.cpu_ms for stage in stages) / 1000,
        gc=sum(stage.gc_ms for stage in stages) / 1000,
        jobs=application.jobs[step] if step != ALL else application.jobs.total(),
        stages=len(stages),
        tasks=sum(len(stage.task_ms) for stage in stages),
        skew=heaviest.skew,
        read=mebibytes("read_bytes"),
        written=mebibytes("written_bytes"),
        shuffled=mebibytes("shuffle_written_bytes"),
        spilled=mebibytes("spilled_bytes"),
        slowest=slowest,
    )


def table(found: list[Cost]) -> str:
    """The costs as aligned text."""
    return aligned([list(COLUMNS), *([show(cost) for show in COLUMNS.values()] for cost in found)])


def compared(found: list[Cost], before: list[Cost]) -> str:
    """Both runs side by side: seconds now, then, and now / then."""
    then = {cost.step: cost for cost in before}
    rows = [["step", "clock s", "before", "ratio", "task s", "before", "ratio", "jobs", "before"]]
    for now in found:
        if was := then.get(now.step):
            clock, busy = (_ratio(getattr(now, name), getattr(was, name)) for name in ("clock", "busy"))
            rows.append([now.step, *clock, *busy, f"{now.jobs:,}", f"{was.jobs:,}"])
    return aligned(rows)


def _ratio(now: float, then: float) -> list[str]:
    return [f"{now:,.1f}", f"{then:,.1f}", f"{now / then:.2f}" if then else ""]


def aligned(rows: list[list[str]]) -> str:
    """Columns in equal width; the first and a long last one to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    words = {0, *(column for column, name in enumerate(rows[0]) if name == "slowest operator")}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
