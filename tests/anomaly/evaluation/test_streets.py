"""Households under transformers that are made up around them."""

import numpy as np
import pytest
from tests.anomaly.evaluation.test_evaluate import generated

from meterlake.anomaly.evaluation.evaluate import Setup, faults_of
from meterlake.anomaly.evaluation.population import Households, untouched
from meterlake.anomaly.evaluation.streets import UNKNOWN, Street, Streets
from meterlake.losses.attribution import NAMED

DAYS = range(90, 150)


@pytest.fixture(scope="module")
def village() -> Households:
    return generated(20)


@pytest.fixture(scope="module")
def streets(village: Households) -> Streets:
    return Streets(village, DAYS, 0.01, seed=1)


def test_a_thief_is_named_and_a_surge_of_real_use_is_not(village: Households, streets: Streets) -> None:
    faults = faults_of(village, DAYS, Setup(faults_per_meter=1))
    thieves, surges = (
        streets.judged(faults[kind][1], really_used)
        for kind, really_used in (("bypass_from_date", False), ("cold_load_surge", True))
    )
    # Beside a mill a house is within the error of the mill's meter.
    assert (thieves.anomalous & (thieves.balance_odds > NAMED)).any(axis=1).mean() >= 0.2
    assert not (surges.anomalous & (surges.balance_odds > NAMED)).any()


def test_ordinary_days_are_hardly_ever_named(village: Households, streets: Streets) -> None:
    found = streets.judged(untouched(village, DAYS))
    odds = found.balance_odds[found.judged]
    assert len(odds) > 1000
    assert np.mean(odds > NAMED) < 0.003
    assert np.isnan(found.balance_odds[~found.judged]).all()


def test_a_street_is_the_same_for_a_seed_and_has_faults_of_neighbours_alone(village: Households) -> None:
    one, again, other = (Street.of(village, 3, DAYS, 0.05, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.read_kwh, again.read_kwh)
    assert not np.array_equal(one.read_kwh, other.read_kwh)
    assert np.array_equal(one.read_kwh[0], one.used_kwh[0])
    assert not np.array_equal(one.read_kwh[1:], one.used_kwh[1:])
    assert np.array_equal(one.read_kwh[:, : DAYS.start], one.used_kwh[:, : DAYS.start])


def test_a_day_that_is_not_wholly_known_has_the_lowest_odds(village: Households) -> None:
    unknown = village.kwh.copy()
    unknown[3, 100, 5] = np.nan
    some = Households(village.meters, village.first_day, village.interval_minutes, unknown)
    found = Streets(some, DAYS, 0.01, seed=1).judged(untouched(some, DAYS))
    assert found.judged[3, 100]
    assert found.balance_odds[3, 100] == UNKNOWN
    assert found.balance_odds[3, 101] > UNKNOWN
