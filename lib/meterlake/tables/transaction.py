"""Commits to a table's log through Delta's own optimistic transaction, of files that others wrote.

To other readers and writers they are an ordinary append and an ordinary MERGE, all of it or nothing.
"""

import json
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from pyspark.sql import Row, SparkSession

from meterlake.errors import Overtaken
from meterlake.tables.arrow_writer import Written


def append(spark: SparkSession, path: str, files: Iterable[Written | Row], note: str | None) -> None:
    """Add written files to the table at `path` in one commit, through Delta's own optimistic transaction."""
    jvm: Any = spark._jvm
    none = jvm.scala.Option.empty()
    rest = [none] * 5  # of an overwrite or a change of schema, which this is not
    mode = jvm.org.apache.spark.sql.SaveMode.Append
    write = jvm.org.apache.spark.sql.delta.DeltaOperations.Write(mode, none, none, jvm.scala.Option.apply(note), *rest)
    _begun(spark, path).commit(_sequence(jvm, [_action(jvm, file) for file in files]), write)


class Counts(NamedTuple):
    """Rows of a commit, told by kind as the history of a MERGE has them."""

    inserted: int
    updated: int
    deleted: int


def exchange(
    spark: SparkSession, path: str, version: int, without: list[Any], files: Iterable[Written | Row], counts: Counts
) -> None:
    """Take rows from files (see deletion_vectors.py) and add written files in one commit, in the history a MERGE.

    Args:
        version: the one that `without` is about.

    Raises:
        Overtaken: it is not the newest one.
    """
    jvm: Any = spark._jvm
    none, nothing = jvm.scala.Option.empty(), _sequence(jvm, [])
    merge = jvm.org.apache.spark.sql.delta.DeltaOperations.Merge(*[none] * 4, *[nothing] * 3)
    metrics = jvm.java.util.HashMap()
    told = {f"numTargetRows{kind.title()}": rows for kind, rows in counts._asdict().items()}
    for name, rows in (told | {"numTargetRowsCopied": 0, "operationNumSourceRows": sum(counts)}).items():
        metric = jvm.org.apache.spark.sql.execution.metric.SQLMetrics.createMetric(spark._jsc.sc(), name)
        metric.set(rows)
        metrics.put(name, metric)
    transaction = _begun(spark, path)
    if transaction.readVersion() != version:
        raise Overtaken(path, version)
    scala_map = getattr(jvm.scala.collection.immutable.Map, "from")
    transaction.registerSQLMetrics(
        spark._jsparkSession, scala_map(jvm.scala.jdk.javaapi.CollectionConverters.asScala(metrics))
    )
    transaction.commit(_sequence(jvm, [*without, *(_action(jvm, file) for file in files)]), merge)


def _begun(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path).startTransaction()


def _action(jvm: Any, file: Written | Row) -> Any:
    return jvm.org.apache.spark.sql.delta.actions.Action.fromJson(json.dumps(_added(file)))


def _sequence(jvm: Any, things: list[Any]) -> Any:
    """A sequence of Scala's."""
    held = jvm.java.util.ArrayList()
    for thing in things:
        held.add(thing)
    return jvm.scala.jdk.javaapi.CollectionConverters.asScala(held).toSeq()


def _added(file: Written | Row) -> dict[str, Any]:
    """Delta's `add` action of a file."""
    return {
        "add": {
            "path": file.path,
            "partitionValues": {},
            "size": file.size,
            "modificationTime": int(time.time() * 1000),
            "dataChange": True,
            "stats": file.statistics,
        }
    }
