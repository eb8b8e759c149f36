"""Rows that stand no longer, marked in the log of their table by Delta's own classes: no file is written again for it.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#deletion-vectors
"""

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from meterlake.tables.delta_log import Action
from meterlake.tables.reader import Positions


def without(spark: SparkSession, path: str, files: Mapping[str, Action], deleted: Mapping[str, Positions]) -> list[Any]:
    """Delta's actions by which files of the table at `path` lose rows.

    Args:
        files: the `add` action by which each file stands, by name.
        deleted: the positions of all rows of each file that stand no longer, ascending, earlier deletions among them.
    """
    jvm: Any = spark._jvm
    delta = jvm.org.apache.spark.sql.delta
    stand = {name: delta.actions.Action.fromJson(json.dumps({"add": add})) for name, add in files.items()}
    whole = {name for name, of in deleted.items() if len(of) == json.loads(files[name]["stats"])["numRecords"]}
    some = {name: of for name, of in deleted.items() if name not in whole}
    actions = [stand[name].removeWithTimestamp(jvm.java.lang.System.currentTimeMillis(), True) for name in whole]
    for name, vector in _written(spark, path, some).items():
        # Statistics stay as they are and are no longer tight bounds.
        pair = stand[name].removeRows(vector, True, True)
        actions += [pair._1(), pair._2()]
    return actions


def _written(spark: SparkSession, path: str, deleted: Mapping[str, Positions]) -> dict[str, Any]:
    """A file of deletion vectors in the table's folder; the descriptor of each."""
    if not deleted:
        return {}
    jvm: Any = spark._jvm
    delta, none = jvm.org.apache.spark.sql.delta, jvm.scala.Option.empty()
    store = delta.storage.dv.HadoopFileSystemDVStore(spark._jsparkSession.sessionState().newHadoopConf())
    name, folder = jvm.java.util.UUID.randomUUID(), store.pathWithFileSystem(jvm.org.apache.hadoop.fs.Path(path))
    writer = store.createWriter(store.generateFileNameInTable(folder, name, ""))
    found = {}
    try:
        for file, positions in deleted.items():
            written = writer.write(_bitmap(spark, positions))
            offset = jvm.scala.Option.apply(written.offset())
            found[file] = delta.actions.DeletionVectorDescriptor.onDiskWithRelativePath(
                name, "", written.length(), len(positions), offset, none
            )
    finally:
        writer.close()
    return found


def _bitmap(spark: SparkSession, positions: Positions) -> Any:
    """The bytes of a deletion vector. The positions cross to the JVM as bytes: one by one they would take minutes."""
    jvm, gateway = spark._jvm, spark.sparkContext._gateway
    assert jvm is not None
    assert gateway is not None
    numbers = gateway.new_array(jvm.long, len(positions))
    jvm.java.nio.ByteBuffer.wrap(positions.astype(">i8").tobytes()).asLongBuffer().get(numbers)
    vectors = jvm.org.apache.spark.sql.delta.deletionvectors
    bitmap = vectors.RoaringBitmapArray.apply(jvm.scala.collection.immutable.ArraySeq.unsafeWrapArray(numbers))
    formats = getattr(vectors, "RoaringBitmapArrayFormat$").__getattr__("MODULE$")
    return bitmap.serializeAsByteArray(formats.Portable())
