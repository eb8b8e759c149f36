"""What an incremental run reads and makes: enough for every period that a change affects."""

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from tests.lake import VILLAGE, row_of

from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.transforms.mart_consumption_metrics import affected_days, build, days_to_read

METERS = "source string, meter_id string, region string, feeder string"
DAYS = st.dates(date(2001, 1, 1), date(2060, 12, 31))


def year_later(day: date, years: int) -> date:
    """What Spark's add_months makes of 29 February."""
    return day.replace(year=day.year + years, day=min(day.day, monthrange(day.year + years, day.month)[1]))


def month_of(day: date, later: int = 0) -> list[date]:
    months = day.year * 12 + day.month - 1 + later
    year, month = months // 12, months % 12 + 1
    return [date(year, month, number + 1) for number in range(monthrange(year, month)[1])]


def week_of(day: date) -> list[date]:
    monday = day - timedelta(days=day.weekday())
    return [monday + timedelta(days=number) for number in range(7)]


def needed(day: date) -> set[date]:
    """Days of the affected periods, and of what each of them is compared with, a period at a time."""
    days = {day - timedelta(days=1), day, day + timedelta(days=1)}
    days |= {year_later(one, years) for one in set(days) for years in (-1, 1)}
    weeks = [day + timedelta(days=7 * number) for number in (-53, -52, -51, -1, 0, 1, 51, 52, 53)]
    months = [month_of(day, number) for number in (-12, -11, -1, 0, 1, 11, 12)]
    return days.union(*(week_of(one) for one in weeks), *months)


@given(DAYS, st.integers(0, 70))
def test_all_that_a_change_needs_is_read(first: date, length: int) -> None:
    last = first + timedelta(days=length)
    ranges = days_to_read(first, last)
    for day in (first, first + timedelta(days=length // 2), last):
        missing = [one for one in needed(day) if not any(begin <= one <= end for begin, end in ranges)]
        assert missing == []


@pytest.fixture(scope="module")
def daily(spark: SparkSession) -> DataFrame:
    """Two meters from January 2023 to April 2025, one of which is silent now and then."""
    first = date(2023, 1, 1)
    rows = [
        row_of(INT_READINGS_DAILY, source="village", meter_id=meter, reading_date_local=day, consumption_kwh=number / 8)
        for number in range(850)
        for meter, every in (("a", 1), ("b", 3))
        if number % every == 0
        for day in (first + timedelta(days=number),)
    ]
    return spark.createDataFrame(rows, INT_READINGS_DAILY.schema).persist()


@pytest.mark.parametrize(
    "changed", [[date(2024, 2, 29)], [date(2023, 2, 28), date(2024, 3, 31)], [date(2024, 12, 30)]], ids=str
)
def test_of_what_changed_days_affect_nothing_is_missing(daily: DataFrame, changed: list[date]) -> None:
    """All rows of the affected first days, of any kind of period: who replaces them deletes what is not made anew."""
    meters = daily.sparkSession.createDataFrame([("village", "a", "north", "f1")], METERS)
    starts = {start for day in changed for start in affected_days(day)}

    def made(of: list[date] | None) -> tuple[list[Row], int]:
        frame = build(daily, meters, VILLAGE, of)
        wanted = frame.where(F.col("period_start_local").isin(starts)).collect()
        return sorted(wanted, key=lambda row: (row.meter_id, row.period, row.period_start_local)), frame.count()

    (some, rows), (expected, all_rows) = made(changed), made(None)
    assert some == expected
    assert {row.period for row in some} == {"day", "week", "month"}
    assert any(row.year_change_pct is not None for row in some)
    assert rows < all_rows / 10


def test_a_day_reads_a_third_of_what_lies_between() -> None:
    ranges = days_to_read(date(2024, 6, 15), date(2024, 6, 15))
    read = sum((end - begin).days + 1 for begin, end in ranges)
    assert read < 0.4 * ((ranges[-1][1] - ranges[0][0]).days + 1)
