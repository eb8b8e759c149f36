"""Upkeep of a table's files: small ones merged and clustered, those of old versions deleted. Its rows stay the same.

Each does nothing where there is nothing to do. Delta itself writes a checkpoint every `store.CHECKPOINT_EVERY` commits
and then deletes the log entries that are older than `delta.logRetentionDuration` (30 days); `checkpoint` does so now.
"""

from typing import Any, cast

from delta.tables import DeltaTable

from meterlake.tables.store import Store
from meterlake.tables.table import Table

# The versions of so many hours stay readable; Delta refuses less unless it is told otherwise. A step reads the change
# feed since its own last success, so every step must succeed once in that time.
KEPT_HOURS = 168


def optimize(store: Store, table: Table) -> tuple[int, int]:
    """Merge small files, ordered by the table's clustering columns; files removed and files written in their place.

    The commit says that no data changed, so the change feed stays silent and no step computes anything again.
    """
    done = DeltaTable.forPath(store.spark, store.path(table)).optimize().executeCompaction().head()
    metrics = done["metrics"] if done else None
    return (int(metrics["numFilesRemoved"]), int(metrics["numFilesAdded"])) if metrics else (0, 0)


def vacuum(store: Store, table: Table, hours: float = KEPT_HOURS) -> None:
    """Delete the files that no version of the last `hours` refers to."""
    DeltaTable.forPath(store.spark, store.path(table)).vacuum(hours)


def checkpoint(store: Store, table: Table) -> None:
    """Write the state of the newest version as one file, and delete the log entries that are too old."""
    snapshot, jvm = store._snapshot(table), cast(Any, store.spark._jvm)
    if snapshot.checkpointProvider().version() < snapshot.version():
        snapshot.deltaLog().checkpoint(snapshot, jvm.scala.Option.empty())


def files(store: Store, table: Table) -> int:
    """Number of data files of the newest version."""
    return int(store._snapshot(table).numOfFiles())
