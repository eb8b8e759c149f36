"""How many files and log entries the lake has after 1, 30 and 365 days, with and without `meterlake maintain`.

    make layout                       measured once on this machine (some minutes), then reckoned
    make layout MEASURE=1             measured anew
    make layout READINGS=960e6        with so many readings a day, sized by the newest result of `make bench`

Measured: the real steps load 9 days of a few meters, then 3 single days, then `meterlake maintain` runs. What the first
two single days did to each table is what a day does; the state after the third shows how far the model is off. The
rules of the reckoning stand in layout_model.py. A day with more readings makes the same commits with more files in
them: as many as the benchmark's mean file size of that table asks for.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.capacity import NoResult, facts, newest
from tests.benchmarks.layout_model import Checkpoint, Daily, Rules, State, after, learn, scaled, stands
from tests.benchmarks.measure import watched
from tests.benchmarks.workload import PROJECT, Workload, environment

from meterlake.tables.catalog import TABLES
from meterlake.tuning import commits

WORKLOAD = Workload(20, 12)
BASE, LEARNT = 9, 2  # days loaded at once, and single days to learn from
PERIODS = (1, 30, 365)
# They grow with the runs, not with the readings.
OPS = {name for name, table in TABLES.items() if table.layer == "ops"}


def run(given: argparse.Namespace) -> None:
    folder = asked.bench_folder(given)
    try:
        found = None if given.measure else newest(folder / "results", "layout")
    except NoResult:
        found = None
    if found is None:
        found = measure(folder, given.threads)
        print(asked.keep(found, "layout", WORKLOAD, given))
    print(check_table(found["check"]))
    daily = {name: _daily(of) for name, of in found["daily"].items()}
    upkeep_commits = {name: float(of["commits"]) for name, of in found["maintained"].items()}
    print(f"\nAs measured, {WORKLOAD.meters * 96:,} readings a day")
    print(layout_table(daily, upkeep_commits))
    try:
        bench = newest(folder / "results")
    except NoResult as missing:
        print(f"\nNothing at {given.readings:,.0f} readings a day: {missing}")
        return
    print(f"\n{given.readings:,.0f} readings a day, files as large as in {bench['workload']['name']}")
    print(layout_table(at_scale(daily, bench, given.readings), upkeep_commits))


def measure(folder: Path, threads: int) -> dict[str, Any]:
    """Load the days with the real steps, and read what they left in the tables' folders."""
    work = folder / "out" / "layout"
    shutil.rmtree(work, ignore_errors=True)
    files, model = WORKLOAD.files(folder / "data"), WORKLOAD.model(folder / "data")
    home = work / "home" / "tables"
    seen: list[dict[str, tuple[int, State]]] = []  # after each delivery
    for number, part in enumerate(_parts(files, work)):
        print(f"delivery {number + 1} of {1 + WORKLOAD.days - BASE} ...", flush=True)
        passes.ours(part, model, work / "home", threads)
        seen.append({name: (_version(place), stands(place)) for name, place in _tables(home).items()})
    checkpoint = Checkpoint(**_by_process("tests.benchmarks.checkpoint_size", work / "scratch", threads))
    last = len(seen) - 1

    def learnt(name: str, until: int) -> Daily:
        return learn(_tables(home)[name], seen[0][name][0], seen[until][name][0], until, checkpoint)

    foretold = {name: after(last, learnt(name, LEARNT), Rules(), state) for name, (_, state) in seen[0].items()}
    command = [sys.executable, "-m", "meterlake.cli", "maintain", "--home", str(home)]
    watched(command, environment(threads), PROJECT, work / "maintain.log")
    return {
        "checkpoint": asdict(checkpoint),
        "daily": {name: asdict(learnt(name, last)) for name in seen[0]},
        "check": {name: [numbers(foretold[name]), numbers(seen[last][name][1])] for name in seen[0]},
        "maintained": {
            name: {"commits": _version(place) - seen[last][name][0], "live": stands(place).live}
            for name, place in _tables(home).items()
        },
    }


def numbers(state: State) -> dict[str, float]:
    """What is compared: files of the newest version, files on the disk, log entries and checkpoints."""
    found = (state.live, state.disk, state.entry_count, state.checkpoint_count)
    return dict(zip(("live", "disk", "entries", "checkpoints"), found, strict=True))


def _version(table: Path) -> int:
    return commits.of_table(table)[-1].version


def _tables(home: Path) -> dict[str, Path]:
    return {log.parent.name: log.parent for log in sorted((home / "lake").glob(f"*/*/{commits.LOG}"))}


def _by_process(module: str, home: Path, threads: int) -> dict[str, float]:
    """What a module tells that needs a Spark of its own."""
    told = home.with_suffix(".json")
    command = [sys.executable, "-m", module, str(home), "--told", str(told)]
    watched(command, environment(threads), PROJECT, home.with_suffix(".log"))
    return dict(json.loads(told.read_text()))


def _parts(files: Path, work: Path) -> Iterator[Path]:
    """Folders of the deliveries: the first days at once, then day by day."""
    every = sorted(files.glob("*.csv"))
    for number, part in enumerate([every[:BASE], *([file] for file in every[BASE:])]):
        place = work / f"delivery-{number}"
        place.mkdir(parents=True)
        for file in part:
            (place / file.name).hardlink_to(file)
        yield place


def at_scale(daily: dict[str, Daily], bench: dict[str, Any], readings_a_day: float) -> dict[str, Daily]:
    """The same tables with so many readings a day; those of a run (ops) grow with the runs alone."""
    tables = facts(bench)["tables"]
    times = readings_a_day / bench["workload"]["readings"]
    return {
        name: of
        if name in OPS or not tables.get(name, {}).get("live")
        else scaled(of, tables[name]["bytes"] * times, tables[name]["bytes"] / tables[name]["live"])
        for name, of in daily.items()
    }


def layout_table(daily: dict[str, Daily], upkeep_commits: dict[str, float]) -> str:
    """Files of the newest version, files on the disk, entries and bytes of the log: without and with maintenance."""
    head = f"{'':<26}{'days':>5}{'files':>24}{'on disk':>24}{'log entries':>18}{'log MiB':>20}{'last ckpt MiB':>20}"
    lines = [head]
    for days in PERIODS:
        total = [[0.0] * 5, [0.0] * 5]
        for name, of in daily.items():
            both = [_shown(of, days, 0, 0), _shown(of, days, 1, upkeep_commits.get(name, 1))]
            total = [[t + b for t, b in zip(*pair, strict=True)] for pair in zip(total, both, strict=True)]
            lines.append(_line(name, days, both))
        lines.append(_line("all", days, total))
    return "\n".join([*lines, "each: without -> with `meterlake maintain` every day"])


def _shown(daily: Daily, days: int, every: int, upkeep_commits: float) -> list[float]:
    state = after(days, daily, Rules(optimize_every=every, optimize_commits=upkeep_commits))
    newest = state.checkpoints[-1][2] if state.checkpoints else 0.0
    return [state.live, state.disk, state.entry_count, state.log_bytes(daily) / 2**20, newest / 2**20]


def _line(name: str, days: int, both: list[list[float]]) -> str:
    cells = zip(*both, (24, 24, 18, 20, 20), ("{:,.0f}", "{:,.0f}", "{:,.0f}", "{:,.1f}", "{:,.1f}"), strict=True)
    shown = "".join(
        f"{f'{form.format(without)} -> {form.format(kept)}':>{width}}" for without, kept, width, form in cells
    )
    return f"{name:<26}{days:>5}{shown}"


def check_table(check: dict[str, list[dict[str, float]]]) -> str:
    """The model, learnt from the first single days, beside what stood after the last one."""
    lines = [f"\n{'foretold / real':<26}" + "".join(f"{what:>20}" for what in next(iter(check.values()))[0])]
    for name, (foretold, real) in check.items():
        lines.append(f"{name:<26}" + "".join(f"{f'{foretold[what]:,.0f} / {real[what]:,.0f}':>20}" for what in real))
    return "\n".join(lines)


def _daily(of: dict[str, Any]) -> Daily:
    return Daily(**(of | {"checkpoint": Checkpoint(**of["checkpoint"])}))


def main() -> int:
    parser = asked.parser(__doc__, WORKLOAD.name)
    parser.add_argument("--readings", type=float, default=960e6, help="a day (default %(default).0f)")
    parser.add_argument("--measure", action="store_true", help="measure anew")
    parser.set_defaults(kind="layout")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
