"""How well a score ranks what was found to be theft, whoever made the score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from meterlake.resampled import Figure, figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RESAMPLES = 200
BEST = 100


@dataclass(frozen=True)
class Found:
    """How a score ranks the flagged ones.

    Attributes:
        roc_auc: chance that a flagged one's score is above another's; 0.5 by chance.
        pr_auc: average precision, the sum of precision x gain in recall; the base rate by chance.
        at_best, at_percent: share of flagged ones among the 100 highest, and the highest 1 %; NaN where that is all.
    """

    score: str
    roc_auc: Figure
    pr_auc: Figure
    at_best: float
    at_percent: float


def ranked(scores: dict[str, Floats], flagged: Bools, group: Ints, seed: int) -> list[Found]:
    """Every score against the flags, with 95 % of a bootstrap over groups; unknown scores (NaN) rank last."""
    drawn = _draws(group, seed)
    return [_found(name, np.nan_to_num(score, nan=-np.inf), flagged, drawn) for name, score in scores.items()]


def _found(name: str, score: Floats, flagged: Bools, draws: list[Ints]) -> Found:
    pairs = [(score, flagged), *((score[draw], flagged[draw]) for draw in draws)]
    return Found(
        name,
        figure([roc_auc(*pair) for pair in pairs]),
        figure([float(average_precision_score(positive, value)) for value, positive in pairs]),
        precision_of_best(score, flagged, BEST) if len(score) > BEST else np.nan,
        precision_of_best(score, flagged, max(1, len(score) // 100)),
    )


def _draws(group: Ints, seed: int) -> list[Ints]:
    """Rows of as many groups as there are, drawn with replacement, RESAMPLES times."""
    order = np.argsort(group, kind="stable")
    _, start, count = np.unique(group[order], return_index=True, return_counts=True)
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(start), size=len(start))
        size = count[chosen]
        inside = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        draws.append(order[np.repeat(start[chosen], size) + inside])
    return draws


def precision_of_best(score: Floats, positive: Bools, count: int) -> float:
    """Share of positive ones among the `count` highest; what is to be expected where equal scores are in random order.

    A file may have the flagged ones first: in its own order, equal scores would look perfect.
    """
    _, number, size = np.unique(-score, return_inverse=True, return_counts=True)
    right = np.bincount(number, weights=positive)
    return float(np.interp(count, np.append(0, np.cumsum(size)), np.append(0.0, np.cumsum(right)))) / count


def roc_auc(score: Floats, positive: Bools) -> float:
    """From mean ranks (Mann and Whitney, 1947): equal scores count half."""
    _, number, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[number]
    wanted, others = int(positive.sum()), int((~positive).sum())
    return float((rank[positive].sum() - wanted * (wanted + 1) / 2) / (wanted * others))
