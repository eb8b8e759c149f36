"""Load factor, capacity and growth on an afternoon worked out by hand, and kept right when a year comes late."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import VILLAGE, row_of, rows, run_of, write

from meterlake import steps
from meterlake.settings import Settings
from meterlake.sources.source import Losses
from meterlake.sources.tariff import Tariff
from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import mart_load_factors, place_loads, tariff_hours

JUNE, YEAR_BEFORE = date(2024, 6, 1), date(2023, 6, 1)
TOWN = VILLAGE.model_copy(
    update={
        "tariff": Tariff(
            weekday={"peak": ((17, 21),), "off_peak": ((0, 17), (21, 24))}, weekend={"off_peak": ((0, 24),)}
        ),
        "losses": Losses(supply_source="heads", coverage_floor=0.8),
    }
)
PLACES = {
    "a": ("north", "f1"),
    "b": ("north", "f1"),
    "c": ("north", "f2"),
    "d": (None, None),
    "silent": ("north", "f1"),
}


@pytest.fixture(scope="module")
def figures(spark: SparkSession) -> dict[tuple[str, str], Row]:
    """(element, band) -> row of a Monday from 12:00 to 24:00.

    a uses as many kWh as the hour's number, b 2, c 10 and d 1; of b's last hour one half is unknown.
    """
    hourly = [
        row_of(
            INT_READINGS_HOURLY,
            meter_id=meter,
            hour_start=datetime(2024, 6, 3, hour),
            reading_date_local=date(2024, 6, 3),
            consumption_kwh=1.0 if (meter, hour) == ("b", 23) else kwh,
            completeness=0.5 if (meter, hour) == ("b", 23) else 1.0,
        )
        for hour in range(12, 24)
        for meter, kwh in {"a": float(hour), "b": 2.0, "c": 10.0, "d": 1.0}.items()
    ]
    monthly = [
        row_of(INT_READINGS_MONTHLY, meter_id=meter, month_local=JUNE, reading_count=0 if meter == "silent" else 12)
        for meter in PLACES
    ]
    meters = [row_of(STG_METERS, meter_id=meter, region=place[0], feeder=place[1]) for meter, place in PLACES.items()]
    frames = [
        spark.createDataFrame(rows, table.schema)
        for rows, table in ((hourly, INT_READINGS_HOURLY), (monthly, INT_READINGS_MONTHLY), (meters, STG_METERS))
    ]
    of_hours, of_months, places = frames
    loads, hours = place_loads.build(of_hours, places, TOWN), spark.createDataFrame(tariff_hours.calendar([JUNE], TOWN))
    made = mart_load_factors.build(loads, of_months, places, hours, TOWN).collect()
    return {(row.element, row.band): row for row in made}


def test_every_element_has_the_month_and_its_bands(figures: dict[tuple[str, str], Row]) -> None:
    assert set(figures) == {(e, band) for e in ("village", "north", "f1", "f2") for band in ("all", "peak", "off_peak")}
    assert {e: figures[e, "all"].meters for e in ("village", "north", "f1", "f2")} == {
        "village": 4,
        "north": 3,
        "f1": 2,
        "f2": 1,
    }
    assert {e: figures[e, "all"].region for e in ("village", "north", "f1")} == {
        "village": None,
        "north": "north",
        "f1": "north",
    }


def test_an_hour_of_which_too_little_is_known_counts_nowhere(figures: dict[tuple[str, str], Row]) -> None:
    """f1 has loads of 14 to 24 kW; its last hour is known of 1.5 of 2 meters."""
    f1 = figures["f1", "all"]
    assert (f1.hours, f1.hours_known, f1.completeness) == (720, 11, 23.5 / (2 * 720))
    assert (f1.energy_kwh, f1.energy_share) == (233.0, 1.0)
    assert (f1.mean_load_kw, f1.peak_load_kw, f1.peak_hour_start) == (19.0, 24.0, datetime(2024, 6, 3, 22))
    assert (f1.load_factor, f1.capacity_kw) == (19 / 24, 19.5)


def test_what_is_missing_above_the_floor_is_as_if_like_the_rest(figures: dict[tuple[str, str], Row]) -> None:
    north = figures["north", "all"]
    assert (north.hours_known, north.peak_hour_start) == (12, datetime(2024, 6, 3, 23))
    assert north.peak_load_kw == pytest.approx((23 + 1 + 10) * 3 / 2.5)


def test_a_band_has_its_own_hours(figures: dict[tuple[str, str], Row]) -> None:
    peak = figures["f1", "peak"]
    assert (peak.hours, peak.hours_known, peak.energy_kwh) == (80, 4, 82.0)
    assert peak.energy_share == 82 / 233
    assert (peak.mean_load_kw, peak.peak_load_kw, peak.load_factor) == (20.5, 22.0, 20.5 / 22)
    assert peak.capacity_kw is None, "four hours have no ten largest"


def test_of_equal_hours_the_first_is_the_peak(figures: dict[tuple[str, str], Row]) -> None:
    assert figures["f2", "all"].peak_hour_start == datetime(2024, 6, 3, 12)


def test_growth_is_told_where_enough_of_both_months_is_known(spark: SparkSession) -> None:
    months = {
        "grew": ((720, 10.0), (720, 11.0)),
        "new": (None, (720, 11.0)),
        "hardly known": ((720, 10.0), (500, 11.0)),
        "hardly known before": ((500, 10.0), (720, 11.0)),
        "unused before": ((720, 0.0), (720, 11.0)),
    }
    known = [
        ("feeder", element, month, "all", 720, *told)
        for element, both in months.items()
        for month, told in zip((YEAR_BEFORE, JUNE), both, strict=True)
        if told
    ]
    names = "level string, element string, month_local date, band string, hours bigint, hours_known bigint"
    figures = spark.createDataFrame(known, f"{names}, mean_load_kw double")
    compared = mart_load_factors.compared(figures, TOWN).where(f"month_local = DATE'{JUNE}'")
    assert {row.element: (row.year_before_load_kw, row.growth_pct) for row in compared.collect()} == {
        "grew": (10.0, pytest.approx(10.0)),
        "new": (None, None),
        "hardly known": (10.0, None),
        "hardly known before": (None, None),
        "unused before": (0.0, None),
    }


def test_a_year_that_comes_late_gives_growth_and_the_same_as_a_rebuild(spark: SparkSession, settings: Settings) -> None:
    run = run_of(spark, settings)
    everything = Changes(VILLAGE.name, None, YEAR_BEFORE, date(2024, 8, 31))
    late = Changes(
        VILLAGE.name, spark.createDataFrame([("a", date(2023, 6, 5))], "meter_id string, day date"), *2 * [YEAR_BEFORE]
    )

    def made(changes: Changes) -> list[Row]:
        steps._loads(run, changes, run.store.read(STG_METERS, VILLAGE.name))
        return rows(spark, settings, "mart_load_factors")

    write(settings, STG_METERS, [{"source": "village", "meter_id": "a"}])
    a_month_of(settings, JUNE, 11.0)
    a_month_of(settings, date(2024, 8, 1), 12.0)
    assert [row.growth_pct for row in made(everything)] == [None, None]
    a_month_of(settings, YEAR_BEFORE, 10.0)
    found = made(late)
    assert [(row.mean_load_kw, row.year_before_load_kw) for row in found] == [(10.0, None), (11.0, 10.0), (12.0, None)]
    assert found[1].growth_pct == pytest.approx(10.0)
    assert made(everything) == found


def a_month_of(settings: Settings, month: date, kwh: float) -> None:
    """30 days of a meter with the same energy in each hour."""
    of_meter = {
        "source": "village",
        "meter_id": "a",
        "interval_minutes": 60,
        "quality": "measured",
        "completeness": 1.0,
    }
    counts = {"reading_count": 1, "expected_count": 1}
    begin = datetime(month.year, month.month, 1)
    hours = [
        of_meter
        | counts
        | {
            "hour_start": begin + timedelta(hours=hour),
            "reading_date_local": (begin + timedelta(hours=hour)).date(),
            "hour_of_day": hour % 24,
            "consumption_kwh": kwh,
        }
        for hour in range(720)
    ]
    write(settings, INT_READINGS_HOURLY, hours)
    write(settings, INT_READINGS_MONTHLY, [of_meter | counts | {"month_local": month}])
