"""Training and scoring with Spark, on four weeks of made-up meters with one known fault each."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.lake import VILLAGE, plan_of, run_of

from meterlake import steps, validate
from meterlake.anomaly.counted import counted_by_task, total
from meterlake.anomaly.drift import shifts, watched
from meterlake.anomaly.features import INPUTS, matrix
from meterlake.anomaly.model import TrainedModel
from meterlake.anomaly.score import score
from meterlake.anomaly.train import TooFewReadings, sample, train
from meterlake.settings import Model, Settings
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES

START = datetime(2024, 5, 6, tzinfo=UTC)
NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
CONF = Model(
    contamination=0.01,
    base_rate=0.01,
    threshold=0.6,
    day_alarm_share=0.001,
    trees=50,
    subsample=256,
    training_rows=2000,
    seed=5,
)
METERS, HOURS = 4, 28 * 24


def features_row(meter: str, hour: int, kwh: float | None, past: list[float], **given: Any) -> tuple[Any, ...]:
    """A row of int_consumption_features at `hour` hours after START, with the meter's readings before it."""
    stamp = START + timedelta(hours=hour)
    day = [*past[-23:], *([] if kwh is None else [kwh])]
    values: dict[str, Any] = {
        **dict.fromkeys(INT_CONSUMPTION_FEATURES.names),
        "reading_id": f"test:{meter}:{int(stamp.timestamp())}",
        "source": "test",
        "meter_id": meter,
        "reading_timestamp": stamp,
        "reading_date_local": stamp.date(),
        "consumption_kwh": kwh,
        "active_power_kw": kwh,
        "rolling_mean_kwh_1h": kwh,
        "rolling_mean_kwh_24h": float(np.mean(day)) if day else None,
        "rolling_std_kwh_24h": float(np.std(day, ddof=1)) if len(day) > 1 else None,
        "same_hour_last_day_kwh": past[-24] if len(past) >= 24 else None,
        "same_hour_last_week_kwh": past[-168] if len(past) >= 168 else None,
        "hour_of_day": stamp.hour,
        "day_of_week": stamp.isoweekday(),
        "is_weekend": stamp.isoweekday() >= 6,
        "month_of_year": stamp.month,
        "quality": "missing" if kwh is None else "measured",
    }
    return tuple((values | given)[name] for name in INT_CONSUMPTION_FEATURES.names)


def household(number: int) -> list[tuple[Any, ...]]:
    """Hourly readings with a day's shape; meter m0 has a spike and m1 an outage, both at noon of the last day."""
    draw = np.random.default_rng(number)
    shape = 0.4 + 0.3 * np.sin(np.arange(HOURS) * 2 * np.pi / 24)
    kwh = ((1 + number) * shape * draw.gamma(30, 1 / 30, HOURS)).round(8)
    noon = HOURS - 12
    kwh[noon] *= {0: 12.0, 1: 0.0}.get(number, 1.0)
    values: list[float] = kwh.tolist()
    return [features_row(f"m{number}", hour, values[hour], values[:hour]) for hour in range(HOURS)]


@pytest.fixture(scope="module")
def features(spark: SparkSession) -> DataFrame:
    rows = [row for number in range(METERS) for row in household(number)]
    gap = features_row("m0", HOURS, None, [1.0])
    estimated = features_row("m0", HOURS + 1, 0.5, [0.5], quality="estimated")
    return spark.createDataFrame([*rows, gap, estimated], INT_CONSUMPTION_FEATURES.schema).repartition(3).cache()


@pytest.fixture(scope="module")
def model(features: DataFrame) -> TrainedModel:
    return train(features, CONF)


@pytest.fixture(scope="module")
def scores(features: DataFrame, model: TrainedModel) -> DataFrame:
    return score(features, model, "meterlake-test/1", NOW).frame().cache()


def test_the_sample_is_bounded_even_and_metered(features: DataFrame) -> None:
    drawn = sample(features, 960, 5)
    assert 860 < len(drawn) <= 960
    strata = drawn["reading_id"].str.split(":").str[1].value_counts()
    assert strata.max() - strata.min() < 0.3 * 240
    assert drawn["reading_timestamp"].max() < START + timedelta(hours=HOURS)
    assert len(sample(features, 10**6, 5)) == METERS * HOURS


def test_a_large_meter_has_no_larger_say(spark: SparkSession) -> None:
    long = [features_row("long", hour, 1.0, [1.0]) for hour in range(20 * 24)]
    short = [features_row("short", hour, 1.0, [1.0]) for hour in range(2 * 24)]
    frame = spark.createDataFrame([*long, *short], INT_CONSUMPTION_FEATURES.schema)
    meters = sample(frame, 96, 5)["reading_id"].str.split(":").str[1].value_counts()
    assert meters.sum() <= 96
    assert 36 <= meters["short"] <= 48
    assert 36 <= meters["long"] <= 60


def test_the_same_rows_give_the_same_model_however_they_lie(features: DataFrame, model: TrainedModel) -> None:
    again = train(features.orderBy(F.desc("reading_id")).coalesce(1), CONF)
    assert (again.calibration, again.medians, again.training) == (model.calibration, model.medians, model.training)
    other = train(features, CONF.model_copy(update={"seed": 6}))
    assert other.calibration != model.calibration


def test_training_flags_the_contamination(model: TrainedModel) -> None:
    assert model.training.flagged_share == pytest.approx(CONF.contamination, abs=0.002)
    assert model.training.first >= START
    assert model.training.last.tzinfo is UTC


def test_a_handful_of_readings_trains_nothing(spark: SparkSession) -> None:
    frame = spark.createDataFrame(
        [features_row("m", hour, 1.0, [1.0]) for hour in range(99)], INT_CONSUMPTION_FEATURES.schema
    )
    with pytest.raises(TooFewReadings, match="takes 100 metered readings and there are 99"):
        train(frame, CONF)


def test_given_too_few_readings_for_a_model_when_more_come_then_all_are_scored(
    spark: SparkSession, settings: Settings
) -> None:
    """99 readings, then one more. The gate of the marts asks for scores as soon as there is a model."""
    source = VILLAGE.model_copy(update={"name": "test"})
    rows, said, has_model, scored = household(2)[:100], [], [], []
    for some in (rows[:99], rows[99:]):
        run = run_of(spark, settings, source)
        run.store.append(spark.createDataFrame(some, INT_CONSUMPTION_FEATURES.schema), INT_CONSUMPTION_FEATURES)
        said.append(run.perform("train", steps.train(again=False)).said)
        has_model.append(validate._has_model(run))
        run.perform("score", steps.score)
        scored.append(run.store.read(MART_ANOMALY_SCORES).count())
    assert said[0] == [
        "No model can be trained yet: it takes 100 metered readings and there are 99; "
        "the first run that finds enough trains one and scores them all."
    ]
    assert has_model == [False, True]
    assert scored == [0, 100]


def test_scores_have_the_declared_columns(scores: DataFrame) -> None:
    assert [(f.name, f.dataType) for f in scores.schema] == [(f.name, f.dataType) for f in MART_ANOMALY_SCORES.schema]


def test_every_metered_reading_is_scored_and_a_missing_or_estimated_one_is_not(
    features: DataFrame, scores: DataFrame
) -> None:
    assert scores.count() == features.count() - 2 == METERS * HOURS
    assert scores.join(features.where("quality <> 'measured'"), on="reading_id", how="left_semi").count() == 0
    bounds = scores.agg(F.min("anomaly_score"), F.max("anomaly_score"), F.avg(F.col("is_anomaly").cast("int"))).first()
    assert bounds is not None
    assert 0 < bounds[0] < bounds[1] < 1
    assert 0.005 < bounds[2] < 0.02


def test_scores_are_those_of_scikit_learn(features: DataFrame, scores: DataFrame, model: TrainedModel) -> None:
    rows = features.where("quality = 'measured'").orderBy("reading_id").toPandas()
    inputs = matrix({name: rows[name].to_numpy(dtype=float) for name in INPUTS}, model.typical_kwh)
    raw = scores.orderBy("reading_id").toPandas()["raw_score"].to_numpy()
    np.testing.assert_array_equal(raw, -model.forest.score_samples(inputs))


@pytest.mark.parametrize(
    ("meter", "kind", "words"),
    [
        pytest.param("m0", "high_consumption", "times the same hour of the day before", id="spike"),
        pytest.param("m1", "low_consumption", "0 kWh where the same hour of the", id="outage"),
    ],
)
def test_a_known_fault_is_flagged_with_its_reasons(scores: DataFrame, meter: str, kind: str, words: str) -> None:
    noon = START + timedelta(hours=HOURS - 12)
    (row,) = scores.where((F.col("meter_id") == meter) & (F.col("reading_timestamp") == F.lit(noon))).collect()
    assert (row["is_anomaly"], row["anomaly_type"]) == (True, kind)
    assert words in row["reasons"]
    assert row["model_version"] == "meterlake-test/1"
    assert row["scored_at"].date() == date(2024, 7, 1)


def test_only_flagged_rows_carry_a_type_and_reasons(scores: DataFrame) -> None:
    assert scores.where("is_anomaly AND (anomaly_type IS NULL OR reasons IS NULL OR reasons = '')").count() == 0
    assert scores.where("NOT is_anomaly AND (anomaly_type IS NOT NULL OR reasons IS NOT NULL)").count() == 0
    assert scores.where("is_anomaly <> (anomaly_score > 0.6)").count() == 0


def test_scoring_is_one_python_pass_without_a_shuffle(spark: SparkSession, model: TrainedModel) -> None:
    rows = spark.createDataFrame(household(1)[:9], INT_CONSUMPTION_FEATURES.schema)
    scored = score(rows, model, "v", NOW).frame().where("is_anomaly")
    plan = plan_of(scored)
    assert plan.count("MapInArrow") == 1
    assert "Exchange" not in plan


def test_the_pass_counts_what_it_scores_and_a_task_that_runs_twice_once(
    spark: SparkSession, features: DataFrame, model: TrainedModel
) -> None:
    counted = counted_by_task(spark.sparkContext)
    scored = score(features, model, "v", NOW, counted).frame()
    assert scored.count() == scored.count() == METERS * HOURS
    rows = features.where("quality = 'measured'").toPandas()
    inputs = matrix({name: rows[name].to_numpy(dtype=float) for name in INPUTS}, model.typical_kwh)
    assert model.reference is not None
    found = total(counted, model.reference)
    np.testing.assert_array_equal(found, model.reference.counts(watched(inputs, model.raw_scores(inputs))))
    assert all(shift.psi < 0.01 for shift in shifts(model.reference, found))


def test_nothing_to_score(spark: SparkSession, model: TrainedModel) -> None:
    assert score(spark.createDataFrame([], INT_CONSUMPTION_FEATURES.schema), model, "v", NOW).frame().count() == 0
