"""What is compared: the product's model as it is, three baselines that anyone has, and the score of whole days.

A detector is fitted to untouched training series and then gives each judged day of a population one score, larger is
stranger. A method that judges readings gives a day the score of its worst reading, as mart_anomaly_flags does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from meterlake.anomaly import meter_day
from meterlake.anomaly.evaluation.population import Population
from meterlake.anomaly.features import INPUTS, matrix
from meterlake.anomaly.meter_day import DayModel, MeterDays, signs_of, two_largest
from meterlake.anomaly.model import TrainedModel
from meterlake.anomaly.train import fit as fit_model
from meterlake.losses.attribution import NAMED
from meterlake.settings import Model
from meterlake.transforms.int_consumption_features import Series, windows

Floats = NDArray[np.float64]
Scorer = Callable[[Population], Floats]

DAY_SECONDS = 86_400
# Readings of one pass, to bound memory.
BLOCK = 1_000_000
WEEKS = 8
# Share of the meter's mean that is added to a spread of 0.
FLOOR = 0.1


@dataclass(frozen=True)
class Detector:
    """A method: `fit` gives its scorer. `threshold` is its own, or None for the level that the alarm share sets."""

    name: str
    fit: Callable[[Population, Model], Scorer]
    threshold: float | None = None


def global_z(train: Population, conf: Model) -> Scorer:
    """Baseline: |x - mean| / standard deviation, both of all training readings; the day's largest."""
    readings = train.kwh[train.judged]
    mean, spread = np.nanmean(readings), np.nanstd(readings)

    def score(of: Population) -> Floats:
        return _worst(np.abs(of.kwh - mean) / spread, of)

    return score


def hampel(train: Population, conf: Model) -> Scorer:
    """Baseline: |x - median| / (1.4826 MAD + floor) over the same slot of the week in the eight weeks before; the day's
    largest (Hampel, JASA 69, 1974).
    """

    def score(of: Population) -> Floats:
        found = np.full(of.judged.shape, np.nan)
        for row in range(len(of.kwh)):
            kwh = of.kwh[row]
            weeks = np.stack([_earlier(kwh, 7 * week) for week in range(1, WEEKS + 1)], axis=-1)[of.judged[row]]
            with np.errstate(invalid="ignore"):
                middle = meter_day.median(weeks, 1)
                spread = 1.4826 * meter_day.median(np.abs(weeks - middle[..., None]), 1)
                floor = FLOOR * np.nanmean(weeks, axis=(1, 2))[:, None] + 1e-6
                found[row, of.judged[row]] = np.nanmax(np.abs(kwh[of.judged[row]] - middle) / (spread + floor), axis=1)
        return np.where(np.isnan(found) & of.judged, 0.0, found)

    return score


def _earlier(kwh: Floats, days: int) -> Floats:
    shifted = np.full_like(kwh, np.nan)
    shifted[days:] = kwh[:-days]
    return shifted


def raw_forest(train: Population, conf: Model) -> Scorer:
    """Baseline: an isolation forest on the reading and its hour, as tutorials do it; the day's largest score."""
    hour = np.broadcast_to(_hours(train), train.kwh.shape)[train.judged]
    rows = np.stack([train.kwh[train.judged], hour], axis=-1).reshape(-1, 2)
    rows = rows[~np.isnan(rows[:, 0])]
    chosen = np.random.default_rng(conf.seed).permutation(len(rows))[: conf.training_rows]
    forest = IsolationForest(n_estimators=conf.trees, random_state=conf.seed, n_jobs=1).fit(rows[chosen])

    def score(of: Population) -> Floats:
        hour = np.broadcast_to(_hours(of), of.kwh.shape)[of.judged]
        # Few values are different: score each once.
        rows, back = np.unique(np.stack([of.kwh[of.judged], hour], axis=-1).reshape(-1, 2), axis=0, return_inverse=True)
        known = ~np.isnan(rows[:, 0])
        values = np.full(len(rows), np.nan)
        values[known] = -forest.score_samples(rows[known])
        grid = np.full(of.kwh.shape, np.nan)
        grid[of.judged] = values[back].reshape(-1, of.kwh.shape[2])
        return _worst(grid, of)

    return score


def product(train: Population, conf: Model) -> Scorer:
    """The pipeline's own code: the windows of int_consumption_features, the matrix, forest and calibration of
    anomaly/train.py. A day's score is `worst_score` of mart_anomaly_flags.
    """
    columns, rows = readings_of(train)
    stratum = train.meter[rows // train.kwh.shape[1]] * 24 + columns["hour_of_day"].astype(np.int64)
    chosen = _even_sample(stratum, conf.training_rows, conf.seed)
    days = train.first_day[0] + np.flatnonzero(train.judged.any(axis=0))[[0, -1]]
    first, last = (datetime.fromtimestamp(int(day) * DAY_SECONDS, UTC) for day in days)
    return _by(fit_model({name: values[chosen] for name, values in columns.items()}, first, last, conf))


def given(model: TrainedModel) -> Callable[[Population, Model], Scorer]:
    """The pipeline's own code with a model that is there already, whatever it was trained on."""
    return lambda train, conf: _by(model)


def _by(model: TrainedModel) -> Scorer:
    """A model's scores of days."""

    def score(of: Population) -> Floats:
        worst = np.full(of.judged.size, -np.inf)
        for part in _blocks(of):
            columns, rows = readings_of(of, part)
            scores = model.calibration(model.raw_scores(matrix(columns, model.typical_kwh)))
            np.maximum.at(worst, rows, scores)
        return np.where(of.judged, worst.reshape(of.judged.shape), np.nan)

    return score


def _blocks(of: Population) -> list[NDArray[np.int64]]:
    """The series in parts of at most BLOCK readings."""
    each = max(1, BLOCK // (of.kwh.shape[1] * of.kwh.shape[2]))
    everyone = np.arange(len(of.kwh))
    return [everyone[start : start + each] for start in range(0, len(everyone), each)]


def readings_of(of: Population, part: NDArray[np.int64] | None = None) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """features.INPUTS of the known readings of the judged days, and the flat (series, day) each belongs to."""
    part = np.arange(len(of.kwh)) if part is None else part
    some, days = of.of(part), of.kwh.shape[1]
    series, day, slot, known = some.known()
    table = known.rename_columns(["meter_id", "reading_timestamp", "consumption_kwh"])
    table = table.set_column(0, "meter_id", pa.array(series.astype(str)))
    of_the_past = windows(Series.of(table), of.interval_minutes)  # the pass of the pipeline, as it is
    judged = some.judged[series, day]
    columns = {
        "consumption_kwh": known["kwh"].to_numpy(),
        **of_the_past,
        "hour_of_day": (slot * of.interval_minutes // 60).astype(float),
    }
    return {name: columns[name][judged] for name in INPUTS}, (part[series] * days + day)[judged]


def _even_sample(stratum: NDArray[np.int64], rows: int, seed: int) -> NDArray[np.int64]:
    """At most `rows` positions, evenly from all strata; what train.sample does by a hash."""
    _, number, size = np.unique(stratum, return_inverse=True, return_counts=True)
    rank = np.random.default_rng(seed).random(len(stratum)) * size[number]
    return np.argsort(rank, kind="stable")[:rows]


def by_meter_day(train: Population, conf: Model) -> Scorer:
    """The product's score of whole days, anomaly/meter_day.py."""
    return days_by(day_model(train, conf))


def day_model(train: Population, conf: Model) -> DayModel:
    """The product's model of whole days, fitted to ordinary meters."""
    days = MeterDays.grid(train.kwh)
    return meter_day.fit(days, train.judged.reshape(-1), conf.day_alarm_share, conf.threshold)


def days_by(model: DayModel) -> Scorer:
    """A model's scores of whole days."""

    def score(of: Population) -> Floats:
        scores = np.full(of.judged.size, np.nan)
        chosen = np.flatnonzero(of.judged)
        found = signs_of(MeterDays.grid(of.kwh), chosen, model.typical_kwh)
        scores[chosen] = two_largest(model.surprises_of(found))
        return scores.reshape(of.judged.shape)

    return score


def by_balance(train: Population, conf: Model) -> Scorer:
    """The product's odds by what the transformer misses, losses/attribution.py; the threshold is NAMED."""
    return lambda of: _published(of.balance_odds, conf.threshold)


def by_day_or_balance(train: Population, conf: Model) -> Scorer:
    """Either of the two last: what mart_anomaly_flags calls `day` and `balance`."""
    model = day_model(train, conf)
    days = days_by(model)
    return lambda of: np.fmax(model.from_0_to_1(days(of)), _published(of.balance_odds, conf.threshold))


def _published(odds: Floats, threshold: float) -> Floats:
    """Logarithms of odds as scores from 0 to 1, NAMED at the threshold."""
    return np.asarray(1 / (1 + np.exp(NAMED - odds) * (1 - threshold) / threshold))


def _hours(of: Population) -> Floats:
    return (np.arange(of.kwh.shape[2]) * of.interval_minutes // 60).astype(np.float64)


def _worst(scores: Floats, of: Population) -> Floats:
    """(c, w) the largest score of each judged day, NaN elsewhere."""
    return np.where(of.judged, np.nanmax(np.where(np.isnan(scores), -np.inf, scores), axis=2), np.nan)


PRODUCT, PRODUCT_BY_DAY, METER_DAY = "the product's flags", "the product's score, by day", "meter-day"
BALANCE, DAY_OR_BALANCE = "balance", "meter-day or balance"


def detectors(conf: Model) -> tuple[Detector, ...]:
    return (
        Detector("global z-score", global_z),
        Detector("Hampel by hour of the week", hampel),
        Detector("isolation forest on raw values", raw_forest),
        Detector(PRODUCT, product, conf.threshold),
        Detector(PRODUCT_BY_DAY, product),
        Detector(METER_DAY, by_meter_day),
        Detector(BALANCE, by_balance, conf.threshold),
        Detector(DAY_OR_BALANCE, by_day_or_balance, conf.threshold),
    )
