"""The figures: a perfect detector gets 1, a random one the base rate, and equal scores no luck from their order."""

import numpy as np
import pytest

from meterlake.anomaly.evaluation.measure import Judged, Merit, merit

METERS, UNTOUCHED, EVENTS, LENGTH = 20, 4000, 40, 10


def judged(score_untouched: np.ndarray, score_anomalous: np.ndarray) -> Judged:
    """20 meters; 40 events of ten anomalous days each."""
    event = np.repeat(np.arange(EVENTS), LENGTH)
    n = EVENTS * LENGTH
    return Judged(
        score=np.concatenate([score_untouched, score_anomalous]),
        meter=np.concatenate([np.arange(UNTOUCHED) % METERS, event % METERS]),
        event=np.concatenate([np.full(UNTOUCHED, -1), event]),
        anomalous=np.concatenate([np.zeros(UNTOUCHED, bool), np.ones(n, bool)]),
        day=np.concatenate([np.zeros(UNTOUCHED, np.int64), np.tile(np.arange(LENGTH), EVENTS)]),
        share=np.concatenate([np.ones(UNTOUCHED), np.full(n, 1 / n)]),
    )


def measured(of: Judged, threshold: float, base_rate: float = 0.01, seed: int = 1) -> Merit:
    return merit(of, np.full(len(of.score), np.nan), threshold, base_rate, seed)


def test_a_perfect_detector() -> None:
    found = measured(judged(np.zeros(UNTOUCHED), np.ones(EVENTS * LENGTH)), 0.5)
    for figure in (found.precision, found.recall, found.pr_auc, *found.at):
        assert (figure.value, figure.low, figure.high) == pytest.approx((1, 1, 1))
    assert (found.found, found.days_to_detect, found.false_alarms, found.events) == (1, 0, 0, EVENTS)


@pytest.mark.parametrize("base_rate", [0.01, 0.1])
def test_a_random_detector(base_rate: float) -> None:
    random = np.random.default_rng(3)
    found = measured(judged(random.random(UNTOUCHED), random.random(EVENTS * LENGTH)), 0.8, base_rate)
    assert found.precision.value == pytest.approx(base_rate, rel=0.2)
    assert found.recall.value == pytest.approx(0.2, abs=0.04)
    assert found.pr_auc.value == pytest.approx(base_rate, rel=0.3)


def test_equal_scores_are_worth_the_base_rate_whatever_their_order() -> None:
    found = measured(judged(np.ones(UNTOUCHED), np.ones(EVENTS * LENGTH)), 0.5)
    assert [figure.value for figure in (found.precision, found.pr_auc, *found.at)] == pytest.approx([0.01] * 4)
    assert found.recall.value == pytest.approx(1)


def test_precision_by_hand() -> None:
    """1 % of the untouched days and half of the anomalous ones flagged: 0.005 / (0.005 + 0.0099)."""
    untouched = np.zeros(UNTOUCHED)
    untouched[: UNTOUCHED // 100] = 2
    found = measured(judged(untouched, np.tile([0.0, 1.0], EVENTS * LENGTH // 2)), 0.5)
    assert found.precision.value == pytest.approx(0.005 / 0.0149)
    assert found.recall.value == pytest.approx(0.5)
    assert found.days_to_detect == 1
    assert found.at[0].value == 0.0  # the false alarms score higher


def test_days_after_a_fault_count_as_false_alarms() -> None:
    of = judged(np.zeros(UNTOUCHED), np.ones(EVENTS * LENGTH))
    after = of.day >= 8
    late = Judged(of.score, of.meter, of.event, of.anomalous & ~after, of.day, of.share)
    assert measured(late, 0.5).precision.value == pytest.approx(0.8)


def test_nothing_flagged_has_no_precision() -> None:
    found = measured(judged(np.zeros(UNTOUCHED), np.ones(EVENTS * LENGTH)), 2.0)
    assert np.isnan(found.precision.value)
    assert (found.recall.value, found.found) == (0, 0)
    assert np.isnan(found.days_to_detect)


def test_found_by_chance_is_what_the_same_days_show_untouched() -> None:
    of = judged(np.zeros(UNTOUCHED), np.ones(EVENTS * LENGTH))
    untouched = np.where(of.event < EVENTS // 4, 1.0, 0.0)
    assert merit(of, untouched, 0.5, 0.01, 1).by_chance == 0.25


def test_the_seed_decides() -> None:
    random = np.random.default_rng(5)
    of = judged(random.random(UNTOUCHED), random.random(EVENTS * LENGTH) + 0.5)
    assert measured(of, 0.9) == measured(of, 0.9)
    assert measured(of, 0.9).precision.low != measured(of, 0.9, seed=2).precision.low
