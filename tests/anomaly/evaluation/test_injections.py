"""What is put in keeps what its kind promises, is known to the truth table, and is the same for the same seed."""

import numpy as np
import pytest

from meterlake.anomaly.evaluation.injections import BY_NAME, INJECTIONS, Event, draw, injected
from meterlake.sources.generate_anomalies import DAY

DAYS, SLOTS = 120, 48
KWH = np.random.default_rng(1).uniform(0.1, 1.0, (DAYS, SLOTS))


def drawn(kind: str, seed: int = 1, kwh: np.ndarray = KWH) -> list[Event]:
    return draw(kwh, 0, "M1", BY_NAME[kind], range(60, DAYS), 3, seed, 30)


def ratio(event: Event) -> np.ndarray:
    """Recorded / true energy of the days of the event."""
    recorded, _ = injected(KWH, event)
    days = slice(event.first_day, event.first_day + event.days)
    return recorded[days] / KWH[days]


@pytest.mark.parametrize("kind", [pytest.param(one.kind.name, id=one.kind.name) for one in INJECTIONS])
def test_only_the_days_of_the_event_change_and_the_seed_decides(kind: str) -> None:
    events = drawn(kind)
    assert len(events) == 3
    assert events == drawn(kind) != drawn(kind, seed=2)
    for event in events:
        recorded, changed = injected(KWH, event)
        assert event.first_day >= 60
        assert event.first_day + event.days <= DAYS
        assert set(np.flatnonzero(changed.any(axis=1))) <= set(range(event.first_day, event.first_day + event.days))
        np.testing.assert_array_equal(recorded[~changed], KWH[~changed])
        assert changed.any()
        assert (recorded >= 0).all()


def whole_days(kind: str, days: int, parameter: float) -> Event:
    return Event(0, BY_NAME[kind], 70 * DAY, (70 + days) * DAY, parameter)


def test_a_part_of_the_energy_is_stolen() -> None:
    np.testing.assert_allclose(ratio(whole_days("partial_theft", 5, 0.3)), 0.3)
    np.testing.assert_allclose(ratio(whole_days("bypass_from_date", 5, 0.05)), 0.05)


def test_at_night_only() -> None:
    found = ratio(whole_days("bypass_night", 5, 0.1))
    np.testing.assert_allclose(found[:, :12], 0.1)
    np.testing.assert_allclose(found[:, 12:44], 1.0)
    np.testing.assert_allclose(found[:, 44:], 0.1)


def test_nothing_is_read_or_one_value() -> None:
    assert (ratio(whole_days("zero_reads", 2, 0.0)) == 0).all()
    recorded, _ = injected(KWH, whole_days("frozen_value", 3, 1.2))
    np.testing.assert_allclose(recorded[70:73], 1.2 * KWH[42:70].mean())


def test_each_day_has_its_own_factor() -> None:
    found = ratio(whole_days("random_scaling", 20, 0.5))
    np.testing.assert_allclose(found, found[:, :1] * np.ones(SLOTS))
    assert 0.1 <= found.min() < 0.3 < 0.6 < found.max() <= 0.8
    assert len(np.unique(found[:, 0].round(9))) == 20


@pytest.mark.parametrize("kind", ["reversed_day", "clock_shift"])
def test_energy_stays(kind: str) -> None:
    recorded, changed = injected(KWH, whole_days(kind, 4, 6.0))
    assert recorded.sum() == pytest.approx(KWH.sum())
    assert changed[70:74].mean() > 0.9
    if kind == "clock_shift":
        np.testing.assert_array_equal(recorded[71, 12:], KWH[71, :-12])
    else:
        np.testing.assert_array_equal(recorded[71], KWH[71, ::-1])


def test_drift_slides() -> None:
    found = ratio(whole_days("drift", 10, -0.5)).reshape(-1)
    assert found[0] == pytest.approx(1.0)
    assert found[-1] == pytest.approx(0.5, abs=0.01)
    assert (np.diff(found) < 0).all()


def test_a_spike_adds_so_many_times_the_mean() -> None:
    event = Event(0, BY_NAME["spike"], 70 * DAY + 600, 70 * DAY + 630, 10.0)
    recorded, changed = injected(KWH, event)
    assert changed.sum() == 1
    assert recorded.sum() - KWH.sum() == pytest.approx(10 * KWH[42:70].mean())


def test_a_surge_begins_high_and_falls() -> None:
    event = Event(0, BY_NAME["cold_load_surge"], 70 * DAY + 600, 70 * DAY + 840, 4.0)
    found = ratio(event)[0, 20:28]
    assert found[0] == pytest.approx(5.0)
    assert (np.diff(found) < 0).all()


def test_what_is_unknown_stays_unknown_and_holds_no_event_of_its_own() -> None:
    gap = KWH.copy()
    gap[80:100] = np.nan
    recorded, changed = injected(gap, whole_days("partial_theft", 15, 0.5))
    assert np.isnan(recorded[80:100]).all()
    assert not changed[80:100].any()
    assert all(not 75 <= event.first_day < 100 for event in drawn("zero_reads", kwh=gap))
    assert drawn("bypass_from_date", kwh=np.full((DAYS, SLOTS), np.nan)) == []
