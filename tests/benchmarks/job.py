"""What a contender is given, and what it tells."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger("benchmark")


@dataclass
class Job:
    """One pass of one contender.

    Attributes:
        input: folder of CSV files.
        out: empty folder for the tables; contenders other than meterlake write `<out>/<table>` as Parquet.
        model: file of the given model.
        master: Spark's master in place of local threads; only meterlake asks for it.
        vee: whether meterlake also validates and estimates, which the others do not.
        seconds: by step, in order.
        facts: what else a contender knows of its run, for capacity.py.
    """

    input: Path
    out: Path
    model: Path
    threads: int = 2
    master: str = ""
    vee: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        return sorted(self.input.glob("*.csv"))

    def table(self, name: str) -> str:
        """The Parquet file of a table, its folder made."""
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder / "part-0.parquet")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of a step; a step named twice adds up."""
        began = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began
        log.info("%-12s %8.1f s", name, self.seconds[name])

    def tell(self, file: Path) -> None:
        file.write_text(json.dumps({"steps": self.seconds, "facts": self.facts}))
