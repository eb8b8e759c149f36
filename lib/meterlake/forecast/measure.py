"""Figures of a backtest, with ranges from a bootstrap over its origins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.forecast.backtest import BOOSTING, Backtest
from meterlake.forecast.model import QUANTILES
from meterlake.resampled import Figure, figure

Floats = NDArray[np.float64]

RESAMPLES = 2000
# Origins drawn together: hours of a week ahead overlap from one daily origin to the next.
ORIGINS_TOGETHER = 14


@dataclass(frozen=True)
class Merit:
    """How good a method is on the hours of a block.

    Attributes:
        mae: mean absolute error, kWh.
        wape: sum of absolute errors / sum of energy. MAPE divides by each hour: one hour near zero decides it.
        mape: mean of |error| / energy over the hours above a tenth of their mean; only to compare with literature.
        skill: 1 - MAE of the model / MAE of this method: how much less the model errs. 0 for the model itself.
    """

    method: str
    mae: float
    wape: float
    mape: float
    skill: Figure


@dataclass(frozen=True)
class Band:
    """How good the three quantiles are: pinball loss (kWh, mean over QUANTILES), and where the truth lies."""

    pinball: float
    coverage: Figure
    below: float
    above: float


def merits(of: Backtest, seed: int) -> list[Merit]:
    """A row for each method."""
    own = _means(of, np.abs(of.points[BOOSTING] - of.kwh), seed)
    return [
        Merit(
            method,
            float(error.mean()),
            float(error.sum() / of.kwh.sum()),
            _mape(of.kwh, error),
            figure(1 - own / _means(of, error, seed)),
        )
        for method, points in of.points.items()
        for error in [np.abs(points - of.kwh)]
    ]


def band(of: Backtest, seed: int) -> Band:
    """The figures of the quantiles."""
    low, high = of.band[:, 0], of.band[:, -1]
    inside = (of.kwh >= low) & (of.kwh <= high)
    return Band(
        pinball(of.kwh, of.band),
        figure(_means(of, inside.astype(np.float64), seed)),
        float((of.kwh < low).mean()),
        float((of.kwh > high).mean()),
    )


def pinball(kwh: Floats, quantiles: Floats) -> float:
    """Mean over hours and QUANTILES of max(q (y - f), (q - 1) (y - f)), kWh (Koenker and Bassett 1978)."""
    level, above = np.array(QUANTILES), kwh[:, None] - quantiles
    return float(np.maximum(level * above, (level - 1) * above).mean())


def _mape(kwh: Floats, error: Floats) -> float:
    counted = kwh > 0.1 * kwh.mean()
    return float((error[counted] / kwh[counted]).mean())


def _means(of: Backtest, values: Floats, seed: int) -> Floats:
    """(1 + RESAMPLES,) mean over the hours as groups of origins are drawn with return; the first is of all, once."""
    group = (of.origin - of.origin.min()) // ORIGINS_TOGETHER
    count = int(group.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    weight = np.concatenate([np.ones((1, count)), drawn])
    return np.asarray(weight @ np.bincount(group, values, count) / (weight @ np.bincount(group, minlength=count)))
