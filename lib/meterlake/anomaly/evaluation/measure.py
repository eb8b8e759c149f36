"""Figures of merit at a stated base rate, with intervals from a bootstrap over meters.

The days of untouched series and those of faults are weighted so that a share `base_rate` of all is anomalous, whatever
the number of faults that were put in. All figures are then those of a population with that base rate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.resampled import Figure, figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RESAMPLES = 1000
# Resamples of one pass, to bound memory.
CHUNK = 50
# The lists whose precision is told: so many of 10,000 meter-days.
LISTS = (10, 100)
OF = 10_000


@dataclass(frozen=True)
class Judged:
    """Meter-days with a score; arrays are (n,).

    Attributes:
        score: larger is stranger.
        meter: whose day.
        event: number of the fault whose copy the day is of, -1 for an untouched series.
        anomalous: whether the fault has changed the day.
        day: days since the fault began.
        share: weight of the day among those of faults; 1 for an untouched series.
    """

    score: Floats
    meter: Ints
    event: Ints
    anomalous: Bools
    day: Ints
    share: Floats


@dataclass(frozen=True)
class Merit:
    """How good a detector is.

    Attributes:
        precision: share of the flagged meter-days that are anomalous; NaN where nothing is flagged.
        recall: share of the anomalous meter-days that are flagged.
        at: precision of the LISTS.
        pr_auc: average precision, the sum of precision x gain in recall; the base rate by chance.
        false_alarms: share of the untouched meter-days that are flagged.
        events: faults; `found`: share with a flagged day; `by_chance`: the same, on the same days untouched.
        days_to_detect: median days from the beginning to the first flagged day, of those found.
    """

    precision: Figure
    recall: Figure
    at: tuple[Figure, ...]
    pr_auc: Figure
    false_alarms: float
    events: int
    found: float
    by_chance: float
    days_to_detect: float


def merit(of: Judged, untouched_score: Floats, threshold: float, base_rate: float, seed: int) -> Merit:
    """The figures of a detector that flags what is above the threshold.

    Args:
        untouched_score: (n,) of the same meter and day without the fault; NaN where unknown.
    """
    draws = _draws(of, threshold, base_rate, seed)
    found, by_chance, delay = _events(of, of.score > threshold), _events(of, untouched_score > threshold), np.nan
    seen = found[found >= 0]
    if len(seen):
        delay = float(np.median(seen))
    precision, recall, pr_auc, *lists = (figure(draws[:, column]) for column in range(draws.shape[1]))
    return Merit(
        precision=precision,
        recall=recall,
        at=tuple(lists),
        pr_auc=pr_auc,
        false_alarms=float(np.mean(of.score[of.event < 0] > threshold)),
        events=len(found),
        found=_share(found),
        by_chance=_share(by_chance),
        days_to_detect=delay,
    )


def _share(first: Floats) -> float:
    return float(np.mean(first >= 0)) if len(first) else np.nan


def _events(of: Judged, flagged: Bools) -> Floats:
    """(events,) days until the first flagged anomalous day of each; -1 where there is none."""
    inside = of.anomalous
    number = np.unique(of.event[inside])
    first = np.full(len(number), np.inf)
    hit = inside & flagged
    np.minimum.at(first, np.searchsorted(number, of.event[hit]), of.day[hit])
    return np.where(np.isinf(first), -1.0, first)


def _draws(of: Judged, threshold: float, base_rate: float, seed: int) -> Floats:
    """(1 + RESAMPLES, figures) precision, recall, PR-AUC, precision of the LISTS; the first row is of all meters."""
    order = np.argsort(-of.score, kind="stable")
    score, meter = of.score[order], of.meter[order]
    last_of_equals = np.flatnonzero(np.append(np.diff(score) != 0, True))
    flagged = int(np.searchsorted(-score, -threshold, side="left"))  # the first so many are above the threshold
    anomalous, after = of.anomalous[order], (of.event >= 0)[order] & ~of.anomalous[order]
    drawn = meters_drawn(meter, seed)
    rows = []
    for start in range(0, len(drawn), CHUNK):
        weight = drawn[start : start + CHUNK][:, meter] * of.share[order]
        rows.append(_figures(weight, anomalous, after, last_of_equals, flagged, base_rate))
    return np.concatenate(rows)


def meters_drawn(meter: Ints, seed: int) -> Floats:
    """(1 + RESAMPLES, meters) how often each meter is drawn; once each in the first row."""
    present = np.unique(meter)
    drawn = np.zeros((1 + RESAMPLES, int(present.max()) + 1))
    drawn[0, present] = 1
    drawn[1:, present] = np.random.default_rng(seed).multinomial(
        len(present), np.full(len(present), 1 / len(present)), RESAMPLES
    )
    return drawn


def _figures(weight: Floats, anomalous: Bools, after: Bools, ends: Ints, flagged: int, base_rate: float) -> Floats:
    """(draws, figures) for weights (draws, n) of days in falling order of their score.

    The anomalous days are scaled to weigh `base_rate`, those after a fault by the same factor, the untouched ones
    to the rest. Equal scores are in random order: between them the counts rise in a straight line.
    """
    positive, trailing = weight * anomalous, weight * after
    plain = weight - positive - trailing
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = base_rate / positive.sum(axis=1, keepdims=True)
        rest = (1 - base_rate - factor * trailing.sum(axis=1, keepdims=True)) / plain.sum(axis=1, keepdims=True)
        right = np.cumsum(factor * positive, axis=1)
        all_ = np.cumsum(factor * (positive + trailing) + rest * plain, axis=1)
        above = (
            (right[:, flagged - 1], all_[:, flagged - 1]) if flagged else (np.zeros(len(weight)), np.zeros(len(weight)))
        )
        precision, recall = above[0] / above[1], above[0] / base_rate
        right, all_ = right[:, ends], all_[:, ends]
        gain = np.diff(right, axis=1, prepend=0.0)
        pr_auc = np.nansum(gain * right / all_, axis=1) / base_rate
    lists = [[_at(size / OF, one, total) for one, total in zip(right, all_, strict=True)] for size in LISTS]
    return np.column_stack([precision, recall, pr_auc, *lists])


def _at(share: float, right: Floats, all_: Floats) -> float:
    return float(np.interp(share, np.append(0.0, all_), np.append(0.0, right))) / share
