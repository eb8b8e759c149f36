"""Delta's log read into facts per commit."""

import json
from pathlib import Path
from typing import Any

import pytest

from meterlake.tuning import commits

WRITE = {"commitInfo": {"operation": "WRITE", "operationMetrics": {"numOutputRows": "10"}}}
MERGE = {
    "commitInfo": {
        "operation": "MERGE",
        "operationMetrics": {
            "numOutputRows": "9",
            "numTargetRowsInserted": "3",
            "numTargetRowsUpdated": "2",
            "numTargetRowsCopied": "4",
            "numTargetRowsDeleted": "1",
        },
    }
}


def add(path: str, size: int = 100) -> dict[str, Any]:
    return {"add": {"path": path, "size": size}}


def vector(path: str) -> dict[str, Any]:
    return {"add": {"path": path, "size": 100, "deletionVector": {"storageType": "u", "pathOrInlineDv": "v"}}}


def remove(path: str) -> dict[str, Any]:
    return {"remove": {"path": path}}


@pytest.mark.parametrize(
    ("actions", "files", "size", "live", "side", "rows"),
    [
        pytest.param([WRITE, add("a"), add("b", 50)], 2, 150, 2, 0, 10, id="an_append"),
        pytest.param([MERGE, remove("a"), add("c"), {"cdc": {"path": "x"}}], 1, 100, 0, 1, 10, id="a_merge"),
        pytest.param([MERGE, remove("a"), vector("a")], 0, 0, 0, 1, 10, id="a_deletion_vector_is_no_new_data_file"),
        pytest.param([{"metaData": {}}, {"protocol": {}}], 0, 0, 0, 0, 0, id="a_table_made"),
    ],
)
def test_facts_of_a_commit(
    actions: list[dict[str, Any]], files: int, size: int, live: int, side: int, rows: int
) -> None:
    found = commits.commit(7, actions, 123)
    assert (found.version, found.actions, found.log_bytes) == (7, len(actions), 123)
    assert (found.files, found.bytes, found.live, found.side, found.rows) == (
        files,
        size,
        live,
        side,
        rows,
    )


def test_only_entries_are_read(tmp_path: Path) -> None:
    """Checkpoints, checksums and the pointer to the last checkpoint lie beside them."""
    log = tmp_path / "silver" / "readings" / commits.LOG
    log.mkdir(parents=True)
    for version in (0, 1):
        (log / f"{version:020d}.json").write_text(json.dumps(add(f"file-{version}")) + "\n")
    for name in ("_last_checkpoint", f"{1:020d}.crc", f"{1:020d}.checkpoint.parquet", "abc.json"):
        (log / name).write_text("{}")
    (found,) = commits.of_lake(tmp_path).items()
    assert found[0] == "readings"
    assert [one.version for one in found[1]] == [0, 1]
