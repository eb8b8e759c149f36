"""What scoring costs a core: scikit-learn's own `score_samples`, the compiled walk, and all of a reading's judgement.

    make bench-scoring INPUT=LONDON_FOLDER [PAGE=docs/anomalies.md]

The readings are every second household of London, the model is fitted to the others. One process and thread, the same
rows for all, in turns; processor seconds, of which the least of all turns counts. Without Spark: reading and writing of
files come on top.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from meterlake import generated_block
from meterlake.anomaly import forest_walk
from meterlake.anomaly.evaluation.detectors import readings_of
from meterlake.anomaly.evaluation.population import households, split, untouched
from meterlake.anomaly.features import INPUTS, matrix
from meterlake.anomaly.score import judged
from meterlake.anomaly.train import fit
from meterlake.settings import load
from meterlake.sources.catalog import source_named
from meterlake.sources.delivery import files_of
from meterlake.text_tables import as_markdown, as_text
from meterlake.vee.delivered import read_series

TURNS = 5
TRAINING_ROWS = 100_000
BATCH = 131_072  # rows of Arrow's batches, as the pass reads them
SOURCE = "london"


def columns_of(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The features' inputs of the households for training, and of the others."""
    source = source_named(SOURCE, load())
    of = households(read_series(list(files_of(folder)), source), source.interval_minutes)
    train, days, test, later = split(of)
    return readings_of(untouched(train, days))[0], readings_of(untouched(test, later))[0]


def measured(folder: str) -> list[tuple[str, float, float]]:
    """What, rows a second and core, and that as a part of scikit-learn's own rate in the same turns."""
    train, test = columns_of(folder)
    some = np.random.default_rng(1).permutation(len(train["hour_of_day"]))[:TRAINING_ROWS]
    now = datetime.now(UTC)
    model = fit({name: values[some] for name, values in train.items()}, now, now, load().model)
    inputs = matrix(test, model.typical_kwh)
    batches = pa.table({name: pa.array(test[name], from_pandas=True) for name in INPUTS}).to_batches(BATCH)
    forest_walk.WORTH_LOADING = 0
    model.raw_scores(inputs[:1])  # compiles
    ways: dict[str, Callable[[], object]] = {
        "scikit-learn's `score_samples`": lambda: model.forest.score_samples(inputs),
        "the compiled walk, the same bits": lambda: model.raw_scores(inputs),
        "all of it: matrix, walk, calibration, types and reasons": lambda: [judged(batch, model) for batch in batches],
    }
    turns = [[seconds(work) for work in ways.values()] for _ in range(TURNS)]
    least = np.min(turns, axis=0)
    return [(name, len(inputs) / took, least[0] / took) for name, took in zip(ways, least.tolist(), strict=True)]


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="folder of London's half-hours")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    found = measured(asked.input)
    lines = [("what", "rows/s and core", "of scikit-learn's rate")]
    lines += [(name, f"{rate:,.0f}", f"{part:.2f}") for name, rate, part in found]
    generated_block.write(asked.page, "anomaly scoring", as_markdown(lines))
    print(as_text(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
