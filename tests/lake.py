"""Builders for tests that run real steps on small files, or read a lake that no Spark wrote."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake import steps
from meterlake.object_store import delta_rs_options
from meterlake.run import Outcome, Run
from meterlake.settings import Settings
from meterlake.sources.source import Columns, Source
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store
from meterlake.tables.table import Table

VILLAGE = Source(
    name="village",
    description="three columns, half-hourly, UTC",
    interval_minutes=30,
    columns=Columns(meter_id="meter", timestamp="at", value="kwh"),
)
VILLAGE_TOML = """
name = "village"
description = "three columns, half-hourly, UTC"
interval_minutes = 30
[columns]
meter_id = "meter"
timestamp = "at"
value = "kwh"
"""


def run_of(
    spark: SparkSession, settings: Settings, source: Source = VILLAGE, path: Path | str = "", run_id: str = ""
) -> Run:
    return Run(source, settings, Store(spark, settings), str(path), run_id=run_id)


def deliver(
    spark: SparkSession, settings: Settings, path: Path, *through: str, source: Source = VILLAGE, run_id: str = ""
) -> dict[str, Outcome]:
    """A run of the named steps (ingest and stage by default) on a file or folder."""
    run = run_of(spark, settings, source, path, run_id)
    return {name: run.perform(name, getattr(steps, name)) for name in (through or ("ingest", "stage"))}


def rows(spark: SparkSession, settings: Settings, table: str) -> list[Row]:
    """All rows of a table in the order of its key."""
    frame = Store(spark, settings).read(TABLES[table])
    return sorted(frame.collect(), key=lambda row: tuple(str(row[name]) for name in TABLES[table].key))


def plan_of(frame: DataFrame) -> str:
    """How Spark is going to make a frame."""
    return str(frame._jdf.queryExecution().executedPlan().toString())


def entry(spark: SparkSession, settings: Settings) -> Row:
    """The one entry of the ledger."""
    (found,) = rows(spark, settings, "ledger")
    return found


def written(path: Path, *lines: str, header: str = "meter,at,kwh") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def half_hours(meter: str, first: datetime, count: int, kwh: float = 0.5) -> list[str]:
    """Lines of a meter with a value that differs from one half-hour to the next."""
    return [f"{meter},{first + timedelta(minutes=30 * n)},{kwh + n % 7 / 10:.1f}" for n in range(count)]


def whole(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as the table declares them; a column that a row does not name is null."""
    schema = to_arrow_schema(table.schema, timezone="UTC")
    return pa.Table.from_pylist([{name: row.get(name) for name in table.names} for row in rows], schema)


def write(settings: Settings, table: Table, rows: list[dict[str, Any]]) -> None:
    """Append rows to a table of the lake, without Spark."""
    options = delta_rs_options(settings)
    write_deltalake(table.folder(settings.lake_root), whole(table, rows), mode="append", storage_options=options)


def row_of(table: Table, **given: Any) -> tuple[Any, ...]:
    """A row with what is given, and something harmless where a value is required."""
    harmless = {"bigint": 24, "int": 60, "double": 1.0, "string": "measured"}
    values = {column.name: harmless.get(column.type) if column.required else None for column in table.columns}
    return tuple((values | given)[column.name] for column in table.columns)
