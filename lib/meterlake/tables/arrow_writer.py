"""Large appends to a Delta table: tasks write Parquet with Arrow, the driver commits the files (transaction.py).

For work that is Arrow from end to end: a row of Spark's is never made. Rows that Spark has made already are better
written by Spark (docs/performance.md).

Files come with the statistics by which readers skip them. Files of tasks that failed or ran twice are in no commit;
VACUUM removes them.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.files import filesystem_of
from meterlake.tables.coded import plain
from meterlake.tables.table import Table

# Rows that are held in memory and become a row group; rows after which a task begins a new file (about 100 MB).
GROUP_ROWS, FILE_ROWS = 250_000, 4_000_000
# Delta compares texts by their first 32 characters; of a longer one no statistic is kept here.
LONGEST_STATISTIC = 32
# Texts of which each row has its own: their common beginnings are stored once.
UNIQUE = ("reading_id",)
# Rows by which a file tells whether a column of numbers repeats itself.
SAMPLE_ROWS = 10_000

Batches = Iterator[pa.RecordBatch]


class Written(NamedTuple):
    """A file of a table that no commit knows yet. `statistics` is JSON as Delta's log has it."""

    path: str
    size: int
    rows: int
    statistics: str


WRITTEN = "path string, size bigint, rows bigint, statistics string"


class RequiredValueMissing(ValueError):
    """A column that is declared as required holds a null."""

    def __init__(self, table: str, column: str) -> None:
        self.table, self.column = table, column
        super().__init__(f"{table}: {column} is null in a row; a required column must be known")


class CheckViolated(ValueError):
    """A row does not meet a condition that its table declares."""

    def __init__(self, table: str, name: str, condition: str) -> None:
        self.table, self.name = table, name
        super().__init__(f"{table}: a row violates {name} ({condition}); nothing of it was written")


def file_writer(table: Table, path: str) -> Callable[[Batches], Iterator[Written]]:
    """What a task calls with its batches of the table's columns, in any order, to write them as files of the table."""
    schema = to_arrow_schema(table.schema, timezone="UTC")
    name, skipped_by = table.name, table.skipped_by

    def write(batches: Batches) -> Iterator[Written]:
        filesystem, folder = filesystem_of(path)
        for number, groups in enumerate(_files(joined(batches, GROUP_ROWS))):
            file = f"part-{number:05d}-{uuid4()}.zstd.parquet"
            rows_of = (_conformed(group, schema, name) for group in groups)
            with filesystem.open_output_stream(f"{folder}/{file}") as out:
                rows, statistics = _write_file(out, rows_of, skipped_by)
                size = out.tell()
            yield Written(file, size, rows, json.dumps(statistics))

    return write


def joined(batches: Batches, least: int) -> Iterator[pa.Table]:
    """Batches joined to tables of so many rows or more, but for the last."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            rows += batch.num_rows
        if rows >= least:
            yield pa.Table.from_batches(held)
            held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _files(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """Row groups shared out to files of about FILE_ROWS rows; each file is read to its end before the next."""

    def of_one_file(first: pa.Table) -> Iterator[pa.Table]:
        rows = 0
        for group in chain([first], groups):
            yield group
            rows += group.num_rows
            if rows >= FILE_ROWS:
                return

    for first in groups:
        yield of_one_file(first)


def _conformed(group: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    """The declared columns in their order and types; coded texts stay coded, by one dictionary."""
    for field in schema:
        if not field.nullable and group.column(field.name).null_count:
            raise RequiredValueMissing(table, field.name)
    kinds = ((field, group.schema.field(field.name).type) for field in schema)
    kept = [field.with_type(kind) if plain(kind) == field.type else field for field, kind in kinds]
    return group.select(schema.names).cast(pa.schema(kept)).unify_dictionaries()


def _write_file(out: pa.NativeFile, groups: Iterator[pa.Table], skipped_by: list[str]) -> tuple[int, dict[str, Any]]:
    """Write one file; its rows and Delta's statistics of it."""
    rows, seen, first = 0, _Statistics(skipped_by), next(groups)
    own = _encodings(first)
    with pq.ParquetWriter(
        out,
        first.schema,
        compression="zstd",
        use_dictionary=[name for name in first.column_names if name not in own],
        column_encoding=own or None,
        write_statistics=skipped_by,
        store_decimal_as_integer=True,
        store_schema=False,  # of dictionaries only Arrow knows
    ) as file:
        for group in chain([first], groups):
            file.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
            seen.add(group)
    return rows, seen.as_delta(rows)


def _encodings(group: pa.Table) -> dict[str, str]:
    """Encodings of the columns that a dictionary would only make larger and slower: numbers of which hardly two are the
    same, and UNIQUE texts.
    """
    texts = {name: "DELTA_BYTE_ARRAY" for name in group.column_names if name in UNIQUE}
    kinds = {f.name: f.type for f in group.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)}
    some = group.select(list(kinds)).take(np.arange(0, group.num_rows, -(-group.num_rows // SAMPLE_ROWS)))
    numbers = {
        name: "DELTA_BINARY_PACKED" if pa.types.is_integer(kind) else "PLAIN"
        for name, kind in kinds.items()
        if 2 * pc.count_distinct(some.column(name)).as_py() > some.num_rows
    }
    return texts | numbers


class _Statistics:
    """Smallest and largest value and number of nulls of some columns of a file, as Delta's log writes them."""

    def __init__(self, names: list[str]) -> None:
        self.bounds: dict[str, tuple[Any, Any]] = {}
        self.nulls = dict.fromkeys(names, 0)

    def add(self, group: pa.Table) -> None:
        for name in self.nulls:
            column = group.column(name)
            self.nulls[name] += column.null_count
            if pa.types.is_dictionary(column.type):
                column = pc.unique(column).cast(column.type.value_type)
            found = pc.min_max(column).as_py()
            if found["min"] is not None:
                lowest, highest = self.bounds.get(name, (found["min"], found["max"]))
                self.bounds[name] = min(lowest, found["min"]), max(highest, found["max"])

    def as_delta(self, rows: int) -> dict[str, Any]:
        short = {name: both for name, both in self.bounds.items() if all(_is_short(value) for value in both)}
        return {
            "numRecords": rows,
            "minValues": {name: _json(low) for name, (low, _) in short.items()},
            "maxValues": {name: _json(high) for name, (_, high) in short.items()},
            "nullCount": self.nulls,
            "tightBounds": True,
        }


def _is_short(value: Any) -> bool:
    return not isinstance(value, str) or len(value) <= LONGEST_STATISTIC


def _json(value: Any) -> Any:
    """Times are cut to milliseconds, as Delta itself does: it reads a largest time as one millisecond more."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
