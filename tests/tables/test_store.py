"""A home that an earlier version of meterlake made: columns declared since are null there, and can be written."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from meterlake.settings import Settings
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.tables.table import Table

OLD = replace(STG_METER_READINGS, columns=tuple(c for c in STG_METER_READINGS.columns if c.name != "delivered_kwh"))


def reading(spark: SparkSession, table: Table, hour: int, **more: Any) -> DataFrame:
    """One whole reading of the meter a."""
    values = {
        "reading_id": f"village:a:{hour}",
        "source": "village",
        "meter_id": "a",
        "reading_timestamp": datetime(2024, 1, 1, hour),
        "interval_minutes": 60,
        "consumption_kwh": 1.0,
        "active_power_kw": 1.0,
        "reading_date_local": date(2024, 1, 1),
        "hour_of_day": hour,
        "day_of_week": 1,
        "quality": "measured",
        "batch_id": "one",
    } | more
    return spark.createDataFrame([tuple(values.get(name) for name in table.names)], table.schema)


def test_a_home_made_before_a_column_was_declared_is_read_and_written(spark: SparkSession, settings: Settings) -> None:
    Store(spark, settings).append(reading(spark, OLD, 1), OLD)
    store = Store(spark, settings)
    assert store.read(STG_METER_READINGS).columns == STG_METER_READINGS.names
    assert store.read(STG_METER_READINGS, version=0).where("delivered_kwh IS NOT NULL").count() == 0
    version = store.version(STG_METER_READINGS)
    edited = {"quality": "edited", "consumption_kwh": 1.0, "delivered_kwh": 9.0}
    store.append(reading(spark, STG_METER_READINGS, 2, **edited), STG_METER_READINGS)
    found = store.read(STG_METER_READINGS).orderBy("reading_timestamp").select("delivered_kwh").collect()
    assert [row.delivered_kwh for row in found] == [None, 9.0]
    (described,) = [f for f in store.read(STG_METER_READINGS).schema if f.name == "delivered_kwh"]
    assert described.metadata["comment"].endswith("[kWh]")
    changed = store.changes(STG_METER_READINGS, "village", version)
    assert changed.days is not None
    assert changed.days.count() == 1
