"""mart_anomaly_scores is anomaly.score on int_consumption_features; tests/anomaly/test_score.py tests the rest."""

from datetime import UTC, datetime

import numpy as np
from pyspark.sql import SparkSession
from sklearn.ensemble import IsolationForest

from meterlake.anomaly.features import NAMES
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.transforms import mart_anomaly_scores


def test_nothing_in_nothing_out_with_the_declared_columns(spark: SparkSession) -> None:
    inputs = np.random.default_rng(1).normal(size=(200, len(NAMES)))
    forest = IsolationForest(n_estimators=2, random_state=1).fit(inputs)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    training = Training(200, now, now, 0.01, 1, 2, 200, 0.01)
    calibration = Calibration.of(-forest.score_samples(inputs), 0.01, 0.6)
    model = TrainedModel(forest, calibration, NAMES, (0.0,) * len(NAMES), 1.0, training)
    nothing = spark.createDataFrame([], INT_CONSUMPTION_FEATURES.schema)
    built = mart_anomaly_scores.build(nothing, model, "m/1", now).frame()
    assert [(f.name, f.dataType) for f in built.schema] == [(f.name, f.dataType) for f in MART_ANOMALY_SCORES.schema]
    assert built.count() == 0
