"""A classifier of meters, fitted to what inspections found: the chance that an inspection finds theft, and why.

Two kinds are fitted: a logistic regression, better with some hundreds of labels, and gradient boosting, better with
thousands. The one that ranks better in cross-validation is kept. What is told of it is measured out of fold, and the
choice is part of what is measured: it is made anew within each fold's training part.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from meterlake.anomaly.meter_signs import DEFINITION, SIGNS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOLDS, FOLDS_WITHIN = 5, 3
# So many signs are told of a meter, each of which raises the odds by a tenth at least.
MOST_TOLD, WORTH_TELLING = 3, float(np.log(1.1))
CHOICE = "the better of both, chosen within each fold"


def _logistic(seed: int) -> Any:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=1000, random_state=seed),
    )


def _boosting(seed: int) -> Any:
    """Small trees, and as many of them for any data. Picked among about five settings on the file of real flags."""
    return HistGradientBoostingClassifier(
        learning_rate=0.08,
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )


KINDS: dict[str, Callable[[int], Any]] = {"logistic regression": _logistic, "gradient boosting": _boosting}


@dataclass(frozen=True)
class Made:
    """What a model of inspections was made from, and what it was worth out of fold.

    Attributes:
        kind: of KINDS.
        inspections, thefts: so many it was fitted to, and so many of them found theft.
        first, last: their first and last day (ISO).
        roc_auc, pr_auc: cross-validated, see evaluation/ranking.py.
        seed: of folds and fit.
    """

    kind: str
    inspections: int
    thefts: int
    first: str
    last: str
    roc_auc: float
    pr_auc: float
    seed: int

    @property
    def told(self) -> str:
        """In a sentence."""
        return (
            f"{self.kind}, fitted to {self.inspections:,} inspections from {self.first} to {self.last}, of which "
            f"{self.thefts:,} found theft; cross-validated ROC-AUC {self.roc_auc:.3f}, PR-AUC {self.pr_auc:.3f} "
            f"(by chance {self.thefts / self.inspections:.3f})"
        )


@dataclass(frozen=True)
class LabelledModel:
    """The part of a champion that has seen inspections.

    Attributes:
        estimator: scikit-learn's, on the columns of SIGNS.
        medians: of the signs in training, for the reasons; NaN where a sign was never known.
        typical_kwh: energy of an ordinary day among all meters, in training.
    """

    estimator: Any
    medians: tuple[float, ...]
    typical_kwh: float
    made: Made

    def probability(self, rows: Floats) -> Floats:
        """(n,) that an inspection finds theft, if meters are chosen for inspection as those of the labels were."""
        return _probability(self.estimator, rows)

    def reasons(self, rows: Floats) -> list[str]:
        """For each meter the signs that raise its odds most beside the median inspected meter's, one at a time."""
        odds = self._log_odds(rows)
        raised = np.stack([odds - self._log_odds(self._with_median(rows, at)) for at in range(len(SIGNS))])
        raised[np.isnan(rows.T)] = 0.0
        order = np.argsort(-raised, axis=0, kind="stable")[:MOST_TOLD]
        told = [sign.told for sign in SIGNS.values()]
        return [
            "; ".join(told[at](rows[row, at]) for at in order[:, row] if raised[at, row] >= WORTH_TELLING)
            for row in range(len(rows))
        ]

    def _log_odds(self, rows: Floats) -> Floats:
        with threadpool_limits(1):
            return np.asarray(self.estimator.decision_function(rows), dtype=np.float64)

    def _with_median(self, rows: Floats, at: int) -> Floats:
        changed = rows.copy()
        changed[:, at] = self.medians[at]
        return changed


def fit(rows: Floats, theft: Bools, kind: str, seed: int) -> Any:
    """The estimator of one kind. One thread: more of them wait for each other, and the result is the same.

    A sign that is known of nobody (no hours are delivered) is a constant, which no tree asks for.
    """
    with threadpool_limits(1):
        return KINDS[kind](seed).fit(np.where(np.isnan(rows).all(axis=0), 0.0, rows), theft)


def cross_validated(rows: Floats, theft: Bools, group: Ints, seed: int) -> dict[str, Floats]:
    """(n,) probabilities by each of KINDS and by the CHOICE, each of a model that has not seen the row or its group.

    Args:
        rows: (n, signs).
        group: (n,) rows that must not be parted, as those of one meter.
    """
    found = {kind: out_of_fold(rows, theft, group, kind, seed) for kind in KINDS}
    choice = np.empty(len(theft))
    for train, test in _folds(rows, theft, group, FOLDS, seed):
        seen = rows[train], theft[train], group[train]
        within = {kind: out_of_fold(*seen, kind, seed, FOLDS_WITHIN) for kind in KINDS}
        choice[test] = found[better(within, theft[train])][test]
    return {**found, CHOICE: choice}


def out_of_fold(rows: Floats, theft: Bools, group: Ints, kind: str, seed: int, folds: int = FOLDS) -> Floats:
    """(n,) probabilities by one kind, each of a model that has not seen the row or its group."""
    found = np.empty(len(theft))
    for train, test in _folds(rows, theft, group, folds, seed):
        found[test] = _probability(fit(rows[train], theft[train], kind, seed), rows[test])
    return found


def better(found: dict[str, Floats], theft: Bools) -> str:
    """Which of KINDS ranks better out of fold, by PR-AUC; the first of equals."""
    return max(KINDS, key=lambda kind: average_precision_score(theft, found[kind]))


def _folds(rows: Floats, theft: Bools, group: Ints, count: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Of even shares of thefts, shuffled: the order of the rows says nothing to a fold."""
    return list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(rows, theft, group))


def _probability(estimator: Any, rows: Floats) -> Floats:
    with threadpool_limits(1):
        return np.asarray(estimator.predict_proba(rows)[:, 1], dtype=np.float64)


def described(model: LabelledModel) -> dict[str, Any]:
    """All but the estimator, as JSON takes it."""
    medians = [None if np.isnan(value) else value for value in model.medians]
    return {"definition": DEFINITION, "medians": medians, "typical_kwh": model.typical_kwh, "made": asdict(model.made)}


def restored(estimator: Any, text: Mapping[str, Any]) -> LabelledModel:
    """What `described` and the estimator's file tell."""
    medians = tuple(np.nan if value is None else float(value) for value in text["medians"])
    return LabelledModel(estimator, medians, text["typical_kwh"], Made(**text["made"]))
