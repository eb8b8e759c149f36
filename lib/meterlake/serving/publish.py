"""Gold marts from Delta to PostgreSQL and ClickHouse: stage, compare, swap. A reader sees the old mart or the new."""

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Protocol

from pyspark.sql import DataFrame

from meterlake.errors import LedgerUnbalanced, MeterlakeError, Unreachable
from meterlake.serving import clickhouse, postgres
from meterlake.serving.endpoint import STORES, TITLES, StoreName, endpoint
from meterlake.serving.outgoing import Outgoing, outgoing
from meterlake.serving.slices import Slice, Wanted
from meterlake.serving.totals import Totals, differences
from meterlake.session import at_once
from meterlake.settings import Settings
from meterlake.tables.catalog import MARTS
from meterlake.tables.file_scan import FileScan
from meterlake.tables.table import Table

log = logging.getLogger("meterlake")

ATTEMPTS = 3


class Target(Protocol):
    """What a store module offers; postgres.py and clickhouse.py are two of it."""

    def needs_full(self, table: Table, settings: Settings) -> bool: ...
    def stage(self, table: Table, settings: Settings) -> str: ...
    def write(self, table: Table, rows: Outgoing, staging: str, settings: Settings) -> None: ...
    def staged(self, table: Table, staging: str, settings: Settings) -> Totals: ...
    def empty(self, table: Table, staging: str, settings: Settings) -> None: ...
    def swap(self, table: Table, staging: str, slices: Collection[Slice] | None, settings: Settings) -> None: ...
    def discard(self, table: Table, staging: str, settings: Settings) -> None: ...
    def count(self, table: Table, settings: Settings, source: str | None = None) -> int | None: ...


TARGETS: dict[StoreName, Target] = {"postgres": postgres, "clickhouse": clickhouse}
# Marts may be published at once, but a store's names and grants change for one at a time: schemas are common to all,
# and a policy that looks up regions in another mart asks whether that is there.
ALONE: dict[StoreName, Lock] = {store: Lock() for store in STORES}


@dataclass(frozen=True)
class PublishResult:
    """What one store got: rows written, the slices they are of (None: the whole mart), seconds, and writes needed."""

    store: StoreName
    table: str
    rows: int
    slices: int | None
    seconds: float
    attempts: int


def needs_full(table: Table, settings: Settings) -> bool:
    """Whether `publish` must be given slices=None: a store lacks the mart, or has it in another shape."""
    return any(target.needs_full(table, settings) for target in TARGETS.values())


def lost_rows(table: Table, published: DataFrame, source: str, settings: Settings) -> bool:
    """Whether a store that runs holds another number of the source's rows than were published, or in another shape:
    somebody emptied, dropped or changed the mart there, or an earlier version published it.

    Args:
        published: rows of the source in the Delta table, as of the version that was published last.
    """
    up = [store for store in STORES if endpoint(settings, store).running]
    if any(TARGETS[store].needs_full(table, settings) for store in up):
        return True
    held = {TARGETS[store].count(table, settings, source) for store in up}
    return bool(held) and held != {published.count()}


def publish(
    table: Table,
    frame: DataFrame,
    slices: Collection[Slice] | None,
    settings: Settings,
    files: FileScan | None = None,
    without: Collection[str] = (),
) -> list[PublishResult]:
    """Make the slices of the mart in both stores equal the rows of `frame`.

    Args:
        frame: rows of the Delta table, at least those of the slices; others are left out here.
        slices: (source, month) pairs that changed, also those that have no row left; None is everything.
        files: those of the table that hold these rows, among others: from there they get into the stores quicker.
        without: sources whose rows are left out.

    Raises:
        ValueError: slices of a mart that a store lacks, or has in another shape. Both marts are as they were.
        LedgerUnbalanced: a store counts or sums otherwise than Delta after ATTEMPTS writes. Its mart is as it was.
        Unreachable: a store went away. Its mart is as it was.
    """
    if slices is not None and not slices:
        return []
    if slices is not None and needs_full(table, settings):
        raise ValueError(f"{table.name} has other columns than declared: publish all of it")
    rows, expected = outgoing(frame, Wanted(table, slices, tuple(without)), files)
    # At once, as each waits for its store more than it works.
    writes = [partial(_publish, store, table, rows, expected, slices, settings) for store in STORES]
    return at_once(frame.sparkSession, writes, len(STORES))


def make_empty(table: Table, settings: Settings) -> None:
    """An empty mart in each store that has none: who asks for what was never made gets no rows and not an error."""
    for store in STORES:
        target = TARGETS[store]
        if target.count(table, settings) is None:
            with ALONE[store]:
                target.swap(table, target.stage(table, settings), None, settings)


def counts(settings: Settings) -> dict[StoreName, dict[str, int | None]]:
    """Rows per mart in each store that runs; None for a mart that is not there yet."""
    return {
        store: {table.name: TARGETS[store].count(table, settings) for table in MARTS}
        for store in STORES
        if endpoint(settings, store).running
    }


def _publish(
    store: StoreName,
    table: Table,
    rows: Outgoing,
    expected: Totals,
    slices: Collection[Slice] | None,
    settings: Settings,
) -> PublishResult:
    target, started, staging = TARGETS[store], time.monotonic(), ""
    try:
        with ALONE[store]:
            staging = target.stage(table, settings)
        attempts = _write(store, table, rows, expected, staging, settings)
        with ALONE[store]:
            target.swap(table, staging, slices, settings)
    except Exception as error:
        known = endpoint(settings, store)
        never_there = not staging and isinstance(error, MeterlakeError)
        if known.running or never_there:
            raise
        raise Unreachable(
            f"{known.title} at {known.host}:{known.port} went away while {table.name} was written; "
            "the mart is as it was. Start it with `meterlake stores start` and run the same command again."
        ) from error
    seconds = time.monotonic() - started
    count = int(expected["rows"])
    log.info(
        "%s: %s rows in %s, %.1f s, %s rows/s",
        table.name,
        f"{count:,}",
        TITLES[store],
        seconds,
        f"{count / seconds:,.0f}",
    )
    return PublishResult(store, table.name, count, None if slices is None else len(slices), seconds, attempts)


def _write(store: StoreName, table: Table, rows: Outgoing, expected: Totals, staging: str, settings: Settings) -> int:
    """Write until the staging table equals the frame; returns how often that took.

    A Spark task that is tried again may write its rows again: no store has a commit over several tasks.
    """
    target = TARGETS[store]
    for attempt in range(1, ATTEMPTS + 1):
        target.write(table, rows, staging, settings)
        wrong = differences(expected, target.staged(table, staging, settings))
        if not wrong:
            return attempt
        name, (wanted, found) = next(iter(wrong.items()))
        log.warning("%s in %s: %s is %s, not %s; writing again.", table.name, TITLES[store], name, found, wanted)
        target.empty(table, staging, settings)
    target.discard(table, staging, settings)
    raise LedgerUnbalanced(f"{name} in {table.name} in Delta = in {TITLES[store]}", wanted, found)
