"""What the benchmarks of meterlake alone have in common: their options, and a result as JSON with its machine."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.agreement import Disagreement
from tests.benchmarks.machine import commit, machine, versions
from tests.benchmarks.measure import ContenderFailed
from tests.benchmarks.workload import PROJECT, Workload


def parser(about: str | None, size: str) -> argparse.ArgumentParser:
    """--size, --home, --threads and --pairs, as `make bench` has them."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--size", default=size, help="full, quick, tiny or meters=N,days=M (default %(default)s)")
    found.add_argument("--home", type=Path, default=PROJECT / ".meterlake", help="folder that holds bench/")
    found.add_argument("--threads", type=int, default=2, help="cores (default %(default)s)")
    found.add_argument("--pairs", type=int, default=1, help="rounds (default %(default)s)")
    return found


def bench_folder(given: argparse.Namespace) -> Path:
    return Path(given.home).resolve() / "bench"


def medians(rounds: Mapping[str, list[dict[str, Any]]], of: Callable[[dict[str, Any]], float]) -> list[float]:
    """Of each of what was compared the median of its rounds."""
    return [median(of(one) for one in each) for each in rounds.values()]


def spread(ratios: list[float]) -> str:
    """median (least..most)"""
    return f"{median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"


def keep(found: dict[str, Any], kind: str, workload: Workload, given: argparse.Namespace) -> Path:
    """Write `<home>/bench/results/<kind>-<commit>-<workload>.json`, with what it was measured on."""
    of = commit(PROJECT)
    about = {
        "kind": kind,
        "commit": of,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "threads": given.threads,
        "workload": {"name": workload.name, "readings": workload.readings},
    }
    file = bench_folder(given) / "results" / f"{kind}-{of}-{workload.name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(about | found, indent=1) + "\n")
    return file


def ending(run: Callable[[argparse.Namespace], None], given: argparse.Namespace, *expected: type[Exception]) -> int:
    """Exit code of a benchmark: 1 with a sentence when a pass failed, two results differ, or an exception of its own
    that is `expected` says why."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended, too
    try:
        run(given)
    except (ContenderFailed, Disagreement, *expected) as error:
        print(f"{given.kind}: {error}", file=sys.stderr)
        return 1
    return 0
