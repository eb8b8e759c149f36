"""Builders for tests that run real steps on small files."""

from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from meterlake import steps
from meterlake.run import Outcome, Run
from meterlake.settings import Settings
from meterlake.sources.source import Columns, Source
from meterlake.tables.store import Store

VILLAGE = Source(
    name="village",
    description="three columns, half-hourly, UTC",
    interval_minutes=30,
    columns=Columns(meter_id="meter", timestamp="at", value="kwh"),
)


def run_of(spark: SparkSession, settings: Settings, source: Source = VILLAGE, path: Path | str = "") -> Run:
    return Run(source, settings, Store(spark, settings), str(path))


def deliver(
    spark: SparkSession, settings: Settings, path: Path, *through: str, source: Source = VILLAGE
) -> dict[str, Outcome]:
    """A run of the named steps (ingest and stage by default) on a file or folder."""
    run = run_of(spark, settings, source, path)
    return {name: run.perform(name, getattr(steps, name)) for name in (through or ("ingest", "stage"))}


def written(path: Path, *lines: str, header: str = "meter,at,kwh") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def half_hours(meter: str, first: datetime, count: int, kwh: float = 0.5) -> list[str]:
    """Lines of a meter with a value that differs from one half-hour to the next."""
    return [f"{meter},{first + timedelta(minutes=30 * n)},{kwh + n % 7 / 10:.1f}" for n in range(count)]
