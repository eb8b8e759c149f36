"""The pass over hours of many meters: what stands out is in the mart, whatever history is read with it."""

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.anomaly.test_meter_day import homes

from meterlake.anomaly.meter_day import DayModel, MeterDays, fit
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms.mart_inspections import build, meter_days

FIRST = date(2024, 1, 1)
DAYS, STOPPED = 90, 80


@pytest.fixture(scope="module")
def kwh() -> np.ndarray:
    """(6, days, 24) of which the second meter stands still from a day on."""
    hourly = homes(6, DAYS).reshape(6, DAYS, 24, 2).sum(axis=3)
    hourly[1, STOPPED:] = 0.0
    return hourly


@pytest.fixture(scope="module")
def model() -> DayModel:
    others = MeterDays.grid(homes(20, 120, seed=5))
    return fit(others, others.judged, 0.001, 0.6)


def hourly(spark: SparkSession, kwh: np.ndarray, quality: str = "measured") -> DataFrame:
    rows = []
    for (meter, day, hour), value in np.ndenumerate(kwh):
        start = datetime.combine(FIRST, datetime.min.time()) + timedelta(days=int(day), hours=int(hour))
        row = dict.fromkeys(INT_READINGS_HOURLY.names) | {
            "source": "village",
            "meter_id": f"m{meter}",
            "hour_start": start,
            "reading_date_local": start.date(),
            "hour_of_day": int(hour),
            "interval_minutes": 60,
            "consumption_kwh": float(value),
            "max_power_kw": float(value),
            "min_power_kw": float(value),
            "reading_count": 1,
            "expected_count": 1,
            "completeness": 1.0,
            "quality": quality,
        }
        rows.append(tuple(row[name] for name in INT_READINGS_HOURLY.names))
    return spark.createDataFrame(rows, INT_READINGS_HOURLY.schema)


def meters(spark: SparkSession) -> DataFrame:
    row = dict.fromkeys(STG_METERS.names) | {"source": "village", "meter_id": "m1", "region": "north", "feeder": "F1"}
    return spark.createDataFrame([tuple(row[name] for name in STG_METERS.names)], STG_METERS.schema)


def test_a_meter_that_stands_still_is_found_and_placed(spark: SparkSession, kwh: np.ndarray, model: DayModel) -> None:
    found = build(hourly(spark, kwh), meters(spark), model, "meterlake-village/1").persist()
    of_m1 = {row.reading_date_local: row for row in found.where("meter_id = 'm1'").collect()}
    assert min(of_m1) == FIRST + timedelta(days=STOPPED)
    first = of_m1[min(of_m1)]
    assert (first.region, first.feeder, first.model_version) == ("north", "F1", "meterlake-village/1")
    assert 0.6 < first.day_score < 1
    assert first.consumption_kwh == 0
    assert float(first.usual_kwh) == pytest.approx(np.median(kwh[1, STOPPED - 56 : STOPPED - 6].sum(axis=1)), rel=1e-3)
    assert "than its usual day" in first.reasons or "for 24 h" in first.reasons

    begin = FIRST + timedelta(days=STOPPED + 2)
    later = build(hourly(spark, kwh), meters(spark), model, "meterlake-village/1", begin)
    assert sorted(later.collect()) == sorted(found.where(found.reading_date_local >= begin).collect())
    found.unpersist()


def test_estimates_are_no_observation(spark: SparkSession, kwh: np.ndarray, model: DayModel) -> None:
    assert build(hourly(spark, kwh[:2], "estimated"), meters(spark), model, "m/1").count() == 0


def test_hours_as_grids_of_days() -> None:
    rows = pa.table(
        {
            "meter_id": ["a", "a", "a", "b"],
            "day": pa.array([5, 5, 7, 5], pa.int32()),
            "hour_of_day": pa.array([0, 3, 23, 1], pa.int32()),
            "kwh": [1.0, None, 2.0, 3.0],
            "most_kw": [1.5, None, 2.0, 3.0],
            "least_kw": [0.5, None, 2.0, 3.0],
        }
    )
    of = meter_days(rows)
    assert of.key.tolist() == [5, 7, (1 << 32) + 5]
    assert of.hours.kwh[0, 0] == 1.0
    assert of.hours.most_kw[0, 0] == 1.5
    assert np.isnan(of.hours.kwh[0, 1:]).all()
    assert of.hours.kwh[1, 23] == 2.0
    assert of.hours.kwh[2, 1] == 3.0
