"""The figures that real files must show. Skipped where ../shared/data is absent."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from meterlake.settings import Settings
from meterlake.sources.catalog import source_named
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from tests.lake import deliver, entry

STEPS = ("ingest", "stage", "aggregate")


def test_household_hours_equal_the_reference(spark: SparkSession, settings: Settings, shared_data: Path) -> None:
    """The first part of the published file, minute by minute, against someone else's hourly sums."""
    folder = shared_data / "household_power"
    file = folder / "household_power_consumption.txt"
    deliver(spark, settings, file, *STEPS, source=source_named("household_power", settings))
    assert entry(spark, settings).lines == entry(spark, settings).current == 37_283
    hours = Store(spark, settings).read(INT_READINGS_HOURLY).where("reading_count > 0").collect()
    found = {row.hour_start: row.consumption_kwh * 60 for row in hours}
    with (folder / "hourly_reference.csv").open() as file_of_hours:
        rows = list(csv.DictReader(file_of_hours))
    # The reference is on the file's clock, one hour ahead of UTC.
    reference = {
        datetime.fromisoformat(row["datetime"]) - timedelta(hours=1): float(row["Global_active_power"]) for row in rows
    }
    whole = [hour for hour in found if hour != max(found)]  # the part ends within an hour
    assert len(whole) > 600
    assert all(found[hour] == pytest.approx(reference[hour], abs=0.001) for hour in whole)


def test_london_loses_no_line(spark: SparkSession, settings: Settings, shared_data: Path) -> None:
    files = sorted((shared_data / "london").glob("MAC00000*.csv"))
    lines = sum(file.read_bytes().count(b"\n") - 1 for file in files)
    deliver(spark, settings, shared_data / "london" / "MAC00000*.csv", source=source_named("london", settings))
    found = entry(spark, settings)
    assert (found.files, found.lines) == (len(files), lines)
    assert found.lines == found.current + found.exact_duplicates + found.quarantined + found.unparsable
    readings = Store(spark, settings).read(STG_METER_READINGS)
    assert readings.select(F.count_distinct("meter_id")).head() == (len(files),)


def test_smart_meter_file_is_whole(spark: SparkSession, settings: Settings, shared_data: Path) -> None:
    deliver(spark, settings, shared_data / "smart_meter", source=source_named("smart_meter", settings))
    found = entry(spark, settings)
    assert (found.lines, found.current) == (5_000, 5_000)
    labels = Store(spark, settings).read(STG_METER_READINGS).groupBy("anomaly_label").count().collect()
    assert {row.anomaly_label: row["count"] for row in labels} == {"normal": 4_750, "anomaly": 250}
