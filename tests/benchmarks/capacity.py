"""From what was measured to cores, memory and disks for so many readings a day: the table of docs/scaling.md.

    make capacity [READINGS=960e6] [MINUTES=45] [REGIONS=1]

Every rate comes from the newest results in <home>/bench/results, and the table names them: `make bench` (all days at
once), `make bench-incremental` (one more day, which is what a day's run really is), `make bench-growth` (memory),
`make bench-executors` (what a second executor adds). What no result gives is marked as assumed.

    cores      least n with n * rate * e^log2(n / cores of the measurement) * window >= readings; the rate is readings
               per second and core, e what a doubling of the cores yields / 2 (1 is perfect)
    local disk bytes that the step with the largest shuffle writes and spills, per reading; times two, as a stage's
               files stay until the next one has read them
    lake       bytes kept per reading, times 365; old versions of 7 days besides
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import asked

from meterlake.session import MOST_PARTITIONS
from meterlake.settings import DEFAULT_CONF, read_toml

OURS = "meterlake"
ASSUMED_YIELD = 0.9
MIB, GIB, TIB = 2**20, 2**30, 2**40


class NoResult(Exception):
    """A benchmark has to be run first."""

    def __init__(self, kind: str, folder: Path) -> None:
        command = f"make bench-{kind}" if kind and kind != "layout" else f"make {kind or 'bench'}"
        super().__init__(f"{folder} holds no result of `{command}` with facts about its tables; run it first.")


@dataclass(frozen=True)
class Pass:
    """One measured pass of meterlake.

    Attributes:
        readings: that it was given to load.
        held: readings that the lake holds after it.
        seconds: of its steps, the start of Spark aside.
    """

    of: str
    readings: float
    held: float
    seconds: float
    cores: int
    facts: dict[str, Any]

    @property
    def rate(self) -> float:
        """Readings per second and core."""
        return self.readings / self.seconds / self.cores

    def per_reading(self, what: str) -> float:
        """Bytes per reading over all steps: `read`, `written`, `shuffled` or `spilled`; or `kept` in the tables."""
        if what == "kept":
            return float(sum(table["bytes"] for table in self.facts["tables"].values())) / self.held
        return float(sum(cost[what] for cost in self._steps)) * MIB / self.readings

    def local_disk(self) -> float:
        """Bytes per reading that the heaviest step's shuffle and spill need at once, times two."""
        return 2 * max(cost["shuffled"] + cost["spilled"] for cost in self._steps) * MIB / self.readings

    @property
    def _steps(self) -> list[dict[str, Any]]:
        return [cost for cost in self.facts["costs"] if cost["step"] != "all"]


@dataclass(frozen=True)
class Asked:
    """What the lake must carry: of one region where there are several."""

    readings: float
    minutes: float


def newest(results: Path, kind: str = "") -> dict[str, Any]:
    """The newest result of a kind of benchmark; "" is the yardstick itself.

    Raises:
        NoResult: there is none.
    """
    found = [json.loads(file.read_text()) for file in results.glob("*.json")]
    fitting = [one for one in found if one.get("kind", "") == kind and (kind or _has_facts(one))]
    if not fitting:
        raise NoResult(kind, results)
    return dict(max(fitting, key=lambda one: str(one["when"])))


def _has_facts(bench: dict[str, Any]) -> bool:
    rounds = bench.get("rounds", {}).get(OURS)
    return bool(rounds and rounds[-1].get("facts"))


def facts(bench: dict[str, Any]) -> dict[str, Any]:
    """What meterlake's last round told about its steps and tables."""
    return dict(bench["rounds"][OURS][-1]["facts"])


def of_bench(bench: dict[str, Any]) -> Pass:
    last = bench["rounds"][OURS][-1]
    name = f"all at once: {bench['workload']['name']}, commit {bench['commit']}"
    readings = bench["workload"]["readings"]
    return Pass(name, readings, readings, _work(last), bench["threads"], last["facts"])


def of_day(incremental: dict[str, Any]) -> Pass:
    """One more day in a lake that stands. The workload counts that day with the others."""
    day, workload = incremental["passes"]["day"], incremental["workload"]
    name = f"one more day: {workload['name']}, commit {incremental['commit']}"
    readings = workload["readings"] / incremental["days"]
    return Pass(name, readings, workload["readings"], _work(day), incremental["threads"], day["facts"])


def _work(measured: dict[str, Any]) -> float:
    return float(sum(seconds for name, seconds in measured["steps"].items() if name != "start"))


def cores_for(asked_for: Asked, measured: Pass, gain: float) -> int:
    """The least number of cores that are quick enough; `gain` is what a doubling yields / 2."""
    needed = asked_for.readings / (60 * asked_for.minutes)
    # n^(1 + log2 gain) / cores^(log2 gain) * rate >= needed
    exponent = 1 + math.log2(gain)
    if exponent <= 0:
        raise ValueError(f"a doubling that yields {2 * gain:.2f} never gets there")
    return math.ceil((needed / measured.rate * measured.cores ** math.log2(gain)) ** (1 / exponent))


def plan(asked_for: Asked, measured: Pass, gain: float, per_executor: int) -> dict[str, str]:
    """What it takes, as lines of a table."""
    cores = cores_for(asked_for, measured, gain)
    executors = -(-cores // per_executor)
    kept = measured.per_reading("kept")
    text = measured.facts["text_bytes"] / measured.readings
    partition = read_toml(DEFAULT_CONF)["spark"]["partition_bytes"]
    tasks = text * asked_for.readings / partition
    local = measured.local_disk() * asked_for.readings
    moved = measured.per_reading("shuffled") * asked_for.readings
    through = (measured.per_reading("read") + measured.per_reading("written")) * asked_for.readings
    seconds = 60 * asked_for.minutes
    return {
        "readings/s/core": f"{measured.rate:,.0f}",
        "readings/s needed": f"{asked_for.readings / seconds:,.0f}",
        "cores": f"{cores:,} ({executors:,} executors of {per_executor})",
        "tasks of a stage over the text": f"{tasks:,.0f} of {partition / MIB:.0f} MiB (at most {MOST_PARTITIONS:,})",
        "text a day": f"{text * asked_for.readings / GIB:,.0f} GiB ({text:.1f} B/reading)",
        "shuffled a day": f"{moved / GIB:,.0f} GiB ({measured.per_reading('shuffled'):.1f} B/reading)",
        "network": f"{moved / seconds / MIB:,.0f} MiB/s in all, {moved / seconds / MIB / executors:,.1f} per executor",
        "spilled a day": f"{measured.per_reading('spilled') * asked_for.readings / GIB:,.0f} GiB",
        "local disk": f"{local / GIB:,.0f} GiB in all, {local / executors / GIB:,.1f} per executor",
        "lake, read and written": f"{through / seconds / MIB:,.0f} MiB/s in all",
        "lake a day": f"{kept * asked_for.readings / GIB:,.0f} GiB ({kept:.1f} B/reading)",
        "lake a year": f"{kept * asked_for.readings * 365 / TIB:,.1f} TiB",
    }


def memory(results: Path) -> str:
    """What a JVM must have, from the growth benchmark."""
    try:
        growth = newest(results, "growth")
    except NoResult as missing:
        return f"memory: not measured. {missing}"
    heap = {name: max(one["heap_bytes"] for one in rounds) / GIB for name, rounds in growth["rounds"].items()}
    return (
        f"memory: {heap['small']:.2f} GiB of heap live with {growth['threads']} tasks at once, {heap['large']:.2f} GiB "
        f"with {growth['factor']} times the meters ({growth['workload']['name']}, commit {growth['commit']})"
    )


def gained(results: Path) -> tuple[float, str]:
    """What a doubling of the executors yields / 2, and where that comes from."""
    try:
        executors = newest(results, "executors")
    except NoResult as missing:
        return ASSUMED_YIELD, f"a doubling of the cores yields {2 * ASSUMED_YIELD:.2f}: ASSUMED. {missing}"
    ratio = sorted(executors["ratios"]["work"])[len(executors["ratios"]["work"]) // 2]
    where = f"{executors['workload']['name']}, commit {executors['commit']}"
    return min(1.0, ratio / 2), f"a doubling of the cores yields {ratio:.2f} ({where})"


def published(measured: Pass, asked_for: Asked) -> str:
    """Rows that go to the stores; a mart has a row per reading."""
    tables = measured.facts["tables"]
    rows = {name: tables[name]["rows"] / measured.readings for name in tables if name.startswith("mart_")}
    told = ", ".join(f"{name} {share:.3f}" for name, share in rows.items())
    total = sum(rows.values()) * asked_for.readings
    return f"rows to publish a day: {total:,.0f} to each store (per reading: {told})"


def run(given: argparse.Namespace) -> None:
    results = asked.bench_folder(given) / "results"
    asked_for = Asked(given.readings / given.regions, given.minutes)
    measured = [of_bench(newest(results))]
    notes = []
    try:
        measured.append(of_day(newest(results, "incremental")))
    except NoResult as missing:
        notes.append(f"one more day: not measured. {missing}")
    gain, of_gain = gained(results)
    each = f", in each of {given.regions} regions" if given.regions > 1 else ""
    print(
        f"{given.readings:,.0f} readings a day in {given.minutes:.0f} minutes{each}; {given.readings * 365:,.0f} a year"
    )
    for one in measured:
        print(f"\n{one.of}")
        for name, value in plan(asked_for, one, gain, given.executor_cores).items():
            print(f"  {name:<32}{value}")
    print("\n" + "\n".join([of_gain, memory(results), published(measured[0], asked_for), *notes]))


def main() -> int:
    parser = asked.parser(__doc__, "full")
    parser.add_argument("--readings", type=float, default=960e6, help="a day (default %(default).0f)")
    parser.add_argument("--minutes", type=float, default=45, help="that a day may take (default %(default)s)")
    parser.add_argument("--regions", type=int, default=1, help="equal parts, each a run of its own (default 1)")
    parser.add_argument("--executor-cores", type=int, default=4, help="cores of an executor (default %(default)s)")
    parser.set_defaults(kind="capacity")
    return asked.ending(run, parser.parse_args(), NoResult)


if __name__ == "__main__":
    sys.exit(main())
