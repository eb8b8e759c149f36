"""Whose reading is wrong, in streets of made-up loads where it is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from meterlake.losses.attribution import AT_NIGHT, FORMS, HOURS, LEAST_HOURS, Attributed, attribute
from meterlake.sources.source import TechnicalLoss

Floats = NDArray[np.float64]

DAYS, METERS, WRONG = 40, 12, 7
LOSS = TechnicalLoss(fixed_share=0.005, i2r_share=0.03)
ALL = np.ones((DAYS, METERS), dtype=bool)


@pytest.fixture(scope="module")
def used() -> Floats:
    """(DAYS, METERS, HOURS) kWh: a base load, and appliances that nobody foresees."""
    random = np.random.default_rng(5)
    return 0.1 + random.gamma(0.4, 1.0, (DAYS, METERS, HOURS))


def supply(used: Floats) -> Floats:
    """What the transformer takes in, its meters and those of the customers as wrong as they may be."""
    random = np.random.default_rng(6)
    flows = (used * random.normal(1, 0.005, (1, METERS, 1))).sum(axis=1)
    mean = flows.mean(axis=1, keepdims=True)
    return np.asarray((flows + 0.006 * mean + 0.025 * flows**2 / mean) * random.normal(1, 0.002, flows.shape))


def judged(used: Floats, wrong: Floats) -> Attributed:
    """With meter WRONG reading `wrong` (DAYS, HOURS)."""
    read = used.copy()
    read[:, WRONG] = wrong
    return attribute(read, ALL, supply(used), LOSS)


@pytest.mark.parametrize(
    ("form", "effect", "size"),
    [
        ("share", lambda kwh: 0.5 * kwh, 0.5),
        ("at_night", lambda kwh: np.where(AT_NIGHT, 0.1 * kwh, kwh), 0.9),
        ("by_day", lambda kwh: np.where(AT_NIGHT, kwh, 0.4 * kwh), 0.6),
        ("reading", lambda kwh: kwh + 15 * (np.arange(HOURS) == 9), 9),
        ("backwards", lambda kwh: kwh[:, ::-1], 0),
        ("clock", lambda kwh: np.roll(kwh.reshape(-1), 4).reshape(kwh.shape), 4),
        ("clock", lambda kwh: np.roll(kwh.reshape(-1), -3).reshape(kwh.shape), -3),
    ],
)
def test_the_meter_the_form_and_its_size(used: Floats, form: str, effect: object, size: float) -> None:
    wrong = effect(used[:, WRONG])  # type: ignore[operator]
    found = judged(used, wrong)
    named = found.named
    assert named[:, WRONG].mean() > (0.4 if form == "clock" else 0.7)  # at either end of a day hours are missing
    assert np.delete(named, WRONG, axis=1).sum() == 0
    days = np.flatnonzero(named[:, WRONG])
    of_form = days[found.form[days, WRONG] == FORMS.index(form)]
    assert len(of_form) > 0.7 * len(days)
    assert np.median(found.size[of_form, WRONG]) == pytest.approx(size, abs=0.05)
    if form in ("share", "at_night", "by_day", "reading"):
        hidden = (used[:, WRONG] - wrong).sum(axis=1)[of_form]
        assert np.median(found.hidden_kwh[of_form, WRONG] / hidden) == pytest.approx(1, abs=0.1)


def test_nobody_is_named_where_nobody_is_wrong(used: Floats) -> None:
    found = judged(used, used[:, WRONG])
    assert not found.named.any()
    assert np.abs(found.missing_kwh).max() < 0.02 * used.sum(axis=(1, 2)).max()


def test_what_everybody_reads_too_little_is_nobodys(used: Floats) -> None:
    """A wrong ratio of the supply meter, or losses that are twice those declared."""
    found = attribute(0.8 * used, ALL, supply(used), LOSS)
    assert not found.named.any()


def test_an_hour_that_one_meter_does_not_tell_is_left_out(used: Floats) -> None:
    read = used.copy()
    read[:, WRONG] *= 0.3
    read[0, 2, : HOURS - LEAST_HOURS] = np.nan
    read[1, 2, : HOURS - LEAST_HOURS + 1] = np.nan
    found = attribute(read, ALL, supply(used), LOSS)
    assert found.named[0, WRONG]
    assert np.isneginf(found.log_odds[1]).all()


def test_who_is_not_there_is_neither_asked_nor_waited_for(used: Floats) -> None:
    gone, there = used.copy(), ALL.copy()
    gone[:, 2] = 0.0
    there[:, 2] = False
    read = gone.copy()
    read[:, 2] = np.nan
    read[:, WRONG] *= 0.3
    found = attribute(read, there, supply(gone), LOSS)
    assert found.named[:, WRONG].mean() > 0.9
    assert np.isneginf(found.log_odds[:, 2]).all()


def test_a_transformer_without_supply_or_load_is_not_judged(used: Floats) -> None:
    dark = np.zeros((DAYS, HOURS))
    assert not attribute(np.zeros_like(used), ALL, dark, LOSS).named.any()
    assert np.isneginf(attribute(used, ALL, np.full_like(dark, np.nan), LOSS).log_odds).all()


def test_sentences(used: Floats) -> None:
    half = judged(used, 0.5 * used[:, WRONG])
    day = np.flatnonzero(half.named[:, WRONG] & (half.form[:, WRONG] == 0))[0]
    assert half.told(day, np.int64(WRONG)).startswith("its transformer misses ")
    assert "of the use" in half.told(day, np.int64(WRONG))
