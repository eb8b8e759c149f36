"""Hours by Arrow, of readings shuffled by Arrow: bit for bit what Spark makes of them."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, row_of

from meterlake.session import SMALL_BYTES, size_to
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables import meter_order
from meterlake.tables.arrow_pass import Rows
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.transforms import int_readings_hourly, plain_hours
from meterlake.vee.clock import clock_of

# Over the night in which most clocks go back; one that is no whole hour off, one that goes back by half an hour.
CLOCKS = {"Africa/Lagos": 30, "Europe/London": 15, "Asia/Kathmandu": 20, "Australia/Lord_Howe": 15, "+05:30": 90}
BEGIN = {"Australia/Lord_Howe": datetime(2024, 4, 6, tzinfo=UTC)}


def readings(source: Source) -> list[tuple[Any, ...]]:
    """Two days of three meters in any order, with gaps, unknown values and every quality."""
    chance = random.Random(7)
    clock, begin = clock_of(source.time_zone), BEGIN.get(source.time_zone, datetime(2024, 10, 26, tzinfo=UTC))
    rows = []
    for meter in ("b", "a", "c:d"):
        for n in range(2 * 1440 // source.interval_minutes):
            start = begin + timedelta(minutes=source.interval_minutes * n)
            local = start + timedelta(minutes=int(clock.offset(int(start.timestamp()) // 60)))
            kwh = None if chance.random() < 0.2 or (meter == "a" and n < 9) else round(chance.uniform(-1, 9), 8)
            known = {
                "reading_id": f"{source.name}:{meter}:{int(start.timestamp())}",
                "reading_timestamp": start,
                "consumption_kwh": kwh,
                "active_power_kw": None if kwh is None else kwh / (source.interval_minutes / 60),
                "voltage_v": chance.choice((None, chance.uniform(200, 250))),
                "reading_date_local": local.date(),
                "hour_of_day": local.hour,
                "day_of_week": local.isoweekday(),
                "quality": "missing" if kwh is None else chance.choice(int_readings_hourly.QUALITIES[:3]),
            }
            if chance.random() < 0.9:
                rows.append(row_of(STG_METER_READINGS, source=source.name, meter_id=meter, batch_id="b", **known))
    chance.shuffle(rows)
    return rows


@pytest.mark.parametrize(("zone", "minutes"), CLOCKS.items())
def test_it_says_what_spark_says(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, zone: str, minutes: int
) -> None:
    source = VILLAGE.model_copy(update={"time_zone": zone, "interval_minutes": minutes})
    monkeypatch.setattr(meter_order, "ROWS_OF_PART", 50)  # several parts, some without a meter
    monkeypatch.setattr(meter_order, "ROWS_AT_ONCE", 40)  # of which each comes in several values
    store = Store(spark, settings)
    rows = readings(source)
    for half in (rows[::2], rows[1::2]):
        store.append(spark.createDataFrame(half, STG_METER_READINGS.schema), STG_METER_READINGS)
    files = store.scan(STG_METER_READINGS, source=[source.name])
    assert files is not None
    made = plain_hours.build(Rows.by_meter(files, plain_hours.NEEDED), source, date(2024, 1, 1)).frame()
    expected = int_readings_hourly.build(store.read(STG_METER_READINGS), source).select(*INT_READINGS_HOURLY.names)
    order = ["meter_id", "hour_start"]
    assert made.orderBy(order).collect() == expected.orderBy(order).collect()
    assert {row.quality for row in made.collect()} == set(int_readings_hourly.QUALITIES)


def test_every_part_holds_whole_meters_in_order_of_time(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter_order, "ROWS_OF_PART", 100)
    size_to(spark, 2 * SMALL_BYTES, settings)  # by tasks
    store = Store(spark, settings)
    rows = readings(VILLAGE)
    store.append(spark.createDataFrame(rows, STG_METER_READINGS.schema), STG_METER_READINGS)
    files = store.scan(STG_METER_READINGS, source=[VILLAGE.name])
    assert files is not None
    sent = Rows.by_meter(files, ("meter_id", "reading_timestamp"))
    kept = sent.through(iter, "meter_id string, at timestamp").selectExpr("spark_partition_id() part", "*")
    found = [tuple(row) for row in kept.collect()]
    assert found == sorted(found)
    meters = {(part, meter) for part, meter, _ in found}
    assert len(meters) == 3
    assert len(found) == len(rows)
