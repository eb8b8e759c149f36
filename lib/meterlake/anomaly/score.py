"""Judge readings with a model: one pass, no shuffle, no join back."""

from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from meterlake.anomaly.classify import anomaly_type, expected_kwh, reasons
from meterlake.anomaly.features import INPUTS, matrix
from meterlake.anomaly.model import TrainedModel
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES

JUDGED = T.StructType(
    [
        T.StructField("raw_score", T.DoubleType()),
        T.StructField("anomaly_score", T.DoubleType()),
        T.StructField("reasons", T.StringType()),
    ]
)


def score(features: DataFrame, model: TrainedModel, model_version: str, scored_at: datetime) -> DataFrame:
    """Rows of mart_anomaly_scores for the rows of int_consumption_features whose energy was metered.

    An estimate is no observation: it gets no score, so it raises no alert by itself.

    Args:
        model_version: what the rows carry as their model, for instance `meterlake-london/3`.
        scored_at: when, with its time zone.
    """
    known = features.where(F.col("quality").isin("measured", "edited") & F.col("consumption_kwh").isNotNull())
    judge = F.pandas_udf(_judge(features.sparkSession, model), JUDGED)  # type: ignore[call-overload]  # a struct, too
    # Called non-deterministic, or a filter on the score would be pushed below and make Spark score twice.
    judge = judge.asNondeterministic()
    judged = known.withColumn("judged", judge(*INPUTS)).select(*features.columns, "judged.*")
    flagged = F.col("anomaly_score") > model.calibration.threshold
    return (
        judged.withColumns({"is_anomaly": flagged, "expected_kwh": expected_kwh()})
        .withColumns({"anomaly_type": anomaly_type(), "scored_at": F.lit(scored_at)})
        .withColumn("model_version", F.lit(model_version))
        .select(*(F.col(field.name).cast(field.dataType) for field in MART_ANOMALY_SCORES.schema))
    )


def _judge(
    spark: SparkSession, model: TrainedModel
) -> Callable[[Iterator[tuple[pd.Series, ...]]], Iterator[pd.DataFrame]]:
    """The scoring function of a Python worker, which unpickles the broadcast model once and keeps it."""
    broadcast = spark.sparkContext.broadcast(model)

    def judge(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        mine = broadcast.value
        for batch in batches:
            yield judged(batch, mine)

    return judge


def judged(batch: tuple[pd.Series, ...], model: TrainedModel) -> pd.DataFrame:
    """Scores of a block of readings (the INPUTS as series), and the reasons of those that are flagged."""
    columns = {name: values.to_numpy(dtype=np.float64) for name, values in zip(INPUTS, batch, strict=True)}
    inputs = matrix(columns, model.typical_kwh)
    raw = model.raw_scores(inputs)
    scores = model.calibration(raw)
    flagged = np.flatnonzero(scores > model.calibration.threshold)
    why = np.full(len(raw), None, dtype=object)
    why[flagged] = reasons({n: v[flagged] for n, v in columns.items()}, inputs[flagged], raw[flagged], model)
    return pd.DataFrame({"raw_score": raw, "anomaly_score": scores, "reasons": why})
