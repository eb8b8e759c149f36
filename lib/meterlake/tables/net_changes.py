"""Which meter-days differ between two versions of a table, told from its files without Spark.

The change data feed takes a scan by Spark of each commit, and of a commit without a feed's own files one of all that it
wrote. Here the files of the two versions are compared: rows of files that came or went, and of files that stand in
both those whose deletion vectors differ. What was changed and changed back in between is no change.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from meterlake.errors import Unreachable
from meterlake.tables.changes import FEW_PAIRS, PAIRS, distinct
from meterlake.tables.delta_log import only_changes_rows
from meterlake.tables.file_scan import File, FileScan
from meterlake.tables.reader import Lake
from meterlake.tables.table import Table

MOST_ROWS = 20_000_000  # in the files that are looked into: two columns of each, a second for 10 M


def changed_pairs(
    spark: SparkSession, lake: Lake, table: Table, who: str, source: str, since: int, newest: int
) -> pa.Table | None:
    """Distinct `meter_id` (of column `who`), `day` of the rows of a source that came, went or changed after version
    `since`, up to `newest`; None where they are not few, or where it takes Delta to tell."""
    path = table.folder(lake.root)
    if not only_changes_rows(path, since, newest):
        return None
    assert table.day is not None
    try:
        files = _differing(lake, table, since, newest)
        if files is None or sum(file.rows for file in files) > MOST_ROWS:
            return None
        scan = FileScan(spark, table, newest, files, pc.field("source") == source)
        return _few(scan.here([who, table.day]), who, table.day)
    except (Unreachable, FileNotFoundError):  # files of the older version, or what told of them, were cleaned up
        return None


def _differing(lake: Lake, table: Table, since: int, newest: int) -> list[File] | None:
    """The files that hold rows of one version only, with all other rows in them as deleted."""
    path = table.folder(lake.root)
    before, after = (
        {file.name: file for file in lake.files(table, version)} if version >= 0 else {} for version in (since, newest)
    )
    if not all(file.is_own and file.rows is not None for file in (*before.values(), *after.values())):
        return None
    gone_before, gone_after = (
        lake.deleted(table, set(files), version) if files else {}
        for files, version in ((before, since), (after, newest))
    )
    none = np.empty(0, dtype=np.int64)
    found = []
    for name, of in (before | after).items():
        if name in before and name in after:
            differ = np.setxor1d(gone_before.get(name, none), gone_after.get(name, none), assume_unique=True)
            if len(differ):
                others = np.delete(np.arange(of.rows or 0), differ)
                found.append(File(f"{path}/{name}", of.bytes, of.rows or 0, others))
        else:
            gone = (gone_before if name in before else gone_after).get(name)
            found.append(File(f"{path}/{name}", of.bytes, of.rows or 0, gone))
    return found


def _few(batches: Iterable[pa.RecordBatch], who: str, day: str) -> pa.Table | None:
    """The distinct pairs of the batches; None where they are not few."""
    found = PAIRS.empty_table()
    for batch in batches:
        pairs = pa.Table.from_batches([batch.select([who, day])]).rename_columns(PAIRS.names).cast(PAIRS)
        found = distinct(pa.concat_tables([found, pairs]))
        if found.num_rows > FEW_PAIRS:
            return None
    return found
