"""What VEE costs: meterlake on the same files without and with the step, in turn.

    make bench-vee [SIZE=meters=1000,days=30] [PAIRS=3]

With it the run does more in later steps, too: estimates are aggregated like readings, and edits are rows that change.
What the rules cost one by one, without Spark, tells `python -m tests.benchmarks.vee_rules`.
"""

import argparse
import shutil
import sys
from operator import itemgetter
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.workload import Workload

TARGET = 1.25
SHOWN = ("seconds", "cpu_seconds")


def run(given: argparse.Namespace) -> None:
    workload = Workload.named(given.size)
    folder = asked.bench_folder(given)
    files, model = workload.files(folder / "data"), workload.model(folder / "data")
    rounds: dict[str, list[dict[str, Any]]] = {"without": [], "with": []}
    for number in range(given.pairs):
        for name in rounds:
            print(f"round {number + 1} of {given.pairs}: {name} VEE ...", flush=True)
            home = folder / "out" / f"vee-{name}"
            shutil.rmtree(home, ignore_errors=True)
            measured = passes.ours(files, model, home, given.threads, vee=name == "with")
            rounds[name].append(measured.as_dict())
            shutil.rmtree(home)
    pairs = list(zip(rounds["without"], rounds["with"], strict=True))
    ratios = {what: [more[what] / less[what] for less, more in pairs] for what in SHOWN}
    found = {"rounds": rounds, "ratios": ratios}
    place = asked.keep(found, "vee", workload, given)
    print(table(found))
    print(place)


def table(found: dict[str, Any]) -> str:
    """Seconds of each step without and with VEE, and with / without: median (least..most) of the rounds."""
    lines = [f"\n{'seconds':<20}{'without':>10}{'with':>10}{'ratio':>20}"]
    rounds, ratios = found["rounds"], found["ratios"]
    for step in rounds["with"][0]["steps"]:
        less, more = asked.medians(rounds, lambda one, step=step: one["steps"].get(step, 0.0))
        lines.append(f"  {step:<18}{less:>10.1f}{more:>10.1f}")
    for what in SHOWN:
        less, more = asked.medians(rounds, itemgetter(what))
        lines.append(f"{what:<20}{less:>10.1f}{more:>10.1f}{asked.spread(ratios[what]):>20}")
    return "\n".join([*lines, f"target: {TARGET} of seconds"])


def main() -> int:
    parser = asked.parser(__doc__, "meters=1000,days=30")
    parser.set_defaults(kind="vee")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
