"""Two executors of one core against one, on a standalone master on this machine: the same work, the same files.

    make bench-executors [SIZE=quick] [PAIRS=3]

Each worker is held to one core of its own (JVM, garbage collector, compiler and Python workers included), so that one
executor cannot borrow the other's. On a machine of two cores the driver shares the cores of the executors that there
are: one core for everything against two. Its processor seconds are told: what the driver does alone does not become
faster with more executors.
"""

import argparse
import os
import shutil
import sys
from operator import itemgetter
from pathlib import Path
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.measure import Measured
from tests.benchmarks.workload import PROJECT, Workload
from tests.standalone import standalone

TARGET = 1.8
MEMORY = "2g"  # of the driver, and of each executor


def run(given: argparse.Namespace) -> None:
    workload = Workload.named(given.size)
    folder = asked.bench_folder(given)
    files, model = workload.files(folder / "data"), workload.model(folder / "data")
    rounds: dict[str, list[dict[str, Any]]] = {"one": [], "two": []}
    for number in range(given.pairs):
        for name, workers in (("one", 1), ("two", 2)):
            print(f"round {number + 1} of {given.pairs}: {name} ...", flush=True)
            home = folder / "out" / f"executors-{name}"
            shutil.rmtree(home, ignore_errors=True)
            measured = _pass(files, model, home, workers)
            rounds[name].append(measured.as_dict() | {"work": work(measured)})
            shutil.rmtree(home)
    pairs = list(zip(rounds["one"], rounds["two"], strict=True))
    found = {
        "rounds": rounds,
        "ratios": {what: [one[what] / two[what] for one, two in pairs] for what in ("work", "seconds")},
    }
    place = asked.keep(found, "executors", workload, given)
    print(table(found))
    print(place)


def _pass(files: Path, model: Path, home: Path, workers: int) -> Measured:
    """meterlake on so many workers of one core. `cpu_seconds` are the driver's, not the executors'."""
    # Executors import meterlake from here; spark-submit would ship the zip.
    library = {"PYTHONPATH": os.pathsep.join([str(PROJECT / "lib"), str(PROJECT)])}
    cores = len(os.sched_getaffinity(0))
    of_driver = cores if cores > 2 else workers
    with standalone(home / "cluster", workers, cores=1, pinned=True, given=library) as master:
        memory = {"METERLAKE_SPARK_DRIVER_MEMORY": MEMORY, "SPARK_EXECUTOR_MEMORY": MEMORY}
        return passes.ours(files, model, home, of_driver, master, memory)


def work(measured: Measured) -> float:
    """Seconds of the steps: the start of Python, Spark and its executors aside."""
    return sum(seconds for name, seconds in (measured.steps or {}).items() if name != "start")


def table(found: dict[str, Any]) -> str:
    """Seconds of each step with one and two executors, and one / two: median (least..most) of the rounds."""
    lines = [f"\n{'seconds':<20}{'one':>10}{'two':>10}{'ratio':>8}"]
    rounds, ratios = found["rounds"], found["ratios"]
    for step in rounds["one"][0]["steps"]:
        one, two = asked.medians(rounds, lambda each, step=step: each["steps"][step])
        lines.append(f"  {step:<18}{one:>10.1f}{two:>10.1f}{one / max(two, 1e-9):>8.2f}")
    for what, about in (("work", "all steps"), ("seconds", "whole process")):
        one, two = asked.medians(rounds, itemgetter(what))
        lines.append(f"{about:<20}{one:>10.1f}{two:>10.1f}    {asked.spread(ratios[what])}")
    one, two = asked.medians(rounds, itemgetter("cpu_seconds"))
    lines.append(f"{'CPU of the driver':<20}{one:>10.1f}{two:>10.1f}")
    lines.append(f"target: {TARGET} for all steps")
    return "\n".join(lines)


def main() -> int:
    parser = asked.parser(__doc__, "quick")
    parser.set_defaults(kind="executors")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
