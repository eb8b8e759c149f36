"""Hours, days, months and marts of one delivery: energy adds up on every level, and a day knows its peak."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from meterlake.settings import Settings
from tests.conftest import settings_for
from tests.lake import deliver, half_hours, rows, written

STEPS = ("ingest", "stage", "aggregate", "marts")
OF_ONE_DAY = ["b,2024-01-01 09:00:00,2", "b,2024-01-01 09:30:00,4", "b,2024-01-01 11:00:00,6"]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Meter a over the end of a month and part of a day, meter b with three readings of another day."""
    folder = tmp_path_factory.mktemp("aggregate")
    file = written(folder / "f.csv", *half_hours("a", datetime(2024, 1, 30), 48 * 3 + 5), *OF_ONE_DAY)
    settings = settings_for(folder / "home")
    deliver(spark, settings, file, *STEPS)
    return settings


def test_energy_adds_up_on_every_level(spark: SparkSession, lake: Settings) -> None:
    silver = sum(row.consumption_kwh for row in rows(spark, lake, "stg_meter_readings"))
    for table in ("int_readings_hourly", "int_readings_daily", "int_readings_monthly"):
        assert round(sum(row.consumption_kwh for row in rows(spark, lake, table)), 8) == round(silver, 8)
    metrics = rows(spark, lake, "mart_consumption_metrics")
    for period in ("day", "week", "month"):
        assert sum(row.consumption_kwh for row in metrics if row.period == period) == Decimal(f"{silver:.4f}")


def test_a_day_knows_its_peak_and_completeness(spark: SparkSession, lake: Settings) -> None:
    (day,) = [row for row in rows(spark, lake, "int_readings_daily") if row.meter_id == "b"]
    assert (day.consumption_kwh, day.reading_count, day.expected_count) == (12.0, 3, 48)
    # 09:00 and 11:00 have 6 kWh each: the first of equals.
    assert (day.peak_hour_start, day.peak_hour_of_day, day.peak_hour_kwh) == (datetime(2024, 1, 1, 9), 9, 6.0)
    assert (day.avg_power_kw, day.max_power_kw, day.peak_power_kw) == (8.0, 12.0, 12.0)
    metrics = rows(spark, lake, "mart_consumption_metrics")
    (mart,) = [row for row in metrics if row.period == "day" and row.meter_id == "b"]
    assert mart.load_factor == 8.0 / 12.0


def test_a_new_day_with_a_late_reading_of_an_old_one_comes_to_what_one_delivery_does(
    spark: SparkSession, tmp_path: Path
) -> None:
    old, late = half_hours("a", datetime(2024, 1, 30), 48 * 2), half_hours("b", datetime(2024, 1, 31, 9), 3)
    new = half_hours("a", datetime(2024, 2, 1), 48) + half_hours("b", datetime(2024, 2, 1, 7), 9)
    grown, whole = settings_for(tmp_path / "grown"), settings_for(tmp_path / "whole")
    deliver(spark, grown, written(tmp_path / "1.csv", *old), *STEPS[:3])
    deliver(spark, grown, written(tmp_path / "2.csv", *late, *new), *STEPS[:3])
    deliver(spark, whole, written(tmp_path / "all.csv", *old, *late, *new), *STEPS[:3])
    for table in ("int_readings_hourly", "int_readings_daily", "int_readings_monthly", "int_consumption_features"):
        assert sorted(rows(spark, grown, table)) == sorted(rows(spark, whole, table))
