"""The yardstick: all contenders do the same work on the same files, one process after the other.

    make bench                                    all contenders on 11.52 M readings, one round
    make bench SIZE=quick PAIRS=3                 about 1 M readings, three rounds, ratios with their spread
    make bench CONTENDERS=meterlake,textbook      only these
    make bench COMPARE=HEAD~3                     the result of this commit beside the stored one of that commit

Each round runs every contender once, in turn, so that a change of the machine's mood meets all of them. The input is
read once before each pass (the page cache is warm for all) and dirty pages are written out. A contender whose tables
differ from the first one's fails the run. Results: <home>/bench/results/<commit>-<workload>.json and .html.
"""

import argparse
import json
import shutil
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import show
from tests.benchmarks.agreement import Digest, Disagreement, compare
from tests.benchmarks.contender import CONTENDERS
from tests.benchmarks.machine import commit, machine, versions
from tests.benchmarks.measure import ContenderFailed, Measured, bytes_in
from tests.benchmarks.passes import call, settle
from tests.benchmarks.workload import PROJECT, Workload

# pandas gets a tenth of the meters: all of them take too long, and its time grows with the rows.
PARTIAL = "pandas"


class Bench:
    """One benchmark: the workload, where things lie, and what came out so far."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.workload = Workload.named(given.size)
        self.names: list[str] = given.contenders
        self.pairs, self.threads, self.keep = given.pairs, given.threads, given.keep
        self.home = Path(given.home).resolve() / "bench"
        self.cache, self.out = self.home / "data", self.home / "out"
        self.files, self.model = self.workload.files(self.cache), self.workload.model(self.cache)
        self.partial = self.workload.tenth() if PARTIAL in self.names else None
        self.reference: tuple[str, list[Digest]] | None = None
        self.agreed: dict[str, int] = {}

    def run(self) -> dict[str, Any]:
        """Every round of every contender.

        Raises:
            ContenderFailed, Disagreement: see there.
        """
        found: dict[str, Any] = {
            "commit": commit(PROJECT),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "versions": versions(),
            "threads": self.threads,
            "memory": "PSS of the process tree, sampled",
            "workload": {"name": self.workload.name, "readings": self.workload.readings},
            "rounds": {name: [] for name in self.names},
        }
        for number in range(self.pairs):
            for name in self.names:
                show.progress(f"round {number + 1} of {self.pairs}: {name} ...")
                measured = self._pass(name)
                found["rounds"][name].append(measured.as_dict())
                show.progress(f"  {measured.seconds:.1f} s, {self.agreed.get(name, 0)} counts and sums agree")
        found["agreed"] = self.agreed
        return found

    def _pass(self, name: str) -> Measured:
        """One contender from an empty folder to compared results; a partial one scaled to the whole."""
        small = name == PARTIAL and self.partial
        files = self.partial.files(self.cache) if small and self.partial else self.files
        folder = self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        self._call(name, "prepare", files)
        settle(files)
        measured = self._call(name, "run", files)
        told = json.loads((folder / "run.json").read_text())
        kept = folder / "tables" / "lake" if name == "meterlake" else folder / "tables"
        measured = replace(measured, bytes_on_disk=bytes_in(kept), steps=told["steps"], facts=told["facts"])
        self._agree(name, files)
        if not self.keep:
            shutil.rmtree(folder)
        return _scaled(measured, self.workload.readings / self.partial.readings) if small and self.partial else measured

    def _agree(self, name: str, files: Path) -> None:
        """Compare with the first contender; a partial one on its own meters, and lines that name no meter aside."""
        theirs = f"meter_id < 'M{self.partial.meters:07d}'" if self.partial else "true"
        self._call(name, "result", files, "--where", "true", "--where", theirs)
        whole, part = json.loads((self.out / name / "result.json").read_text())
        if name == PARTIAL and self.partial and self.reference:
            first, (_, of_first) = self.reference
            self.agreed[name] = compare(first, of_first, name, part, without=("rejected",))
        elif self.reference:
            first, (of_first, _) = self.reference
            self.agreed[name] = compare(first, of_first, name, whole)
        elif name != PARTIAL or not self.partial:
            self.reference = (name, [whole, part])

    def _call(self, name: str, action: str, files: Path, *more: str) -> Measured:
        return call(name, action, files, self.model, self.out / name, self.threads, more)


def _scaled(measured: Measured, factor: float) -> Measured:
    """All but the start of the process grows with the rows."""
    steps = {name: seconds * factor for name, seconds in (measured.steps or {}).items()}
    seconds = measured.seconds + sum(steps.values()) * (1 - 1 / factor)
    return Measured(
        seconds,
        measured.cpu_seconds * seconds / measured.seconds,
        int(measured.peak_bytes * factor),
        int(measured.bytes_on_disk * factor),
        steps,
    )


def main() -> int:
    given = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended, too
    results = Path(given.home).resolve() / "bench" / "results"
    results.mkdir(parents=True, exist_ok=True)
    workload = Workload.named(given.size)
    mine = results / f"{commit(PROJECT)}-{workload.name}.json"
    try:
        if not (given.compare and mine.exists()):
            found = Bench(given).run()
            mine.write_text(json.dumps(found, indent=1))
            mine.with_suffix(".html").write_text(show.page(found))
        show.table(json.loads(mine.read_text()), mine)
        if given.record:
            _record(json.loads(mine.read_text()))
    except (ContenderFailed, Disagreement) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if given.compare:
        return _compared(given.compare, mine, results, workload)
    return 0


def _compared(ref: str, mine: Path, results: Path, workload: Workload) -> int:
    """The stored result of another commit beside ours; 1 when it is absent."""
    name = commit(PROJECT, ref)
    theirs = results / f"{name}-{workload.name}.json"
    if not theirs.exists():
        print(
            f"bench: no result of {ref} ({name}) on {workload.name} in {results}; check that commit out beside "
            f"this one (git worktree add) and run `make bench` there with HOME_DIR={results.parent.parent}.",
            file=sys.stderr,
        )
        return 1
    show.compared(json.loads(theirs.read_text()), json.loads(mine.read_text()))
    return 0


def _record(found: dict[str, Any]) -> None:
    """Write the ratio that test_guard.py holds later commits to."""
    ratio = show.ratio(found, "textbook")
    record = {
        "workload": found["workload"]["name"],
        "textbook_seconds_by_ours": round(ratio.median, 3),
        "spread": [round(ratio.least, 3), round(ratio.most, 3)],
        "commit": found["commit"],
        "cpu": found["machine"]["cpu"],
        "cores": found["threads"],
    }
    (Path(__file__).parent / "recorded.json").write_text(json.dumps(record, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="full", help="full, quick, tiny or meters=N,days=M (default %(default)s)")
    parser.add_argument("--contenders", type=_names, default=list(CONTENDERS), help="names, joined by commas")
    parser.add_argument("--pairs", type=int, default=1, help="rounds (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="cores of every contender (default %(default)s)")
    parser.add_argument("--home", default=PROJECT / ".meterlake", help="folder that holds bench/ (default %(default)s)")
    parser.add_argument("--compare", metavar="REF", help="show the stored result of another commit beside this one's")
    parser.add_argument("--record", action="store_true", help="hold later commits to this ratio (recorded.json)")
    parser.add_argument("--keep", action="store_true", help="keep the contenders' tables and logs in <home>/bench/out")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"{sorted(unknown)[0]!r} is none of {', '.join(CONTENDERS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
