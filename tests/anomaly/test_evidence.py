"""How sure a set of evidence makes, by Bayes' rule on measured shares."""

from itertools import product

import pytest

from meterlake.anomaly.evidence import (
    BALANCE,
    EVIDENCE,
    OF_METERS,
    TELLING_RULES,
    Shares,
    measured,
    named,
    number,
    parsed,
)
from meterlake.vee.rulebook import RULES

SETS = [named(code) for code in range(1 << len(OF_METERS))]
SOME = Shares(dict.fromkeys(SETS, 0.1) | {"day": 0.3}, dict.fromkeys(SETS, 0.1) | {"day": 0.001}, 0.5, 0.01)


def test_a_set_has_a_number_and_a_name() -> None:
    assert named(number(["balance", "reading"])) == "reading, balance"
    assert (named(0), number(EVIDENCE)) == ("none", 15)


def test_evidence_that_ordinary_days_lack_makes_sure() -> None:
    # Of 10,000 days 100 are anomalous: 30 of them have the sign, and 9.9 of the others.
    assert SOME.confidence(number(["day"]), 0.01) == pytest.approx(30 / 39.9)


def test_evidence_that_is_as_common_on_ordinary_days_says_nothing() -> None:
    assert SOME.confidence(number(["reading"]), 0.02) == pytest.approx(0.02)


def test_a_balance_that_confirms_weighs_the_odds() -> None:
    alone, confirmed = (SOME.confidence(number([*have]), 0.01) for have in (["day"], ["day", BALANCE]))
    assert confirmed / (1 - confirmed) == pytest.approx(50 * alone / (1 - alone))


def test_what_is_written_is_read() -> None:
    assert parsed(SOME.as_toml("by hand")) == SOME


def test_the_measured_shares_are_shares_of_all_days() -> None:
    assert set(measured().anomalous) == set(measured().ordinary) == set(SETS)
    for shares in (measured().anomalous, measured().ordinary):
        assert sum(shares.values()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("base_rate", "code"), list(product([0.001, 0.01, 0.1], range(16))))
def test_more_days_are_anomalous_where_more_are_believed_to_be(base_rate: float, code: int) -> None:
    assert 0 < measured().confidence(code, base_rate) < measured().confidence(code, 2 * base_rate) < 1


def test_each_telling_rule_is_a_rule() -> None:
    assert set(TELLING_RULES) < set(RULES)
