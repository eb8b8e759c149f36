"""What a task of quality/survey.py does with its lines."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.quality.rules import surely_valid
from meterlake.quality.validation import SLOTS, slot_minutes
from meterlake.sources.source import Source
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.transforms.plain_readings import JUDGED, as_judged, trimmed
from meterlake.transforms.stg_meters import PLACE
from meterlake.vee.clock import clock_of

# More slots than any clock of the years 1 to 9999 shows: a meter's number times this, and a slot, are one number.
ALL_SLOTS = 1 << 34
KEYS = ("meter_id", "file_id", *PLACE)
LINES = tuple(dict.fromkeys((*JUDGED, *KEYS, "line_order")))
# About the lines of a batch that have the same meter, file, place and block of intervals: which of the block's slots
# one of them is about, and which several are; their last line, first and last stamp; how many are not surely valid.
SURVEYED = pa.schema(
    {
        **dict.fromkeys(("meter_id", *PLACE), pa.string()),
        **dict.fromkeys(("file_id", "block", "once", "several", "line_order", "unsure"), pa.int64()),
        **dict.fromkeys(("first", "last"), pa.timestamp("us")),
    }
)


def surveyed(batches: Batches, source: Source) -> Batches:
    """Rows of SURVEYED."""
    for lines in batches:
        if lines.num_rows:
            yield _summed_up(lines, ~is_sure(lines, source), _slots(lines, source))


def doubtful(batches: Batches, source: Source, shared: Broadcast[tuple[pa.Array, pa.Array]]) -> Batches:
    """The lines that are not surely valid, or about one of the shared slots (see `slots_of`)."""
    schema = to_arrow_schema(METER_READINGS.schema, timezone="UTC")
    for lines in batches:
        meters, among = shared.value
        number = pc.index_in(trimmed(lines.column("meter_id")), meters)
        found = pc.is_in(_key(number, _slots(lines, source)), among)
        kept = lines.filter(pa.array(~is_sure(lines, source) | _as_numpy(found)))
        yield pa.RecordBatch.from_arrays([kept.column(field.name).cast(field.type) for field in schema], schema=schema)


def slots_of(marked: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Meters, and keys of the slots that are marked: what `doubtful` looks for.

    Args:
        marked: `meter_id`, `block` and `slots`, a bitmap of the block.
    """
    meters = pc.unique(marked["meter_id"])
    first = pc.multiply(marked["block"], SLOTS)
    first_keys = _key(pc.index_in(marked["meter_id"], meters), first).to_numpy()
    bitmap = marked["slots"].to_numpy()
    return meters, pa.array(np.concatenate([first_keys[bitmap >> bit & 1 == 1] + bit for bit in range(SLOTS)]))


def _key(meter: pa.Array, slot: pa.Array) -> pa.Array:
    """One number for a meter's number and a slot; null where one of them is."""
    return pc.add(pc.multiply(meter.cast(pa.int64()), ALL_SLOTS), slot)


def _slots(lines: pa.RecordBatch, source: Source) -> pa.Array:
    """The slot of each stamp (see `validation.slots`), by the source's own clock; null without a stamp."""
    stamps = lines.column("stamp_local")
    length = slot_minutes(source.grid_minutes) * 60_000_000
    return pa.array(stamps.cast(pa.int64()).fill_null(0).to_numpy() // length, mask=_as_numpy(stamps.is_null()))


def is_sure(lines: pa.RecordBatch, source: Source) -> NDArray[np.bool_]:
    """Which lines keep all rules for sure, wherever the clock stands: as late as it ever shows their stamps."""
    least_ahead = timedelta(minutes=int(clock_of(source.time_zone).offsets.min()))
    return _as_numpy(surely_valid(as_judged(lines, source, least_ahead), source))


def _summed_up(lines: pa.RecordBatch, unsure: NDArray[np.bool_], slot: pa.Array) -> pa.RecordBatch:
    number = slot.fill_null(0).to_numpy()
    block = pa.array(number // SLOTS, mask=_as_numpy(slot.is_null()))
    key = numbered([*(lines.column(name) for name in KEYS), block]) * SLOTS + number % SLOTS
    order = np.argsort(key, kind="stable")
    key = key[order]
    # Where another slot begins among the lines, and another group among the slots, and among the lines.
    slots = np.flatnonzero(np.diff(key, prepend=-1))
    groups = np.flatnonzero(np.diff(key[slots] // SLOTS, prepend=-1))
    begin = slots[groups]
    marks = np.left_shift(1, key[slots] % SLOTS)
    repeated = np.where(np.diff(slots, append=len(key)) > 1, marks, 0)
    stamps = lines.column("stamp_local").cast(pa.int64()).fill_null(0).to_numpy()[order]
    one = lines.take(pa.array(order[begin]))
    unknown = _as_numpy(one.column("stamp_local").is_null())
    columns = {
        **{name: one.column(name) for name in KEYS},
        "meter_id": trimmed(one.column("meter_id")),
        "block": block.take(pa.array(order[begin])),
        "once": pa.array(np.bitwise_or.reduceat(marks, groups)),
        "several": pa.array(np.bitwise_or.reduceat(repeated, groups)),
        "line_order": pa.array(np.maximum.reduceat(lines.column("line_order").to_numpy()[order], begin)),
        "unsure": pa.array(np.add.reduceat(unsure[order].astype(np.int64), begin)),
        "first": pa.array(np.minimum.reduceat(stamps, begin), mask=unknown),
        "last": pa.array(np.maximum.reduceat(stamps, begin), mask=unknown),
    }
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in SURVEYED], schema=SURVEYED)


def numbered(columns: list[pa.Array]) -> NDArray[np.int64]:
    """A number for each row, the same for rows that are the same in all columns; null is a value, too."""
    numbers = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        coded = column.dictionary_encode()
        codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy()
        both = pa.array(numbers * (len(coded.dictionary) + 1) + codes)
        numbers = both.dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


def _as_numpy(flags: pa.BooleanArray) -> NDArray[np.bool_]:
    return flags.to_numpy(zero_copy_only=False)
