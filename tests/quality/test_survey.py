"""A look at lines with Arrow, counted again one by one. What it calls sure test_rules.py holds against the rules."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, whole

from meterlake.quality.survey import _several
from meterlake.quality.survey_pass import doubtful, slots_of, surveyed
from meterlake.quality.validation import SLOTS
from meterlake.tables.meter_readings import METER_READINGS

AT = datetime(2024, 1, 1)
STAMPS = st.one_of(
    st.none(),
    st.integers(-70, 70).map(lambda n: AT + timedelta(minutes=30 * n)),
    st.sampled_from([datetime(1, 1, 1), AT + timedelta(seconds=1), datetime(9999, 12, 31, 23, 30)]),
)
LINE = st.fixed_dictionaries(
    {
        "meter_id": st.sampled_from(["a", " a", "a ", "b", "", " ", None]),
        "stamp_local": STAMPS,
        "value": st.sampled_from([0.5, -1.0, None]),
        "feeder": st.sampled_from(["f", "g", None]),
        "file_id": st.integers(1, 2),
    }
)
Line = dict[str, Any]


def batch(lines: list[Line], first: int = 0) -> pa.RecordBatch:
    """Lines as a task reads them: texts as dictionaries."""
    rest = {"source": "village", "source_file": "f", "batch_id": "b", "ingested_at": datetime(2024, 6, 1)}
    table = whole(METER_READINGS, [rest | line | {"line_order": first + n} for n, line in enumerate(lines)])
    texts = {
        n: table.column(n).dictionary_encode() for n, field in enumerate(table.schema) if field.type == pa.string()
    }
    for n, column in texts.items():
        table = table.set_column(n, table.schema.names[n], column)
    return table.combine_chunks().to_batches()[0]


def slot_of(line: Line) -> tuple[str, int] | None:
    if line["meter_id"] is None or line["stamp_local"] is None:
        return None
    return line["meter_id"].strip(" "), (line["stamp_local"] - datetime(1970, 1, 1)) // timedelta(minutes=30)


def marked(rows: list[Line], bitmap: str) -> set[tuple[str, int]]:
    return {
        (row["meter_id"], row["block"] * SLOTS + bit)
        for row in rows
        if row["block"] is not None and row["meter_id"] is not None
        for bit in range(SLOTS)
        if row[bitmap] >> bit & 1
    }


def is_plain(line: Line) -> bool:
    known = slot_of(line)
    on_grid = line["stamp_local"] and line["stamp_local"].second == 0 and 1990 < line["stamp_local"].year < 9999
    return bool(known and known[0] and on_grid and line["value"] == 0.5)


@given(st.lists(LINE, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_survey_counts_what_is_there(lines: list[Line]) -> None:
    rows = pa.Table.from_batches(surveyed(iter([batch(lines)]), VILLAGE)).to_pylist()
    assert marked(rows, "once") == {slot for slot in map(slot_of, lines) if slot}
    groups = Counter((line["meter_id"], line["file_id"], line["feeder"], slot_of(line)) for line in lines)
    repeated = {slot for (*_, slot), count in groups.items() if slot and count > 1}
    assert marked(rows, "several") == repeated
    assert sum(row["unsure"] for row in rows) == sum(not is_plain(line) for line in lines)

    stamps = [line["stamp_local"] for line in lines if line["stamp_local"]]
    assert min((row["first"] for row in rows if row["first"]), default=None) == min(stamps, default=None)
    assert max((row["last"] for row in rows if row["last"]), default=None) == max(stamps, default=None)

    last: dict[tuple[Any, ...], int] = defaultdict(int)
    told: dict[tuple[Any, ...], int] = defaultdict(int)
    for n, line in enumerate(lines):
        meter = line["meter_id"] and line["meter_id"].strip(" ")
        last[meter, line["file_id"], line["feeder"]] = n
    for row in rows:
        place = row["meter_id"], row["file_id"], row["feeder"]
        told[place] = max(told[place], row["line_order"])
    assert told == last


@given(st.lists(LINE, min_size=1, max_size=60), st.sets(st.tuples(st.sampled_from("ab"), st.integers(-70, 70))))
@settings(max_examples=60, deadline=None)
def test_the_doubtful_are_all_that_are_unsure_or_share_a_slot(lines: list[Line], shared: set[tuple[str, int]]) -> None:
    here = (AT - datetime(1970, 1, 1)) // timedelta(minutes=30)
    slots = {(meter, here + n) for meter, n in shared}
    bitmaps: dict[tuple[str, int], int] = defaultdict(int)
    for meter, slot in slots:
        bitmaps[meter, slot // SLOTS] |= 1 << slot % SLOTS
    told = [{"meter_id": meter, "block": block, "slots": bits} for (meter, block), bits in bitmaps.items()]
    types = pa.schema({"meter_id": pa.string(), "block": pa.int64(), "slots": pa.int64()})
    sent = SimpleNamespace(value=slots_of(pa.Table.from_pylist(told, types)))
    found = pa.Table.from_batches(doubtful(iter([batch(lines)]), VILLAGE, sent))  # type: ignore[arg-type]
    expected = [n for n, line in enumerate(lines) if not is_plain(line) or slot_of(line) in slots]
    assert found.column("line_order").to_pylist() == expected
    assert found.schema.field("meter_id").type == pa.string()


def test_slots_that_lie_in_several_batches_are_found(spark: SparkSession) -> None:
    """The marks of one block in rows of their own; too many may be found, but none too few."""
    given = {
        "once_each": ([1, 2, 4], 0),
        "one_twice": ([1, 3, 4], 1),
        "one_three_times": ([1, 1, 1, 2], 3),
        "four_times": ([4, 4, 4, 4 | 1], 5),
        "twice_and_three_times": ([3, 3, 2], 3),
        "the_highest": ([1 << 59, 1 << 59], 1 << 59),
    }
    rows = [(name, mark, 0) for name, (marks, _) in given.items() for mark in marks]
    frame = spark.createDataFrame(rows, "name string, once bigint, several bigint")
    found = {row.name: row.slots for row in frame.groupBy("name").agg(_several().alias("slots")).collect()}
    assert found == {name: slots for name, (_, slots) in given.items()}
