"""The interruptions of one line and month, from its runs and back to names: what a Spark task does with a group."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.outages.interruptions import (
    EVIDENCE,
    FEEDER,
    KINDS,
    METER,
    TRANSFORMER,
    Line,
    Runs,
    interruptions,
)

Objects = NDArray[np.object_]
Ints = NDArray[np.int64]
PLACES = ("region", "feeder")
COUNTS = (
    "meters",
    "meters_interrupted",
    "meters_dead",
    "meters_zero",
    "meters_silent",
    "customers_interrupted",
    "customer_minutes",
)
FOUND = (
    "kind string, element string, region string, feeder string, transformer string, begin bigint, end bigint, "
    f"evidence string, {', '.join(f'{name} bigint' for name in COUNTS)}"
)


def told_of_line(runs: pa.Table, zero_is_dark: bool) -> pa.Table:
    """Rows of FOUND.

    Args:
        runs: of a line's meters in a month: `meter_id`, `transformer`, `feeder`, `line_region`, `line_meters` (of the
            feeder; 0 where it is unknown), `transformer_meters`, `first` and `last` minute of the month, `begin`,
            `end`, `state`.
        zero_is_dark: whether the source knows no voltage, so that zeros may be an outage.
    """
    meters, meter, run_of_meter = _numbered(runs["meter_id"])
    transformers, transformer, run_of_transformer = _numbered(runs["transformer"])
    one = runs.slice(0, 1).to_pylist()[0]
    line = Line(
        meters=one["line_meters"],
        transformer=transformer[run_of_meter],
        transformer_meters=runs["transformer_meters"].take(run_of_transformer).to_numpy(),
        zero_is_dark=zero_is_dark,
        first=one["first"],
        last=one["last"],
    )
    begin, end, state = (runs[name].to_numpy() for name in ("begin", "end", "state"))
    found = interruptions(Runs(meter, begin, end, state), line)

    names = {FEEDER: np.array([one["feeder"]], object), TRANSFORMER: transformers, METER: meters}
    element, below = np.empty(len(found), object), np.empty(len(found), object)
    for kind, of_kind in names.items():
        rows = found.kind == kind
        element[rows] = of_kind[found.element[rows]]
    below[found.kind == TRANSFORMER] = element[found.kind == TRANSFORMER]
    alone = found.kind == METER
    below[alone] = transformers[line.transformer[found.element[alone]]]
    counts = (found.meters, found.interrupted, found.dead, found.zero, found.silent, found.begun, found.minutes)
    places = (one["line_region"], one["feeder"])
    return pa.table(
        {
            "kind": pa.array(KINDS).take(found.kind),
            "element": pa.array(element, pa.string()),
            **{name: pa.array([place] * len(found), pa.string()) for name, place in zip(PLACES, places, strict=True)},
            "transformer": pa.array(below, pa.string()),
            "begin": found.begin,
            "end": found.end,
            "evidence": pa.array(EVIDENCE).take(found.evidence),
            **dict(zip(COUNTS, counts, strict=True)),
        }
    )


def _numbered(column: pa.ChunkedArray) -> tuple[Objects, Ints, Ints]:
    """The names and behind them None, the number of each row's (-1: it has none), and a row of each name."""
    encoded = column.combine_chunks().dictionary_encode()
    number = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    _, row = np.unique(number, return_index=True)
    names = encoded.dictionary.to_pylist()
    return np.array([*names, None], object), number, row[len(row) - len(names) :]
