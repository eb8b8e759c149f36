"""What each rule of validation costs: one thread, numpy, whole meters as the step hands them over.

    meterlake generate --out FOLDER --meters 1000 --days 30
    python -m tests.benchmarks.vee_rules FOLDER/readings

Prints a table of Markdown: seconds for all readings, nanoseconds a reading. Without Spark: the step's shuffle, its
reads and its writes come on top.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from meterlake.sources.ami import AMI
from meterlake.vee.files import readings_of
from meterlake.vee.judge import series_from, validated
from meterlake.vee.rulebook import RULES
from meterlake.vee.series import Series

BLOCK = 500_000  # readings that the step works off together


def blocks(folder: Path) -> list[Series]:
    """Series of whole meters, about BLOCK readings each."""
    table = readings_of(sorted(folder.glob("*.csv")), AMI)
    meters = table["meter_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    edges = np.searchsorted(meters, np.arange(0, meters[-1] + 1, max(1, BLOCK * (meters[-1] + 1) // len(meters))))
    pairs = zip(edges, np.append(edges[1:], len(meters)), strict=True)
    return [series_from(table.slice(begin, end - begin), AMI)[0] for begin, end in pairs]


def timed(series: list[Series], work: Callable[[Series], object]) -> float:
    began = time.perf_counter()
    for one in series:
        work(one)
    return time.perf_counter() - began


def layouts(series: Series) -> None:
    """What several rules share: days, grid, exact energies."""
    assert len(series.grid) == len(series.daily_kwh) == len(series.row_kind)
    assert series.index.shape == series.grid.shape


def main() -> int:
    began = time.perf_counter()
    series = blocks(Path(sys.argv[1]))
    readings = sum(int(one.known.sum()) for one in series)
    costs = {"(read the files, dense series)": time.perf_counter() - began, "(shared layouts)": timed(series, layouts)}
    for name, rule in RULES.items():
        if name == "register_sum":
            costs[name] = timed(series, lambda one, rule=rule: rule.function(one, one.kwh))
        elif name == "prolonged_estimation":
            costs[name] = timed(series, lambda one, rule=rule: rule.function(one, ~one.known))
        else:
            costs[name] = timed(series, rule.function)
    costs["(all rules and estimation)"] = timed(series, lambda one: validated(one, AMI))
    print(f"{readings:,} readings of {sum(len(one.meter) for one in series):,} meters in {len(series)} blocks\n")
    print("| rule | s | ns a reading |\n|---|---|---|")
    for name, seconds in costs.items():
        print(f"| {name} | {seconds:.2f} | {1e9 * seconds / readings:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
