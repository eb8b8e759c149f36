"""Growth: meterlake on N meters and on four times as many, in turn: what time and memory do.

    make bench-growth [SIZE=full] [PAIRS=1]          4,000 and 16,000 meters, 46 M readings

The JVM's memory is told twice: what the process held at most (it takes what it may, up to -Xmx), and the most that was
left after a garbage collection, from the JVM's own log: that much it must have. Driver and executor are one JVM here.
"""

import argparse
import re
import shutil
import sys
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.workload import Workload

# `[2.345s][info][gc] GC(12) Pause Young (Normal) (G1 Evacuation Pause) 512M->98M(2048M) 12.3ms`
COLLECTED = re.compile(r"->(\d+)([KMG])\(")
BYTES = {"K": 2**10, "M": 2**20, "G": 2**30}
# What is compared, and the unit that it is shown in.
SHOWN = {"seconds": 1.0, "cpu_seconds": 1.0, "peak_bytes": 2.0**30, "jvm_bytes": 2.0**30, "heap_bytes": 2.0**30}


def run(given: argparse.Namespace) -> None:
    small = Workload.named(given.size)
    large = replace(small, meters=small.meters * given.factor)
    folder = asked.bench_folder(given)
    model = small.model(folder / "data")
    rounds: dict[str, list[dict[str, Any]]] = {"small": [], "large": []}
    for number in range(given.pairs):
        for name, workload in (("small", small), ("large", large)):
            print(f"round {number + 1} of {given.pairs}: {workload.meters:,} meters ...", flush=True)
            home = folder / "out" / f"growth-{name}"
            shutil.rmtree(home, ignore_errors=True)
            files = workload.files(folder / "data")
            log = {"_JAVA_OPTIONS": f"-Xlog:gc:file={home}/gc-%p.log", "METERLAKE_SPARK_DRIVER_MEMORY": given.memory}
            measured = passes.ours(files, model, home, given.threads, given=log)
            rounds[name].append(measured.as_dict() | {"heap_bytes": heap(home)})
            shutil.rmtree(home)
    ratios = {
        what: [one[what] / max(1, other[what]) for one, other in zip(rounds["large"], rounds["small"], strict=True)]
        for what in SHOWN
    }
    found = {"factor": given.factor, "memory": given.memory, "rounds": rounds, "ratios": ratios}
    place = asked.keep(found, "growth", large, given)
    print(table(found, small, large))
    print(place)


def heap(folder: Path) -> int:
    """Bytes: the most that any JVM of the pass still held right after a garbage collection."""
    left = [
        int(amount) * BYTES[unit]
        for log in folder.glob("gc-*.log")
        for amount, unit in COLLECTED.findall(log.read_text(errors="replace"))
    ]
    return max(left, default=0)


def table(found: dict[str, Any], small: Workload, large: Workload) -> str:
    """The two sizes side by side, and large / small: median (least..most) of the rounds."""
    lines = [f"\n{'':<24}{small.readings:>14,}{large.readings:>14,}  readings; ratio (target for seconds: 4.2)"]
    rounds = found["rounds"]
    for what, unit in SHOWN.items():
        few, many = (value / unit for value in asked.medians(rounds, itemgetter(what)))
        name = what + (", GiB" if unit > 1 else "")
        lines.append(f"{name:<24}{few:>14.2f}{many:>14.2f}  {asked.spread(found['ratios'][what])}")
    for step in rounds["small"][0]["steps"]:
        few, many = asked.medians(rounds, lambda one, step=step: one["steps"][step])
        lines.append(f"  {step:<22}{few:>14.2f}{many:>14.2f}  {many / max(few, 1e-9):.2f}")
    return "\n".join(lines)


def main() -> int:
    parser = asked.parser(__doc__, "full")
    parser.add_argument("--factor", type=int, default=4, help="times the meters (default %(default)s)")
    parser.add_argument("--memory", default="8g", help="heap of the JVM in both sizes (default %(default)s)")
    parser.set_defaults(kind="growth")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
