"""What delta-rs does not tell of Delta's log: a file's whole entry, and whether commits changed any rows.

The words are those of the Delta protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

import json
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
    checkpoint = _last_checkpoint(path)
    for version in range(newest, checkpoint["version"] if checkpoint else -1, -1):
        adds = [action["add"] for action in _commit(path, version) or [] if "add" in action]
        found |= {add["path"]: add for add in adds if add["path"] in names and add["path"] not in found}
        if len(found) == len(names):
            break
    if checkpoint and len(found) < len(names):
        found |= {add["path"]: add for add in _of_checkpoint(path, checkpoint, names - found.keys())}
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


def _last_checkpoint(path: str) -> dict[str, Any] | None:
    """What Delta says of the newest checkpoint; None where there is none."""
    filesystem, folder = filesystem_of(path)
    try:
        with filesystem.open_input_stream(f"{folder}/{LOG}/_last_checkpoint") as told:
            return dict(json.loads(told.read()))
    except FileNotFoundError:
        return None


def _of_checkpoint(path: str, last: dict[str, Any], names: set[str]) -> list[Action]:
    """The `add` actions of these files in a classic checkpoint; none where it is of another kind."""
    filesystem, folder = filesystem_of(path)
    start, parts = f"{folder}/{LOG}/{last['version']:020}.checkpoint", last.get("parts")
    files = [f"{start}.{part:010}.{parts:010}.parquet" for part in range(1, parts + 1)] if parts else None
    try:
        entries = ds.dataset(files or f"{start}.parquet", filesystem=filesystem, format="parquet")
    except FileNotFoundError:
        return []
    wanted = pc.field("add", "path").isin(sorted(names))
    rows = entries.to_table(columns=["add"], filter=wanted).column("add").to_pylist(maps_as_pydicts="strict")
    return [
        {name: value for name, value in add.items() if value is not None and not name.endswith("_parsed")}
        for add in rows
    ]
