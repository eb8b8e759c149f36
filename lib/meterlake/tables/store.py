"""The only place that reads and writes Delta tables."""

import logging
from dataclasses import dataclass
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from pyspark.sql import functions as F

from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.table import Table

log = logging.getLogger("meterlake")


@dataclass(frozen=True)
class Store:
    """The lake as tables: read, append and replace by declaration, never by path."""

    spark: SparkSession
    settings: Settings

    def path(self, table: Table) -> str:
        return f"{self.settings.lake_root}/{table.layer}/{table.name}"

    def exists(self, table: Table) -> bool:
        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def ensure(self, table: Table) -> None:
        """Create the table from its declaration when it is missing: comments, NOT NULL, CHECKs and clustering."""
        if self.exists(table):
            return
        builder = (
            DeltaTable.createIfNotExists(self.spark)
            .location(self.path(table))
            .comment(table.description)
            .addColumns(table.schema)
            .property("delta.enableDeletionVectors", "true")
            .property("delta.enableChangeDataFeed", str(table.change_feed).lower())
            .property("meterlake.owner", table.owner)
        )
        if table.cluster_by:
            builder = builder.clusterBy(*table.cluster_by)
        for name, condition in table.checks:
            builder = builder.property(f"delta.constraints.{name}", condition)
        builder.execute()

    def read(self, table: Table, source: str | None = None) -> DataFrame:
        """The table's current rows (none when it does not exist yet), of one source when named."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.schema)
        frame = self.spark.read.format("delta").load(self.path(table))
        return frame if source is None else frame.where(F.col("source") == source)

    def version(self, table: Table) -> int:
        """Delta version of the table; -1 when it does not exist.

        Asked of Delta's log directly: 10 ms, where `history(1)` runs a Spark job of 330 ms and every step asks often.
        """
        if not self.exists(table):
            return -1
        jvm: Any = self.spark._jvm
        log_of_table = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self.spark._jsparkSession, self.path(table))
        none = jvm.scala.Option.empty()
        return int(log_of_table.update(False, none, none).version())

    def last_note(self, table: Table) -> str | None:
        """The note of the table's last commit (Delta's userMetadata)."""
        if not self.exists(table):
            return None
        newest = DeltaTable.forPath(self.spark, self.path(table)).history(1).select("userMetadata").head()
        return newest[0] if newest else None

    def changes(self, table: Table, source: str, since: int | None) -> Changes:
        """The meter-days of `source` that changed in `table` after version `since`; everything when `since` is None."""
        assert table.day is not None and table.change_feed
        if since is not None and self.version(table) <= since:
            return Changes(source, None, None, None)
        if since is None:
            bounds = self.read(table, source).agg(F.min(table.day), F.max(table.day)).head()
            return Changes(source, None, *bounds) if bounds else Changes(source, None, None, None)
        feed = self.spark.read.format("delta").option("readChangeFeed", True).option("startingVersion", since + 1)
        days = (
            feed.load(self.path(table))
            .where(F.col("source") == source)
            .select("meter_id", F.col(table.day).alias("day"))
            .distinct()
            .persist()
        )
        bounds = days.agg(F.min("day"), F.max("day")).head()
        return Changes(source, days, *bounds) if bounds else Changes(source, None, None, None)

    def append(self, frame: DataFrame, table: Table, note: str | None = None) -> None:
        """Add rows in one atomic commit that carries `note`."""
        self.ensure(table)
        writer = _conformed(frame, table).write.format("delta").mode("append")
        _noted(writer, note).save(self.path(table))

    def delete(self, table: Table, condition: str) -> None:
        """Delete the rows that meet a condition made of declared names."""
        if self.exists(table):
            DeltaTable.forPath(self.spark, self.path(table)).delete(condition)

    def replace(self, frame: DataFrame, table: Table, changes: Changes) -> None:
        """Make the rows of the changed meter-days equal `frame`, in one atomic commit.

        New days are appended; where rows stand already, only those that differ are written (MERGE with deletion
        vectors) and those that `frame` no longer has are deleted. Doing it twice changes nothing.
        """
        self.ensure(table)
        if changes.nothing:
            return
        assert table.day is not None
        existing = changes.days_in(self.read(table), table.day)
        if not existing.select("source").head(1):
            self.append(frame, table)
        elif changes.everything:
            writer = _conformed(frame, table).write.format("delta").mode("overwrite")
            writer.option("replaceWhere", f"source = '{changes.source}'").save(self.path(table))
        else:
            self._merge(_conformed(frame, table).persist(), existing, table, changes)

    def upsert(self, frame: DataFrame, table: Table) -> None:
        """Insert new keys and update changed rows of a small table."""
        self.ensure(table)
        target = DeltaTable.forPath(self.spark, self.path(table)).alias("t")
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in table.key)
        merge = target.merge(_conformed(frame, table).alias("s"), same_key)
        merge.whenMatchedUpdateAll(_differs(table)).whenNotMatchedInsertAll().execute()

    def _merge(self, frame: DataFrame, existing: DataFrame, table: Table, changes: Changes) -> None:
        key = list(table.key)
        gone = existing.select(key).join(frame.select(key), on=key, how="left_anti").withColumn("gone", F.lit(True))
        rows = frame.withColumn("gone", F.lit(False)).unionByName(gone, allowMissingColumns=True)
        # Literal bounds let MERGE skip the files of other days; it does not find them by itself.
        bounds = f"t.source = '{changes.source}' AND t.{table.day} BETWEEN '{changes.first}' AND '{changes.last}'"
        condition = " AND ".join([bounds, *(f"t.{name} = s.{name}" for name in key)])
        values: dict[str, Any] = {name: f"s.{name}" for name in table.names}
        (
            DeltaTable.forPath(self.spark, self.path(table))
            .alias("t")
            .merge(rows.alias("s"), condition)
            .whenMatchedDelete("s.gone")
            .whenMatchedUpdate(_differs(table), values)
            .whenNotMatchedInsert("NOT s.gone", values)
            .execute()
        )
        frame.unpersist()


def _conformed(frame: DataFrame, table: Table) -> DataFrame:
    """The frame with the declared columns, order and types. A misspelt column is an error, not a column of nulls."""
    missing = set(table.names) - set(frame.columns)
    unknown = set(frame.columns) - set(table.names)
    if missing or unknown:
        raise ValueError(f"{table.name}: columns missing {sorted(missing)}, not declared {sorted(unknown)}")
    return frame.select(*(F.col(column.name).cast(table.schema[column.name].dataType) for column in table.columns))


def _noted(writer: DataFrameWriter, note: str | None) -> DataFrameWriter:
    return writer.option("userMetadata", note) if note else writer


def _differs(table: Table) -> str:
    pairs = (", ".join(f"{side}.{name}" for name in table.measures) for side in ("t", "s"))
    return "NOT (struct({}) <=> struct({}))".format(*pairs)
