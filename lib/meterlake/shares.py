"""A list of things to do, shared out to Spark's tasks that work with Arrow."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")


def shared_out(
    spark: SparkSession, things: Sequence[T], tasks: int
) -> tuple[DataFrame, Callable[[Iterable[pa.RecordBatch]], Iterator[T]]]:
    """A frame with a partition per task, and what a task makes of its batches: its share of the things, in order.

    They go by broadcast. Of a list that is parallelized, Spark makes a frame in Python workers of another kind, for
    which it starts a second daemon that imports everything again.

    Args:
        tasks: how many there shall be; never more than things, and one for none.
    """
    count = max(1, min(tasks, len(things)))
    bounds = [len(things) * number // count for number in range(count + 1)]
    shares = [pickle.dumps(things[begin:end]) for begin, end in pairwise(bounds)]
    sent = spark.sparkContext.broadcast(shares)

    def own(batches: Iterable[pa.RecordBatch]) -> Iterator[T]:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield from pickle.loads(sent.value[number])

    return spark.range(0, count, 1, count), own
