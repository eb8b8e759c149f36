"""The step in Spark: elements of a source, forecast or refused, replaced when made again, and seen by `publish`."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from tests.lake import rows, run_of

from meterlake import steps
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES

START, DAYS = datetime(2024, 1, 1), 35
HOURLY, METERS, FORECAST = (TABLES[name] for name in ("int_readings_hourly", "stg_meters", "mart_load_forecast"))


@pytest.fixture
def hourly(spark: SparkSession, settings: Settings) -> None:
    """Two meters of feeder f1 for 35 days, one of f2 for the last three."""
    frames = []
    for meter, days in (("a", DAYS), ("b", DAYS), ("c", 3)):
        hour = np.arange((DAYS - days) * 24, DAYS * 24)
        kwh = np.round(1 + np.sin(hour / 24 * 2 * np.pi) ** 2, 4)
        known = {"hour_start": [START + timedelta(hours=int(h)) for h in hour], "consumption_kwh": kwh}
        frames.append(pd.DataFrame(known | {"meter_id": meter, "hour_of_day": hour % 24}))
    made = pd.concat(frames).assign(source="village", interval_minutes=30, reading_count=2, expected_count=2)
    made = made.assign(completeness=1.0, quality="measured", reading_date_local=made["hour_start"].dt.date)
    store = run_of(spark, settings).store
    frame = spark.createDataFrame(made)
    missing = [name for name in HOURLY.names if name not in frame.columns]
    store.append(frame.selectExpr("*", *(f"double(null) AS {name}" for name in missing)), HOURLY)
    places = [
        ("village", meter, "north", feeder, None, None) for meter, feeder in (("a", "f1"), ("b", "f1"), ("c", "f2"))
    ]
    store.append(spark.createDataFrame(places, METERS.schema), METERS)


@pytest.mark.usefixtures("hourly")
def test_elements_are_forecast_or_refused(spark: SparkSession, settings: Settings) -> None:
    run = run_of(spark, settings)
    outcome = run.perform("forecast", steps.forecast(["feeder"]))
    made = rows(spark, settings, "mart_load_forecast")
    assert (len(made), outcome.rows_out, {row.element for row in made}) == (168, 168, {"f1"})
    assert outcome.said[1] == "No forecast for feeder f2: 3.0 days of hours are known and 28 are needed."
    assert {row.forecast_origin for row in made} == {START + timedelta(days=DAYS)}
    assert [row.target_hour for row in made] == [START + timedelta(days=DAYS, hours=hour) for hour in range(168)]
    assert all(row.load_p10_kwh <= row.load_p50_kwh <= row.load_p90_kwh for row in made)
    assert abs(float(made[6].load_p50_kwh) - 4.0) < 0.3, "both meters together"

    before = run.store.version(FORECAST)
    run.perform("forecast", steps.forecast(["feeder"]))
    assert len(rows(spark, settings, "mart_load_forecast")) == 168
    changed = run.store.changes(FORECAST, "village", before)
    assert str(changed.first) == "2024-02-05", "publication learns what changed"
