"""Rows exchanged for others in the driver, where they are few: what MERGE does, without its jobs.

MERGE joins, scans and writes by ten jobs or more, of which each waits for Delta's log: 3 to 10 s for a month of a few
thousand meters, and a minute where the changed rows lie in all files (docs/performance.md). Here the rows that stand
are read with Arrow together with their places, compared, and marked as deleted where they stand; those that differ or
are new go to one more file. No row that stays is written again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from meterlake.tables import deletion_vectors, delta_log
from meterlake.tables.differences import comparable, differences, matched
from meterlake.tables.file_scan import FILE, POSITION, FileScan
from meterlake.tables.reader import Positions

# Bytes of files that the driver looks through, and rows that it holds of them: 600 MB of the widest table.
MOST_BYTES, MOST_ROWS = 2 << 30, 2_000_000


@dataclass(frozen=True)
class Standing:
    """Rows of a table as they stand.

    Attributes:
        rows: columns of the table, FILE and POSITION.
    """

    scan: FileScan
    rows: pa.Table

    @classmethod
    def of(cls, scan: FileScan | None, columns: Sequence[str] | None = None) -> "Standing | None":
        """The wanted rows of a scan; None where they are not few.

        Args:
            columns: all of the table's without, which Arrow then has to be able to compare.
        """
        if scan is None or not (columns or comparable(scan.table)):
            return None
        if sum(file.size for file in scan.files) > MOST_BYTES:
            return None
        rows = scan.placed(columns or scan.table.names, MOST_ROWS)
        return None if rows is None else cls(scan, rows)

    def among(self, keys: pa.Table) -> "Standing":
        """Those that have the same values in the columns of these."""
        return replace(self, rows=self.rows.join(keys, keys=keys.column_names, join_type="left semi"))

    @property
    def is_empty(self) -> bool:
        return not self.rows.num_rows

    def without(self, spark: SparkSession, path: str, leave: Positions) -> list[Any] | None:
        """Delta's actions by which rows leave the table at `path`; None where its log does not tell of their files.

        Args:
            leave: numbers of rows.
        """
        places = self.rows.select([FILE, POSITION]).take(pa.array(leave))
        file, position = (places.column(name).to_numpy() for name in (FILE, POSITION))
        deleted = {}
        for number in np.unique(file).tolist():
            of = self.scan.files[number]
            before = of.deleted if of.deleted is not None else np.empty(0, dtype=np.int64)
            deleted[of.path.removeprefix(f"{path}/")] = np.union1d(before, position[file == number])
        stand = delta_log.added(path, set(deleted), self.scan.version)
        return None if stand is None else deletion_vectors.without(spark, path, stand, deleted)


class Exchange(NamedTuple):
    """The numbers of the rows that leave a table, the rows that come, and how many of those are new versions of such as
    leave."""

    leave: Positions
    come: pa.Table
    updated: int


def exchange(standing: Standing, made: pa.Table, *, all_of_it: bool = True) -> Exchange:
    """What makes the rows that stand equal those made.

    Args:
        made: the declared columns.
        all_of_it: whether rows that stand and were not made leave; else they stay as they are.
    """
    table = standing.scan.table
    found = differences(standing.rows.select(table.names), made, table)
    leave = np.concatenate([found.changed, found.gone]) if all_of_it else found.changed
    come = np.sort(np.concatenate([found.changed_to, found.new]))
    return Exchange(leave, made.take(pa.array(come)), len(found.changed))


def amended(standing: Standing, made: pa.Table, names: Sequence[str]) -> Exchange:
    """What gives rows that stand the values made for them in the named columns, and lets others come as they are.

    Args:
        made: the declared columns and `gone`, which is true of rows that shall not stand.
    """
    table = standing.scan.table
    pairs, stays = matched(standing.rows, made, table), ~made.column("gone").to_numpy()
    updated, come = stays[pairs.made], pairs.only_made[stays[pairs.only_made]]
    rows = standing.rows.select(table.names).take(pa.array(pairs.stood[updated]))
    values = made.select(table.names).take(pa.array(pairs.made[updated]))
    for name in names:
        rows = rows.set_column(table.names.index(name), name, values.column(name))
    new = made.select(table.names).take(pa.array(come))
    return Exchange(pairs.stood, pa.concat_tables([rows.cast(new.schema), new]), rows.num_rows)
