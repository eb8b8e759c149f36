"""The lake's tables by SQL without Spark, for pages, measurements and small questions of the steps."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError
from numpy.typing import NDArray
from pyspark.sql.types import StructType

from meterlake import object_store
from meterlake.errors import Unreachable
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Table

PLACE = re.compile(r":([a-z_]+)")
Value = str | int | date | tuple[str, ...]
Positions = NDArray[np.int64]
Versions = Mapping[Table, int]
NEWEST: Versions = {}


@dataclass(frozen=True)
class Stored:
    """What the newest version of a table is made of; older versions that stand beside it are not counted."""

    table: Table
    bytes: int
    files: int


@dataclass(frozen=True)
class Listed:
    """A file of a table, as Delta's log has it.

    Attributes:
        name: its path in the table's folder; of a shallow clone an absolute one.
        rows: with those that are deleted; None where the log does not tell.
        lowest, highest: statistics by column; None or absent where the log does not tell.
    """

    name: str
    bytes: int
    rows: int | None
    lowest: Mapping[str, Any]
    highest: Mapping[str, Any]

    @property
    def is_own(self) -> bool:
        return not re.match(r"/|\w+:", self.name)

    def may_hold(self, column: str, ends: tuple[Any, Any]) -> bool:
        """Whether a row may lie between these two values."""
        low, high = self.lowest.get(column), self.highest.get(column)
        return low is None or high is None or (low <= ends[1] and ends[0] <= high)


@dataclass(frozen=True)
class Lake:
    """The newest version of each table; rows that a deletion vector marks are gone, as Spark sees it."""

    root: str
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        return cls(settings.lake_root, object_store.delta_rs_options(settings))

    @property
    def within_reach(self) -> bool:
        """Whether delta-rs reads a lake there: in folders and on S3, not where only Hadoop's clients do (HDFS)."""
        return "://" not in self.root or object_store.is_s3(self.root)

    def rows(self, statement: str, **values: Value) -> list[dict[str, Any]]:
        """The rows of a SELECT in which tables stand by their names and values as `:name`; times are in UTC.

        None where one of the tables does not exist yet.

        Raises:
            Unreachable: the lake cannot be read.
        """
        return cast(list[dict[str, Any]], self.arrow(statement, NEWEST, **values).to_pylist())

    def frame(self, statement: str, **values: Value) -> pd.DataFrame:
        """The same as a frame; without columns where one of the tables does not exist yet."""
        found = self.arrow(statement, NEWEST, **values)
        return pd.DataFrame(found.to_pylist(), columns=found.column_names)  # pandas knows no arrays of texts as views

    def arrow(self, statement: str, at: Versions = NEWEST, **values: Value) -> pa.Table:
        """The same as an Arrow table, for millions of rows, of tables as of versions where these are given."""
        query = QueryBuilder()
        try:
            for table in tables_in(statement):
                query.register(table.name, self._opened(table, at.get(table)))
            return _as_strings(pa.table(query.execute(bound(statement, values)).read_all()))
        except TableNotFoundError:
            return pa.table({})
        except Exception as error:
            # Of a file that is gone delta-rs tells by a bare Exception.
            if isinstance(error, (DeltaError, OSError)) or type(error) is Exception:
                raise self._unreadable(error) from error
            raise

    def bytes(self, table: Table) -> int:
        """Size of the table's current files; 0 when it does not exist.

        Raises:
            Unreachable: the lake cannot be read.
        """
        found = self.stored_as(table)
        return found.bytes if found else 0

    def history(self, table: Table, commits: int) -> list[dict[str, Any]]:
        """What Delta's log says of the newest commits of a table that exists, newest first.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            return self._opened(table).history(commits)
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error

    def stored(self) -> list[Stored]:
        """Bytes and files of each table that exists, from its log alone.

        Raises:
            Unreachable: the lake cannot be read.
        """
        return [found for table in TABLES.values() if (found := self.stored_as(table))]

    def stored_as(self, table: Table) -> Stored | None:
        """The same of one table; None when it does not exist.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            sizes = pa.table(self._opened(table).get_add_actions(flatten=True)).column("size_bytes").to_pylist()
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        return Stored(table, sum(sizes), len(sizes))

    def has(self, table: Table) -> bool:
        """Whether the table exists.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            return bool(DeltaTable.is_deltatable(table.folder(self.root), self.options))
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error

    def version(self, table: Table) -> int:
        """The newest version of a table that exists.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            return int(self._opened(table).version())
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error

    def files(self, table: Table, version: int | None = None) -> list[Listed]:
        """The files of a table that exists, as of a version when given: some 5 ms, where Spark takes a job or two for
        Delta's log.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            log = pa.table(self._opened(table, version).get_add_actions()).to_pylist()
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        return [
            Listed(
                file["path"], file["size_bytes"], file.get("num_records"), file.get("min") or {}, file.get("max") or {}
            )
            for file in log
        ]

    def is_as_declared(self, table: Table) -> bool:
        """Whether the columns of a table that exists have the declared types; it may lack some.

        Raises:
            Unreachable: the lake cannot be read.
        """
        try:
            stored = StructType.fromJson(json.loads(self._opened(table).schema().to_json()))
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        types = {field.name: field.dataType for field in stored}
        return all(types.get(field.name, field.dataType) == field.dataType for field in table.schema)

    def deleted(self, table: Table, names: set[str], version: int | None = None) -> dict[str, Positions]:
        """The positions of the rows in some of its files that a deletion vector marks, ascending.

        Raises:
            Unreachable: the lake cannot be read.
        """
        found = {}
        try:
            for batch in pa.RecordBatchReader.from_stream(self._opened(table, version).deletion_vectors()):
                for file, stands in zip(*batch.columns, strict=True):
                    name = file.as_py().rpartition("/")[2]
                    if name in names:
                        found[name] = np.flatnonzero(~stands.values.to_numpy(zero_copy_only=False))
        except (DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        return found

    def _opened(self, table: Table, version: int | None = None) -> DeltaTable:
        return DeltaTable(table.folder(self.root), version, storage_options=self.options)

    def _unreadable(self, error: Exception) -> Unreachable:
        reason = str(error).partition("\n")[0][:200]
        return Unreachable(
            f"The lake in {self.root} cannot be read ({reason}); an older one is brought up to date by a new run."
        )


def _as_strings(rows: pa.Table) -> pa.Table:
    """The same with texts that Arrow joins by, not as views."""
    kinds = (pa.string() if pa.types.is_string_view(field.type) else field.type for field in rows.schema)
    return rows.cast(pa.schema([field.with_type(kind) for field, kind in zip(rows.schema, kinds, strict=True)]))


def text_literal(text: str) -> str:
    """A text in SQL of delta-rs, within whose quotes only a quote means something."""
    return "'" + text.replace("'", "''") + "'"


def bound(statement: str, values: Mapping[str, Value], text: Callable[[str], str] = text_literal) -> str:
    """A statement with its values in their places: the engine takes no parameters. `text` writes a text in SQL."""
    return PLACE.sub(lambda place: literal(values[place[1]], text), statement)


def literal(value: Value, text: Callable[[str], str] = text_literal) -> str:
    """A value in SQL."""
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, tuple):
        return f"({', '.join(literal(one, text) for one in value)})"  # what stands after IN
    return text(value)


def tables_in(statement: str) -> list[Table]:
    """The declared tables that a statement names."""
    return [TABLES[name] for name in sorted(set(re.findall(r"\w+", statement)) & TABLES.keys())]
