"""Days by Arrow, of the hours of the same pass: bit for bit what Spark makes of those hours."""

from datetime import date, timedelta

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from tests.lake import VILLAGE
from tests.transforms.test_plain_hours import CLOCKS, readings

from meterlake.quality.completeness import expected_intervals
from meterlake.settings import Settings
from meterlake.tables.arrow_pass import Rows
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.transforms import int_readings_daily, int_readings_hourly, periods, plain_days, plain_hours
from meterlake.vee.clock import EPOCH, clock_of

# Days around a change: at 01:00, at midnight in either direction, by half an hour, over midnight, of a whole day.
CHANGES = {
    "Europe/London": date(2024, 3, 31),
    "Africa/Cairo": date(2024, 4, 26),
    "Asia/Beirut": date(2021, 3, 28),
    "America/Sao_Paulo": date(2017, 10, 15),
    "America/Havana": date(2024, 11, 3),
    "Australia/Lord_Howe": date(2024, 4, 7),
    "America/St_Johns": date(2010, 11, 7),
    "Pacific/Apia": date(2011, 12, 30),
    "+05:30": date(2024, 1, 1),
}


@pytest.mark.parametrize(("zone", "minutes"), CLOCKS.items())
def test_it_says_what_spark_says(spark: SparkSession, settings: Settings, zone: str, minutes: int) -> None:
    source = VILLAGE.model_copy(update={"time_zone": zone, "interval_minutes": minutes})
    store = Store(spark, settings)
    store.append(spark.createDataFrame(readings(source), STG_METER_READINGS.schema), STG_METER_READINGS)
    files = store.scan(STG_METER_READINGS, source=[source.name])
    assert files is not None
    by_arrow = plain_hours.build(Rows.by_meter(files, plain_hours.NEEDED), source, date(2024, 1, 1))
    made = plain_days.build(by_arrow, source).frame()
    hours = int_readings_hourly.build(store.read(STG_METER_READINGS), source)
    expected = int_readings_daily.build(hours, source).select(*INT_READINGS_DAILY.names)
    order = ["meter_id", "reading_date_local"]
    assert made.orderBy(order).collect() == expected.orderBy(order).collect()
    assert made.count() >= 6


@pytest.mark.parametrize(("zone", "change"), CHANGES.items())
@pytest.mark.parametrize("minutes", [15, 60])
def test_a_day_has_the_intervals_that_spark_says(spark: SparkSession, zone: str, change: date, minutes: int) -> None:
    days = [change + timedelta(days=n) for n in (-1, 0, 1)]
    frame = spark.createDataFrame([Row(day=day) for day in days])
    told = frame.select("day", expected_intervals(F.col("day"), zone, minutes).alias("n")).orderBy("day").collect()
    numbers = np.array([(day - EPOCH).days for day in days])
    assert periods.expected_intervals(numbers, zone, minutes).tolist() == [row.n for row in told]


def test_a_day_begins_at_its_first_midnight_or_at_the_change() -> None:
    begins = clock_of("Asia/Beirut").first_minute(np.array([(CHANGES["Asia/Beirut"] - EPOCH).days]))
    assert begins[0] % 1440 == 22 * 60, "no midnight: the clock goes from 23:59 to 01:00"
    begins = clock_of("America/St_Johns").first_minute(np.array([(CHANGES["America/St_Johns"] - EPOCH).days]))
    assert begins[0] % 1440 == 150, "of two midnights the first, in summer time"
