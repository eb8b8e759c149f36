"""Days of a small table, written as the steps write them: for tests of the layout and of its upkeep."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.ops import RUNS
from meterlake.tables.store import Store

FIRST = date(2024, 1, 1)
METERS = 8
MARKS = 2  # success markers a day


def write(store: Store, number: int) -> None:
    """One day's run: the day is added, half of the day before it is corrected, and two steps leave their markers."""
    day = FIRST + timedelta(days=number)
    store.replace(_daily(store, day, kwh=1.0), INT_READINGS_DAILY, _changed(store, day))
    if number:
        yesterday = day - timedelta(days=1)
        corrected = _daily(store, yesterday, kwh=2.0).where("meter_id < 'm4'")
        store.replace(corrected, INT_READINGS_DAILY, _changed(store, yesterday, METERS // 2))
    for mark in range(MARKS):
        at = datetime(day.year, day.month, day.day, 6, mark, tzinfo=UTC)
        values = (f"run-{number}", f"step-{mark}", "village", at, 1.0, METERS, METERS, {}, {}, {}, "0")
        store.append_rows([values], RUNS)


def _daily(store: Store, day: date, kwh: float) -> DataFrame:
    """Rows of `int_readings_daily` for all meters; what is not named is null."""
    given = {
        "source": F.lit("village"),
        "meter_id": F.concat(F.lit("m"), F.col("id")),
        "reading_date_local": F.lit(day),
        "consumption_kwh": F.lit(kwh),
        "reading_count": F.lit(48),
        "interval_minutes": F.lit(30),
        "expected_count": F.lit(48),
        "completeness": F.lit(1.0),
        "quality": F.lit("measured"),
    }
    columns = [given.get(name, F.lit(None)).alias(name) for name in INT_READINGS_DAILY.names]
    return store.spark.range(0, METERS, 1, 1).select(columns)


def _changed(store: Store, day: date, meters: int = METERS) -> Changes:
    days = store.spark.range(0, meters, 1, 1).select(
        F.concat(F.lit("m"), F.col("id")).alias("meter_id"), F.lit(day).alias("day")
    )
    return Changes("village", days, day, day)
