"""Rows on their way into the stores: to each store's own loader, task by task, or by Spark's writer over JDBC."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.serving.endpoint import Endpoint
from meterlake.serving.slices import Wanted
from meterlake.serving.totals import Totals, of_frame
from meterlake.session import is_small
from meterlake.shares import shared_out
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.file_scan import File, FileScan
from meterlake.tables.table import Table

DRIVERS = {"postgres": "org.postgresql.Driver", "clickhouse": "com.clickhouse.jdbc.Driver"}
SMALL_ROWS = 20_000
# To one store for one mart, whatever the cores.
MOST_CONNECTIONS = 8


@dataclass(frozen=True)
class Outgoing:
    """Rows of a mart.

    Attributes:
        frame: as Spark reads them, such as both stores can hold them (`served`).
        files: the files of the table that hold them, among others; None where these cannot be read without Spark.
    """

    wanted: Wanted
    frame: DataFrame
    files: FileScan | None = None

    @property
    def whole_files(self) -> list[File] | None:
        """The files, where no row in them is deleted."""
        found = self.files.files if self.files else None
        return None if found is None or any(file.deleted is not None for file in found) else found

    def hand(self, insert: Callable[[Batches], None]) -> None:
        """Call `insert` with the batches of each task's rows, such as both stores can hold them, texts coded or plain;
        in this process where the work is small, as that then takes less than a job.

        What `insert` holds is sent to the tasks, so it must hold what it logs in by.
        """
        names, spark = self.wanted.table.names, self.frame.sparkSession
        chosen = self.wanted.of_files(replace(self.files, coded=True)) if self.files else None
        if is_small(spark):
            insert(map(_as_held, chosen.here(names) if chosen else self.frame.toArrow().to_batches()))
            return
        frame, read = chosen.by_tasks(names) if chosen else (self.frame, iter)
        _let_tasks(frame.coalesce(MOST_CONNECTIONS), lambda batches: insert(map(_as_held, read(batches))))

    def hand_files(self, files: list[File], insert: Callable[[str], None]) -> None:
        """Call `insert` with the path of each file in the same way."""

        def each(some: Iterable[File]) -> None:
            for file in some:
                insert(file.path)

        spark = self.frame.sparkSession
        if is_small(spark):
            each(files)
            return
        frame, own = shared_out(spark, files, MOST_CONNECTIONS, [file.size for file in files])
        _let_tasks(frame, lambda batches: each(own(batches)))


def outgoing(frame: DataFrame, wanted: Wanted, files: FileScan | None) -> tuple[Outgoing, Totals]:
    """The rows, and their totals by Spark, to which those in the stores are held."""
    rows = served(wanted.table, frame.where(wanted.sql))
    expected = of_frame(wanted.table, rows)
    connections = 1 if expected["rows"] <= SMALL_ROWS else MOST_CONNECTIONS
    return Outgoing(wanted, rows.coalesce(connections), files), expected


def over_jdbc(frame: DataFrame, table: str, known: Endpoint, password: str, **options: str) -> None:
    """Append the rows to the table, a connection per task."""
    frame.write.format("jdbc").mode("append").options(
        driver=DRIVERS[known.name],
        url=known.jdbc_url,
        dbtable=table,
        user=known.user,
        password=password,
        **options,
        **known.jdbc_tls,
    ).save()


def served(table: Table, rows: DataFrame) -> DataFrame:
    """The rows as both stores can hold them: times to the second, and no NUL character, which PostgreSQL refuses."""
    made = []
    for column in table.columns:
        value = F.col(column.name)
        if column.type == "timestamp":
            value = F.date_trunc("second", value)
        elif column.type == "string":
            value = F.translate(value, "\0", "\ufffd")
        made.append(value.alias(column.name))
    return rows.select(*made)


def _let_tasks(frame: DataFrame, work: Callable[[Batches], None]) -> None:
    """Do the work with the batches of each partition of the frame."""

    def task(batches: Batches) -> Batches:
        work(batches)
        yield from ()

    frame.mapInArrow(task, "nothing int").collect()


def _as_held(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same of a batch."""
    return pa.RecordBatch.from_arrays([_held(column) for column in batch.columns], batch.schema.names)


def _held(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        # Without its zone, which is UTC, but is asked for each value.
        return pc.floor_temporal(values.cast(pa.timestamp("us")), unit="second")
    if pa.types.is_dictionary(values.type):
        return pa.DictionaryArray.from_arrays(values.indices, _held(values.dictionary))
    if pa.types.is_string(values.type) and pc.any(pc.match_substring(values, "\0")).as_py():
        return pc.replace_substring(values, "\0", "\ufffd")
    return values
