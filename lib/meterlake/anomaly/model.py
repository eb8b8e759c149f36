"""A fitted forest together with the map from its raw score to 0..1."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from meterlake.anomaly.drift import Reference
from meterlake.anomaly.forest_walk import ForestScores
from meterlake.anomaly.labelled import LabelledModel
from meterlake.anomaly.meter_day import DayModel

Floats = NDArray[np.float64]

# Quantiles of the training scores that the calibration keeps.
KNOTS = 201
# The tail's scale is at least this part of the way from the threshold to 1, or the highest scores would all round to 1.
LEAST_SCALE = 1 / 30


@dataclass(frozen=True)
class Calibration:
    """A strictly rising map from the forest's raw score (0 to 1, higher is stranger) to the published score.

    With t the raw score that a share `contamination` c of the training rows exceeds, F their distribution and p the
    published threshold:
    up to t    p x F(raw) / (1 - c), straight between the stored quantiles, from 0 at raw = 0
    above t    p + (1 - p) x (1 - exp(-(raw - t) / scale)), where scale is the mean excess over t in training.
    So score > p means: stranger than all but the share c of the training rows.

    Attributes:
        raw: quantiles of the training scores from 0 to t, strictly rising; the last is t.
        score: their published scores; the last is `threshold`.
    """

    raw: tuple[float, ...]
    score: tuple[float, ...]
    threshold: float
    scale: float

    @classmethod
    def of(cls, raw: Floats, contamination: float, threshold: float) -> "Calibration":
        """The calibration on the raw scores of a training sample."""
        levels = np.linspace(0.0, 1.0 - contamination, KNOTS)
        quantiles = np.quantile(raw, levels)
        last_of_equals = np.append(np.diff(quantiles) > 0, True)
        at, level = quantiles[last_of_equals], levels[last_of_equals]
        positive = level > 0
        excess = raw[raw > at[-1]] - at[-1]
        scale = max(float(excess.mean()) if len(excess) else 0.0, LEAST_SCALE * (1 - float(at[-1])))
        knots = (0.0, *at[positive].tolist()), (0.0, *(threshold * level[positive] / level[-1]).tolist())
        return cls(*knots, threshold, scale)

    def __call__(self, raw: Floats) -> Floats:
        at = self.raw[-1]
        tail = 1.0 - np.exp(-np.maximum(raw - at, 0.0) / self.scale)
        above = self.threshold + (1.0 - self.threshold) * tail
        return np.where(raw > at, above, np.interp(raw, self.raw, self.score))


@dataclass(frozen=True)
class Training:
    """What a model was made from.

    Attributes:
        rows: training rows; `first` and `last`: their earliest and latest interval start, UTC.
        flagged_share: share of them above the threshold.
        seed, trees, subsample, contamination: the settings it was made with.
    """

    rows: int
    first: datetime
    last: datetime
    flagged_share: float
    seed: int
    trees: int
    subsample: int
    contamination: float


@dataclass(frozen=True)
class TrainedModel:
    """All that scoring needs.

    Attributes:
        features: names of the matrix columns, in order.
        medians: their medians in training: what an ordinary value is, for the reasons of a flag.
        typical_kwh: typical energy of an interval in training, which the features' floor is made of.
        reference: what the training rows looked like; None in models that were made before it was kept.
        days: what judges whole days; None where training had too few of them, and in earlier models.
        labelled: what ranks meters for inspection; None where no inspections were given.
    """

    forest: IsolationForest
    calibration: Calibration
    features: tuple[str, ...]
    medians: tuple[float, ...]
    typical_kwh: float
    training: Training
    reference: Reference | None = None
    days: DayModel | None = None
    labelled: LabelledModel | None = None

    def raw_scores(self, matrix: NDArray[np.float32]) -> Floats:
        """The forest's anomaly score of Liu, Ting and Zhou (2008): 2^(-mean path length / normal path length)."""
        return self._scores(matrix) if len(matrix) else np.empty(0)

    @cached_property
    def _scores(self) -> ForestScores:
        return ForestScores(self.forest)
