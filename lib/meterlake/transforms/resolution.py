"""Readings of any length -> readings of the source's declared length: split and merged without losing a step.

Energy is counted in whole steps of 1e-8 kWh (`GRID` steps are 1 kWh), so the parts of a reading sum to it exactly, and
what is merged sums to its parts exactly. Features and scores compare like with like that way; silver, the aggregates
and the marts of consumption keep the lengths that were delivered.
"""

from collections.abc import Callable, Iterator
from math import gcd

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import Rows
from meterlake.transforms.int_consumption_features import CARRIED
from meterlake.transforms.int_readings_hourly import QUALITIES
from meterlake.transforms.stg_meter_readings import GRID, local_time

Ints = NDArray[np.int64]

SECOND, MINUTE = 1_000_000, 60_000_000  # us
ESTIMATED, MISSING = QUALITIES.index("estimated"), QUALITIES.index("missing")
REGRIDDED = "meter_id string, reading_timestamp timestamp, consumption_kwh double, quality string"


def split(steps: Ints, parts: Ints) -> Ints:
    """Each energy in so many equal parts, as near as whole steps allow: they differ by one step at most.

    The i-th of k parts is floor(s (i+1) / k) - floor(s i / k): a sum that telescopes to s.

    Args:
        steps: energies in steps of 1e-8 kWh, below 9.2e18 / parts in size.
        parts: how many parts each becomes, at least 1.

    Returns:
        The parts of the first energy, of the second, ...: `parts.sum()` values.
    """
    whole, count = np.repeat(steps, parts), np.repeat(parts, parts)
    nth = np.arange(len(whole)) - np.repeat(np.cumsum(parts) - parts, parts)
    return whole * (nth + 1) // count - whole * nth // count


def merge(steps: Ints, minutes: Ints, known: NDArray[np.bool_], first: Ints, length: int) -> tuple[Ints, Ints]:
    """Sums of runs of neighbouring parts.

    Args:
        steps: energies in steps; what stands at an unknown one does not matter.
        minutes: how long each part lasts.
        first: where each run begins; a run lasts until the next.
        length: minutes that a whole run lasts.

    Returns:
        The sum of each run, and 1 where it is known: its known parts last `length` together, else 0.
    """
    total = np.add.reduceat(np.where(known, steps, 0), first)
    lasts = np.add.reduceat(np.where(known, minutes, 0), first)
    return total, (lasts == length).astype(np.int64)


def on_grid(readings: DataFrame, source: Source) -> DataFrame:
    """Rows of stg_meter_readings at the declared length of the source, with the columns that features read.

    A part of a longer reading is at best estimated: how its energy lay within it is not known. An interval of which a
    part is missing is missing.
    """
    local_s = F.unix_timestamp(local_time(F.col("reading_timestamp"), source))
    names = ("meter_id", "reading_timestamp", "interval_minutes", "consumption_kwh", "quality", "local_s")
    in_order = Rows.by_meter(readings.withColumn("local_s", local_s), names)
    regridded = in_order.through(_regrid(source.interval_minutes), REGRIDDED)
    local = local_time(F.col("reading_timestamp"), source)
    columns = {
        "reading_date_local": local.cast("date"),
        "hour_of_day": F.hour(local),
        "day_of_week": F.weekday(local) + 1,
        "active_power_kw": F.col("consumption_kwh") / (source.interval_minutes / 60),
    }
    own = {field.name: field.dataType for field in readings.schema}
    absent = {name: F.lit(None).cast(own[name]) for name in CARRIED if name not in (*columns, *regridded.columns)}
    return regridded.withColumns(columns | absent)


def _regrid(length: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The pass over one partition, whose rows are sorted by meter and time."""

    def regrid(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: pa.Table | None = None  # the last interval, which the next batch may continue
        for batch in batches:
            if batch.num_rows == 0:
                continue
            parts = _parts(batch, length)
            parts = parts if held is None else pa.concat_tables([held, parts]).combine_chunks()
            starts = _starts(parts)
            if starts[-1]:
                yield _merged(parts.slice(0, int(starts[-1])), length)
            held = parts.slice(int(starts[-1]))
        if held is not None:
            yield _merged(held, length)

    return regrid


def _parts(batch: pa.RecordBatch, length: int) -> pa.Table:
    """Each reading cut so that no part crosses a boundary: `slot` is the start of the interval that a part lies in."""
    minutes, local_s = (batch.column(name).to_numpy().astype(np.int64) for name in ("interval_minutes", "local_s"))
    stamp = batch.column("reading_timestamp").cast(pa.int64()).to_numpy()
    kwh = batch.column("consumption_kwh").to_numpy(zero_copy_only=False)
    pieces = minutes // np.array([gcd(int(m), length) for m in minutes])
    nth = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    offset = nth * np.repeat(minutes // pieces * 60, pieces)
    into_slot = (np.repeat(local_s, pieces) + offset) % (length * 60)
    known = np.repeat(~np.isnan(kwh), pieces)
    rank = np.array([QUALITIES.index(quality) for quality in batch.column("quality").to_pylist()])
    rank = np.where(minutes > length, np.maximum(rank, ESTIMATED), rank)
    return pa.table(
        {
            "meter_id": batch.column("meter_id").take(pa.array(np.repeat(np.arange(len(pieces)), pieces))),
            "slot": np.repeat(stamp, pieces) + (offset - into_slot) * SECOND,
            "minutes": np.repeat(minutes // pieces, pieces),
            "steps": split(np.rint(np.nan_to_num(kwh) * GRID).astype(np.int64), pieces),
            "known": known,
            "rank": np.repeat(rank, pieces),
        }
    )


def _starts(parts: pa.Table) -> Ints:
    """Where each interval begins among the parts."""
    meter = parts.column("meter_id").combine_chunks().dictionary_encode().indices.to_numpy()
    slot = parts.column("slot").to_numpy()
    return np.flatnonzero((np.diff(meter, prepend=-1) != 0) | (np.diff(slot, prepend=-1) != 0))


def _merged(parts: pa.Table, length: int) -> pa.RecordBatch:
    first = _starts(parts)
    steps, minutes, known, rank = (parts.column(name).to_numpy() for name in ("steps", "minutes", "known", "rank"))
    total, whole = merge(steps, minutes, known, first, length)
    worst = np.where(whole == 1, np.maximum.reduceat(rank, first), MISSING)
    rows = parts.take(pa.array(first))
    return pa.RecordBatch.from_arrays(
        [
            rows.column("meter_id").combine_chunks(),
            rows.column("slot").combine_chunks().cast(pa.timestamp("us", tz="UTC")),
            pa.array(total / GRID, mask=whole == 0),
            pa.array(np.array(QUALITIES)[worst].tolist(), pa.string()),
        ],
        names=["meter_id", "reading_timestamp", "consumption_kwh", "quality"],
    )
