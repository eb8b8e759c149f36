"""Reading a table's files without Spark's rows: tasks open them with Arrow and hand batches to an `ArrowPass`.

For a pass that reads all rows of a source and whose work is Arrow anyway. Turning Spark's rows into batches costs as
much as the work of a pass does (docs/performance.md).
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.files import filesystem_of
from meterlake.shares import shared_out
from meterlake.tables.arrow_writer import UNIQUE, Batches
from meterlake.tables.coded import coded
from meterlake.tables.table import Table

# Bytes of a piece of a file, unless a row group is larger, and of what a task reads where there is much.
PIECE_BYTES, TASK_BYTES = 4 << 20, 128 << 20
WANTED = "_wanted"

Positions = NDArray[np.int64]


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


def between(day: str, first: date, last: date) -> pc.Expression:
    """The rows of the days from the first to the last."""
    return (pc.field(day) >= pa.scalar(first)) & (pc.field(day) <= pa.scalar(last))


@dataclass(frozen=True)
class FileScan:
    """Files of a table, and which of their rows are wanted.

    Attributes:
        wanted: a condition on the table's columns; a row group whose statistics exclude it is not read.
        coded: whether texts are read as dictionaries, as the files hold them: for work that looks at each text once;
            not those that `wanted` names, nor those of UNIQUE.
    """

    spark: SparkSession
    table: Table
    files: list[File]
    wanted: pc.Expression
    coded: bool = False

    def where(self, condition: pc.Expression) -> "FileScan":
        return replace(self, wanted=self.wanted & condition)

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
        deleted = self.spark.sparkContext.broadcast(gone)

        def read(pieces: Iterable[Piece]) -> Iterator[pa.RecordBatch]:
            for piece in pieces:
                rows = _Rows(piece, schema, list(columns), wanted)
                yield from rows.standing(deleted.value.get(piece.path))

        return read


@dataclass(frozen=True)
class _Rows:
    """Some columns of a piece."""

    piece: Piece
    schema: pa.Schema
    columns: list[str]
    wanted: pc.Expression

    def standing(self, deleted: Positions | None) -> Iterator[pa.RecordBatch]:
        """The wanted rows that are not deleted."""
        path, part, parts = self.piece
        filesystem, file = filesystem_of(path)
        coded = [field.name for field in self.schema if pa.types.is_dictionary(field.type)]
        options = ds.ParquetReadOptions(dictionary_columns=coded, coerce_int96_timestamp_unit="us")
        fragment = ds.ParquetFileFormat(read_options=options).make_fragment(file, filesystem)
        groups = fragment.num_row_groups
        own = list(range(groups * part // parts, groups * (part + 1) // parts))
        if not own:
            return
        some = fragment.subset(row_group_ids=own)
        if deleted is None:
            yield from some.scanner(
                self.schema, columns=self.columns, filter=self.wanted, use_threads=False
            ).to_batches()
        else:
            first = sum(fragment.metadata.row_group(group).num_rows for group in range(own[0]))
            yield from self._without(deleted, some, first)

    def _without(self, deleted: Positions, some: ds.ParquetFileFragment, first: int) -> Iterator[pa.RecordBatch]:
        """All rows are read, as a row's position is told by those before it."""
        columns = {name: pc.field(name) for name in self.columns} | {WANTED: self.wanted}
        for batch in some.scanner(self.schema, columns=columns, use_threads=False).to_batches():
            begin, end = np.searchsorted(deleted, (first, first + batch.num_rows))
            stands = np.ones(batch.num_rows, dtype=bool)
            stands[deleted[begin:end] - first] = False
            first += batch.num_rows
            kept = pc.and_kleene(batch.column(WANTED), pa.array(stands))
            yield batch.select(self.columns).filter(kept)
