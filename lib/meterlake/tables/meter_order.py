"""Rows of a table's files brought together by meter and put in order of time, without a row of Spark's.

Spark's own shuffle and sort make rows of Arrow's batches and batches of the rows again, which costs more than the work
of a pass. Here a task cuts what it reads by meter and sends each part as one value, a compressed stream of Arrow's:
Spark moves some hundred large values instead of millions of rows, and each receiver sorts numbers.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from meterlake.tables.arrow_writer import Batches, joined
from meterlake.tables.file_scan import FileScan

SENT = "part int, rows binary"
METER = "meter_id"
# Rows of a part, which one task sorts in memory; rows that a task reads before it cuts them; rows of a sorted batch.
ROWS_OF_PART, ROWS_AT_ONCE, ROWS_OF_BATCH = 1_000_000, 2_000_000, 100_000


def sent(scan: FileScan, columns: Sequence[str]) -> DataFrame:
    """Columns of SENT: the rows of the scan as values for `received`, each partition those of some whole meters.

    Args:
        columns: with METER, and what the rows of a meter are ordered by.
    """
    cores = scan.spark.sparkContext.defaultParallelism
    parts = math.ceil(scan.rows / ROWS_OF_PART / cores) * cores or 1
    shares, read = scan.by_tasks(columns)

    def cut(share: Batches) -> Batches:
        for rows in joined(read(share), ROWS_AT_ONCE):
            yield from _cut(rows, parts)

    return shares.mapInArrow(cut, SENT).repartitionById(parts, "part")


def received(values: Batches, time: str) -> Batches:
    """The rows of one partition of `sent`, in order."""
    tables = [pa.ipc.open_stream(value.as_buffer()).read_all() for batch in values for value in batch.column("rows")]
    yield from in_order((batch for table in tables for batch in table.to_batches()), time)


def in_order(batches: Iterable[pa.RecordBatch], time: str) -> Batches:
    """The rows of whole meters, in order of their names, coded, each in order of a time stamp or date."""
    if held := list(batches):
        yield from _in_order(pa.Table.from_batches(held), time).to_batches(ROWS_OF_BATCH)


def _in_order(rows: pa.Table, time: str) -> pa.Table:
    meter, stamp = rows.column(METER).combine_chunks(), rows.column(time).combine_chunks()
    coded = meter.dictionary_encode()
    ascending = pc.sort_indices(coded.dictionary)
    rank = np.empty(len(ascending), dtype=np.int32)
    rank[ascending.to_numpy()] = np.arange(len(rank))
    number = rank[coded.indices.to_numpy()]
    named = pa.DictionaryArray.from_arrays(number, coded.dictionary.take(ascending))
    order = np.lexsort((stamp.to_numpy(zero_copy_only=False).astype(np.int64), number))
    return rows.set_column(rows.column_names.index(METER), METER, named).combine_chunks().take(pa.array(order))


def _cut(rows: pa.Table, parts: int) -> Batches:
    """One value for each part that has any of the rows."""
    part = _part_of(rows.column(METER).combine_chunks(), parts)
    order = np.argsort(part, kind="stable")
    by_part = rows.take(pa.array(order)).combine_chunks()
    bounds = np.searchsorted(part[order], np.arange(parts + 1))
    for number, (begin, end) in enumerate(pairwise(bounds)):
        if begin < end:
            value = _stream(by_part.slice(begin, end - begin))
            yield pa.RecordBatch.from_arrays([pa.array([number], pa.int32()), pa.array([value], pa.binary())], _NAMES)


def _part_of(meter: pa.Array, parts: int) -> NDArray[np.int16 | np.int32]:
    """The part that each row's meter belongs to: by a hash that every task computes alike."""
    coded = meter.dictionary_encode()
    hashes = [zlib.crc32(name.encode()) for name in coded.dictionary.to_pylist()]
    # Numbers of two bytes are sorted in one go (radix), larger ones are not.
    kind = np.int16 if parts < 1 << 15 else np.int32
    return (np.array(hashes, dtype=np.int64) % parts).astype(kind)[coded.indices.to_numpy()]


def _stream(rows: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(rows)
    return bytes(out.getvalue())


_NAMES = ["part", "rows"]
