"""The one model that all contenders score with: fitted once by the harness, kept as a file, scored by scikit-learn.

The features are written out here a second time on purpose: the yardstick must not get faster or slower with the
product. When the product's definition changes, the comparison of the results fails and this file has to follow.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from tests.benchmarks.given_reasons import reasons

Floats = NDArray[np.float64]

INPUTS = (
    "consumption_kwh",
    "rolling_mean_kwh_1h",
    "rolling_mean_kwh_24h",
    "rolling_std_kwh_24h",
    "same_hour_last_day_kwh",
    "same_hour_last_week_kwh",
    "hour_of_day",
)
FEATURES = (
    "log_ratio_to_mean_24h",
    "distance_24h",
    "log_ratio_to_last_day",
    "log_ratio_to_last_week",
    "log_ratio_hour_to_day",
    "log_ratio_to_hour",
    "hour_sin",
    "hour_cos",
)
FLOOR = 0.1
TREES, SUBSAMPLE, ROWS, SEED = 100, 256, 200_000, 20240101
CONTAMINATION, THRESHOLD = 0.01, 0.6


@dataclass(frozen=True)
class GivenModel:
    """A forest and the map from its raw score to 0..1, as numbers.

    Attributes:
        raw, score: knots of the map up to the threshold; `scale`: of the tail above it.
        medians: of the features in training; `typical_kwh`: energy of an interval in training.
    """

    forest: IsolationForest
    raw: tuple[float, ...]
    score: tuple[float, ...]
    scale: float
    medians: tuple[float, ...]
    typical_kwh: float
    threshold: float = THRESHOLD
    features: tuple[str, ...] = FEATURES

    def raw_scores(self, matrix: NDArray[np.float32]) -> Floats:
        return -self.forest.score_samples(matrix) if len(matrix) else np.empty(0)

    def judge(self, columns: Mapping[str, Floats]) -> tuple[Floats, Floats, NDArray[np.object_]]:
        """(raw_score, anomaly_score, reasons) of readings given as the INPUTS, NaN where unknown."""
        inputs = matrix(columns, self.typical_kwh)
        raw = self.raw_scores(inputs)
        tail = 1.0 - np.exp(-np.maximum(raw - self.raw[-1], 0.0) / self.scale)
        above = self.threshold + (1.0 - self.threshold) * tail
        scores = np.where(raw > self.raw[-1], above, np.interp(raw, self.raw, self.score))
        flagged = np.flatnonzero(scores > self.threshold)
        why = np.full(len(raw), None, dtype=object)
        picked = {name: values[flagged] for name, values in columns.items()}
        why[flagged] = reasons(picked, inputs[flagged], raw[flagged], self)
        return raw, scores, why


def matrix(columns: Mapping[str, Floats], typical: float) -> NDArray[np.float32]:
    """The eight features of each reading; 0 where a part is unknown."""
    x, m1, m24, s24, d, w, hour = (columns[name] for name in INPUTS)
    past = np.stack((m24, d, w))
    known = ~np.isnan(past)
    floor = FLOOR * (np.where(known, past, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1) + typical)
    angle = 2 * np.pi * hour / 24
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x - m24) / (np.nan_to_num(s24) + floor)
        features = (
            np.log((x + floor) / (m24 + floor)),
            np.sign(z) * np.log1p(np.abs(z)),
            np.log((x + floor) / (d + floor)),
            np.log((x + floor) / (w + floor)),
            np.log((m1 + floor) / (m24 + floor)),
            np.log((x + floor) / (m1 + floor)),
            np.sin(angle),
            np.cos(angle),
        )
    return np.nan_to_num(np.stack(features, axis=1), nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)


def fit(columns: Mapping[str, Floats]) -> GivenModel:
    """A forest on readings given as the INPUTS, drawn evenly when there are more than enough."""
    from meterlake.anomaly.model import Calibration  # here and not above: contenders need not pay for its imports

    count = len(columns["consumption_kwh"])
    drawn = np.random.default_rng(SEED).permutation(count)[:ROWS]
    rows = {name: values[drawn] for name, values in columns.items()}
    typical = float(np.median(rows["rolling_mean_kwh_24h"]))
    inputs = matrix(rows, typical)
    forest = IsolationForest(n_estimators=TREES, max_samples=min(SUBSAMPLE, len(inputs)), random_state=SEED, n_jobs=1)
    raw = -forest.fit(inputs).score_samples(inputs)
    knots = Calibration.of(raw, CONTAMINATION, THRESHOLD)
    medians = tuple(np.median(inputs, axis=0).astype(float).tolist())
    return GivenModel(forest, knots.raw, knots.score, knots.scale, medians, typical)


def save(model: GivenModel, path: Path) -> None:
    joblib.dump(model, path)


def load(path: Path) -> GivenModel:
    model = joblib.load(path)
    assert isinstance(model, GivenModel)
    return model


def scored(batches: Iterable[pa.RecordBatch], model: GivenModel, threads: int) -> Iterator[pa.RecordBatch]:
    """The batches with raw_score, anomaly_score, is_anomaly and reasons, in order, on several threads."""

    def judged(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = {name: batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in INPUTS}
        raw, score, why = model.judge(columns)
        added = (pa.array(raw), pa.array(score), pa.array(score > model.threshold), pa.array(why, pa.string()))
        names = (*batch.schema.names, "raw_score", "anomaly_score", "is_anomaly", "reasons")
        return pa.RecordBatch.from_arrays([*batch.columns, *added], list(names))

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(judged, batches)
