"""The score of whole days: it looks back only, and sees what it is made for."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from meterlake.anomaly.drift import DAYS, MODERATE, Shift, shifts, training_is_due
from meterlake.anomaly.meter_day import (
    LOOKS_BACK_DAYS,
    DayModel,
    Hours,
    MeterDays,
    Signs,
    Surprise,
    fit,
    longest,
    signs,
    signs_of,
    told,
    two_largest,
    watched_days,
)

SLOTS = 48
TYPICAL_KWH = 20.0


def homes(count: int, days: int, seed: int = 1) -> np.ndarray:
    """(count, days, slots): an evening peak, and each day a level of its own."""
    random = np.random.default_rng(seed)
    form = 0.2 + np.exp(-0.5 * ((np.arange(SLOTS) - 38) / 4) ** 2)
    level = np.exp(0.2 * random.standard_normal((count, days, 1)))
    return form * level * np.exp(0.2 * random.standard_normal((count, days, SLOTS)))


def all_signs(kwh: np.ndarray) -> Signs:
    """Of every day of a grid."""
    of = MeterDays.grid(kwh)
    return signs_of(of, np.arange(len(of.key)), TYPICAL_KWH)


def fitted(kwh: np.ndarray) -> DayModel:
    of = MeterDays.grid(kwh)
    return fit(of, of.judged, 0.001, 0.6)


def scores(model: DayModel, kwh: np.ndarray) -> np.ndarray:
    return two_largest(model.surprises_of(all_signs(kwh))).reshape(kwh.shape[:2])


def test_the_longest_run() -> None:
    mask = np.array([[[True, True, False, True, True, True], [False] * 6, [True] * 6]])
    assert longest(mask).tolist() == [[3, 0, 6]]


def test_hours_of_readings() -> None:
    kwh = np.arange(48.0)
    kwh[4] = np.nan
    hours = Hours.of(kwh)
    assert hours.kwh[:2].tolist() == [1.0, 5.0]
    assert (hours.most_kw[1], hours.least_kw[1]) == (6.0, 4.0)
    assert np.isnan([hours.kwh[2], hours.most_kw[2], hours.least_kw[2]]).all()


def test_a_window_holds_the_days_of_one_meter_in_order() -> None:
    kwh = np.arange(2 * 60).reshape(2, 60, 1) * np.ones(24)
    of = MeterDays.grid(kwh)
    (window,) = of.windows(np.array([58, 60, 119]))
    assert window.kwh.shape == (3, LOOKS_BACK_DAYS + 1, 24)
    assert window.kwh[0, :, 0].tolist() == list(range(2, 59))
    assert np.isnan(window.kwh[1, :-1]).all()
    assert window.kwh[2, :, 0].tolist() == list(range(63, 120))


def test_a_day_that_is_not_there_is_unknown_and_not_skipped() -> None:
    whole = MeterDays.grid(np.arange(60).reshape(1, 60, 1) * np.ones(24))
    there = np.arange(60) != 50
    (window,) = MeterDays(whole.key[there], whole.hours.at(there)).windows(np.array([58]))
    assert window.kwh[0, -1, 0] == 59
    assert np.isnan(window.kwh[0, -10]).all()
    assert window.kwh[0, -11, 0] == 49


def test_a_day_is_judged_alone_as_in_the_whole_series() -> None:
    kwh = homes(3, 150)
    alone = MeterDays.grid(kwh[:, 99 - LOOKS_BACK_DAYS : 100])
    in_series = {name: values.reshape(3, 150)[:, 99] for name, values in all_signs(kwh).strange.items()}
    (window,) = alone.windows(np.arange(1, 4) * (LOOKS_BACK_DAYS + 1) - 1)
    for name, values in signs(window, TYPICAL_KWH).strange.items():
        np.testing.assert_array_equal(values, in_series[name], err_msg=name)


@pytest.mark.parametrize(
    ("change", "sign", "sentence"),
    [
        pytest.param(lambda kwh: kwh * 0.3, "low_week", "less than usual for a week", id="a_part_of_the_energy"),
        pytest.param(lambda kwh: kwh * 0.0, "idle_hours", "read nothing for 24 h in a row", id="nothing"),
        pytest.param(lambda kwh: kwh * 0.0 + 0.5, "frozen_hours", "repeated one value for 24 h", id="one_value"),
        pytest.param(lambda kwh: kwh[..., ::-1], "backwards_day", "read backwards", id="backwards"),
        pytest.param(lambda kwh: np.roll(kwh, 12, axis=-1), "shifted_week", "another clock", id="clock"),
        pytest.param(
            lambda kwh: kwh * np.where(np.arange(SLOTS) < 12, 0.1, 1.0), "night_less_week", "at night", id="at_night"
        ),
        pytest.param(lambda kwh: kwh + 8.0 * (np.arange(SLOTS) == 20), "top", "times that of the eight", id="spike"),
    ],
)
def test_each_sign_rises_above_all_ordinary_days(change, sign: str, sentence: str) -> None:  # type: ignore[no-untyped-def]
    kwh = homes(5, 120)
    changed = kwh.copy()
    changed[0, 105:115] = change(changed[0, 105:115])
    day = 105 if sign == "top" else 112  # a height that has been reached is no news
    found, model = all_signs(changed), fitted(kwh)
    assert found.strange[sign][day] > np.nanmax(all_signs(kwh).strange[sign])
    assert scores(model, changed)[0, day] > scores(model, kwh)[0, day]
    names = tuple(model.surprises)
    only = np.where(np.array(names)[:, None] == sign, 9.0, 0.0) * np.ones(len(found.kwh))
    assert sentence in told(found, only, names)[day]


def test_the_surprise_is_the_share_of_stranger_days() -> None:
    ordinary = np.random.default_rng(2).exponential(size=100_000)
    surprise = Surprise.of(ordinary)
    # of an exponential, -ln of the share above x is x itself, in the tail as well
    assert surprise(np.array([0.5, 2.0, 4.0, 8.0])) == pytest.approx([0.5, 2.0, 4.0, 8.0], rel=0.05)
    assert surprise(np.array([np.nan])) == [0.0]


def test_what_most_days_have_is_no_surprise() -> None:
    surprise = Surprise.of(np.append(np.zeros(1000), 5.0), scale=1.0)
    assert surprise(np.array([0.0]))[0] == 0.0
    assert surprise(np.array([3.0]))[0] == pytest.approx(-np.log(0.01) + 3.0)


def test_real_faults_among_the_ordinary_days_do_not_rule_the_tail() -> None:
    ordinary = np.random.default_rng(2).exponential(size=10_000)
    with_faults = np.append(ordinary, np.full(5, 1e6))
    assert Surprise.of(with_faults).scale == pytest.approx(Surprise.of(ordinary).scale, rel=0.3)


def test_two_signs_are_added() -> None:
    assert two_largest(np.array([[1.0, 9], [5, 8], [3, 0]])).tolist() == [8, 17]


def test_the_published_score_rises_and_is_the_threshold_there() -> None:
    model = fitted(homes(4, 90))
    shown = model.from_0_to_1(np.array([0.0, model.threshold, 2 * model.threshold, 1e6]))
    assert shown[0] == 0
    assert shown[1] == pytest.approx(0.6)
    assert 0.6 < shown[2] < shown[3] < 1


def test_the_share_of_alarms_is_kept_on_other_ordinary_meters() -> None:
    model = fit(MeterDays.grid(homes(30, 120)), MeterDays.grid(homes(30, 120)).judged, 0.01, 0.6)
    others = homes(30, 120, seed=7)
    judged = MeterDays.grid(others).judged.reshape(others.shape[:2])
    assert (scores(model, others)[judged] > model.threshold).mean() == pytest.approx(0.01, abs=0.01)


def test_unknown_days_and_no_days() -> None:
    kwh = homes(2, 60)
    kwh[:, 30:40] = np.nan
    assert np.isnan(all_signs(kwh).kwh.reshape(2, 60)[:, 30:40]).all()
    of = MeterDays.grid(np.empty((0, 60, SLOTS)))
    assert of.judged.shape == (0,)
    assert list(of.windows(np.arange(0))) == []


@pytest.fixture(scope="module")
def of_thirty_homes() -> DayModel:
    return fitted(homes(30, 150))


def moved(model: DayModel, kwh: np.ndarray) -> list[Shift]:
    """The shifts of a grid's judged days against those that the model was fitted to."""
    of = MeterDays.grid(kwh)
    surprises = model.surprises_of(signs_of(of, np.flatnonzero(of.judged), model.typical_kwh))
    assert model.reference is not None
    return shifts(model.reference, model.reference.counts(watched_days(surprises)), DAYS)


def test_days_like_those_of_the_training_have_not_moved(of_thirty_homes: DayModel) -> None:
    found = moved(of_thirty_homes, homes(30, 150, seed=7))
    assert [shift.name for shift in found][-3:] == ["backwards_day", "backwards_three_days", "surprise"]
    assert max(shift.psi for shift in found) < MODERATE
    assert training_is_due(found) is None


def test_days_that_fall_everywhere_have_moved(of_thirty_homes: DayModel) -> None:
    falling = homes(30, 150, seed=7) * np.exp(-0.01 * np.arange(150))[:, None]
    found = {shift.name: shift for shift in moved(of_thirty_homes, falling)}
    assert found["low_week"].large
    assert found["surprise"].large
    assert found["shifted_week"].psi < MODERATE, "the form of the day is what it was"
    due = training_is_due(list(found.values()))
    assert due is not None
    assert due.startswith("the surprise's PSI is ")


def test_an_unknown_sign_counts_as_no_surprise() -> None:
    model, kwh = fitted(homes(4, 90)), homes(1, 90, seed=3)
    kwh[:, 30:83] = np.nan  # the last week is known, and no past
    rows = watched_days(model.surprises_of(signs_of(MeterDays.grid(kwh), np.array([89]), TYPICAL_KWH)))
    assert rows.shape == (1, len(model.surprises) + 1)
    assert not np.isnan(rows).any()


def test_a_model_is_data() -> None:
    model = fitted(homes(4, 90))
    assert json.loads(json.dumps(asdict(model)))["threshold"] == model.threshold
