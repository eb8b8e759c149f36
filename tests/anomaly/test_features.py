"""The model's matrix: ratios to the meter's own past, and 'as expected' where there is none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from meterlake.anomaly.features import FILL, INPUTS, NAMES, matrix

NAN = float("nan")
USUAL = dict(zip(INPUTS, (1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 6.0), strict=True))
PAST = [name for name in NAMES if not name.startswith("hour")]


def features(typical: float = 1.0, **given: float) -> dict[str, float]:
    """The features of one reading that is usual unless told otherwise."""
    columns = {name: np.array([value]) for name, value in (USUAL | given).items()}
    return dict(zip(NAMES, matrix(columns, typical)[0].tolist(), strict=True))


def test_a_usual_reading_is_zero_in_every_ratio() -> None:
    found = features()
    assert [found[name] for name in PAST] == [0.0] * len(PAST)
    assert (found["hour_sin"], found["hour_cos"]) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_formulas_of_a_high_reading() -> None:
    # floor = 0.1 x (mean(1, 1, 4) + 1) = 0.3
    found = features(consumption_kwh=5.0, same_hour_last_week_kwh=4.0)
    assert found["log_ratio_to_mean_24h"] == pytest.approx(np.log(5.3 / 1.3))
    assert found["log_ratio_to_last_week"] == pytest.approx(np.log(5.3 / 4.3))
    assert found["distance_24h"] == pytest.approx(np.log1p(4 / 0.8))


@pytest.mark.parametrize(
    ("null", "feature"),
    [
        pytest.param("same_hour_last_day_kwh", "log_ratio_to_last_day", id="no_day_before"),
        pytest.param("same_hour_last_week_kwh", "log_ratio_to_last_week", id="no_week_before"),
    ],
)
def test_without_a_past_a_reading_is_as_expected(null: str, feature: str) -> None:
    assert features(consumption_kwh=9.0, **{null: NAN})[feature] == FILL


def test_the_first_reading_of_a_meter_is_as_expected() -> None:
    found = features(rolling_std_kwh_24h=NAN, same_hour_last_day_kwh=NAN, same_hour_last_week_kwh=NAN)
    assert [found[name] for name in PAST] == [FILL] * len(PAST)


def test_a_meter_that_never_consumed_is_as_expected() -> None:
    found = features(typical=0.0, **dict.fromkeys(INPUTS, 0.0))
    assert [found[name] for name in PAST] == [FILL] * len(PAST)


def test_trifles_stay_small() -> None:
    trifle = features(**{name: 0.01 * value for name, value in USUAL.items()} | {"consumption_kwh": 0.0})
    assert max(abs(trifle[name]) for name in PAST) < 0.1


def test_only_ratios_count_when_the_source_is_as_large_as_the_meter() -> None:
    sizes: list[NDArray[np.float32]] = []
    for factor in (1.0, 1e-3, 1e6):
        values = {name: np.array([factor * value]) for name, value in USUAL.items()}
        sizes.append(
            matrix(values | {"consumption_kwh": np.array([3 * factor]), "hour_of_day": np.array([6.0])}, factor)
        )
    np.testing.assert_allclose(sizes[1], sizes[0], rtol=1e-6)
    np.testing.assert_allclose(sizes[2], sizes[0], rtol=1e-6)


def test_nothing_gives_an_empty_matrix() -> None:
    assert matrix({name: np.empty(0) for name in INPUTS}, 1.0).shape == (0, len(NAMES))
