"""The backtest's figures: by hand, and on a series where the answer is known."""

import numpy as np
import pytest
from tests.forecast.builders import element, weekly

from meterlake.errors import UsageError
from meterlake.forecast import tables
from meterlake.forecast.backtest import BOOSTING, FOUR_WEEKS, NAIVE, Backtest, backtest
from meterlake.forecast.blocks import BLOCKS
from meterlake.forecast.measure import band, merits, pinball
from meterlake.forecast.model import Policy


def judged(model: float, naive: float) -> Backtest:
    """28 origins of two hours of 2 kWh, with points that lie so far above."""
    origin = np.repeat(np.arange(28), 2)
    truth = np.full(56, 2.0)
    points = {BOOSTING: truth + model, NAIVE: truth + naive, FOUR_WEEKS: truth + naive}
    edges = np.column_stack([truth - 1, truth + model, truth + 1])
    return Backtest(BLOCKS[0], origin, 60 * np.arange(56), truth, points, edges, 1)


def test_figures_by_hand() -> None:
    model, naive, _ = merits(judged(0.5, 1.0), seed=1)
    assert (model.mae, model.wape, model.mape) == (0.5, 0.25, 0.25)
    assert (naive.skill.value, naive.skill.low, naive.skill.high) == (0.5, 0.5, 0.5)
    found = band(judged(0.5, 1.0), seed=1)
    assert (found.coverage.value, found.below, found.above) == (1.0, 0.0, 0.0)
    # 0.1 x 1 above the low one, 0.5 x 0.5 below the median, 0.1 x 1 below the high one.
    assert found.pinball == pytest.approx((0.1 + 0.25 + 0.1) / 3)
    assert pinball(np.array([1.0]), np.array([[1.0, 1.0, 1.0]])) == 0.0


def test_a_model_that_is_worse_is_said_to_be() -> None:
    assert "does not beat" in tables.verdict([judged(1.0, 0.5)], seed=1)
    assert "beats by 50.0%" in tables.verdict([judged(0.5, 1.0)], seed=1)


def test_a_week_with_noise_is_forecast_better_than_by_last_week() -> None:
    """Last week's noise doubles the variance of the error: 1 - 1 / sqrt(2) = 29 % is all that there is to gain."""
    day, week = backtest(element(weekly(140, noise=0.2)), Policy(trees=40, learning_rate=0.15), refit=70)
    assert (day.refits, week.refits, set(np.diff(np.unique(day.origin)))) == (1, 1, {1})
    for one in (day, week):
        skill = {row.method: row.skill for row in merits(one, seed=1)}[NAIVE]
        assert 0 < skill.low < skill.value < 0.3


def test_a_series_that_is_too_short_is_told() -> None:
    with pytest.raises(UsageError, match="a backtest needs 112 or more"):
        backtest(element(weekly(100)), Policy())
