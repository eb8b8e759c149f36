"""Split and merge between interval lengths lose nothing: energy in whole steps of 1e-8 kWh."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlake.transforms.resolution import _regrid, merge, split
from meterlake.transforms.stg_meter_readings import GRID

STEPS = st.integers(-(10**12), 10**12)  # 10 MWh
LENGTHS = (5, 15, 30, 60)
START = datetime(2024, 1, 1, tzinfo=UTC)


@given(st.lists(st.tuples(STEPS, st.integers(1, 288)), min_size=1, max_size=20))
def test_parts_sum_to_the_whole_and_differ_by_one_step(readings: list[tuple[int, int]]) -> None:
    steps, parts = (np.array(column, dtype=np.int64) for column in zip(*readings, strict=True))
    found = split(steps, parts)
    for whole, pieces in zip(steps, np.split(found, np.cumsum(parts)[:-1]), strict=True):
        assert pieces.sum() == whole
        assert pieces.max() - pieces.min() <= 1


@given(st.lists(STEPS, min_size=1, max_size=50), st.integers(1, 288))
def test_merging_what_was_split_gives_it_back(readings: list[int], count: int) -> None:
    steps, parts = np.array(readings), np.full(len(readings), count)
    first = np.arange(len(readings)) * count
    minutes, known = np.full(len(readings) * count, 5), np.ones(len(readings) * count, dtype=bool)
    total, whole = merge(split(steps, parts), minutes, known, first, 5 * count)
    assert total.tolist() == readings
    assert whole.all()


@given(st.lists(st.tuples(STEPS, st.booleans()), min_size=6, max_size=6))
def test_a_merged_interval_is_known_when_all_its_parts_are(parts: list[tuple[int, bool]]) -> None:
    steps, known = np.array([s for s, _ in parts]), np.array([k for _, k in parts])
    (total,), (whole,) = merge(steps, np.full(6, 5), known, np.array([0]), 30)
    assert whole == known.all()
    assert total == steps[known].sum()


Days = list[tuple[int, list[tuple[int, bool]]]]  # per day its length, and per interval steps and whether it is known


def days(lengths: list[int], seed: int) -> Days:
    """A day of each length with values of a seeded generator: one in ten unknown."""
    draw = np.random.default_rng(seed)
    return [
        (length, list(zip(draw.integers(0, 10**10, n).tolist(), (draw.random(n) > 0.1).tolist(), strict=True)))
        for length in lengths
        for n in [1440 // length]
    ]


def batches(meters: list[Days], size: int) -> Iterator[pa.RecordBatch]:
    """Rows as the pass over a partition gets them, cut into batches at any place."""
    rows = [
        {
            "meter_id": f"m{number}",
            "reading_timestamp": START + timedelta(days=day, minutes=length * n),
            "interval_minutes": length,
            "consumption_kwh": steps / GRID if known else None,
            "quality": "measured" if known else "missing",
            "local_s": int((START + timedelta(days=day, minutes=length * n)).timestamp()),
        }
        for number, series in enumerate(meters)
        for day, (length, values) in enumerate(series)
        for n, (steps, known) in enumerate(values)
    ]
    table = pa.Table.from_pylist(rows).cast(
        pa.schema(
            [
                ("meter_id", pa.string()),
                ("reading_timestamp", pa.timestamp("us", tz="UTC")),
                ("interval_minutes", pa.int32()),
                ("consumption_kwh", pa.float64()),
                ("quality", pa.string()),
                ("local_s", pa.int64()),
            ]
        )
    )
    yield from table.to_batches(max_chunksize=size)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(LENGTHS), min_size=1, max_size=3), st.sampled_from(LENGTHS), st.integers(5, 400))
def test_a_life_of_mixed_lengths_keeps_its_energy(lengths: list[int], length: int, size: int) -> None:
    meters = [days(lengths, size), days(lengths[::-1], size + 1)]
    rows = pa.Table.from_batches(_regrid(length)(batches(meters, size))).to_pylist()
    assert len(rows) == sum(len(series) for series in meters) * 1440 // length
    assert len({(row["meter_id"], row["reading_timestamp"]) for row in rows}) == len(rows)
    found = {(row["meter_id"], row["reading_timestamp"]): row for row in rows}
    for number, series in enumerate(meters):
        for day, (own, values) in enumerate(series):
            for slot in range(1440 // length):
                row = found[f"m{number}", START + timedelta(days=day, minutes=slot * length)]
                check(row, values, own, length, slot)


def check(row: dict[str, object], values: list[tuple[int, bool]], own: int, length: int, slot: int) -> None:
    """Against the plainest reading of the rule: a sum where lengths merge, a share where they split."""
    if own <= length:
        inside = values[slot * length // own : (slot + 1) * length // own]
        expected = sum(steps for steps, _ in inside) if all(known for _, known in inside) else None
        quality = "missing" if expected is None else "measured"
    else:
        (steps, known), nth, count = values[slot * length // own], slot % (own // length), own // length
        expected = steps * (nth + 1) // count - steps * nth // count if known else None
        quality = "missing" if expected is None else "estimated"
    assert row["quality"] == quality
    kwh = row["consumption_kwh"]
    assert (None if kwh is None else round(float(str(kwh)) * GRID)) == expected


@pytest.mark.parametrize(("own", "length"), [(10, 15), (15, 10)])
def test_lengths_that_do_not_divide_each_other_meet_in_their_common_part(own: int, length: int) -> None:
    series: Days = [(own, [(3 * n, True) for n in range(1440 // own)])]
    rows = pa.Table.from_batches(_regrid(length)(batches([series], 7))).to_pylist()
    assert len(rows) == 1440 // length
    total = sum(round(row["consumption_kwh"] * GRID) for row in rows)
    assert total == sum(3 * n for n in range(1440 // own))
