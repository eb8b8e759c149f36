"""A line of two transformers with four meters each, and a meter without one: who is dark, and with whom?"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from meterlake.outages.interruptions import DEAD, EVIDENCE, KINDS, SILENT, ZERO, Line, Runs, interruptions

MONTH = (10_000, 50_000)
LINE = Line(
    meters=9,
    transformer=np.array([0, 0, 0, 0, 1, 1, 1, 1, -1]),
    transformer_meters=np.array([4, 4]),
    zero_is_dark=True,
    first=MONTH[0],
    last=MONTH[1],
)
Run = tuple[int, int, int, int]  # meter, begin, end, state


def told(runs: Sequence[Run], line: Line = LINE) -> list[tuple[object, ...]]:
    """kind, element, begin, end, interrupted, begun, minutes, evidence of each interruption, by kind and time."""
    columns = np.array(runs, dtype=np.int64).reshape(-1, 4).T
    found = interruptions(Runs(*columns), line)
    names = ("element", "begin", "end", "interrupted", "begun", "minutes")
    numbers = zip(*(getattr(found, name).tolist() for name in names), strict=True)
    return sorted(
        (KINDS[kind], *row, EVIDENCE[evidence])
        for kind, row, evidence in zip(found.kind, numbers, found.evidence, strict=True)
    )


def dark(meters: Sequence[int], begin: int, end: int, state: int = DEAD) -> list[Run]:
    return [(meter, begin, end, state) for meter in meters]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(
            dark(range(9), 20_000, 20_060),
            [("feeder", 0, 20_000, 20_060, 9, 9, 540, "voltage")],
            id="all at once: the feeder",
        ),
        pytest.param(
            dark([0, 1, 2], 20_000, 20_060, ZERO),
            [("transformer", 0, 20_000, 20_060, 3, 3, 180, "zeros")],
            id="three of a transformer's four: the transformer",
        ),
        pytest.param(
            dark([0, 4, 8], 20_000, 20_060),
            [("meter", meter, 20_000, 20_060, 1, 1, 60, "voltage") for meter in (0, 4, 8)],
            id="three of nine, here and there: each alone",
        ),
        pytest.param(
            dark([3], 20_000, 30_000, ZERO) + dark([0, 1], 22_000, 22_060, ZERO),
            [
                ("meter", 3, 20_000, 22_000, 1, 1, 2_000, "zeros"),
                ("meter", 3, 22_060, 30_000, 1, 1, 7_940, "zeros"),
                ("transformer", 0, 22_000, 22_060, 3, 3, 180, "zeros"),
            ],
            id="who reads zero for days is in its transformer's outage, and alone before and after",
        ),
        pytest.param(dark([5], 20_000, 20_060, SILENT), [], id="one that says nothing is a gap, no more"),
        pytest.param(
            dark(range(9), 20_000, 21_440, SILENT),
            [("feeder", 0, 20_000, 21_440, 9, 9, 9 * 1_440, "silence")],
            id="all silent and none says why",
        ),
        pytest.param(
            dark(range(1, 9), 20_000, 21_440, SILENT) + dark([0], 20_000, 21_440, ZERO),
            [("feeder", 0, 20_000, 21_440, 9, 9, 9 * 1_440, "silence")],
            id="one of nine is too few to say why the others are silent",
        ),
        pytest.param(
            dark(range(9), 20_000, 20_060) + dark(range(4), 20_060, 20_100),
            [
                ("feeder", 0, 20_000, 20_060, 9, 9, 540, "voltage"),
                ("transformer", 0, 20_060, 20_100, 4, 0, 160, "voltage"),
            ],
            id="restored in steps: who waits longer is interrupted once",
        ),
        pytest.param(
            dark(range(4), 9_900, 10_060),
            [("transformer", 0, 10_000, 10_060, 4, 0, 240, "voltage")],
            id="goes on from the month before: this month has its minutes, that one the count",
        ),
        pytest.param(
            dark(range(4), 49_900, 50_100),
            [("transformer", 0, 49_900, 50_000, 4, 4, 400, "voltage")],
            id="goes on into the month after",
        ),
        pytest.param(
            dark(range(9), 20_000, 20_030) + dark(range(9), 20_030, 20_060, SILENT),
            [("feeder", 0, 20_000, 20_060, 9, 9, 540, "voltage")],
            id="dead first and silent then is one interruption",
        ),
        pytest.param(
            dark(range(5), 20_000, 20_060) + dark(range(4, 9), 20_040, 20_100),
            [("feeder", 0, 20_000, 20_100, 9, 9, 580, "voltage")],
            id="a rolling outage: the other half follows before the first is back",
        ),
    ],
)
def test_who_is_dark_and_with_whom(runs: list[Run], expected: list[tuple[object, ...]]) -> None:
    assert told(runs) == expected


def test_zeros_at_a_voltage_are_never_an_outage() -> None:
    runs = dark(range(5), 20_000, 23_000, ZERO) + dark(range(5, 9), 20_000, 20_060)
    assert told(runs, replace(LINE, zero_is_dark=False)) == [
        *(("meter", meter, 20_000, 23_000, 1, 1, 3_000, "zeros") for meter in range(5)),
        ("meter", 8, 20_000, 20_060, 1, 1, 60, "voltage"),
        ("transformer", 1, 20_000, 20_060, 3, 3, 180, "voltage"),
    ]


def test_a_transformer_without_a_feeder_stands_for_itself() -> None:
    line = replace(LINE, meters=0, transformer=np.zeros(4, dtype=np.int64), transformer_meters=np.array([4]))
    assert told(dark(range(4), 20_000, 20_060), line) == [("transformer", 0, 20_000, 20_060, 4, 4, 240, "voltage")]


@pytest.mark.parametrize("seed", range(20))
def test_every_minute_of_a_dark_meter_is_told_once(seed: int) -> None:
    """By a slow count, minute by minute."""
    random = np.random.default_rng(seed)
    first, last = 10_000, 10_400
    line = replace(LINE, first=first, last=last)
    begin = random.integers(first - 50, last, 40)
    runs = Runs(random.integers(0, 9, 40), begin, begin + random.integers(1, 60, 40), random.integers(0, 3, 40))
    minutes = np.zeros((9, 500), dtype=bool)
    says = np.zeros((3, 9, 500), dtype=bool)
    for meter, start, end, state in zip(runs.meter, runs.begin, runs.end, runs.state, strict=True):
        at = slice(max(start - first, 0), max(min(end, last) - first, 0))
        minutes[meter, at] = True
        says[state, meter, at] = True
    feeder = minutes.sum(axis=0) >= 5
    transformers = [(minutes[4 * t : 4 * t + 4].sum(axis=0) >= 2) & ~feeder for t in (0, 1)]
    found = interruptions(runs, line)
    of = {name: found.minutes[found.kind == kind].sum() for kind, name in enumerate(KINDS)}
    assert of["feeder"] == minutes[:, feeder].sum()
    assert of["transformer"] == sum(minutes[4 * t : 4 * t + 4, transformers[t]].sum() for t in (0, 1))
    alone = minutes & ~feeder
    for t in (0, 1):
        alone[4 * t : 4 * t + 4] &= ~transformers[t]
    # What a meter says both ways is told both ways.
    assert of["meter"] == sum((alone & says[state]).sum() for state in (DEAD, ZERO))
