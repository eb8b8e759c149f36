"""Hours, days, months and marts: incremental equals rebuilt, and energy adds up on every level."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from pyspark.sql import SparkSession

from meterlake.settings import Settings
from tests.lake import VILLAGE, deliver, half_hours, rows, written

STEPS = ("ingest", "stage", "aggregate", "marts")
COMPARED = (
    "int_readings_hourly",
    "int_readings_daily",
    "int_readings_monthly",
    "int_consumption_features",
    "mart_consumption_metrics",
    "mart_load_profile",
)


def test_days_that_come_late_or_corrected_end_as_one_load(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    files = [
        written(
            tmp_path / "in" / "1.csv",
            *half_hours("a", datetime(2024, 1, 20), 48 * 3),
            *half_hours("b", datetime(2024, 1, 20), 48),
        ),
        written(tmp_path / "in" / "2.csv", *half_hours("a", datetime(2024, 1, 31), 48 * 2)),
        written(tmp_path / "in" / "3.csv", *half_hours("a", datetime(2024, 1, 18), 48), "a,2024-01-21 12:00:00,7.5"),
    ]
    other = settings.model_copy(update={"home": tmp_path / "at once"})
    deliver(spark, other, tmp_path / "in", *STEPS)
    for file in files:
        deliver(spark, settings, file, *STEPS)
    for table in COMPARED:
        assert rows(spark, settings, table) == rows(spark, other, table), table


def test_energy_adds_up_on_every_level(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    deliver(spark, settings, written(tmp_path / "f.csv", *half_hours("a", datetime(2024, 1, 30), 48 * 3 + 5)), *STEPS)
    silver = sum(row.consumption_kwh for row in rows(spark, settings, "stg_meter_readings"))
    for table in ("int_readings_hourly", "int_readings_daily", "int_readings_monthly"):
        assert round(sum(row.consumption_kwh for row in rows(spark, settings, table)), 8) == round(silver, 8)
    metrics = rows(spark, settings, "mart_consumption_metrics")
    for period in ("day", "week", "month"):
        assert sum(row.consumption_kwh for row in metrics if row.period == period) == Decimal(f"{silver:.4f}")


def test_a_day_knows_its_peak_and_completeness(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    lines = ["a,2024-01-01 09:00:00,2", "a,2024-01-01 09:30:00,4", "a,2024-01-01 11:00:00,6"]
    deliver(spark, settings, written(tmp_path / "f.csv", *lines), *STEPS)
    (day,) = rows(spark, settings, "int_readings_daily")
    assert (day.consumption_kwh, day.reading_count, day.expected_count) == (12.0, 3, 48)
    # 09:00 and 11:00 have 6 kWh each: the first of equals.
    assert (day.peak_hour_start, day.peak_hour_of_day, day.peak_hour_kwh) == (datetime(2024, 1, 1, 9), 9, 6.0)
    assert (day.avg_power_kw, day.max_power_kw, day.peak_power_kw) == (8.0, 12.0, 12.0)
    (mart,) = [row for row in rows(spark, settings, "mart_consumption_metrics") if row.period == "day"]
    assert mart.load_factor == 8.0 / 12.0


def test_local_days_follow_summer_time(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    paris = VILLAGE.model_copy(update={"time_zone": "Europe/Paris"})
    # 31 March 2024 has 23 h: 02:00 to 03:00 does not exist.
    lines = [f"a,2024-03-31 {hour:02}:{minute}:00,1" for hour in range(24) for minute in ("00", "30") if hour != 2]
    deliver(spark, settings, written(tmp_path / "f.csv", *lines), *STEPS, source=paris)
    (day,) = rows(spark, settings, "int_readings_daily")
    assert (day.reading_count, day.expected_count, day.completeness) == (46, 46, 1.0)
    first = rows(spark, settings, "stg_meter_readings")[0]
    assert (first.reading_timestamp, first.hour_of_day) == (datetime(2024, 3, 30, 23), 0)


def test_hours_of_a_half_hour_zone_are_local(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    kolkata = VILLAGE.model_copy(update={"time_zone": "Asia/Kolkata"})
    lines = ["a,2024-01-01 00:00:00,1", "a,2024-01-01 00:30:00,2"]
    deliver(spark, settings, written(tmp_path / "f.csv", *lines), *STEPS, source=kolkata)
    (hour,) = rows(spark, settings, "int_readings_hourly")
    assert (hour.hour_start, hour.hour_of_day) == (datetime(2023, 12, 31, 18, 30), 0)
    assert hour.consumption_kwh == 3.0


def test_stamps_at_the_end_of_the_interval(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    ends = VILLAGE.model_copy(update={"stamp": "end"})
    deliver(spark, settings, written(tmp_path / "f.csv", "a,2024-01-02 00:00:00,1"), *STEPS, source=ends)
    (day,) = rows(spark, settings, "int_readings_daily")
    assert f"{day.reading_date_local}" == "2024-01-01"
