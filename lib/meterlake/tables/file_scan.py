"""Reading a table's files without Spark's rows: tasks open them with Arrow and hand batches to an `ArrowPass`.

For a pass that reads all rows of a source and whose work is Arrow anyway. Turning Spark's rows into batches costs as
much as the work of a pass does (docs/performance.md).
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.files import filesystem_of
from meterlake.shares import shared_out
from meterlake.tables.arrow_writer import UNIQUE, Batches
from meterlake.tables.coded import coded
from meterlake.tables.meter_day_set import MeterDaySet
from meterlake.tables.reader import Positions
from meterlake.tables.table import Table

# Bytes of a piece of a file, unless a row group is larger, and of what a task reads where there is much.
PIECE_BYTES, TASK_BYTES = 4 << 20, 128 << 20
WANTED = "_wanted"
# Where a row stands: the number of its file in a scan, and its position in that file.
FILE, POSITION = "_file", "_position"


class File(NamedTuple):
    """A file of a table. `deleted`: positions of the rows in it that stand no longer, ascending."""

    path: str
    size: int
    rows: int
    deleted: Positions | None = None


class Piece(NamedTuple):
    """A share of a file's row groups, number `part` of `parts`."""

    path: str
    part: int
    parts: int


@dataclass(frozen=True)
class FileScan:
    """Files of a table, and which of their rows are wanted.

    Attributes:
        version: the one in which the table was made of these files.
        wanted: a condition on the table's columns; a row group whose statistics exclude it is not read.
        coded: whether texts are read as dictionaries, as the files hold them: for work that looks at each text once;
            not those that `wanted` names, nor those of UNIQUE.
        only: the meter-days whose rows are wanted; all without.
    """

    spark: SparkSession
    table: Table
    version: int
    files: list[File]
    wanted: pc.Expression
    coded: bool = False
    only: MeterDaySet | None = None

    def where(self, condition: pc.Expression) -> "FileScan":
        return replace(self, wanted=self.wanted & condition)

    def of_days(self, only: MeterDaySet) -> "FileScan":
        """The rows of some meter-days."""
        return replace(self, only=only)

    @property
    def rows(self) -> int:
        """How many rows the files hold, wanted or not."""
        return sum(file.rows for file in self.files)

    def by_tasks(self, columns: Sequence[str]) -> tuple[DataFrame, Callable[[Batches], Batches]]:
        """A frame with a partition per task, a multiple of the cores, so that all have about the same to do; and what
        a task makes of its own: these columns of its share of the rows, as `here` reads them."""
        pieces, cores = self._pieces(), self.spark.sparkContext.defaultParallelism
        rounds = max(1, math.ceil(sum(file.size for file in self.files) / TASK_BYTES / cores))
        sizes = {file.path: file.size for file in self.files}
        frame, own = shared_out(self.spark, pieces, rounds * cores, [sizes[of.path] / of.parts for of in pieces])
        read = self._reader(columns)
        return frame, lambda batches: read(own(batches))

    def here(self, columns: Sequence[str]) -> Batches:
        """Batches of these columns of the wanted rows, in the order of the files, read by this process: of a small
        table, for which a job of Spark's takes longer.

        Columns that a file of an earlier version lacks are null.
        """
        return self._reader(columns)(self._pieces())

    def placed(self, columns: Sequence[str], most: int) -> pa.Table | None:
        """These columns of the wanted rows, FILE and POSITION, read by this process; None where there are more rows
        than `most`."""
        schema = to_arrow_schema(self.table.schema, timezone="UTC")
        numbers = {file.path: number for number, file in enumerate(self.files)}
        places = [pa.field(name, pa.int64()) for name in (FILE, POSITION)]
        types = pa.schema([*(schema.field(name) for name in columns), *places])
        held: list[pa.RecordBatch] = []

        def read(piece: Piece) -> list[pa.RecordBatch]:
            if sum(batch.num_rows for batch in held) > most:
                return []
            number = numbers[piece.path]
            rows = _Rows(piece, schema, list(columns), self.wanted, self.only)
            return [
                pa.RecordBatch.from_arrays([*batch.columns, pa.repeat(number, len(at)), pa.array(at)], schema=types)
                for batch, at in rows.placed(self.files[number].deleted)
            ]

        with ThreadPoolExecutor(self.spark.sparkContext.defaultParallelism) as pool:
            for batches in pool.map(read, self._pieces()):
                held += batches
        found = pa.Table.from_batches(held, types)
        return found if found.num_rows <= most else None

    def _pieces(self) -> list[Piece]:
        return [
            Piece(file.path, part, count)
            for file in self.files
            for count in (max(1, math.ceil(file.size / PIECE_BYTES)),)
            for part in range(count)
        ]

    def _reader(self, columns: Sequence[str]) -> Callable[[Iterable[Piece]], Batches]:
        schema, wanted = to_arrow_schema(self.table.schema, timezone="UTC"), self.wanted
        if self.coded:
            # Of a dictionary that is all null by its statistics, Arrow 25 takes no row for null.
            plain = {*re.findall(r"\w+", str(wanted)), *UNIQUE}
            schema = pa.schema([f if f.name in plain else f.with_type(coded(f.type)) for f in schema])
        gone = {file.path: file.deleted for file in self.files if file.deleted is not None}
        deleted, only = self.spark.sparkContext.broadcast(gone), self.only

        def read(pieces: Iterable[Piece]) -> Iterator[pa.RecordBatch]:
            for piece in pieces:
                rows = _Rows(piece, schema, list(columns), wanted, only)
                yield from rows.standing(deleted.value.get(piece.path))

        return read


@dataclass(frozen=True)
class _Rows:
    """Some columns of a piece."""

    piece: Piece
    schema: pa.Schema
    columns: list[str]
    wanted: pc.Expression
    only: MeterDaySet | None = None

    def standing(self, deleted: Positions | None) -> Iterator[pa.RecordBatch]:
        """The wanted rows that are not deleted."""
        if deleted is not None:
            yield from (batch for batch, _ in self.placed(deleted))
        elif (own := self._own()).num_row_groups:
            read = own.scanner(self.schema, columns=self._read, filter=self.wanted, use_threads=False)
            for batch in read.to_batches():
                yield batch.filter(self.only.among(batch)).select(self.columns) if self.only else batch

    def placed(self, deleted: Positions | None) -> Iterator[tuple[pa.RecordBatch, Positions]]:
        """The same, with their positions in the file. A row's position is told by those before it, so all rows of a
        row group are read where one may be wanted."""
        columns = {name: pc.field(name) for name in self._read} | {WANTED: self.wanted}
        own = self._own()
        sizes = [own.metadata.row_group(group).num_rows for group in range(own.metadata.num_row_groups)]
        for some in own.split_by_row_group(self.wanted, schema=self.schema):
            first = sum(sizes[: some.row_groups[0].id])
            for batch in some.scanner(self.schema, columns=columns, use_threads=False).to_batches():
                wanted = batch.column(WANTED).fill_null(False)
                wanted = pc.and_(wanted, self.only.among(batch)) if self.only else wanted
                stands = wanted.to_numpy(zero_copy_only=False).copy()
                if deleted is not None:
                    begin, end = np.searchsorted(deleted, (first, first + batch.num_rows))
                    stands[deleted[begin:end] - first] = False
                yield batch.select(self.columns).filter(pa.array(stands)), first + np.flatnonzero(stands)
                first += batch.num_rows

    @property
    def _read(self) -> list[str]:
        """The columns, and those that tell whether a row is wanted."""
        return list(dict.fromkeys([*self.columns, *(("meter_id", self.only.day) if self.only else ())]))

    def _own(self) -> ds.ParquetFileFragment:
        """The piece's row groups."""
        path, part, parts = self.piece
        filesystem, file = filesystem_of(path)
        coded = [field.name for field in self.schema if pa.types.is_dictionary(field.type)]
        options = ds.ParquetReadOptions(dictionary_columns=coded, coerce_int96_timestamp_unit="us")
        whole = ds.ParquetFileFormat(read_options=options).make_fragment(file, filesystem)
        groups = whole.num_row_groups
        return whole.subset(row_group_ids=list(range(groups * part // parts, groups * (part + 1) // parts)))
