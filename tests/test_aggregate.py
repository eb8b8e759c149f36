"""Hours, days, months and marts of one delivery: energy adds up on every level, and a day knows its peak."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from meterlake.settings import Settings
from meterlake.tables.changes import FEW_PAIRS
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.int_place_loads import INT_PLACE_LOADS
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.mart_load_factors import MART_LOAD_FACTORS
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE
from meterlake.tables.mart_weekly_load_profile import MART_WEEKLY_LOAD_PROFILE
from meterlake.tables.store import Store
from tests.conftest import settings_for
from tests.lake import VILLAGE, deliver, half_hours, rows, written

STEPS = ("ingest", "stage", "aggregate", "marts")
MADE = (
    INT_READINGS_HOURLY,
    INT_READINGS_DAILY,
    INT_READINGS_MONTHLY,
    INT_CONSUMPTION_FEATURES,
    MART_CONSUMPTION_METRICS,
    MART_LOAD_PROFILE,
    MART_WEEKLY_LOAD_PROFILE,
    INT_PLACE_LOADS,
    MART_LOAD_FACTORS,
)
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


@pytest.mark.parametrize(
    "few_pairs",
    [pytest.param(FEW_PAIRS, id="each_meter_is_looked_up"), pytest.param(1, id="all_meters_of_the_new_day")],
)
def test_a_new_day_with_a_late_reading_of_an_old_one_comes_to_what_one_delivery_does(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_pairs: int
) -> None:
    """Of a utility's day there are more meter-days than the driver holds (`Changes.whole`)."""
    old, late = half_hours("a", datetime(2024, 1, 30), 48 * 2), half_hours("b", datetime(2024, 1, 31, 9), 3)
    new = half_hours("a", datetime(2024, 2, 1), 48) + half_hours("b", datetime(2024, 2, 1, 7), 9)
    grown, whole = settings_for(tmp_path / "grown"), settings_for(tmp_path / "whole")
    deliver(spark, whole, written(tmp_path / "all.csv", *old, *late, *new), *STEPS)
    for module in ("changes", "net_changes"):
        monkeypatch.setattr(f"meterlake.tables.{module}.FEW_PAIRS", few_pairs)
    deliver(spark, grown, written(tmp_path / "1.csv", *old), *STEPS)
    deliver(spark, grown, written(tmp_path / "2.csv", *late, *new), *STEPS)
    changed = Store(spark, grown).changes(INT_READINGS_DAILY, "village", 1)
    assert changed.whole == ({date(2024, 2, 1)} if few_pairs == 1 else set())
    for table in MADE:
        assert sorted(rows(spark, grown, table.name)) == sorted(rows(spark, whole, table.name))


def test_loads_of_places_follow_the_meters(spark: SparkSession, tmp_path: Path) -> None:
    """A day more, a month more, then a meter that hangs elsewhere and one that comes late: as of one delivery."""
    sited = VILLAGE.model_copy(update={"columns": VILLAGE.columns.model_copy(update={"feeder": "feeder"})})

    def lines(feeder: str, *of: str) -> list[str]:
        return [f"{line},{feeder}" for line in of]

    old = lines("f1", *half_hours("a", datetime(2024, 1, 30), 96), *half_hours("b", datetime(2024, 1, 30), 48))
    more = lines("f1", *half_hours("a", datetime(2024, 2, 1), 48))
    moved = lines("f2", *half_hours("b", datetime(2024, 2, 2), 48))
    late = lines("f2", *half_hours("c", datetime(2024, 1, 30, 5), 3))
    grown, whole = settings_for(tmp_path / "grown"), settings_for(tmp_path / "whole")
    for number, given in enumerate((old[:100], old[100:], more, moved, late)):
        file = written(tmp_path / f"{number}.csv", *given, header="meter,at,kwh,feeder")
        deliver(spark, grown, file, *STEPS, source=sited)
        if given is moved:
            kept = {row.reading_date_local for row in rows(spark, grown, "int_place_loads")}
            assert kept == {date(2024, 2, 1), date(2024, 2, 2)}, "what was added up at other places is gone"
    delivered = written(tmp_path / "all.csv", *old, *more, *moved, *late, header="meter,at,kwh,feeder")
    deliver(spark, whole, delivered, *STEPS, source=sited)
    for table in (INT_PLACE_LOADS, MART_WEEKLY_LOAD_PROFILE, MART_LOAD_FACTORS):
        assert rows(spark, grown, table.name) == rows(spark, whole, table.name)


def test_hours_that_change_places_within_a_day_change_its_profile(spark: SparkSession, tmp_path: Path) -> None:
    """The day's row stays what it was: the same sum, the same largest and smallest value."""
    day = half_hours("a", datetime(2024, 1, 31), 48)
    swapped = [*day[:20], day[20].rpartition(",")[0] + ",0.6", day[21], day[22].rpartition(",")[0] + ",0.7", *day[23:]]
    first = [*day[:20], day[20].rpartition(",")[0] + ",0.7", day[21], day[22].rpartition(",")[0] + ",0.6", *day[23:]]
    corrected, whole = settings_for(tmp_path / "corrected"), settings_for(tmp_path / "whole")
    deliver(spark, corrected, written(tmp_path / "1.csv", *first), *STEPS)
    deliver(spark, corrected, written(tmp_path / "2.csv", *swapped), *STEPS)
    deliver(spark, whole, written(tmp_path / "all.csv", *swapped), *STEPS)
    assert rows(spark, corrected, "int_readings_daily") == rows(spark, whole, "int_readings_daily")
    for table in MADE:
        assert rows(spark, corrected, table.name) == rows(spark, whole, table.name)
