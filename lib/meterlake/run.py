"""A run: one source, one lake, one lock; each step timed, reported and marked as done by its last write."""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from pyspark.sql import Row

from meterlake import __version__, object_store
from meterlake.errors import HomeBusy, Unreachable
from meterlake.session import is_small, size_to
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.changes import Changes
from meterlake.tables.file_scan import FileScan
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import QUALITY_RESULTS, RUNS
from meterlake.tables.spans import Span
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.tables.table import Table
from meterlake.tuning.events import OTHER, STEP

log = logging.getLogger("meterlake")

TEXT_PER_STORED = 8  # bytes of CSV that stand in a byte of bronze: 6 for the London files, 10 for the household file


@dataclass
class Outcome:
    """What a step did.

    Attributes:
        rows_in: new or changed rows that it read.
        rows_out: rows that it wrote.
        inputs: Delta version of each table as it was read: the next run reads what came after.
        figures: what else is worth a number.
        said: what a person should know, in words.
        nothing_new: whether there was nothing to do.
        marked: whether it leaves a success marker where there was: no step needs that of one that only shows.
    """

    rows_in: int = 0
    rows_out: int = 0
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    nothing_new: bool = False
    marked: bool = True


@dataclass
class Done:
    """A finished step."""

    step: str
    seconds: float
    outcome: Outcome


@dataclass
class Run:
    """What every step gets.

    Attributes:
        input: path, folder, glob or URI of the delivery; only `ingest` needs it.
        meter: name of the meter where the source's files do not say it; None names it by the file.
        first, last: period of a delivery (see `delivery.files_of`).
    """

    source: Source
    settings: Settings
    store: Store
    input: str = ""
    meter: str | None = None
    first: date | None = None
    last: date | None = None
    run_id: str = ""
    done: list[Done] = field(default_factory=list)
    _changes: dict[tuple[str, int | None, int], Changes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.run_id = self.run_id or new_run_id()

    @cached_property
    def _marks(self) -> dict[str, Row]:
        """The newest success marker of each step for this source; one read serves the whole run."""
        if not self.store.exists(RUNS):
            return {}
        asked = """
            SELECT step, inputs, outputs, figures
            FROM (SELECT *, row_number() OVER (PARTITION BY step ORDER BY started_at DESC) AS back FROM runs
                  WHERE source = :source) AS marks
            WHERE back = 1
        """
        return {mark.step: mark for mark in self.store.ask(asked, source=self.source.name)}

    def perform(self, name: str, step: Callable[["Run"], Outcome]) -> Outcome:
        """Run one step, tell about it, and write its success marker last."""
        log.info("%-9s ...", name)
        started, clock = datetime.now(UTC), time.monotonic()
        self.store.spark.sparkContext.setLocalProperty(STEP, name)
        self.fit()
        outcome = step(self)
        seconds = time.monotonic() - clock
        if outcome.marked and not outcome.nothing_new:
            self._mark(name, started, seconds, outcome)
        self.store.spark.sparkContext.setLocalProperty(STEP, OTHER)
        self.done.append(Done(name, time.monotonic() - clock, outcome))
        log.info("%-9s %s", name, told(self.done[-1]))
        for sentence in outcome.said:
            log.info("%-9s %s", "", sentence)
        return outcome

    def fit(self, delivered: int = 0) -> None:
        """Fit the Spark session to the lake, or to a delivery of so many bytes when that is more."""
        stored = TEXT_PER_STORED * self.store.bytes(METER_READINGS)
        size_to(self.store.spark, max(stored, delivered), self.settings)

    def last_done(self, step: str) -> Row | None:
        """The newest success marker of a step for this source: `inputs`, `outputs`, `figures`."""
        return self._marks.get(step)

    def seen(self, step: str, table: Table) -> int | None:
        """The version of a table that the step's last success had read; None when it never succeeded."""
        mark = self.last_done(step)
        return mark.inputs.get(table.name) if mark and mark.inputs else None

    def changes(self, step: str, table: Table) -> Changes:
        """What changed in a table since the step last succeeded."""
        return self.changes_since(self.seen(step, table), table)

    def with_hours(self, step: str, days: Changes) -> Changes:
        """The changed days, and those of which an hour may have changed since the step last succeeded: where readings
        change places within a day, its row stays as it is."""
        silver = STG_METER_READINGS
        return days if self.seen(step, silver) is None else days.or_in(self.changes(step, silver))

    def hours_made_of(self) -> dict[str, int]:
        """The version of silver that the hours are made of: what a step that looks at these keeps of its inputs."""
        seen = self.seen("aggregate", STG_METER_READINGS)
        return {} if seen is None else {STG_METER_READINGS.name: seen}

    def changes_of(self, source: str, step: str, table: Table) -> Changes:
        """The same of another source, whose rows the step reads, too."""
        return self.store.changes(table, source, self.seen(step, table))

    def changes_since(self, version: int | None, table: Table) -> Changes:
        """What changed in a table after a version; found once, however many steps ask."""
        asked = table.name, version, self.store.version(table)
        if asked not in self._changes:
            self._changes[asked] = self.store.changes(table, self.source.name, version)
        return self._changes[asked]

    def files(self, table: Table, *spans: Span, **values: list[str]) -> FileScan | None:
        """The files of the source's rows in a table, for tasks that sum them up (`Store.scan`); None also where the
        work is small: what tasks save there is less than what it takes to ask for the files."""
        spark, source = self.store.spark, [self.source.name]
        return None if is_small(spark) else self.store.scan(table, *spans, source=source, **values)

    def files_of(self, table: Table, changes: Changes) -> FileScan | None:
        """The same of the changed meter-days; None also where those are not known to be few."""
        if changes.everything:
            return self.files(table)
        return None if is_small(self.store.spark) else self.store.scan_days(table, changes)

    def verdict(self, suite: str, expectation: str, severity: str, success: bool, observed: str) -> Row:
        """A row of `quality_results`."""
        values = (self.run_id, self.source.name, suite, expectation, severity, success, observed, datetime.now(UTC))
        return Row(*QUALITY_RESULTS.names)(*values)

    def keep(self, verdicts: list[Row]) -> None:
        """Append verdicts to `quality_results`."""
        if verdicts:
            self.store.append_rows(verdicts, QUALITY_RESULTS)

    def _mark(self, step: str, started: datetime, seconds: float, outcome: Outcome) -> None:
        values = (
            self.run_id,
            step,
            self.source.name,
            started,
            seconds,
            outcome.rows_in,
            outcome.rows_out,
            outcome.inputs,
            outcome.outputs,
            {name: float(figure) for name, figure in outcome.figures.items()},
            __version__,
        )
        self.store.append_rows([values], RUNS)
        self._marks[step] = Row(*RUNS.names)(*values)


def told(done: Done) -> str:
    """A finished step in one line: rows in, rows out, seconds, rows per second, as far as it has them."""
    if done.outcome.nothing_new:
        return f"nothing new ({done.seconds:.1f} s)"
    if not done.outcome.marked:
        return f"made ({done.seconds:.1f} s)"
    rate = max(done.outcome.rows_in, done.outcome.rows_out) / max(done.seconds, 1e-9)
    return f"{done.outcome.rows_in:,} rows in, {done.outcome.rows_out:,} out, {done.seconds:.1f} s ({rate:,.0f}/s)"


def new_run_id() -> str:
    """A name that sorts by time, and that nothing (Great Expectations tries) can take for a point in time."""
    return f"run-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@contextmanager
def holding(settings: Settings) -> Iterator[None]:
    """Hold the home folder: one run at a time. The lock goes with the process, also when it is killed.

    A lake in an object store is made this home's, so that the lock is the lake's, too.

    Raises:
        HomeBusy: another run holds it.
        LakeTaken: the lake is another home's.
        Unreachable: the folder cannot be written.
    """
    file = settings.folder(".") / "run.lock"
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unreachable(f"{file} cannot be written ({error.strerror}); make the home folder writable.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeBusy(settings.home, _holder(file)) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC".encode())
        if object_store.is_s3(settings.lake_root):
            object_store.claim(settings)
        yield
    finally:
        os.close(handle)


def _holder(file: Path) -> str:
    return file.read_text().strip() or "another run"
