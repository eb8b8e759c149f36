"""Rows of a table that tasks make from Arrow batches and that need not become rows of Spark's on their way to it."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, Row

from meterlake.tables.arrow_writer import WRITTEN, Batches, Written, file_writer
from meterlake.tables.table import Table


@dataclass(frozen=True)
class ArrowPass:
    """Rows that are still to be made: a description of the work, as a frame is one.

    Attributes:
        rows: what the tasks read; its partitions are theirs.
        work: makes batches of the table's columns, in their order, of the batches of one partition.
    """

    table: Table
    rows: DataFrame
    work: Callable[[Batches], Batches]

    def frame(self) -> DataFrame:
        """The rows as Spark's, to filter or to merge."""
        types = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in self.table.schema)
        return self.rows.mapInArrow(self.work, types)

    def files(self, path: str) -> list[Row]:
        """Make the rows and write them as files of the table at `path`, which no commit knows yet."""
        work, write = self.work, file_writer(self.table, path)

        def written(batches: Batches) -> Batches:
            for file in write(work(batches)):
                yield pa.RecordBatch.from_pylist([file._asdict()], schema=_WRITTEN)

        return self.rows.mapInArrow(written, WRITTEN).collect()


_WRITTEN = pa.schema(dict(zip(Written._fields, (pa.string(), pa.int64(), pa.int64(), pa.string()), strict=True)))
