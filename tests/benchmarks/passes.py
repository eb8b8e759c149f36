"""One pass of a contender in a process of its own, the same for every benchmark."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.measure import Measured, watched
from tests.benchmarks.workload import PROJECT, environment

OURS = "meterlake"


def call(
    name: str,
    action: str,
    files: Path,
    model: Path,
    folder: Path,
    threads: int,
    more: Sequence[str] = (),
    given: Mapping[str, str] | None = None,
) -> Measured:
    """Let a contender prepare, run or tell its result; its tables are in `<folder>/tables`, its words in `folder`.

    Args:
        given: environment variables over the usual ones.

    Raises:
        ContenderFailed: it ended with an error.
    """
    command = [sys.executable, "-m", "tests.benchmarks.contender", name, action, *more]
    command += ["--input", str(files), "--model", str(model), "--out", str(folder / "tables")]
    command += ["--told", str(folder / f"{action}.json"), "--threads", str(threads)]
    return watched(command, environment(threads) | dict(given or {}), PROJECT, folder / f"{action}.log")


def ours(
    files: Path,
    model: Path,
    folder: Path,
    threads: int = 2,
    master: str = "",
    given: Mapping[str, str] | None = None,
    vee: bool = False,
) -> Measured:
    """meterlake on these files, into the home `<folder>/tables` as it stands; prepared when it is new."""
    more = [*(("--master", master) if master else ()), *(("--vee",) if vee else ())]
    if not (folder / "tables").exists():
        call(OURS, "prepare", files, model, folder, threads)
    settle(files)
    measured = call(OURS, "run", files, model, folder, threads, more, given)
    told = json.loads((folder / "run.json").read_text())
    return replace(measured, steps=told["steps"], facts=told["facts"])


def settle(files: Path) -> None:
    """The same start for all: the input in the page cache, nothing left to be written."""
    for file in files.iterdir():
        with file.open("rb") as text:
            while text.read(1 << 24):
                pass
    os.sync()
