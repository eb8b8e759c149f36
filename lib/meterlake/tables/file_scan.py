"""Reading a table's files without Spark's rows: tasks open them with Arrow and hand batches to an `ArrowPass`.

For a pass that reads all rows of a source and whose work is Arrow anyway. Turning Spark's rows into batches costs as
much as the work of a pass does (docs/performance.md).
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.files import filesystem_of
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.table import Table

PIECE = "path string, part int, parts int"
# Bytes of a piece of a file, unless a row group is larger, and of what a task reads where there is much.
PIECE_BYTES, TASK_BYTES = 4 << 20, 128 << 20


@dataclass(frozen=True)
class FileScan:
    """Files of a table of which all rows stand, and which of the rows are wanted.

    Attributes:
        files: path and bytes of each.
        wanted: a condition on the table's columns; a row group whose statistics exclude it is not read.
        coded: whether texts are read as dictionaries, as the files hold them: for work that looks at each text once;
            not those that `wanted` names.
    """

    spark: SparkSession
    table: Table
    files: list[tuple[str, int]]
    wanted: pc.Expression
    coded: bool = False

    @classmethod
    def of(
        cls, spark: SparkSession, table: Table, folder: str, names: list[str], values: Mapping[str, list[str]]
    ) -> "FileScan":
        """Of the named files in the table's folder the rows that have one of these values in these columns."""
        filesystem, there = filesystem_of(folder)
        sizes = [file.size for file in filesystem.get_file_info([f"{there}/{name}" for name in names])]
        files = [(f"{folder}/{name}", size) for name, size in zip(names, sizes, strict=True)]
        return cls(spark, table, files, reduce(and_, (pc.field(name).isin(some) for name, some in values.items())))

    def where(self, condition: pc.Expression) -> "FileScan":
        return replace(self, wanted=self.wanted & condition)

    def pieces(self) -> DataFrame:
        """Parts of the files, shared out to tasks: a multiple of the cores, so that all have about the same to do."""
        parts, context = self._parts(), self.spark.sparkContext
        cores = context.defaultParallelism
        rounds = math.ceil(sum(size for _, size in self.files) / TASK_BYTES / cores)
        tasks = min(len(parts), max(1, rounds) * cores)
        return self.spark.createDataFrame(context.parallelize(parts, max(1, tasks)), PIECE)

    def here(self, columns: Sequence[str]) -> Batches:
        """What tasks read, read by this process: of a small table, for which a job of Spark's takes longer."""
        parts = pa.Table.from_pylist(
            [dict(zip(("path", "part", "parts"), part, strict=True)) for part in self._parts()]
        )
        return self.reader(columns)(iter(parts.to_batches()))

    def _parts(self) -> list[tuple[str, int, int]]:
        """Path, number of the part and how many there are of that file."""
        return [
            (path, part, count)
            for path, size in self.files
            for count in (max(1, math.ceil(size / PIECE_BYTES)),)
            for part in range(count)
        ]

    def reader(self, columns: Sequence[str]) -> Callable[[Batches], Batches]:
        """What a task does with its pieces: batches of these columns of the wanted rows, in the order of the files.

        Columns that a file of an earlier version lacks are null.
        """
        schema, wanted = to_arrow_schema(self.table.schema, timezone="UTC"), self.wanted
        if self.coded:
            # Of a dictionary that is all null by its statistics, Arrow 25 takes no row for null.
            asked = set(re.findall(r"\w+", str(wanted)))
            schema = pa.schema([f if f.name in asked else f.with_type(_coded(f.type)) for f in schema])

        def read(pieces: Batches) -> Iterator[pa.RecordBatch]:
            for batch in pieces:
                for piece in batch.to_pylist():
                    yield from _rows(piece["path"], piece["part"], piece["parts"], schema, list(columns), wanted)

        return read


def _rows(
    path: str, part: int, parts: int, schema: pa.Schema, columns: list[str], wanted: pc.Expression
) -> Iterator[pa.RecordBatch]:
    filesystem, file = filesystem_of(path)
    coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    options = ds.ParquetReadOptions(dictionary_columns=coded, coerce_int96_timestamp_unit="us")
    fragment = ds.ParquetFileFormat(read_options=options).make_fragment(file, filesystem)
    groups = fragment.num_row_groups
    own = list(range(groups * part // parts, groups * (part + 1) // parts))
    if own:
        some = fragment.subset(row_group_ids=own)
        yield from some.scanner(schema, columns=columns, filter=wanted, use_threads=False).to_batches()


def _coded(kind: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), kind) if pa.types.is_string(kind) else kind
