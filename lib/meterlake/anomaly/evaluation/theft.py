"""Real theft flags: 26 days of daily use of 25,863 customers, judged without the flags, then compared with them.

The file is a CSV with one column a day, a customer number and FLAG, 1 where an inspection found theft. Nothing is
fitted to the flags, so all customers count.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meterlake.anomaly.meter_day import Surprise, longest, two_largest
from meterlake.errors import InputError
from meterlake.resampled import Figure, figure

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

A_DAY = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
FLAG = "FLAG"
RESAMPLES = 200
BEST = 100
COMBINED = "two largest surprises"


@dataclass(frozen=True)
class Found:
    """How a score ranks the flagged customers.

    Attributes:
        roc_auc: chance that a flagged customer's score is above another's; 0.5 by chance.
        at_best, at_percent: share of flagged ones among the 100 highest, and the highest 1 %.
    """

    score: str
    roc_auc: Figure
    at_best: float
    at_percent: float


def read(file: Path) -> tuple[Floats, Bools]:
    """Daily use (customers, days), NaN where unknown, and who is flagged.

    Raises:
        InputError: the file cannot be read, or has no days or no FLAG.
    """
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise InputError(str(file), f"cannot be read ({str(error).splitlines()[0]})", "name a CSV file") from None
    days = sorted((name for name in table.columns if A_DAY.fullmatch(name)), key=pd.to_datetime)
    if FLAG not in table or len(days) < 2:
        raise InputError(str(file), "has no column FLAG or no columns of days", "name a file of daily use with flags")
    return table[days].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64), table[FLAG].to_numpy() == 1


def scores(kwh: Floats) -> dict[str, Floats]:
    """Numbers of each customer, larger is more like theft: what a thief's meter would do. None has seen a flag."""
    floor = 0.05 * np.nanmedian(kwh)
    half = kwh.shape[1] // 2
    mean = np.nanmean(kwh, axis=1)
    log = np.log(kwh + floor)
    middle = np.nanmedian(log, axis=1, keepdims=True)
    spread = 0.1 + 1.4826 * np.nanmedian(np.abs(log - middle), axis=1)
    single = {
        "uses little": -np.log(mean + floor),
        "days without use": np.mean(kwh == 0, axis=1),
        "longest run without use": longest((kwh == 0)[None])[0],
        "falls from first to second half": -np.log(
            (np.nanmean(kwh[:, half:], axis=1) + floor) / (np.nanmean(kwh[:, :half], axis=1) + floor)
        ),
        "a day unlike its own (Hampel)": np.nanmax(np.abs(log - middle), axis=1) / spread,
        "jumps from day to day": np.nanmean(np.abs(np.diff(log, axis=1)), axis=1),
    }
    surprises = np.stack([Surprise.of(values)(values) for values in single.values()])
    return {**single, COMBINED: two_largest(surprises)}


def evaluate(kwh: Floats, flagged: Bools, seed: int) -> list[Found]:
    """Every score against the flags, with 95 % of a bootstrap over customers."""
    random = np.random.default_rng(seed)
    draws = [random.integers(len(flagged), size=len(flagged)) for _ in range(RESAMPLES)]
    return [
        _found(name, np.nan_to_num(score, nan=np.nanmin(score)), flagged, draws) for name, score in scores(kwh).items()
    ]


def _found(name: str, score: Floats, flagged: Bools, draws: list[NDArray[np.int64]]) -> Found:
    aucs = [roc_auc(score[draw], flagged[draw]) for draw in draws]
    return Found(
        name,
        figure([roc_auc(score, flagged), *aucs]),
        precision_of_best(score, flagged, BEST),
        precision_of_best(score, flagged, max(1, len(score) // 100)),
    )


def precision_of_best(score: Floats, positive: Bools, count: int) -> float:
    """Share of positive ones among the `count` highest; what is to be expected where equal scores are in random order.

    The file has the flagged customers first: in its own order, equal scores would look perfect.
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
