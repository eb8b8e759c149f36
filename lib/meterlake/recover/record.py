"""The record of a recovery: opened before it touches anything, closed with what it changed."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import Row
from pyspark.sql import functions as F

from meterlake import __version__
from meterlake.recover.diff import diff
from meterlake.run import Run
from meterlake.tables.catalog import MARTS, TABLES
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.recoveries import RECOVERIES, RECOVERY_DIFFS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.table import Table

COUNTED = (STG_METER_READINGS, QUARANTINED_READINGS, *MARTS)


@dataclass(frozen=True)
class Request:
    """Who wants what, and why."""

    kind: str
    reason: str
    by: str
    first: date | None = None
    last: date | None = None


def opened(run: Run, request: Request) -> Row:
    """The recovery's row of `recoveries`: of the same one that was killed before its end, or a new one."""
    found = run.store.read(RECOVERIES, run.source.name).where(
        (F.col("status") == "running")
        & (F.col("kind") == request.kind)
        & F.col("first_day").eqNullSafe(F.lit(request.first))
        & F.col("last_day").eqNullSafe(F.lit(request.last))
    )
    if begun := found.orderBy(F.desc("started_at")).head():
        return begun
    versions = {name: run.store.version(table) for name, table in TABLES.items() if table.layer in ("silver", "gold")}
    values = (
        run.run_id,
        run.source.name,
        request.kind,
        request.first,
        request.last,
        request.reason,
        request.by,
        __version__,
        "running",
        datetime.now(UTC),
        None,
        versions,
        rows(run),
        None,
        None,
    )
    run.store.append_rows([values], RECOVERIES)
    return Row(*RECOVERIES.names)(*values)


def closed(run: Run, record: Row, figures: dict[str, float]) -> list[Row]:
    """Write what changed in the marts, then that the recovery is done; the rows of `recovery_diffs`."""
    store, source, named = run.store, run.source.name, F.col("recovery_id") == record.recovery_id
    for mart in (mart for mart in MARTS if store.exists(mart)):
        version = record.versions_before.get(mart.name, -1)
        before = store.read(mart, source, version) if version >= 0 else None
        changed = diff(before, store.read(mart, source), mart)
        changed = changed.withColumns({"recovery_id": F.lit(record.recovery_id), "source": F.lit(source)})
        told = store.read(RECOVERY_DIFFS, source).where(named & (F.col("mart") == mart.name))
        store.exchange(changed, told, RECOVERY_DIFFS, f"t.recovery_id = '{record.recovery_id}'")
    end(run, record, "done", figures)
    return store.read(RECOVERY_DIFFS, source).where(named).orderBy("mart", "day").collect()


def end(run: Run, record: Row, status: str, figures: dict[str, float]) -> None:
    """Close the recovery's row."""
    closing = {"status": status, "finished_at": datetime.now(UTC), "rows_after": rows(run), "figures": figures}
    upsert_rows(run, [record.asDict() | closing], RECOVERIES)


def upsert_rows(run: Run, values: list[dict[str, Any]], table: Table) -> None:
    """Upsert a few rows that the driver made."""
    frame = run.store.spark.createDataFrame([tuple(row[name] for name in table.names) for row in values], table.schema)
    run.store.upsert(frame, table)


def rows(run: Run) -> dict[str, int]:
    """Rows of the source in silver, quarantine and the marts."""
    return {table.name: run.store.read(table, run.source.name).count() for table in COUNTED if run.store.exists(table)}
