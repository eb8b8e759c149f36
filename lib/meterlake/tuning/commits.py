"""Delta's log of a table, read into facts per commit: files, rows and bytes, without Spark.

The words are those of the Delta protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md. Only commits that
still stand as JSON are seen; log clean-up removes those that are older than `delta.logRetentionDuration`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG = "_delta_log"
# What an operation did to rows, as its metrics call it: a MERGE by kind, any other in one.
MERGED = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsCopied", "numTargetRowsDeleted")
WRITTEN = ("numOutputRows", "numDeletedRows")


@dataclass(frozen=True)
class Commit:
    """One version of a table.

    Attributes:
        operation: WRITE, MERGE, OPTIMIZE, ... as Delta names it.
        files, bytes: data files that it wrote; one that only got a deletion vector is not written again.
        live: by how many files the table grew; negative where it shrank.
        actions: lines of the log entry.
        side: files beside the data: of the change data feed, and of deletion vectors.
        rows: rows that it wrote, copied or deleted.
        log_bytes: size of the log entry.
    """

    version: int
    operation: str
    files: int
    bytes: int
    live: int
    actions: int
    side: int
    rows: int
    log_bytes: int


def of_lake(lake: Path) -> dict[str, list[Commit]]:
    """Table -> its commits, for every Delta table `<lake>/<layer>/<table>`."""
    return {log.parent.name: of_table(log.parent) for log in sorted(lake.glob(f"*/*/{LOG}"))}


def of_table(folder: Path) -> list[Commit]:
    """The commits of a table, oldest first."""
    entries = sorted(file for file in (folder / LOG).glob("*.json") if file.stem.isdigit())
    return [commit(int(entry.stem), _actions(entry), entry.stat().st_size) for entry in entries]


def commit(version: int, actions: Iterable[dict[str, Any]], log_bytes: int = 0) -> Commit:
    """The facts in the actions of a log entry."""
    found = list(actions)
    added = {add["path"]: add.get("size", 0) for action in found if (add := action.get("add"))}
    removed = {remove["path"] for action in found if (remove := action.get("remove"))}
    info: dict[str, Any] = next((action["commitInfo"] for action in found if "commitInfo" in action), {})
    metrics = info.get("operationMetrics", {})
    return Commit(
        version=version,
        operation=str(info.get("operation", "")),
        files=len(added.keys() - removed),
        bytes=sum(size for path, size in added.items() if path not in removed),
        live=len(added) - len(removed),
        actions=len(found),
        side=sum("cdc" in action for action in found) + len(_vectors(found)),
        rows=sum(int(metrics.get(name, 0)) for name in (MERGED if MERGED[0] in metrics else WRITTEN)),
        log_bytes=log_bytes,
    )


def _vectors(actions: list[dict[str, Any]]) -> set[str]:
    """The files of deletion vectors that the actions name; a short vector stands in the log itself."""
    vectors = [action["add"].get("deletionVector") or {} for action in actions if "add" in action]
    return {vector["pathOrInlineDv"] for vector in vectors if vector.get("storageType") in ("u", "p")}


def _actions(entry: Path) -> Iterator[dict[str, Any]]:
    for line in entry.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
