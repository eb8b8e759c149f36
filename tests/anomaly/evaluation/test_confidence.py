"""How often evidence is seen, on meters of the generator and without Spark."""

import numpy as np
import pytest
from tests.anomaly.evaluation.test_evaluate import generated

from meterlake.anomaly.evaluation.confidence import Held, Seen, measure, rule_days
from meterlake.anomaly.evaluation.evaluate import Setup, TooShort
from meterlake.anomaly.evaluation.population import untouched
from meterlake.anomaly.evidence import Shares, number
from meterlake.settings import PROJECT, Model, load
from meterlake.sources.ami import AMI

HOURLY = AMI.model_copy(update={"interval_minutes": 60})
SETUP = Setup(faults_per_meter=1)


def model() -> Model:
    conf = load(conf=PROJECT / "conf" / "test.toml").model
    return conf.model_copy(update={"trees": 20, "training_rows": 5000})


@pytest.fixture(scope="module")
def measured() -> tuple[Shares, list[Held]]:
    return measure(generated(8), HOURLY, model(), SETUP)


def test_the_shares_are_of_all_days_and_no_set_is_impossible(measured: tuple[Shares, list[Held]]) -> None:
    for shares in (measured[0].anomalous, measured[0].ordinary):
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) > 0


def test_a_day_that_says_nothing_is_rather_ordinary(measured: tuple[Shares, list[Held]]) -> None:
    shares, held = measured
    assert shares.confidence(number([]), 0.01) < 0.01 < shares.confidence(number(["rule", "day"]), 0.01)
    assert held[0].evidence == "none"
    assert held[0].found.value < 0.01


def test_what_is_found_weighs_to_the_base_rate(measured: tuple[Shares, list[Held]]) -> None:
    seen = [one for one in measured[1] if one.of_all > 0]
    assert sum(one.of_all * one.found.value for one in seen) == pytest.approx(SETUP.base_rate)
    assert sum(one.of_anomalous for one in seen) == pytest.approx(1)


def test_a_rule_marks_the_day_that_it_is_about() -> None:
    few = generated(2)
    few.kwh[1, 100] = 0.7  # one value from hour to hour, more than the rule takes for standby
    found = rule_days(untouched(few, range(60, 120)), HOURLY)
    assert found.shape == few.kwh.shape[:2]
    assert found[1, 100]
    assert not found[:, 99:102].all(axis=1).any()


def test_all_kinds_of_fault_count_alike() -> None:
    anomalous = np.zeros((2, 1, 8))
    anomalous[0, 0, 1], anomalous[1, 0, 4] = 90, 10
    shares, _ = Seen(anomalous, np.ones((1, 8))).shares()
    assert (shares[1], shares[4]) == (0.5, 0.5)


def test_readings_that_hold_no_fault_are_one_sentence() -> None:
    with pytest.raises(TooShort, match="half a year"):
        measure(generated(8, days=40), HOURLY, model(), SETUP)
