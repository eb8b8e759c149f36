from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.quality.completeness import completeness, expected_intervals
from meterlake.sources.ami import AMI
from meterlake.sources.source import Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY

LONDON = AMI.model_copy(update={"time_zone": "Europe/London", "interval_minutes": 30})


def expected(spark: SparkSession, day: str, zone: str, interval_minutes: int) -> int:
    days = spark.createDataFrame([(date.fromisoformat(day),)], "day date")
    row = days.select(expected_intervals(F.col("day"), zone, interval_minutes)).head()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("day", "zone", "interval_minutes", "intervals"),
    [
        pytest.param("2024-03-10", "Europe/London", 30, 48, id="ordinary_day_in_london"),
        pytest.param("2024-03-31", "Europe/London", 30, 46, id="spring_in_london_has_23_hours"),
        pytest.param("2024-10-27", "Europe/London", 30, 50, id="autumn_in_london_has_25_hours"),
        pytest.param("2024-03-31", "Asia/Kolkata", 15, 96, id="half_hour_zone_without_summer_time"),
        pytest.param("2024-03-31", "Africa/Lagos", 30, 48, id="an_african_zone_keeps_24_hours_when_europe_does_not"),
        pytest.param("2024-04-07", "Australia/Sydney", 30, 50, id="southern_autumn_is_in_april"),
        pytest.param("2024-10-06", "Australia/Sydney", 30, 46, id="southern_spring_is_in_october"),
        pytest.param("2024-10-06", "Australia/Lord_Howe", 30, 47, id="lord_howe_moves_half_an_hour_forward"),
        pytest.param("2024-04-07", "Australia/Lord_Howe", 30, 49, id="lord_howe_moves_half_an_hour_back"),
        pytest.param("2018-11-04", "America/Sao_Paulo", 60, 23, id="midnight_that_does_not_exist"),
        pytest.param("2018-02-17", "America/Sao_Paulo", 60, 25, id="hour_before_midnight_comes_twice"),
        pytest.param("2018-02-18", "America/Sao_Paulo", 60, 24, id="day_after_the_double_hour"),
        pytest.param("2007-03-25", "+01:00", 1, 1440, id="fixed_offset_has_no_summer_time"),
        pytest.param("2024-03-31", "UTC", 30, 48, id="utc"),
        pytest.param("2011-12-30", "Pacific/Apia", 60, 0, id="day_that_a_zone_left_out"),
        pytest.param("2024-10-27", "Europe/London", 1440, 1, id="daily_meter_reads_once_on_the_long_day"),
        pytest.param("2024-03-31", "Europe/London", 120, 12, id="two_hourly_meter_on_the_short_day"),
    ],
)
def test_expected_intervals(spark: SparkSession, day: str, zone: str, interval_minutes: int, intervals: int) -> None:
    assert expected(spark, day, zone, interval_minutes) == intervals


@pytest.mark.parametrize("zone", ["Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "America/New_York"])
def test_a_year_of_days_agrees_with_the_clock_walked_in_steps_of_half_an_hour(spark: SparkSession, zone: str) -> None:
    days = spark.sql("SELECT explode(sequence(date'2017-01-01', date'2018-12-31')) AS day")
    rows = days.select("day", expected_intervals(F.col("day"), zone, 30).alias("expected")).collect()

    walked: dict[date, int] = {}
    instant = datetime(2016, 12, 30, tzinfo=UTC)
    while instant < datetime(2019, 1, 3, tzinfo=UTC):
        local_day = instant.astimezone(ZoneInfo(zone)).date()
        walked[local_day] = walked.get(local_day, 0) + 1
        instant += timedelta(minutes=30)

    assert {row["day"]: row["expected"] for row in rows} == {row["day"]: walked[row["day"]] for row in rows}
    assert len({walked[row["day"]] for row in rows}) == 3  # short, ordinary and long days are in the sample


def test_the_session_time_zone_does_not_matter(spark: SparkSession) -> None:
    before = spark.conf.get("spark.sql.session.timeZone")
    try:
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        assert expected(spark, "2024-03-10", "Europe/London", 30) == 48  # New York's short day
    finally:
        spark.conf.set("spark.sql.session.timeZone", str(before))


def daily(spark: SparkSession, *rows: tuple[str, str, int]) -> DataFrame:
    """int_readings_daily rows from (meter, day, readings), in the columns that completeness reads."""
    schema = "source string, meter_id string, reading_date_local date, reading_count bigint"
    return spark.createDataFrame([("ami", meter, date.fromisoformat(day), n) for meter, day, n in rows], schema)


def by_day(frame: DataFrame) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (row["meter_id"], str(row["reading_date_local"])): (
            row["expected_count"],
            row["reading_count"],
            row["missing_count"],
        )
        for row in frame.collect()
    }


def test_days_without_a_row_count_as_days_without_readings(spark: SparkSession) -> None:
    rows = daily(spark, ("a", "2024-03-29", 48), ("a", "2024-04-01", 40), ("b", "2024-03-30", 48))

    assert by_day(completeness(rows, LONDON)) == {
        ("a", "2024-03-29"): (48, 48, 0),
        ("a", "2024-03-30"): (48, 0, 48),
        ("a", "2024-03-31"): (46, 0, 46),
        ("a", "2024-04-01"): (48, 40, 8),
        ("b", "2024-03-30"): (48, 48, 0),
    }


@pytest.mark.parametrize(
    ("source", "day", "readings", "share"),
    [
        pytest.param(LONDON, "2024-03-31", 46, 1.0, id="short_day_is_complete_with_46"),
        pytest.param(LONDON, "2024-10-27", 48, 0.96, id="long_day_is_not_complete_with_48"),
        pytest.param(AMI, "2024-10-27", 48, 0.5, id="half_of_the_quarter_hours"),
    ],
)
def test_completeness_is_the_share_of_the_local_day(
    spark: SparkSession, source: Source, day: str, readings: int, share: float
) -> None:
    row = completeness(daily(spark, ("a", day, readings)), source).head()
    assert row is not None
    assert row["completeness"] == pytest.approx(share)


def test_no_days_give_no_rows(spark: SparkSession) -> None:
    nothing = spark.createDataFrame([], INT_READINGS_DAILY.schema)
    assert completeness(nothing, AMI).collect() == []
