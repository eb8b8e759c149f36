"""The score of whole days: it looks back only, and sees what it is made for."""

import numpy as np
import pytest

from meterlake.anomaly.meter_day import Surprise, days_of, features, fit, longest, past, peer_level, two_largest

SLOTS = 48


def homes(count: int, days: int, seed: int = 1) -> np.ndarray:
    """(count, days, slots): an evening peak, and each day a level of its own."""
    random = np.random.default_rng(seed)
    form = 0.2 + np.exp(-0.5 * ((np.arange(SLOTS) - 38) / 4) ** 2)
    level = np.exp(0.2 * random.standard_normal((count, days, 1)))
    return form * level * np.exp(0.2 * random.standard_normal((count, days, SLOTS)))


def test_the_longest_run() -> None:
    mask = np.array([[[True, True, False, True, True, True], [False] * 6, [True] * 6]])
    assert longest(mask).tolist() == [[3, 0, 6]]


def test_the_past_ends_before_the_day() -> None:
    assert past(np.array([[1.0, 2, 3, 4]]), 1, 2)[0].tolist()[2:] == [[1, 2], [2, 3]]
    assert np.isnan(past(np.array([[1.0, 2, 3, 4]]), 1, 2)[0, 0]).all()


def test_what_comes_later_changes_no_score() -> None:
    kwh = homes(3, 120)
    score = fit(kwh, np.ones((3, 120)), np.ones((3, 120), bool))
    later = kwh.copy()
    later[:, 100:] = 0.0
    np.testing.assert_array_equal(score(kwh, np.ones((3, 120)))[:, :100], score(later, np.ones((3, 120)))[:, :100])


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        pytest.param(lambda kwh: kwh * 0.3, "low_week", id="a_part_of_the_energy"),
        pytest.param(lambda kwh: kwh * 0.0, "idle_hours", id="nothing"),
        pytest.param(lambda kwh: kwh * 0.0 + 0.5, "frozen_hours", id="one_value"),
        pytest.param(lambda kwh: kwh[..., ::-1], "backwards_day", id="backwards"),
        pytest.param(lambda kwh: np.roll(kwh, 12, axis=-1), "shifted_week", id="clock"),
        pytest.param(lambda kwh: kwh * np.where(np.arange(SLOTS) < 12, 0.1, 1.0), "night_less_week", id="at_night"),
        pytest.param(lambda kwh: kwh + 8.0 * (np.arange(SLOTS) == 20), "top", id="spike"),
    ],
)
def test_each_sign_rises_above_all_ordinary_days(change, feature: str) -> None:  # type: ignore[no-untyped-def]
    kwh, peers = homes(5, 120), np.ones((5, 120))
    changed = kwh.copy()
    changed[0, 105:115] = change(changed[0, 105:115])
    found = features(changed, peers, 20.0)[feature][0]
    day = 105 if feature == "top" else 112  # a height that has been reached is no news
    assert found[day] > np.nanmax(features(kwh, peers, 20.0)[feature])
    score = fit(kwh, peers, np.ones((5, 120), bool))
    assert score(changed, peers)[0, day] > score(kwh, peers)[0, day]


def test_peers_take_the_weather_out_and_a_meter_is_not_its_own_peer() -> None:
    kwh = homes(9, 90)
    kwh[:, 60:] *= 2.0
    kwh[0, 70] = 0.0
    level = peer_level(kwh)
    assert level[:, 62].mean() == pytest.approx(2.0, abs=0.3)
    other = kwh.copy()
    other[0, 70] = 99.0
    assert peer_level(other)[0, 70] == level[0, 70]
    assert (peer_level(kwh[:1]) == 1).all()


def test_the_surprise_is_the_share_of_stranger_days() -> None:
    ordinary = np.random.default_rng(2).exponential(size=100_000)
    surprise = Surprise.of(ordinary)
    # of an exponential, -ln of the share above x is x itself, in the tail as well
    assert surprise(np.array([0.5, 2.0, 4.0, 8.0])) == pytest.approx([0.5, 2.0, 4.0, 8.0], rel=0.05)
    assert surprise(np.array([np.nan])) == [0.0]


def test_two_signs_are_added() -> None:
    assert two_largest(np.array([[1.0, 9], [5, 8], [3, 0]])).tolist() == [8, 17]


def test_unknown_days_and_no_meters() -> None:
    kwh = homes(2, 60)
    kwh[:, 30:40] = np.nan
    assert np.isnan(days_of(kwh).energy[:, 30:40]).all()
    assert all(values.shape == (0, 60) for values in features(np.empty((0, 60, SLOTS)), np.ones((0, 60)), 1.0).values())
