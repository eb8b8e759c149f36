"""What delta-rs does not tell of Delta's log: a file's whole entry, and whether commits changed any rows.

The words are those of the Delta protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from meterlake.files import filesystem_of

LOG = "_delta_log"
Action = dict[str, Any]


def added(path: str, names: set[str], newest: int) -> dict[str, Action] | None:
    """The `add` actions by which these files of the table at `path` stand in version `newest`, by name; None where the
    log does not hold all of them, with statistics as texts, as JSON or in a classic checkpoint."""
    found: dict[str, Action] = {}
    for version in range(newest, -1, -1):
        if len(found) == len(names):
            break
        actions = _commit(path, version)
        if actions is None:  # cleaned up
            break
        adds = (action["add"] for action in actions if "add" in action)
        found |= {add["path"]: add for add in adds if add["path"] in names and add["path"] not in found}
    if missing := names - found.keys():
        found |= {add["path"]: add for add in _of_checkpoint(path, missing)}
    is_whole = len(found) == len(names) and all(add.get("stats") for add in found.values())
    return found if is_whole else None


def only_changes_rows(path: str, since: int, until: int) -> bool:
    """Whether every file that came or went in the commits after `since`, up to `until`, did so for its rows: OPTIMIZE
    moves rows that stay the same. False where one of the commits cannot be read any more."""
    commits = (_commit(path, version) for version in range(since + 1, until + 1))
    return all(actions is not None and all(map(_changes_rows, actions)) for actions in commits)


def _changes_rows(action: Action) -> bool:
    return all(action[kind]["dataChange"] for kind in ("add", "remove") if kind in action)


def _commit(path: str, version: int) -> list[Action] | None:
    """The actions of a version; None where its JSON is gone."""
    filesystem, folder = filesystem_of(path)
    try:
        with filesystem.open_input_stream(f"{folder}/{LOG}/{version:020}.json") as entry:
            return [json.loads(line) for line in entry.read().splitlines() if line]
    except FileNotFoundError:
        return None


def _of_checkpoint(path: str, names: set[str]) -> Iterator[Action]:
    """The `add` actions of these files in the newest checkpoint."""
    filesystem, folder = filesystem_of(path)
    try:
        with filesystem.open_input_stream(f"{folder}/{LOG}/_last_checkpoint") as told:
            last = json.loads(told.read())
        start, parts = f"{folder}/{LOG}/{last['version']:020}.checkpoint", last.get("parts")
        files = [f"{start}.{part:010}.{parts:010}.parquet" for part in range(1, parts + 1)] if parts else None
        entries = ds.dataset(files or f"{start}.parquet", filesystem=filesystem, format="parquet")
        wanted = pc.field("add", "path").isin(sorted(names))
        rows = entries.to_table(columns=["add"], filter=wanted).column("add").to_pylist(maps_as_pydicts="strict")
    except FileNotFoundError:
        return
    for add in rows:
        yield {name: value for name, value in add.items() if value is not None and not name.endswith("_parsed")}
