"""Direct quantile models of one element, one for each block of horizons.

Gradient boosting on histograms with the pinball loss (Koenker and Bassett, Econometrica 46 (1978) 33-50):
HistGradientBoostingRegressor of scikit-learn. "Direct": each hour is forecast from what is known at the origin, never
from a forecast.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from meterlake.errors import UsageError
from meterlake.forecast.blocks import Block
from meterlake.forecast.features import LEAST_KNOWN, Known, Rows, features
from meterlake.forecast.series import LoadSeries, local, on_the_wall
from meterlake.vee.clock import DAY_MINUTES, Clock

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUANTILES = (0.1, 0.5, 0.9)
# Known hours that an element needs, in days, and how fresh they must be.
LEAST_DAYS = 28
NEWEST_DAYS = 7
LEAST_ROWS = 240


@dataclass(frozen=True)
class Policy:
    """How the models are fitted.

    Attributes:
        training_days: origins of so many days before the newest are learnt from.
        most_rows: rows that a model learns from; more are thinned evenly.
        trees, learning_rate, leaves, least_rows_per_leaf: of the gradient boosting.
    """

    training_days: int = 730
    most_rows: int = 20_000
    trees: int = 150
    learning_rate: float = 0.05
    leaves: int = 12
    least_rows_per_leaf: int = 40
    seed: int = 20240101


@dataclass(frozen=True)
class Element:
    """One element up to an origin: its series, its wall and what is known of it."""

    series: LoadSeries
    clock: Clock
    known: Known

    @classmethod
    def of(cls, series: LoadSeries, clock: Clock, country: str | None) -> "Element":
        return cls(series, clock, Known(on_the_wall(series, clock), country))

    def end_of(self, day: Ints) -> Ints:
        """Ends of days (counted from the wall's first), minutes since 1970 UTC."""
        return self.clock.utc((self.known.wall.first_day + day + 1) * DAY_MINUTES)


def hours_after(element: Element, origin: Ints, block: Block) -> tuple[Rows, Ints]:
    """The block's hours after each origin day, and where they stand in the series (beyond its end: not there yet)."""
    horizon = np.arange(block.first_h, block.last_h + 1)
    minute = (element.end_of(origin)[:, None] + 60 * (horizon - 1)).ravel()
    day, hour = local(minute, element.clock)
    rows = Rows(np.repeat(origin, len(horizon)), day - element.known.wall.first_day, hour)
    return rows, (minute - element.series.first_minute) // 60


@dataclass(frozen=True)
class Fitted:
    """The models of one block for QUANTILES, and the number of hours that they learnt from."""

    block: Block
    models: tuple[HistGradientBoostingRegressor, ...]
    rows: int


class TooLittleHistory(UsageError):
    """An element of which too little is known to learn from."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"No forecast: {problem}.")


def check_history(element: Element, origin: int) -> None:
    """Refuse an origin at which too little is known.

    Raises:
        TooLittleHistory: fewer than LEAST_DAYS of hours are known, the last days are not, or nothing was used.
    """
    known = ~np.isnan(element.known.wall.kwh[: origin + 1])
    days = known.sum() / 24
    if days < LEAST_DAYS:
        raise TooLittleHistory(f"{days:.1f} days of hours are known and {LEAST_DAYS} are needed")
    recent = known[-NEWEST_DAYS:].mean()
    if recent < LEAST_KNOWN:
        raise TooLittleHistory(f"of the last {NEWEST_DAYS} days {recent:.0%} of the hours are known")
    if not element.known.level[origin] > 0:
        raise TooLittleHistory("nothing was used, or too little is known, in the last 28 days")


def fit(element: Element, origin: int, block: Block, policy: Policy) -> Fitted:
    """The block's models from what was known at the end of day `origin`. Same input and policy: the same models.

    Raises:
        TooLittleHistory: fewer than LEAST_ROWS hours can be learnt from.
    """
    origins = np.arange(max(0, origin - policy.training_days), origin)
    inputs, target = _training(element, origins, origin, block, policy)
    if len(target) < LEAST_ROWS:
        raise TooLittleHistory(f"{len(target)} hours can be learnt from ({block.name}) and {LEAST_ROWS} are needed")
    return Fitted(block, _fitted(inputs, target, policy), len(target))


def forecast(element: Element, origin: Ints, fitted: Fitted) -> tuple[Rows, Ints, Floats]:
    """Hours after each origin day, where they stand in the series, and (r, 3) QUANTILES of their kWh in rising order.

    Models that are fitted one by one may cross, a distribution does not: the three are sorted.
    """
    rows, place = hours_after(element, origin, fitted.block)
    inputs, level = features(element.known, rows), element.known.level[rows.origin]
    shares = np.column_stack([model.predict(inputs) for model in fitted.models])
    return rows, place, np.sort(np.maximum(shares * level[:, None], 0.0), axis=1)


def _training(element: Element, origins: Ints, newest: int, block: Block, policy: Policy) -> tuple[Floats, Floats]:
    """Features, and energy / level, of the block's hours after the origins that had passed by the end of `newest`."""
    rows, place = hours_after(element, origins, block)
    end = (element.end_of(np.array([newest]))[0] - element.series.first_minute) // 60
    there = (place >= 0) & (place < min(end, len(element.series.kwh)))
    target = np.where(there, element.series.kwh[np.where(there, place, 0)], np.nan)
    target = target / element.known.level[rows.origin]
    use = np.flatnonzero(np.isfinite(target))
    # A stride that has no factor in common with a day or a week, so that every hour and weekday stays.
    stride = -(-len(use) // policy.most_rows)
    while stride > 1 and np.gcd(stride, 24 * 7) > 1:
        stride += 1
    use = use[::stride]
    chosen = Rows(rows.origin[use], rows.day[use], rows.hour[use])
    return features(element.known, chosen), target[use]


def _fitted(inputs: Floats, target: Floats, policy: Policy) -> tuple[HistGradientBoostingRegressor, ...]:
    return tuple(
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=policy.trees,
            learning_rate=policy.learning_rate,
            max_leaf_nodes=policy.leaves,
            min_samples_leaf=policy.least_rows_per_leaf,
            early_stopping=False,
            random_state=policy.seed,
        ).fit(inputs, target)
        for quantile in QUANTILES
    )
