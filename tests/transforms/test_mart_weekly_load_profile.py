"""The week of a place worked out by hand, over a long Sunday, and the same whatever month comes first."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import VILLAGE, row_of, rows, run_of, write

from meterlake import steps
from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.mart_weekly_load_profile import MART_WEEKLY_LOAD_PROFILE
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import mart_weekly_load_profile, place_loads

LONDON = VILLAGE.model_copy(update={"time_zone": "Europe/London"})
PLACES = {"a": ("north", "f1"), "b": ("north", "f1"), "lost": (None, None)}
OCTOBER, NOVEMBER, SUNDAY, MONDAY = date(2024, 10, 1), date(2024, 11, 1), 7, 1
# (meter, start in UTC, kWh, share that is known) of hours around the night to 2024-10-27, when the clock goes back.
HOURS = [
    ("a", datetime(2024, 10, 20, 0), 1.0, 1.0),  # a Sunday, 01:00 in summer time
    ("a", datetime(2024, 10, 27, 0), 2.0, 1.0),  # the long Sunday, 01:00 for the first time
    ("a", datetime(2024, 10, 27, 1), 4.0, 1.0),  # and again
    ("b", datetime(2024, 10, 27, 1), 0.5, 0.5),  # half of the hour is unknown
    ("b", datetime(2024, 10, 27, 0), None, 0.0),
    ("lost", datetime(2024, 10, 27, 1), 8.0, 1.0),
    ("a", datetime(2024, 10, 20, 23), 3.0, 1.0),  # a Monday, 00:00 in summer time
    ("a", datetime(2024, 10, 31, 23), 5.0, 1.0),  # a Thursday, 23:00
    ("a", datetime(2024, 11, 1, 0), 6.0, 1.0),  # a Friday, 00:00
]


@pytest.fixture(scope="module")
def profile(spark: SparkSession) -> dict[tuple[str, date, int, int], Row]:
    """(feeder, month, weekday, hour of the day) -> row."""
    hourly = [
        row_of(
            INT_READINGS_HOURLY,
            meter_id=meter,
            hour_start=start,
            reading_date_local=start.date(),
            consumption_kwh=kwh,
            completeness=known,
        )
        for meter, start, kwh, known in HOURS
    ]
    meters = [row_of(STG_METERS, meter_id=meter, region=region, feeder=f) for meter, (region, f) in PLACES.items()]
    frames = (
        spark.createDataFrame(*each) for each in ((hourly, INT_READINGS_HOURLY.schema), (meters, STG_METERS.schema))
    )
    made = mart_weekly_load_profile.build(place_loads.build(*frames, LONDON), LONDON).collect()
    return {(row.feeder, row.month_local, row.weekday, row.hour_of_day): row for row in made}


def test_each_hour_stands_under_its_weekday_on_the_clock(profile: dict[tuple[str, date, int, int], Row]) -> None:
    assert set(profile) == {
        ("f1", OCTOBER, SUNDAY, 1),
        ("", OCTOBER, SUNDAY, 1),
        ("f1", OCTOBER, MONDAY, 0),
        ("f1", OCTOBER, 4, 23),
        ("f1", NOVEMBER, 5, 0),
    }


def test_a_cell_is_the_mean_load_of_a_meter(profile: dict[tuple[str, date, int, int], Row]) -> None:
    """Three hours of a, of which two are the same on the clock, and a half of b: never two whole meters at once."""
    cell = profile["f1", OCTOBER, SUNDAY, 1]
    assert (cell.energy_kwh, cell.hours) == (7.5, 3.5)
    assert cell.mean_load_kw == 7.5 / 3.5
    assert (cell.source, cell.region, cell.meters) == ("village", "north", 1)


def test_a_meter_without_a_place_counts_too(profile: dict[tuple[str, date, int, int], Row]) -> None:
    nowhere = profile["", OCTOBER, SUNDAY, 1]
    assert (nowhere.region, nowhere.meters, nowhere.energy_kwh, nowhere.hours) == ("", 1, 8.0, 1.0)


def test_months_in_any_order_are_the_same_as_a_rebuild(spark: SparkSession, settings: Settings) -> None:
    """July stands when the mart is made for the first time, June comes late and August's first day is told again."""
    run = run_of(spark, settings)
    june, july, august = date(2024, 6, 1), date(2024, 7, 1), date(2024, 8, 1)
    everything = Changes(VILLAGE.name, None, june, date(2024, 8, 31))

    def made(*changed: date) -> list[Row]:
        days = spark.createDataFrame([("a", day) for day in changed], "meter_id string, day date")
        changes = Changes(VILLAGE.name, days, min(changed), max(changed)) if changed else everything
        steps._loads(run, changes, run.store.read(STG_METERS, VILLAGE.name))
        return rows(spark, settings, MART_WEEKLY_LOAD_PROFILE.name)

    write(settings, STG_METERS, [{"source": "village", "meter_id": "a", "region": "north", "feeder": "f1"}])
    a_week_of(settings, july, 1.0)
    a_week_of(settings, august, 2.0)
    first = made(august)
    assert {row.month_local for row in first} == {july, august}, "an earlier version did not make the mart"
    assert len(first) == 2 * 7 * 24
    a_week_of(settings, june, 3.0)
    late = made(date(2024, 6, 5), august)
    assert [row for row in late if row.month_local != june] == first
    assert made() == late
    assert {row.mean_load_kw for row in late if row.month_local == june} == {3.0}


def a_week_of(settings: Settings, month: date, kwh: float) -> None:
    """The first seven days of a meter with the same energy in each hour."""
    of_meter = {"source": "village", "meter_id": "a", "interval_minutes": 60, "quality": "measured"}
    of_meter |= {"completeness": 1.0, "reading_count": 1, "expected_count": 1}
    starts = [datetime(month.year, month.month, 1) + timedelta(hours=hour) for hour in range(7 * 24)]
    hours = [
        of_meter
        | {
            "hour_start": start,
            "reading_date_local": start.date(),
            "hour_of_day": start.hour,
            "consumption_kwh": kwh,
        }
        for start in starts
    ]
    write(settings, INT_READINGS_HOURLY, hours)
    write(settings, INT_READINGS_MONTHLY, [of_meter | {"month_local": month}])
