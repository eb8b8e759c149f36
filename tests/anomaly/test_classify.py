"""Types by their thresholds, and reasons that a person understands."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from meterlake.anomaly.classify import NO_SINGLE_REASON, anomaly_types, expected_kwh, reasons
from meterlake.anomaly.features import INPUTS, NAMES, matrix
from meterlake.anomaly.model import Calibration, TrainedModel, Training

NAN = float("nan")


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """A forest that knows an even household: about 0.5 kWh at every hour."""
    draw = np.random.default_rng(7)
    rows = 4000
    columns = {name: draw.gamma(40, 0.5 / 40, rows) for name in INPUTS}
    columns["rolling_std_kwh_24h"] = draw.gamma(40, 0.1 / 40, rows)
    columns["hour_of_day"] = draw.integers(0, 24, rows).astype(float)
    inputs = matrix(columns, 0.5)
    forest = IsolationForest(n_estimators=50, random_state=1).fit(inputs)
    now = datetime(2024, 1, 1, tzinfo=UTC)
    training = Training(rows, now, now, 0.01, 1, 50, 256, 0.01)
    medians = tuple(np.median(inputs, axis=0).tolist())
    return TrainedModel(forest, Calibration.of(-forest.score_samples(inputs), 0.01, 0.6), NAMES, medians, 0.5, training)


def why(model: TrainedModel, **given: float) -> str:
    usual = dict(zip(INPUTS, (0.5, 0.5, 0.5, 0.1, 0.5, 0.5, 12.0), strict=True))
    columns = {name: np.array([value]) for name, value in (usual | given).items()}
    inputs = matrix(columns, model.typical_kwh)
    return reasons(columns, inputs, model.raw_scores(inputs), model)[0]


def test_a_reading_unlike_its_past_names_what_it_is_unlike(model: TrainedModel) -> None:
    assert why(model, same_hour_last_day_kwh=0.08) == "0.5 kWh is 6.2 times the same hour of the day before (0.08 kWh)"
    assert why(model, same_hour_last_week_kwh=5.0) == "0.5 kWh is 10 % of the same hour of the week before (5 kWh)"


def test_at_most_three_reasons_strongest_first(model: TrainedModel) -> None:
    found = why(model, consumption_kwh=6.0, rolling_mean_kwh_1h=3.0).split("; ")
    assert 2 <= len(found) <= 3
    assert all("kWh" in reason for reason in found)


def test_zero_is_told_without_a_ratio(model: TrainedModel) -> None:
    assert why(model, consumption_kwh=0.0, same_hour_last_day_kwh=NAN, same_hour_last_week_kwh=NAN).startswith(
        "0 kWh where the "
    )


def test_what_is_unknown_is_no_reason(model: TrainedModel) -> None:
    found = why(model, consumption_kwh=9.0, same_hour_last_day_kwh=NAN, same_hour_last_week_kwh=NAN)
    assert "before" not in found
    assert "nan" not in found


def test_a_usual_reading_has_no_single_reason(model: TrainedModel) -> None:
    medians = np.array([model.medians], dtype=np.float32)
    columns = {name: np.array([0.5]) for name in INPUTS}
    assert reasons(columns, medians, model.raw_scores(medians), model) == [NO_SINGLE_REASON]


# kWh, expected kWh, mean of the last 24 h, type
TYPE_CASES = [
    pytest.param(1.5, 1.0, 1.0, "high_consumption", id="one_and_a_half_times_the_expected"),
    pytest.param(1.49, 1.0, 1.0, "unusual_pattern", id="a_little_high"),
    pytest.param(1.5, 1.0, 2.0, "unusual_pattern", id="high_for_the_hour_but_below_the_day"),
    pytest.param(0.5, 1.0, 1.0, "low_consumption", id="half_the_expected"),
    pytest.param(0.51, 1.0, 1.0, "unusual_pattern", id="a_little_low"),
    pytest.param(0.5, 1.0, 0.4, "unusual_pattern", id="low_for_the_hour_but_above_the_day"),
    pytest.param(0.2, 0.0, 0.1, "high_consumption", id="something_where_nothing_was_expected"),
    pytest.param(9.0, NAN, 1.0, "unusual_pattern", id="nothing_to_expect_from"),
]


@pytest.mark.parametrize(("kwh", "expected", "mean", "kind"), TYPE_CASES)
def test_types(kwh: float, expected: float, mean: float, kind: str) -> None:
    columns = {"consumption_kwh": np.array([kwh]), "rolling_mean_kwh_24h": np.array([mean])}
    assert anomaly_types(columns, np.array([expected])) == [kind]


def test_what_is_expected() -> None:
    columns = {
        "same_hour_last_day_kwh": np.array([2.0, NAN, 2.0, NAN, NAN]),
        "same_hour_last_week_kwh": np.array([4.0, 4.0, NAN, NAN, NAN]),
        "rolling_mean_kwh_24h": np.full(5, 9.0),
        "rolling_std_kwh_24h": np.array([1.0, 1.0, 1.0, 1.0, NAN]),
    }
    np.testing.assert_array_equal(expected_kwh(columns), [3.0, 4.0, 2.0, 9.0, NAN])
