"""Fit the forest on a bounded sample in which every meter and every hour of the day has the same say."""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from sklearn.ensemble import IsolationForest

from meterlake.anomaly.drift import SCORE, Reference, watched
from meterlake.anomaly.features import INPUTS, NAMES, matrix, metered, typical_kwh
from meterlake.anomaly.model import Calibration, TrainedModel, Training
from meterlake.errors import UsageError
from meterlake.settings import Model

Floats = NDArray[np.float64]

FEWEST_ROWS = 100
STRATUM = ("meter_id", "hour_of_day")
# Up to so many strata (40 MB) their sizes go to every task, and the readings need no shuffle.
FEW_STRATA = 1_000_000
# A hash's lowest 31 bits as a number from 0 to 1.
HASH_RANGE = 1 << 31


class TooFewReadings(UsageError):
    """Not enough metered readings to tell the usual from the unusual."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(
            f"No model can be trained yet: it takes {FEWEST_ROWS} metered readings and there are {rows}; the first run "
            "that finds enough trains one and scores them all."
        )


def train(features: DataFrame, conf: Model) -> TrainedModel:
    """A model of the rows of int_consumption_features of one source. Same rows and settings: the same model.

    Raises:
        TooFewReadings: fewer than FEWEST_ROWS rows are metered.
    """
    rows = sample(features, conf.training_rows, conf.seed)
    if len(rows) < FEWEST_ROWS:
        raise TooFewReadings(len(rows))
    columns = {name: rows[name].to_numpy(dtype=np.float64) for name in INPUTS}
    first, last = (
        stamp.to_pydatetime().replace(tzinfo=UTC)
        for stamp in (rows["reading_timestamp"].min(), rows["reading_timestamp"].max())
    )
    return fit(columns, first, last, conf, rows["stands_for"].to_numpy())


def fit(
    columns: Mapping[str, Floats], first: datetime, last: datetime, conf: Model, stands_for: Floats | None = None
) -> TrainedModel:
    """The model of a training sample: forest, calibration and what reasons need, without Spark.

    Args:
        columns: features.INPUTS of the sampled rows, in their order.
        first, last: earliest and latest interval start of the sample, UTC.
        stands_for: readings of the source that each row stands for, as the reference is about all of them; None when
            all stand for as many.
    """
    typical = typical_kwh(columns)
    inputs = matrix(columns, typical)
    forest = IsolationForest(
        n_estimators=conf.trees, max_samples=min(conf.subsample, len(inputs)), random_state=conf.seed, n_jobs=1
    ).fit(inputs)
    raw = -forest.score_samples(inputs)
    calibration = Calibration.of(raw, conf.contamination, conf.threshold)
    training = Training(
        rows=len(inputs),
        first=first,
        last=last,
        flagged_share=float(np.mean(calibration(raw) > conf.threshold)),
        seed=conf.seed,
        trees=conf.trees,
        subsample=conf.subsample,
        contamination=conf.contamination,
    )
    medians = tuple(np.median(inputs, axis=0).astype(float).tolist())
    reference = Reference.of(watched(inputs, raw), (*NAMES, SCORE), stands_for)
    return TrainedModel(forest, calibration, NAMES, medians, typical, training, reference)


def sample(features: DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """At most `rows` metered rows, spread evenly over meters and hours; the hash of its id decides about a row.

    Estimated readings are left out: the model would learn the estimator. The order does not depend on how Spark split
    the data, as the forest's trees do depend on it. `stands_for` is one over the chance of a row to be drawn.
    """
    known = metered(features)
    sizes = known.groupBy(*STRATUM).agg(F.count("*").alias("size")).persist()
    strata = sizes.count()
    # A stratum that holds no more than its fair share is taken whole: all its ranks are below 1.
    over_its_share = F.col("size") / F.lit(rows / max(1, strata))
    rank = (drawn("reading_id", seed) * over_its_share).alias("rank")
    stands_for = F.greatest(over_its_share, F.lit(1.0)).alias("stands_for")
    ranked = known.join(F.broadcast(sizes) if strata <= FEW_STRATA else sizes, on=list(STRATUM), how="inner").select(
        rank, stands_for, "reading_id", "reading_timestamp", *INPUTS
    )
    frame = ranked.where(F.col("rank") < 1).toArrow().to_pandas()
    sizes.unpersist()
    return frame.sort_values(["rank", "reading_id"], ignore_index=True).head(rows)


def drawn(what: str, seed: int) -> Column:
    """A number from 0 to 1 that belongs to the value of a column and the seed, whatever else is in the table."""
    return F.pmod(F.xxhash64(what, F.lit(seed)), F.lit(HASH_RANGE)) / F.lit(HASH_RANGE)
