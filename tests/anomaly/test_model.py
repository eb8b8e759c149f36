"""The calibration: strictly rising, and above the threshold lies the declared share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlake.anomaly.model import Calibration

SCORES = np.random.default_rng(1).beta(20, 24, 50_000)


@pytest.mark.parametrize("contamination", [0.001, 0.01, 0.05])
def test_above_the_threshold_lies_the_contamination(contamination: float) -> None:
    calibrated = Calibration.of(SCORES, contamination, 0.6)(SCORES)
    assert np.mean(calibrated > 0.6) == pytest.approx(contamination, rel=0.01)


def test_the_quantile_itself_gets_exactly_the_threshold() -> None:
    calibration = Calibration.of(SCORES, 0.01, 0.6)
    assert calibration(np.array([calibration.raw[-1]])) == [0.6]
    assert calibration.raw[-1] == np.quantile(SCORES, 0.99)


def test_below_the_threshold_the_score_is_the_share_of_stranger_rows() -> None:
    calibration = Calibration.of(SCORES, 0.01, 0.6)
    assert calibration(np.quantile(SCORES, [0.25, 0.5, 0.9])) == pytest.approx(
        0.6 * np.array([0.25, 0.5, 0.9]) / 0.99, abs=1e-3
    )


def test_the_mean_excess_is_the_tails_scale() -> None:
    calibration = Calibration.of(SCORES, 0.01, 0.6)
    at = calibration.raw[-1] + calibration.scale
    assert calibration(np.array([at])) == pytest.approx(0.6 + 0.4 * (1 - np.exp(-1)))


@given(
    st.lists(st.floats(0.3, 0.9).map(lambda value: round(value, 3)), min_size=1, max_size=300),
    st.sampled_from([0.001, 0.01, 0.2]),
)
def test_strictly_rising_from_0_to_1_whatever_the_training_scores(raw: list[float], contamination: float) -> None:
    calibration = Calibration.of(np.array(raw), contamination, 0.6)
    calibrated = calibration(np.linspace(0.0, 1.0, 1001))
    assert np.all(np.diff(calibrated) > 0)
    assert calibrated[0] == 0.0
    assert 0.6 < calibrated[-1] < 1.0
