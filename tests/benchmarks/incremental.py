"""One more day, and a correction, in a lake that stands: their cost beside the full build, and the same rows.

    make bench-incremental [SIZE=full] [SHARE=0.01]

    1. build   all days but the last, into an empty home
    2. day     the last day into the same home; its time against 3
    3. rebuild all days into another home: silver and gold of both must be equal, row for row
    4. correct SHARE of the meter-days delivered again with other energies; what share of the rows was written anew
    5. rebuild all days and the corrections: again equal

Homes stay while the benchmark runs: at full size about five times the lake.
"""

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks import asked, corrections, passes
from tests.benchmarks.measure import Measured, watched
from tests.benchmarks.workload import PROJECT, Workload, environment

from meterlake.tuning import commits

TARGET_TIME, TARGET_ROWS = 1 / 12, 0.05


class Unequal(Exception):
    """The lake that grew and the one built anew hold other rows."""

    def __init__(self, after: str, tables: dict[str, list[str]]) -> None:
        self.after, self.tables = after, tables
        told = "; ".join(f"{name}: {', '.join(columns[:8])}" for name, columns in tables.items())
        super().__init__(f"after {after}, the lake is not what a rebuild gives, in {told}")


def run(given: argparse.Namespace) -> None:
    named = Workload.named(given.size)
    workload = replace(named, days=named.days + 1)
    folder = asked.bench_folder(given)
    work = folder / "out" / "incremental"
    shutil.rmtree(work, ignore_errors=True)
    files, model = workload.files(folder / "data"), named.model(folder / "data")
    parts = deliveries(files, work, given.share)

    def onto(home: str, part: str) -> Measured:
        print(f"{part} into {home} ...", flush=True)
        return passes.ours(work / part, model, work / home, given.threads)

    build, day = onto("grown", "days"), onto("grown", "day")
    rebuild = onto("anew", "all")
    same = equal(work, "anew", "one more day")
    versions = {name: of[-1].version for name, of in commits.of_lake(work / "grown" / "tables" / "lake").items()}
    correct = onto("grown", "corrected")
    again = onto("anew-corrected", "all-corrected")
    rows = equal(work, "anew-corrected", "the correction")
    found = {
        "corrected_meter_days": parts,
        "meter_days": workload.meters * workload.days,
        "days": workload.days,
        "passes": {
            name: one.as_dict()
            for name, one in zip(
                ("build", "day", "rebuild", "correct", "again"), (build, day, rebuild, correct, again), strict=True
            )
        },
        "ratios": {"day": shares(day, rebuild), "correct": shares(correct, again)},
        "rewritten": rewritten(work / "grown" / "tables" / "lake", versions, rows),
        "rows_after_day": same,
    }
    place = asked.keep(found, "incremental", workload, given)
    print(table(found))
    print(place)
    if not given.keep:
        shutil.rmtree(work)


def deliveries(files: Path, work: Path, share: float) -> int:
    """Folders `days`, `day`, `all`, `corrected` and `all-corrected` under `work`; how many meter-days are corrected."""
    every = sorted(files.glob("*.csv"))
    last = max(file.name.rsplit("-", 1)[0] for file in every)
    of_last = [file for file in every if file.name.startswith(last)]
    made = corrections.write(files, work / "corrected", share)
    corrected = sorted((work / "corrected").glob("*.csv"))
    for name, part in {
        "days": [file for file in every if file not in of_last],
        "day": of_last,
        "all": every,
        "all-corrected": [*every, *corrected],
    }.items():
        (work / name).mkdir(parents=True)
        for file in part:
            (work / name / file.name).hardlink_to(file)
    return made


def equal(work: Path, anew: str, after: str) -> dict[str, int]:
    """Rows of every table of silver and gold.

    Raises:
        Unequal: they are not those of the lake built anew.
    """
    told = work / "rows.json"
    homes = [str(work / name / "tables") for name in ("grown", anew)]
    command = [sys.executable, "-m", "tests.benchmarks.rows", *homes, "--told", str(told)]
    watched(command, environment(2), PROJECT, work / "rows.log")
    found = json.loads(told.read_text())
    if differ := {name: of["differ"] for name, of in found.items() if of["differ"]}:
        raise Unequal(after, differ)
    return {name: of["rows"] for name, of in found.items()}


def shares(part: Measured, whole: Measured) -> dict[str, float]:
    """Seconds of the part / of the whole: of the processes, of the steps alone, and of the processors."""
    steps = [sum(s for name, s in (one.steps or {}).items() if name != "start") for one in (part, whole)]
    return {
        "process": part.seconds / whole.seconds,
        "steps": steps[0] / steps[1],
        "cpu": part.cpu_seconds / whole.cpu_seconds,
    }


def rewritten(lake: Path, since: dict[str, int], rows: dict[str, int]) -> dict[str, dict[str, int]]:
    """Table -> rows that it holds, and rows that the commits after these versions wrote, copied or deleted."""
    of_lake = commits.of_lake(lake)
    return {
        name: {
            "rows": held,
            "written": sum(one.rows for one in of_lake.get(name, []) if one.version > since.get(name, -1)),
        }
        for name, held in rows.items()
    }


def table(found: dict[str, Any]) -> str:
    lines = ["", f"{'seconds':<18}{'build':>10}{'day':>10}{'rebuild':>10}{'correct':>10}{'again':>10}"]
    passes_made = found["passes"].values()
    lines.append(f"{'process':<18}" + "".join(f"{one['seconds']:>10.1f}" for one in passes_made))
    lines += [
        f"  {step:<16}" + "".join(f"{one['steps'].get(step, 0.0):>10.1f}" for one in passes_made)
        for step in found["passes"]["rebuild"]["steps"]
    ]
    day, correct = found["ratios"]["day"], found["ratios"]["correct"]
    for name, of in (("one more day", day), ("correction", correct)):
        lines.append(
            f"{name} / rebuild: {of['process']:.3f} of the process, {of['steps']:.3f} of the steps, {of['cpu']:.3f} CPU"
        )
    lines.append(f"target for one more day: {TARGET_TIME:.3f}; the rows equal those of the rebuild, both times")
    corrected = found["corrected_meter_days"] / found["meter_days"]
    lines.append(f"\n{corrected:.2%} of the meter-days corrected; rows written anew (target {TARGET_ROWS:.0%}):")
    for name, of in found["rewritten"].items():
        lines.append(f"  {name:<28}{of['written']:>12,} of {of['rows']:>12,}  {of['written'] / max(1, of['rows']):.2%}")
    written, held = (sum(of[what] for of in found["rewritten"].values()) for what in ("written", "rows"))
    lines.append(f"  {'all':<28}{written:>12,} of {held:>12,}  {written / max(1, held):.2%}")
    return "\n".join(lines)


def main() -> int:
    parser = asked.parser(__doc__, "full")
    parser.add_argument("--share", type=float, default=0.01, help="of the meter-days, corrected (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the homes in <home>/bench/out/incremental")
    parser.set_defaults(kind="incremental")
    return asked.ending(run, parser.parse_args(), Unequal)


if __name__ == "__main__":
    sys.exit(main())
