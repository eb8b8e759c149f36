"""Delta time travel for a table that a bug has spoilt. The steps after it recompute what depends on it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Row
from pyspark.sql import functions as F

from meterlake import __version__
from meterlake.errors import UsageError
from meterlake.tables.catalog import TABLES
from meterlake.tables.ops import LEDGER, RUNS
from meterlake.tables.recoveries import RECOVERIES
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.tables.table import Table

# The step that fills each table that can be restored.
WRITERS = {
    "stg_meter_readings": "stage",
    "vee_findings": "vee",
    "int_readings_hourly": "aggregate",
    "int_readings_daily": "aggregate",
    "int_readings_monthly": "aggregate",
    "int_consumption_features": "aggregate",
    "mart_anomaly_scores": "score",
    "mart_inspections": "score",
    "int_place_loads": "marts",
    "mart_consumption_metrics": "marts",
    "mart_anomaly_flags": "marts",
    "mart_load_profile": "marts",
    "mart_weekly_load_profile": "marts",
    "mart_load_factors": "marts",
    "mart_energy_balance": "marts",
    "mart_suspects": "marts",
    "loss_findings": "marts",
    "mart_region_kpis": "marts",
    "mart_feeder_outages": "marts",
    "mart_reliability": "marts",
    "mart_load_forecast": "forecast",
}


@dataclass(frozen=True)
class Restored:
    """What a restore undid.

    Attributes:
        undone: commits after the version, newest first: `version`, `timestamp`, `operation`, `userMetadata`.
        rows: source -> rows before and after.
        steps: (step, source) whose success marker was set back: it computes again what came in since.
        batches: (source, batch) that are to be staged again.
    """

    table: str
    version: int
    undone: list[Row]
    rows: dict[str, tuple[int, int]]
    steps: list[tuple[str, str]]
    batches: list[tuple[str, str]]


def restore(store: Store, name: str, request: tuple[str, str], version: int | None, at: datetime | None) -> Restored:
    """Make the table what it was at a version or a time (the last version not after it), for all sources.

    The step that fills it is set back to what it had read then, so that its next run brings what came in since; the
    steps after it see the restored rows as changes.

    Args:
        request: reason, and who asks.

    Raises:
        UsageError: the table cannot be restored by itself, or has no such version.
    """
    table = _restorable(store, name)
    target = DeltaTable.forPath(store.spark, store.path(table))
    told = ("version", "timestamp", "operation", "userMetadata", F.unix_millis("timestamp").alias("millis"))
    history = target.history().select(*told).collect()
    version = _version(history, table, version, at)
    undone = [row for row in history if row.version > version]
    if not undone:
        raise UsageError(f"{name} stands at version {version} already; there is nothing to undo.")
    if table is STG_METER_READINGS:
        _refuse_over_a_recovery(undone, history)
    before = _rows(store, table)
    target.restoreToVersion(version)
    first_undone = min(undone, key=lambda row: row.version)
    step = WRITERS[name]
    batches = _stage_again(store, undone) if step == "stage" else []
    recovery = f"restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    steps = [] if step == "stage" else _set_back(store, recovery, step, first_undone.timestamp)
    after = _rows(store, table)
    rows = {source: (before.get(source, 0), after.get(source, 0)) for source in sorted({*before, *after})}
    _record(store, recovery, table, rows, request, undone[0].version)
    return Restored(name, version, undone, rows, steps, batches)


def _restorable(store: Store, name: str) -> Table:
    if name not in TABLES:
        raise UsageError(f"No table is called {name!r}; docs/data-dictionary.md has them all.")
    if name not in WRITERS:
        raise UsageError(
            f"{name} is not restored by itself: the ledger counts its rows. `meterlake backfill` makes quarantine and "
            f"trail anew from bronze; can be restored: {', '.join(WRITERS)}."
        )
    if not store.exists(TABLES[name]):
        raise UsageError(f"{name} does not exist yet; nothing can be restored.")
    return TABLES[name]


def _version(history: list[Row], table: Table, version: int | None, at: datetime | None) -> int:
    known = {row.version for row in history}
    if at is not None:
        version = max((row.version for row in history if row.millis <= at.timestamp() * 1000), default=None)
    if version is None or version not in known:
        raise UsageError(f"{table.name} has no such version; it has {min(known)} to {max(known)}.")
    return version


def _refuse_over_a_recovery(undone: list[Row], history: list[Row]) -> None:
    """A recovery moved lines between quarantine and readings: undoing half of it would lose them."""
    recovered = [row for row in undone if (row.userMetadata or "").startswith("recovered ")]
    if recovered:
        newest = recovered[0]
        raise UsageError(
            f"Version {newest.version} of stg_meter_readings is a recovery ({newest.userMetadata}), which also changed "
            "the quarantine; correct the declaration and run `meterlake backfill`, or restore to "
            f"{newest.version} or later (now {history[0].version})."
        )


def _rows(store: Store, table: Table) -> dict[str, int]:
    return {row.source: row["count"] for row in store.read(table).groupBy("source").count().collect()}


def _stage_again(store: Store, undone: list[Row]) -> list[tuple[str, str]]:
    """Take the batches whose commits were undone out of the ledger: they wait to be staged."""
    notes = [row.userMetadata or "" for row in undone]
    batches = [batch for note in notes if note.startswith("staged ") for batch in note.split()[1:]]
    entries = store.read(LEDGER).where(F.col("batch_id").isin(batches)).select("source", "batch_id").collect()
    for entry in entries:
        store.delete_batch(LEDGER, entry.batch_id)
    return [(entry.source, entry.batch_id) for entry in entries]


def _set_back(store: Store, recovery: str, step: str, undone_at: datetime) -> list[tuple[str, str]]:
    """Mark each source's step as done with what it had read before the first undone commit; with nothing if never."""
    marks = store.read(RUNS).where(F.col("step") == step)
    ended = F.col("started_at") + F.make_dt_interval(secs=F.col("seconds"))
    stood = F.max_by("inputs", F.when(ended <= F.lit(undone_at), F.col("started_at"))).alias("inputs")
    figures = F.max_by("figures", F.when(ended <= F.lit(undone_at), F.col("started_at"))).alias("figures")
    now = datetime.now(UTC)
    found = marks.groupBy("source").agg(stood, figures).collect()
    rows: list[tuple[Any, ...]] = [
        (recovery, step, row.source, now, 0.0, 0, 0, row.inputs or {}, {}, row.figures or {}, __version__)
        for row in found
    ]
    if rows:
        store.append_rows(rows, RUNS)
    return [(step, row.source) for row in found]


def _record(
    store: Store,
    recovery: str,
    table: Table,
    rows: dict[str, tuple[int, int]],
    request: tuple[str, str],
    newest: int,
) -> None:
    now = datetime.now(UTC)
    values = []
    for source, (before, after) in rows.items():
        counts = {table.name: newest}, {table.name: before}, {table.name: after}
        values.append((recovery, source, "restore", None, None, *request, __version__, "done", now, now, *counts, None))
    if values:
        store.append_rows(values, RECOVERIES)
