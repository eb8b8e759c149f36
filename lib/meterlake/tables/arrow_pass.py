"""Rows of a table that are made from Arrow batches and that need not become rows of Spark's on their way to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import tee

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.types import StructType

from meterlake.session import is_small
from meterlake.shares import frame_of_batches
from meterlake.tables import meter_order
from meterlake.tables.arrow_writer import WRITTEN, Batches, Written, file_writer
from meterlake.tables.coded import as_texts
from meterlake.tables.file_scan import FileScan
from meterlake.tables.meter_day_set import MeterDaySet
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.table import Table

Work = Callable[[Batches], Batches]


@dataclass(frozen=True)
class Rows:
    """What a pass reads: by tasks, or in this process where the work is small, as it then takes less than a job.

    Attributes:
        given: a frame, whose partitions are the tasks'; or what this process reads.
        read: what a task makes of its partition first.
    """

    given: DataFrame | Callable[[], Batches]
    read: Work = iter

    @classmethod
    def of(cls, rows: FileScan | DataFrame, columns: Sequence[str]) -> "Rows":
        """These columns of files, read with Arrow and texts coded, or of Spark's rows."""
        if isinstance(rows, DataFrame):
            return cls(rows.select(*columns))
        coded = replace(rows, coded=True)
        return cls(partial(coded.here, columns)) if is_small(rows.spark) else cls(*coded.by_tasks(columns))

    @classmethod
    def by_meter(cls, rows: FileScan | DataFrame, columns: Sequence[str], time: str = "reading_timestamp") -> "Rows":
        """These columns of files, or of Spark's rows; each task gets whole meters, each in order of `time`."""
        if isinstance(rows, FileScan):
            if is_small(rows.spark):
                return cls(lambda: meter_order.in_order(rows.here(columns), time))
            return cls(meter_order.sent(rows, columns), partial(meter_order.received, time=time))
        chosen = rows.select(*columns)
        if is_small(rows.sparkSession):
            return cls(lambda: meter_order.in_order(chosen.toArrow().to_batches(), time))
        return cls(chosen.repartition(meter_order.METER).sortWithinPartitions(meter_order.METER, time))

    def through(self, work: Work, types: StructType | str) -> DataFrame:
        """What the work makes of them, as rows of Spark's."""
        read, given = self.read, self.given
        if isinstance(given, DataFrame):
            return given.mapInArrow(lambda batches: map(as_texts, work(read(batches))), types)
        return frame_of_batches(SparkSession.active(), map(as_texts, work(read(given()))), types)


@dataclass(frozen=True)
class ArrowPass:
    """Rows that are still to be made: a description of the work, as a frame is one.

    Attributes:
        work: makes batches of the table's columns, in their order, of the batches of one partition.
        of: the pass over the same rows whose batches the work takes instead of the rows.
    """

    table: Table
    rows: Rows
    work: Work
    of: "ArrowPass | None" = None

    def of_days(self, only: MeterDaySet) -> "ArrowPass":
        """The pass that gives the rows of some meter-days only."""
        work = self.work

        def among(batches: Batches) -> Batches:
            for batch in work(batches):
                yield batch.filter(only.among(batch))

        return replace(self, work=among)

    def frame(self) -> DataFrame:
        """The rows as Spark's, to filter or to merge."""
        types = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in self.table.schema)
        work, first = self.work, self.of.work if self.of else iter
        return self.rows.through(lambda batches: work(first(batches)), types)


def make_files(passes: Sequence[ArrowPass], folders: Sequence[str]) -> list[list[Row]]:
    """Make the rows of passes over the same rows as files of their tables in these folders, which no commit knows yet.

    Where there are several, each task holds what it read until the last one is done. A pass stands
    behind the one that it is of.

    Returns:
        What was written (WRITTEN), by pass.
    """
    rows = passes[0].rows
    assert all(one.rows is rows for one in passes)
    sources = [passes.index(one.of) if one.of else None for one in passes]
    each = [(one.work, file_writer(one.table, folder)) for one, folder in zip(passes, folders, strict=True)]

    def written(batches: Batches) -> Batches:
        copies = iter(tee(batches, sources.count(None)))
        kept: dict[int | None, Batches] = {}
        for number, ((work, write), source) in enumerate(zip(each, sources, strict=True)):
            table_rows = work(next(copies) if source is None else kept.pop(source))
            if number in sources:
                table_rows, kept[number] = tee(table_rows)
            for file in write(table_rows):
                yield pa.RecordBatch.from_pylist([file._asdict() | {"number": number}], schema=_WRITTEN)

    made = rows.through(written, f"{WRITTEN}, number int").collect()
    return [[file for file in made if file.number == number] for number in range(len(passes))]


def since(batches: Batches, first: date) -> Batches:
    """The rows of that local day and later ones."""
    for batch in batches:
        yield batch.filter(pc.greater_equal(batch[READING_DATE_LOCAL.name], pa.scalar(first)))


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


_WRITTEN = pa.schema(
    dict(zip((*Written._fields, "number"), (pa.string(), pa.int64(), pa.int64(), pa.string(), pa.int32()), strict=True))
)
