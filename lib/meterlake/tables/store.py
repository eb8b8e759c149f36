"""The only place that reads and writes Delta tables."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from operator import and_
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from meterlake.errors import Unreachable
from meterlake.session import is_small
from meterlake.settings import Settings
from meterlake.shares import frame_of, frame_of_batches
from meterlake.tables import arrow_writer, transaction
from meterlake.tables.arrow_pass import ArrowPass, Rows, make_files
from meterlake.tables.arrow_writer import Written
from meterlake.tables.changes import MANY_PAIRS, Changes
from meterlake.tables.exchange import MOST_ROWS, Exchange, Standing, amended, exchange
from meterlake.tables.file_scan import File, FileScan
from meterlake.tables.net_changes import changed_pairs
from meterlake.tables.reader import NEWEST, Lake, Positions, Value, Versions, bound, tables_in
from meterlake.tables.spans import Span, around, between, months_of, on_days
from meterlake.tables.table import Table, comment
from meterlake.tables.transaction import Counts

NOTE = "spark.databricks.delta.commitInfo.userMetadata"
FEED = "delta.enableChangeDataFeed"
# A checkpoint takes seconds of the step whose commit it falls to; by Delta's default it is each tenth, and a run makes
# eight of `runs` alone. `meterlake maintain` writes one a day.
CHECKPOINTS, CHECKPOINT_EVERY = "delta.checkpointInterval", 50
MOST_DELETED = 5_000_000  # positions of deleted rows that the driver sends to the tasks of a scan: 40 MB
RECENT = 20  # commits in which a note is looked for
# Tables of up to so many bytes are asked by the driver alone (docs/architecture.md, decision 19).
LITTLE_BYTES = 512 << 20
# Tables of up to so many bytes are read by the driver where the work is small; of up to so many files without Delta
# where it is not. More paths are listed by a job (spark.sql.sources.parallelPartitionDiscovery.threshold).
FEW_BYTES, FEW_FILES = 1 << 20, 32
# Tables with deleted rows of up to so many bytes are read by the driver, too: 10,000 rows of a mart. The planner works
# on values row by row, without compiling what it does: a gate over 340,000 of them took 28 s instead of 12.
HELD_BYTES = 256 << 10
# Beyond, of up to so many bytes, by tasks with Arrow, all of their columns: a million rows of a mart.
PASSED_BYTES = 16 << 20


@dataclass(frozen=True)
class Store:
    """The lake as tables: read, append and replace by declaration, never by path."""

    spark: SparkSession
    settings: Settings
    _seen: set[str] = field(default_factory=set, repr=False)
    _whole: set[str] = field(default_factory=set, repr=False)
    _creating: Lock = field(default_factory=Lock, repr=False)

    def path(self, table: Table) -> str:
        return table.folder(self.settings.lake_root)

    def exists(self, table: Table) -> bool:
        if table.name not in self._seen and self._is_there(table):
            self._seen.add(table.name)
        return table.name in self._seen

    def _is_there(self, table: Table) -> bool:
        return lake.has(table) if (lake := self._lake) else DeltaTable.isDeltaTable(self.spark, self.path(table))

    def ensure(self, table: Table) -> None:
        """Create the table from its declaration when it is missing: comments, NOT NULL, CHECKs and clustering.

        A table of an earlier version of meterlake gets what was declared since: columns, the change feed, checkpoints.
        """
        with self._creating:
            if table.name in self._whole:
                return
            if self.exists(table):
                self._grow(table)
            else:
                self._create(table)
            self._whole.add(table.name)

    def _grow(self, table: Table) -> None:
        snapshot = self._snapshot(table)
        # One call for all: each call to the JVM costs, and every run asks for every table.
        there = {field.name: field for field in StructType.fromJson(json.loads(snapshot.schema().json()))}
        added = [column for column in table.columns if column.name not in there]
        if added:
            told = ", ".join(f"{column.name} {column.type} COMMENT {_text(comment(column))}" for column in added)
            self.spark.sql(f"ALTER TABLE delta.`{self.path(table)}` ADD COLUMNS ({told})")
        for column in table.columns:
            if not column.required and column.name in there and not there[column.name].nullable:
                self.spark.sql(f"ALTER TABLE delta.`{self.path(table)}` ALTER COLUMN {column.name} DROP NOT NULL")
        stands = snapshot.metadata().configuration()
        wanted = ({FEED: "true"} if table.change_feed else {}) | {CHECKPOINTS: str(CHECKPOINT_EVERY)}
        new = [f"'{name}' = '{value}'" for name, value in wanted.items() if str(stands.get(name)) != f"Some({value})"]
        if new:
            self.spark.sql(f"ALTER TABLE delta.`{self.path(table)}` SET TBLPROPERTIES ({', '.join(new)})")

    def _create(self, table: Table) -> None:
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(table))
            .comment(table.description)
            .addColumns(table.schema)
            .property("delta.enableDeletionVectors", "true")
            .property(FEED, str(table.change_feed).lower())
            .property(CHECKPOINTS, str(CHECKPOINT_EVERY))
            .property("delta.dataSkippingStatsColumns", ",".join(table.skipped_by))
            .property("meterlake.owner", table.owner)
        )
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        for name, condition in table.checks:
            builder = builder.property(f"delta.constraints.{name}", condition)
        builder.execute()

    def read(self, table: Table, source: str | None = None, version: int | None = None) -> DataFrame:
        """The table's rows (none when it does not exist yet), of one source when named, as of a version when given.

        Columns that were declared after the table or that version was written are null.
        """
        if not self.exists(table):
            return frame_of(self.spark, [], table.schema)
        # What is read without Delta is the newest version, and stays so when others follow.
        newest = version is None or version == self.version(table)
        frame = self._without_delta(table, source) if newest else None
        if frame is None:
            frame = self._by_delta(table, version)
        return frame if source is None else frame.where(F.col("source") == source)

    def _without_delta(self, table: Table, source: str | None) -> DataFrame | None:
        """The rows as they stand now, where to plan a scan of Delta's takes longer than to read them.

        Of a small table in small work, or one with deleted rows, they are values in the plan. A few files are read as
        what they are, with Arrow where rows are deleted: for each scan and each commit Delta asks its log by a job or
        two, and for deleted rows by another (docs/performance.md).
        """
        lake, is_little = self._lake, is_small(self.spark)
        stored = lake.stored_as(table) if lake else None
        if lake is None or stored is None:
            return None
        if stored.bytes > FEW_BYTES if is_little else stored.files > FEW_FILES:
            return None
        scan = self.scan(table, **({} if source is None else {"source": [source]}))
        if scan is None or not lake.is_as_declared(table):  # the gates tell of a column of another type
            return None
        is_whole = all(file.deleted is None for file in scan.files)
        if is_little or (stored.bytes <= HELD_BYTES and not is_whole):
            return frame_of_batches(self.spark, scan.here(table.names), table.schema)
        if not scan.files:
            return None
        if not is_whole:
            return Rows.of(scan, table.names).through(iter, table.schema) if stored.bytes <= PASSED_BYTES else None
        return self.spark.read.schema(table.schema).parquet(*(file.path for file in scan.files))

    def _by_delta(self, table: Table, version: int | None) -> DataFrame:
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        frame = reader.load(self.path(table))
        missing = [field for field in table.schema if field.name not in frame.columns]
        nothing = {field.name: F.lit(None).cast(field.dataType) for field in missing}
        return frame.withColumns(nothing).select(*table.names)

    def ask(self, statement: str, at: Versions = NEWEST, **values: Value) -> list[Row]:
        """The rows of `answer`: a few, by which the driver decides what to do."""
        return [Row(**row) for row in self.answer(statement, at, **values).to_pylist(maps_as_pydicts="strict")]

    def answer(self, statement: str, at: Versions = NEWEST, **values: Value) -> pa.Table:
        """The answer to a SELECT in which tables stand by their names and values as `:name`; times are in UTC.

        Tables of up to LITTLE_BYTES are read by delta-rs, larger ones by Spark, which shares out the work. So it is SQL
        that both understand.

        Args:
            at: the versions of tables that are not read as they stand now.
        """
        tables, lake = tables_in(statement), self._lake
        if lake and all(map(self.exists, tables)) and sum(map(self.bytes, tables)) <= LITTLE_BYTES:
            return lake.arrow(statement, at, **values)
        for table in tables:
            self.read(table, version=at.get(table)).createOrReplaceTempView(table.name)
        # Spark's own parameters stay unbound behind Delta's parser (Spark 4.2, Delta 4.4).
        return self.spark.sql(bound(statement, values, _text)).toArrow()

    def lost(self, statement: str, table: Table, since: int | None, source: str) -> bool:
        """Whether the answer to a SELECT about one table has no more all rows that it had as of version `since`; also
        where that is None, or cannot be read any more.
        """
        if since is None or since == self.version(table):
            return since is None
        try:
            before = self.answer(statement, {table: since}, source=source)
        except (Unreachable, PySparkException, Py4JJavaError):  # its files were cleaned up
            return True
        now = self.answer(statement, source=source)
        return bool(before.join(now, keys=before.column_names, join_type="left anti").num_rows)

    def has(self, table: Table, source: str, condition: str = "true") -> bool:
        """Whether a row of the source meets the condition; no row does of a table that does not exist."""
        asked = f"SELECT 1 AS one FROM {table.name} WHERE source = :source AND {condition} LIMIT 1"
        return self.exists(table) and bool(self.ask(asked, source=source))

    def count(self, table: Table, changes: Changes, condition: str = "true") -> int:
        """The rows of the changed meter-days that meet the condition."""
        assert table.day is not None
        if not changes.everything:
            return changes.days_in(self.read(table), table.day).where(condition).count()
        asked = f"SELECT count(*) AS counted FROM {table.name} WHERE source = :source AND {condition}"
        return int(self.ask(asked, source=changes.source)[0].counted)

    def scan(self, table: Table, *spans: Span, **values: list[str]) -> FileScan | None:
        """The rows that have one of these values in these columns, for a pass that reads the table's files with Arrow.

        Args:
            spans: of the rows' days; all days without.

        Returns:
            None where the table is absent or out of delta-rs's reach, is a shallow clone, whose files lie in another's
            folder, or so many rows are deleted in its files that they are not sent to the tasks.
        """
        lake = self._lake
        if lake is None or not self.exists(table):
            return None
        version = lake.version(table)
        listed = lake.files(table, version)
        if not all(file.is_own for file in listed):
            return None
        ends: dict[str, tuple[Any, Any]] = {name: (min(some), max(some)) for name, some in values.items()}
        listed = [file for file in listed if all(file.may_hold(*column) for column in ends.items())]
        if spans and table.day:
            listed = [file for file in listed if any(file.may_hold(table.day, span) for span in spans)]
        deleted = lake.deleted(table, {file.name for file in listed}, version)
        if sum(map(len, deleted.values())) > MOST_DELETED:
            return None
        wanted = [pc.field(name).isin(some) for name, some in values.items()]
        if spans and table.day:
            wanted.append(between(table.day, spans))
        path = self.path(table)
        # Without statistics: at most one row a byte.
        files = [File(f"{path}/{f.name}", f.bytes, f.rows or f.bytes, deleted.get(f.name)) for f in listed]
        return FileScan(self.spark, table, version, files, reduce(and_, wanted, pc.scalar(True)))

    def version(self, table: Table) -> int:
        """Delta version of the table; -1 when it does not exist.

        Asked of Delta's log directly: 10 ms, where `history(1)` runs a Spark job of 330 ms and every step asks often.
        """
        return int(self._snapshot(table).version()) if self.exists(table) else -1

    def identity(self, table: Table) -> str:
        """Delta's own name of the table, which no other table has; empty when it does not exist."""
        return str(self._snapshot(table).metadata().id()) if self.exists(table) else ""

    def bytes(self, table: Table) -> int:
        """Size of the table's current files; 0 when it does not exist.

        Asked of delta-rs: some 10 ms after a commit, for which Delta runs a job of a second.
        """
        if not self.exists(table):
            return 0
        return self._lake.bytes(table) if self._lake else int(self._snapshot(table).sizeInBytes())

    @property
    def _lake(self) -> Lake | None:
        """The lake as delta-rs sees it; None where it does not reach it."""
        lake = Lake.of(self.settings)
        return lake if lake.within_reach else None

    def _snapshot(self, table: Table) -> Any:
        """Delta's own view of the newest version."""
        jvm: Any = self.spark._jvm
        log_of_table = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(table))
        none = jvm.scala.Option.empty()
        return log_of_table.update(False, none, none)

    def version_noted(self, table: Table, note: str) -> int | None:
        """The version of the (first) recent commit that carries `note`; None when there is none.

        A step whose commit is there but whose success marker is not was killed in between.
        """
        recent = self._recent(table)
        # What a restore undid is not there any more, although the history still tells of it.
        undone = max((commit["version"] for commit in recent if commit.get("operation") == "RESTORE"), default=-1)
        noted = (commit["version"] for commit in recent if commit.get("userMetadata") == note)
        return min((version for version in noted if version > undone), default=None)

    def last_note(self, table: Table) -> str | None:
        """The note of the newest commit that carries one."""
        return next(filter(None, (commit.get("userMetadata") for commit in self._recent(table))), None)

    def _recent(self, table: Table) -> list[dict[str, Any]]:
        """The newest commits, newest first: `version`, `operation` and, where there is one, `userMetadata`."""
        if not self.exists(table):
            return []
        if lake := self._lake:
            with suppress(Unreachable):  # delta-rs reads tables that are shallow clones, but not their history
                return lake.history(table, RECENT)
        return [row.asDict() for row in DeltaTable.forPath(self.spark, self.path(table)).history(RECENT).collect()]

    def changes(self, table: Table, source: str, since: int | None) -> Changes:
        """The meter-days of `source` that changed in `table` after version `since`; everything when `since` is None."""
        assert table.day is not None
        assert table.change_feed
        newest = self.version(table)
        if newest < 0 or (since is not None and newest <= since):
            return Changes(source, None, None, None)
        if since is None:
            asked = f"SELECT min({table.day}), max({table.day}) FROM {table.name} WHERE source = :source"
            return Changes(source, None, *self.ask(asked, source=source)[0])
        # A row is of a meter, or of many: then only the day matters, and what comes next in the key is as good.
        who = "meter_id" if "meter_id" in table.names else table.key[1]
        few = changed_pairs(self.spark, lake, table, who, source, since, newest) if (lake := self._lake) else None
        meters = self._meters(source) if who == "meter_id" and (few is None or few.num_rows >= MANY_PAIRS) else None
        if few is not None:
            return Changes.of_few(self.spark, source, few, meters=meters)
        rows = self._feed(table, since, newest).where(F.col("source") == source)
        days = rows.select(F.col(who).alias("meter_id"), F.col(table.day).alias("day")).distinct().persist()
        return Changes.of_frame(source, days, meters)

    def _meters(self, source: str) -> int:
        """How many meters the source has."""
        asked = "SELECT count(*) AS counted FROM stg_meters WHERE source = :source"
        return int(self.ask(asked, source=source)[0].counted)

    def added(self, table: Table, since: int, until: int) -> pa.Table | None:
        """The rows that came after version `since`, up to `until`; None where others were changed or removed since, or
        where Delta's log does not reach back so far any more."""
        try:
            feed = self._feed(table, since, until).select("_change_type", *table.names).toArrow()
        except (PySparkException, Py4JJavaError):
            return None
        kind = feed.column("_change_type")
        return feed.select(table.names) if pc.all(pc.equal(kind, "insert"), min_count=0).as_py() else None

    def _feed(self, table: Table, since: int, until: int) -> DataFrame:
        """What happened to rows after version `since`.

        Both ends are named: a persisted frame that follows the table is made anew after each of its commits.
        """
        feed = self.spark.read.format("delta").option("readChangeFeed", True)
        return feed.option("startingVersion", since + 1).option("endingVersion", until).load(self.path(table))

    def append(self, frame: DataFrame, table: Table, note: str | None = None) -> int:
        """Add rows in one atomic commit that carries `note`; the number of rows."""
        return self._write(frame, table, {"userMetadata": note} if note else {})

    def append_passes(self, passes: Sequence[ArrowPass], note: str | None = None) -> list[int]:
        """Make the rows of passes over the same rows and add each to its table in one atomic commit that carries
        `note`; the numbers of rows."""
        tables = [made.table for made in passes]
        for table in tables:
            self.ensure(table)  # its folder, in which the tasks write
        made = make_files(passes, [self.path(table) for table in tables])
        return [self.append_files(files, table, note) for files, table in zip(made, tables, strict=True)]

    def append_files(self, files: list[Row], table: Table, note: str | None = None) -> int:
        """Add files that tasks wrote (see arrow_writer.py) in one atomic commit; the number of their rows.

        Raises:
            CheckViolated: a row does not meet a CHECK of the table, which only Spark's own writes obey by themselves.
        """
        self.ensure(table)
        if files:
            self._check(files, table)
            transaction.append(self.spark, self.path(table), files, note)
        return sum(file.rows for file in files)

    def _check(self, files: Sequence[Row | Written], table: Table) -> None:
        """Ask the files whether a row breaks a CHECK: one scan of the columns that the CHECKs name."""
        if not (table.checks and files):
            return
        paths = [f"{self.path(table)}/{file.path}" for file in files]
        broken = [F.bool_or(F.expr(f"NOT coalesce({condition}, true)")) for _, condition in table.checks]
        # Summed up, not searched: `head(1)` looks into one partition first, and only then into the others.
        found = self.spark.read.schema(table.schema).parquet(*paths).agg(*broken).head() or ()
        for (name, condition), is_broken in zip(table.checks, found, strict=True):
            if is_broken:
                raise arrow_writer.CheckViolated(table.name, name, condition)

    def append_rows(self, rows: Iterable[tuple[Any, ...]], table: Table) -> None:
        """Add a few rows that the driver made, in the order of the declared columns.

        They go to the table without a Spark job, in a third of the time: every step ends with such a row. Where the
        table has CHECK constraints, which only Spark's own writes obey, they go by Spark.
        """
        schema = to_arrow_schema(table.schema, timezone="UTC")
        columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
        made = pa.Table.from_arrays(columns, schema=schema)
        if table.checks:
            self.append(self.spark.createDataFrame(made), table)
            return
        self.ensure(table)
        path = self.path(table)
        transaction.append(self.spark, path, arrow_writer.file_writer(table, path)(iter(made.to_batches())), None)

    def replace_batches(self, frame: DataFrame, table: Table, batches: list[str]) -> int:
        """Make the rows of these batches equal `frame`, in one atomic commit: doing it twice changes nothing."""
        held = self.scan(table, batch_id=batches)
        if held is not None and not any(batch.num_rows for batch in held.here(["batch_id"])):
            return self.append(frame, table)
        return self._write(frame, table, {"replaceWhere": f"batch_id IN ({_quoted(batches)})"})

    def replace_months(self, frame: DataFrame, table: Table, source: str, months: list[date] | None) -> int:
        """Make the source's rows of these months (their first days; None is all) equal `frame`, in one atomic commit.

        Returns:
            The number of rows written or deleted.
        """
        return self.replace_days(frame, table, source, None if months is None else months_of(months))

    def replace_days(self, frame: DataFrame, table: Table, source: str, spans: list[Span] | None) -> int:
        """The same of these days."""
        if not self.bytes(table):
            return self.append(frame, table)
        standing = Standing.of(self.scan(table, *spans, source=[source])) if spans else None
        changed = self._exchange(frame, standing)
        if changed is not None:
            return changed
        assert table.day is not None
        days = "true" if spans is None else on_days(table.day, spans)
        return self._write(frame, table, {"replaceWhere": f"source = '{source}' AND {days}"})

    def delete_batch(self, table: Table, batch: str) -> None:
        """Delete the rows of a batch that was never finished."""
        if self.exists(table):
            DeltaTable.forPath(self.spark, self.path(table)).delete(f"batch_id IN ({_quoted([batch])})")

    def replace(self, made: DataFrame | ArrowPass, table: Table, changes: Changes, note: str | None = None) -> int:
        """Make the rows of the changed meter-days equal `made`, in one atomic commit that carries `note`.

        New days are appended; where rows stand already, only those that differ are written (MERGE with deletion
        vectors) and those that `made` no longer has are deleted. Doing it twice changes nothing.

        Returns:
            The number of rows written or deleted.
        """
        if changes.nothing:
            return 0
        assert table.day is not None
        standing = self._standing(table, changes)
        if standing.is_empty if standing else not self._stands(table, changes):
            if isinstance(made, ArrowPass):
                return self.append_passes([made], note)[0]
            return self.append(made, table, note)
        frame = made.frame() if isinstance(made, ArrowPass) else made
        changed = self._exchange(frame, standing, note)
        if changed is not None:
            return changed
        if changes.everything:
            noted = {"userMetadata": note} if note else {}
            return self._write(frame, table, {"replaceWhere": f"source = '{changes.source}'"} | noted)
        if changes.whole and not note:
            return self._replace_whole(frame, table, changes)
        # Literal bounds let MERGE skip the files of other days; it does not find them by itself.
        bounds = f"t.source = '{changes.source}' AND {on_days(f't.{table.day}', changes.spans())}"
        with self._noting(note):
            return self.exchange(frame, changes.days_in(self.read(table), table.day), table, bounds)

    def _replace_whole(self, frame: DataFrame, table: Table, changes: Changes) -> int:
        """The same of changes with whole days: those are written anew in a commit of their own, as it takes longer to
        compare all of their rows (docs/performance.md); what changed on other days follows in another.
        """
        assert changes.few is not None
        assert table.day is not None
        others = Changes.of_few(self.spark, changes.source, changes.few)
        days, made = on_days(table.day, around(changes.whole)), frame if others.nothing else frame.persist()
        condition = f"source = '{changes.source}' AND {days}"
        rows = self._write(made.where(days), table, {"replaceWhere": condition})
        rows += self.replace(made.where(f"NOT {days}"), table, others)
        made.unpersist()
        return rows

    def _standing(self, table: Table, changes: Changes) -> Standing | None:
        """The rows of the changed meter-days; None where they are not known to be few."""
        return Standing.of(self.scan_days(table, changes))

    def scan_days(self, table: Table, changes: Changes) -> FileScan | None:
        """The rows of the changed meter-days, as `scan` reads them; None also where they are not known to be few."""
        only = changes.set_of(str(table.day))
        scan = self.scan_meters(table, changes, changes.spans()) if only else None
        return scan.of_days(only) if scan and only else None

    def scan_meters(self, table: Table, changes: Changes, spans: list[Span]) -> FileScan | None:
        """The rows of the changed meters in these days, in the same way."""
        if changes.few is None or not spans:
            return None
        meters = {} if changes.whole else {"meter_id": changes.few.column("meter_id").unique().to_pylist()}
        return self.scan(table, *spans, source=[changes.source], **meters)

    def _stands(self, table: Table, changes: Changes) -> bool:
        """Whether there is a row of the changed meter-days."""
        assert table.day is not None
        return bool(self.bytes(table) and changes.days_in(self.read(table), table.day).select("source").head(1))

    def _exchange(
        self, frame: DataFrame, standing: Standing | None, note: str | None = None, *, all_of_it: bool = True
    ) -> int | None:
        """Make the rows that stand equal `frame` in one atomic commit, in the driver (see exchange.py).

        Args:
            standing: None where they are not few.
            all_of_it: whether rows that stand and are not in `frame` leave.

        Returns:
            The number of rows written or deleted; None where that takes Spark.
        """
        made = _collected(frame, standing.scan.table) if standing else None
        if standing is None or made is None:
            return None
        return self._commit(standing, exchange(standing, made, all_of_it=all_of_it), note)

    def _commit(self, standing: Standing, found: Exchange, note: str | None) -> int | None:
        """Take rows out and write others, in one commit; their number, None where that takes Spark."""
        if not len(found.leave) and not found.come.num_rows:
            return 0

        def write() -> list[Written]:
            table = standing.scan.table
            return list(arrow_writer.file_writer(table, self.path(table))(iter(found.come.to_batches())))

        return self._taken_out(standing, found.leave, found.updated, write, note)

    def _taken_out(
        self,
        standing: Standing,
        leave: Positions,
        updated: int,
        write: Callable[[], Sequence[Row | Written]],
        note: str | None,
    ) -> int | None:
        """Take rows that stand out, and what is then written in, in one commit.

        Args:
            updated: how many of the rows that leave come again as others.

        Returns:
            The number of rows written or deleted; None where that takes Spark.
        """
        table = standing.scan.table
        path = self.path(table)
        without = standing.without(self.spark, path, leave)
        if without is None:
            return None
        files = write()
        self._check(files, table)
        counts = Counts(sum(file.rows for file in files) - updated, updated, len(leave) - updated)
        with self._noting(note):
            transaction.exchange(self.spark, path, standing.scan.version, without, files, counts)
        return sum(counts)

    def replace_by_pass(self, made: ArrowPass, table: Table, source: str, replaced: pa.Table, note: str) -> int | None:
        """Add the rows of a pass, and take out the few that they replace, in one atomic commit that carries `note`.

        Args:
            replaced: key and day of the source's rows that stand, each of which has its row in `made`.

        Returns:
            The number of rows written; None where that takes Spark.
        """
        days = Changes.of_few(self.spark, source, replaced, str(table.day))
        standing = Standing.of(self.scan_days(table, days), list(table.key))
        if standing is None:
            return None
        standing = standing.among(replaced.select(list(table.key)))
        leave = np.arange(standing.rows.num_rows)
        return self._taken_out(standing, leave, len(leave), lambda: make_files([made], [self.path(table)])[0], note)

    def upsert(
        self,
        frame: DataFrame,
        table: Table,
        bounds: str = "true",
        note: str | None = None,
        gone: DataFrame | None = None,
    ) -> int:
        """Insert new keys and update the rows that differ; the number of rows that changed.

        Args:
            bounds: a condition on the target `t` by which files are skipped; MERGE does not find one by itself.
            gone: keys of rows to delete in the same commit; none of them is in `frame`.
        """
        self.ensure(table)
        if not self.bytes(table):
            return self.append(frame, table, note)
        if bounds == "true" and gone is None and self.bytes(table) <= HELD_BYTES:
            changed = self._exchange(frame, Standing.of(self.scan(table)), note, all_of_it=False)
            if changed is not None:
                return changed
        rows = _conformed(frame, table)
        with self._noting(note):
            if gone is None:
                merge = self._target(table).merge(rows.alias("s"), _same_key(table, bounds))
                return _affected(merge.whenMatchedUpdateAll(_differs(table)).whenNotMatchedInsertAll().execute())
            return self._merge(_marked(rows, gone.select(*table.key)), table, bounds)

    def amend(
        self, frame: DataFrame, table: Table, source: str, days: tuple[date, date], names: tuple[str, ...], note: str
    ) -> None:
        """Update the named columns of the source's rows that stand, insert others, delete those marked `gone`, in one
        commit that carries `note`.

        Args:
            frame: the declared columns (what is not amended only matters for rows that are inserted) and `gone`.
            days: the first and the last of the rows.
        """
        self.ensure(table)
        if self._amended(frame, table, source, names, note):
            return
        # Literal bounds let MERGE skip the files of other days; it does not find them by itself.
        bounds = f"t.source = '{source}' AND {on_days(f't.{table.day}', [days])}"
        with self._noting(note):
            self._merge(frame, table, bounds, names)

    def _amended(self, frame: DataFrame, table: Table, source: str, names: tuple[str, ...], note: str) -> bool:
        """The same in the driver; whether it could be done there."""
        made = _collected(frame, table, "gone")
        if made is None or not 0 < made.num_rows <= MOST_ROWS:
            return False
        standing = self._standing(table, Changes.of_few(self.spark, source, made, str(table.day)))
        return standing is not None and self._commit(standing, amended(standing, made, names), note) is not None

    @contextmanager
    def _noting(self, note: str | None) -> Iterator[None]:
        """MERGE takes its note from the session. One without a note leaves alone what another thread has set there."""
        if not note:
            yield
            return
        self.spark.conf.set(NOTE, note)
        try:
            yield
        finally:
            self.spark.conf.unset(NOTE)

    def _write(self, frame: DataFrame, table: Table, options: dict[str, str]) -> int:
        """One commit: an append, or with `replaceWhere` an overwrite of what meets the condition."""
        self.ensure(table)
        written = Observation()
        rows = _conformed(frame, table).observe(written, F.count(F.lit(1)).alias("rows"))
        mode = "overwrite" if "replaceWhere" in options else "append"
        rows.write.format("delta").mode(mode).options(**options).save(self.path(table))
        return int(written.get["rows"])

    def exchange(self, frame: DataFrame, existing: DataFrame, table: Table, bounds: str) -> int:
        """Make the rows `existing` of the table equal `frame` by one MERGE, and leave the others alone.

        Args:
            bounds: a condition on the target `t` that holds for all of those rows.
        """
        self.ensure(table)
        frame, key = _conformed(frame, table), list(table.key)
        # Columns that need no cast are, to Spark, the caller's own frame.
        is_callers = frame.storageLevel.useMemory
        frame.persist()
        gone = existing.select(key).join(frame.select(key), on=key, how="left_anti")
        changed = self._merge(_marked(frame, gone), table, bounds)
        if not is_callers:
            frame.unpersist()
        return changed

    def _merge(self, rows: DataFrame, table: Table, bounds: str, amended: tuple[str, ...] | None = None) -> int:
        """One MERGE: rows marked `gone` are deleted, others inserted, or updated where they stand.

        Args:
            amended: the columns to update; None updates all, where one differs.
        """
        values: dict[str, Any] = {name: f"s.{name}" for name in table.names}
        differs, update = (_differs(table), values) if amended is None else (None, {n: values[n] for n in amended})
        merge = self._target(table).merge(rows.alias("s"), _same_key(table, bounds)).whenMatchedDelete("s.gone")
        merge = merge.whenMatchedUpdate(differs, update).whenNotMatchedInsert("NOT s.gone", values)
        return _affected(merge.execute())

    def _target(self, table: Table) -> DeltaTable:
        return DeltaTable.forPath(self.spark, self.path(table)).alias("t")


def _collected(frame: DataFrame, table: Table, *more: str) -> pa.Table | None:
    """The rows of a frame that should hold few, with the declared types (null also where it may not be, which the
    writer tells) and more columns behind those; None where they are more than the driver takes at once."""
    try:
        rows = _conformed(frame, table, *more).toArrow()
    except (PySparkException, Py4JJavaError) as error:
        if "spark.driver.maxResultSize" not in str(error):
            raise
        return None
    declared = [field.with_nullable(True) for field in to_arrow_schema(table.schema, timezone="UTC")]
    return rows.cast(pa.schema([*declared, *list(rows.schema)[len(declared) :]]))


def _marked(rows: DataFrame, gone: DataFrame) -> DataFrame:
    """The rows, and of those that are `gone` the keys, told apart by that column."""
    left = gone.withColumn("gone", F.lit(True))
    return rows.withColumn("gone", F.lit(False)).unionByName(left, allowMissingColumns=True)


def _same_key(table: Table, bounds: str) -> str:
    return " AND ".join([bounds, *(f"t.{name} = s.{name}" for name in table.key)])


def _conformed(frame: DataFrame, table: Table, *more: str) -> DataFrame:
    """The frame with the declared columns, order and types, and more columns behind them. A misspelt column is an
    error, not a column of nulls."""
    missing = set(table.names) - set(frame.columns)
    unknown = set(frame.columns) - {*table.names, *more}
    if missing or unknown:
        raise ValueError(f"{table.name}: columns missing {sorted(missing)}, not declared {sorted(unknown)}")
    types = {field.name: field.dataType for field in frame.schema}
    # A cast is a handful of calls to the JVM, also where it changes nothing.
    declared = (
        field.name if types[field.name] == field.dataType else F.col(field.name).cast(field.dataType)
        for field in table.schema
    )
    return frame.select(*declared, *more)


def _affected(merged: Any) -> int:
    """Rows that a MERGE inserted, updated or deleted, from the frame that it returns."""
    counts = merged.head() if merged is not None else None
    return int(counts["num_affected_rows"]) if counts else 0


def _quoted(names: list[str]) -> str:
    """Batch names as SQL literals. They are made by us; a quote in one would be a bug, not an input."""
    assert all(re.fullmatch(r"[A-Za-z0-9_.:-]+", name) for name in names)
    return ", ".join(f"'{name}'" for name in names)


def _text(words: str) -> str:
    """Words as a SQL literal."""
    return "'{}'".format(words.replace("\\", "\\\\").replace("'", "\\'"))


def _differs(table: Table) -> str:
    """True where a matched row is another one than before. Column by column: structs differ by nullability alone."""
    maps = {column.name for column in table.columns if column.type.startswith("map")}  # Spark does not compare these
    same = (f"to_json(t.{n}) <=> to_json(s.{n})" if n in maps else f"t.{n} <=> s.{n}" for n in table.measures)
    return "NOT ({})".format(" AND ".join(same))
