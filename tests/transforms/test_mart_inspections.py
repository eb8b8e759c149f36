"""The pass over hours of many meters: what stands out is in the mart, whatever history is read with it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.anomaly.test_meter_day import homes
from tests.anomaly.test_registry import trained
from tests.lake import VILLAGE, row_of, run_of

from meterlake import steps
from meterlake.anomaly import registry
from meterlake.anomaly.counted import counted_by_task, total
from meterlake.anomaly.drift import FEWEST_ROWS, Shift
from meterlake.anomaly.meter_day import DayModel, MeterDays, fit, signs_of, watched_days
from meterlake.anomaly.watch import expectation, watch
from meterlake.settings import Settings
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.ops import QUALITY_RESULTS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
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
        measures = dict.fromkeys(("consumption_kwh", "max_power_kw", "min_power_kw"), float(value))
        of = {"source": "village", "meter_id": f"m{meter}", "quality": quality}
        at = {"hour_start": start, "reading_date_local": start.date(), "hour_of_day": int(hour)}
        rows.append(row_of(INT_READINGS_HOURLY, **of, **at, **measures))
    return spark.createDataFrame(rows, INT_READINGS_HOURLY.schema)


def meters(spark: SparkSession) -> DataFrame:
    row = row_of(STG_METERS, source="village", meter_id="m1", region="north", feeder="F1")
    return spark.createDataFrame([row], STG_METERS.schema)


def test_a_meter_that_stands_still_is_found_and_placed(spark: SparkSession, kwh: np.ndarray, model: DayModel) -> None:
    found = build(hourly(spark, kwh), meters(spark), VILLAGE, model, "meterlake-village/1").persist()
    of_m1 = {row.reading_date_local: row for row in found.where("meter_id = 'm1'").collect()}
    assert min(of_m1) == FIRST + timedelta(days=STOPPED)
    first = of_m1[min(of_m1)]
    assert (first.region, first.feeder, first.model_version) == ("north", "F1", "meterlake-village/1")
    assert 0.6 < first.day_score < 1
    assert first.consumption_kwh == 0
    assert float(first.usual_kwh) == pytest.approx(np.median(kwh[1, STOPPED - 56 : STOPPED - 6].sum(axis=1)), rel=1e-3)
    assert "than its usual day" in first.reasons or "for 24 h" in first.reasons

    begin = FIRST + timedelta(days=STOPPED + 2)
    later = build(hourly(spark, kwh), meters(spark), VILLAGE, model, "meterlake-village/1", begin)
    assert sorted(later.collect()) == sorted(found.where(found.reading_date_local >= begin).collect())
    found.unpersist()


@pytest.mark.parametrize("partitions", [1, 2])
def test_the_pass_counts_what_it_judges_and_a_task_that_runs_twice_once(
    spark: SparkSession, kwh: np.ndarray, model: DayModel, partitions: int
) -> None:
    counted, begin = counted_by_task(spark.sparkContext), 60
    conf = {"spark.sql.shuffle.partitions": str(partitions), "spark.sql.adaptive.enabled": "false"}  # joins none
    before = {name: spark.conf.get(name) for name in conf}
    try:
        for name, value in conf.items():
            spark.conf.set(name, value)
        first = FIRST + timedelta(days=begin)
        found = build(hourly(spark, kwh), meters(spark), VILLAGE, model, "m/1", first, counted)
        assert found.count() == found.count() > 0
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
    assert len(counted.value) == partitions
    of = MeterDays.grid(kwh)
    judged = np.flatnonzero(of.judged & (np.arange(len(of.key)) % DAYS >= begin))
    surprises = model.surprises_of(signs_of(of, judged, model.typical_kwh))
    assert model.reference is not None
    np.testing.assert_array_equal(total(counted, model.reference), model.reference.counts(watched_days(surprises)))


def test_estimates_are_no_observation(spark: SparkSession, kwh: np.ndarray, model: DayModel) -> None:
    assert build(hourly(spark, kwh[:2], "estimated"), meters(spark), VILLAGE, model, "m/1").count() == 0


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


def test_days_that_come_later_end_as_one_load(
    spark: SparkSession, settings: Settings, kwh: np.ndarray, model: DayModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = registry.ModelVersion("meterlake-village", 1, replace(trained(), days=model))
    monkeypatch.setattr(registry, "champion", lambda source, settings: champion)
    at_once = Store(spark, settings)
    bit_by_bit = Store(spark, settings.model_copy(update={"home": settings.home / "bit by bit"}))
    cut = FIRST + timedelta(days=STOPPED + 3)

    def loaded(store: Store, hours: DataFrame, days: DataFrame) -> None:
        store.append(hours, INT_READINGS_HOURLY)
        store.append(days, INT_READINGS_DAILY)
        run_of(spark, store.settings).perform("score", steps.score)

    hours = hourly(spark, kwh).persist()
    days = daily(spark, kwh)
    loaded(at_once, hours, days)
    late = (F.col("reading_date_local") == FIRST + timedelta(days=60)) & (F.col("meter_id") == "m1")
    before = F.col("reading_date_local") < cut
    for part in (before & ~late, ~before, late):  # in this order: the rest of the days, and one that comes late
        loaded(bit_by_bit, hours.where(part), days.where(part))
    hours.unpersist()
    found, wanted = ({tuple(row) for row in store.read(MART_INSPECTIONS).collect()} for store in (bit_by_bit, at_once))
    assert found == wanted
    assert len(wanted) >= DAYS - STOPPED


def test_a_run_tells_how_far_whole_days_have_moved(
    spark: SparkSession, settings: Settings, model: DayModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All homes use less and less."""
    champion = registry.ModelVersion("meterlake-village", 1, replace(trained(), days=model))
    monkeypatch.setattr(registry, "champion", lambda source, settings: champion)
    falling = homes(14, DAYS).reshape(14, DAYS, 24, 2).sum(axis=3) * np.exp(-0.01 * np.arange(DAYS))[:, None]
    store = Store(spark, settings)
    store.append(hourly(spark, falling), INT_READINGS_HOURLY)
    store.append(daily(spark, falling), INT_READINGS_DAILY)
    *_, moved = run_of(spark, settings).perform("score", steps.score).said
    assert moved.startswith("Train again: the meter-days have moved away from those of meterlake-village/1 (")
    verdicts = store.read(QUALITY_RESULTS).collect()
    assert {row.suite for row in verdicts} == {"day_drift"}
    assert len(verdicts) == len(model.surprises) + 1
    (week,) = [row for row in verdicts if row.expectation == expectation(Shift("low_week", 0.0, 0, ""))]
    assert (week.success, week.severity) == (False, "warning")
    judged = MeterDays.grid(falling).judged.sum()
    assert f" on {judged:,} meter-days, a large shift; most of it above " in week.observed


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        pytest.param(
            {"reference": None},
            ["meterlake-village/1 was trained before the drift of meter-days was watched; a model that is trained from "
             "now on can be."],
            id="an_earlier_model",
        ),
        pytest.param({"reference": None, "days": FEWEST_ROWS - 1}, [], id="learnt_from_too_few_to_compare_with"),
        pytest.param({}, [], id="no_day_was_judged"),
    ],
)  # fmt: skip
def test_days_that_cannot_be_compared(
    spark: SparkSession, settings: Settings, model: DayModel, changed: dict[str, Any], told: list[str]
) -> None:
    champion = registry.ModelVersion("meterlake-village", 1, replace(trained(), days=replace(model, **changed)))
    readings, days = (counted_by_task(spark.sparkContext) for _ in range(2))
    run = run_of(spark, settings)
    assert watch(run, champion, readings, days) == told
    assert not run.store.exists(QUALITY_RESULTS)


def daily(spark: SparkSession, kwh: np.ndarray) -> DataFrame:
    rows = [
        row_of(
            INT_READINGS_DAILY,
            source="village",
            meter_id=f"m{meter}",
            reading_date_local=FIRST + timedelta(days=int(day)),
            consumption_kwh=float(value),
        )
        for (meter, day), value in np.ndenumerate(kwh.sum(axis=2))
    ]
    return spark.createDataFrame(rows, INT_READINGS_DAILY.schema)
