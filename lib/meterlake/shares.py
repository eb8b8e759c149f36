"""What the driver holds in a list, for Spark's tasks: things to do, shared out, and rows of a frame.

Of a list that is parallelized, Spark makes a frame in Python workers of another kind than those of our passes, for
which it starts a second daemon that imports everything again. So a list goes by broadcast, and rows go as Arrow.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

T = TypeVar("T")


def shared_out(
    spark: SparkSession, things: Sequence[T], tasks: int, sizes: Sequence[float] | None = None
) -> tuple[DataFrame, Callable[[Iterable[pa.RecordBatch]], Iterator[T]]]:
    """A frame with a partition per task, and what a task makes of its batches: its share of the things, in order.

    Args:
        tasks: how many there shall be; never more than things, and one for none.
        sizes: how much there is to do for each thing, of which the shares have about the same; the same for each
            without.
    """
    count = max(1, min(tasks, len(things)))
    done = np.cumsum([0.0, *(np.ones(len(things)) if sizes is None else sizes)])
    middle = (done[1:] + done[:-1]) / 2
    bounds = np.searchsorted(middle, done[-1] * np.arange(count + 1) / count)
    shares = [pickle.dumps(things[begin:end]) for begin, end in pairwise(bounds.tolist())]
    sent = spark.sparkContext.broadcast(shares)

    def own(batches: Iterable[pa.RecordBatch]) -> Iterator[T]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield from pickle.loads(sent.value[number])

    return spark.range(0, count, 1, count), own


def frame_of(spark: SparkSession, rows: Iterable[Sequence[Any]], types: StructType | str) -> DataFrame:
    """Rows that the driver made as a frame."""
    schema = _struct(types)
    arrow = to_arrow_schema(schema, timezone="UTC")
    named = [dict(zip(arrow.names, row, strict=True)) for row in rows]
    return spark.createDataFrame(pa.Table.from_pylist(named, arrow), schema)


def frame_of_batches(spark: SparkSession, batches: Iterable[pa.RecordBatch], types: StructType | str) -> DataFrame:
    """The same of batches with plain texts."""
    schema = _struct(types)
    arrow = to_arrow_schema(schema, timezone="UTC")
    # Of a table Spark 4.2 takes nothing that stands behind a batch without rows, and it takes no table of no batches.
    held = [batch.select(arrow.names).cast(arrow) for batch in batches if batch.num_rows]
    return spark.createDataFrame(pa.Table.from_batches(held) if held else arrow.empty_table(), schema)


def _struct(types: StructType | str) -> StructType:
    return cast(StructType, StructType.fromDDL(types)) if isinstance(types, str) else types
