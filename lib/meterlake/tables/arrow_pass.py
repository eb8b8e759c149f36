"""Rows of a table that tasks make from Arrow batches and that need not become rows of Spark's on their way to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row

from meterlake.tables.arrow_writer import WRITTEN, Batches, Written, file_writer
from meterlake.tables.file_scan import FileScan
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

    @classmethod
    def over(
        cls, table: Table, scan: FileScan, columns: Sequence[str], work: Callable[[Batches], Batches]
    ) -> "ArrowPass":
        """A pass over files: its tasks read these columns of them with Arrow."""
        read = scan.reader(columns)
        return cls(table, scan.pieces(), lambda pieces: work(read(pieces)))

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


def whole_meters(batches: Batches, rows: int) -> Iterator[pa.Table]:
    """Batches joined and cut so that each table holds whole meters, and `rows` rows or more but for the last."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if sum(part.num_rows for part in held) >= rows and batch.num_rows:
            cut = _next_meter(held[-1], batch)
            if cut is not None:
                yield pa.Table.from_batches([*held, batch.slice(0, cut)])
                held, batch = [], batch.slice(cut)
        if batch.num_rows:
            held.append(batch)
    if held:
        yield pa.Table.from_batches(held)


def _next_meter(last: pa.RecordBatch, batch: pa.RecordBatch) -> int | None:
    """Row of the batch at which the first meter that is not the one held begins; None when it is all of that one."""
    other = pc.not_equal(batch["meter_id"], last["meter_id"][-1])
    found = pc.index(other, True).as_py()
    return None if found < 0 else int(found)


_WRITTEN = pa.schema(dict(zip(Written._fields, (pa.string(), pa.int64(), pa.int64(), pa.string()), strict=True)))
