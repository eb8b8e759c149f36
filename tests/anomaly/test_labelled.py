"""What inspections teach: signs by hand, no look at the fold that is judged, and figures that a shuffle takes away."""

import numpy as np
import pandas as pd
import pytest

from meterlake.anomaly.evaluation.ranking import precision_of_best, ranked, roc_auc
from meterlake.anomaly.labelled import CHOICE, KINDS, LabelledModel, Made, cross_validated, fit, out_of_fold
from meterlake.anomaly.labels import Inspections
from meterlake.anomaly.meter_signs import COMBINED, SIGNS, Days, matrix, signs
from meterlake.anomaly.rank import Ranking, judged
from meterlake.anomaly.rank_commands import told
from meterlake.anomaly.train_labelled import learnt

DAYS = 60
NAMES = list(SIGNS)
BOOSTING = "gradient boosting"


def households(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Daily kWh of households, a quarter of whom take a part of their energy past the meter from some day on."""
    random = np.random.default_rng(seed)
    week = 1 + 0.2 * np.sin(2 * np.pi * (np.arange(DAYS) + random.integers(7, size=(count, 1))) / 7)
    kwh = random.lognormal(2, 0.6, (count, 1)) * week * random.lognormal(0, 0.25, (count, DAYS))
    theft = random.random(count) < 0.25
    for meter in np.flatnonzero(theft):
        kwh[meter, random.integers(20, 50) :] *= random.uniform(0.1, 0.7)
    return kwh, theft


def of(kwh: np.ndarray) -> np.ndarray:
    return matrix(signs(Days(kwh), float(np.nanmedian(kwh))))


def test_signs_by_hand() -> None:
    kwh = np.full((3, 28), 10.0)
    kwh[1, 14:] = 0.0
    kwh[2, ::7] = 20.0
    found = signs(Days(kwh), 10.0)
    np.testing.assert_allclose(found["falls from first to second half"], [0, np.log(1.05 / 0.05), 0], atol=1e-12)
    np.testing.assert_allclose(found["longest run without use"], [0, 14, 0])
    np.testing.assert_allclose(found["days without use"], [0, 0.5, 0])
    np.testing.assert_allclose(found["repeats"], [1, 26 / 27, 20 / 27])
    assert found["differs by day of the week"][2] == pytest.approx(1 / (8 / 7 + 0.05))
    assert found["like the week before"][2] > 0.5 > found["like the day before"][2]
    assert np.isnan(found["even load"]).all()


def test_days_that_are_not_known_are_no_sign() -> None:
    """Where a day is missing says nothing: neither does it count as use, nor as none."""
    kwh, _ = households(50, seed=1)
    later = np.column_stack([np.full((50, 30), np.nan), kwh])
    whole = signs(Days(kwh), 8.0)
    beside = signs(Days(later), 8.0)
    for name in NAMES:
        if name != "differs by day of the week":  # whose columns have moved
            np.testing.assert_allclose(beside[name], whole[name], err_msg=name)


def test_load_shape_comes_from_the_hours() -> None:
    even = np.array([[0.5] * 10 + [0.2] * 10])
    found = signs(Days(np.ones((1, 20)), even, even / 2), 1.0)
    assert found["even load"][0] == pytest.approx(0.35)
    assert found["load becomes uneven"][0] == pytest.approx(0.3)
    assert found["base load falls"][0] == pytest.approx(0.15)


def test_what_is_there_to_learn_is_found_and_shuffled_labels_are_not() -> None:
    kwh, theft = households(400, seed=2)
    rows, meter = of(kwh), np.arange(400)
    found = cross_validated(rows, theft, meter, seed=1)
    assert {*KINDS, CHOICE} == set(found)
    assert all(roc_auc(score, theft) > 0.8 for score in found.values())
    assert precision_of_best(found[CHOICE], theft, 40) > 0.9
    shuffled = np.random.default_rng(5).permutation(theft)
    for kind in KINDS:
        assert 0.4 < roc_auc(out_of_fold(rows, shuffled, meter, kind, seed=1), shuffled) < 0.6


def test_rows_of_one_meter_are_never_parted() -> None:
    """Each meter stands there four times with one result that is drawn: only who has seen its copies can know it."""
    random = np.random.default_rng(3)
    rows = np.repeat(random.normal(size=(150, len(SIGNS))), 4, axis=0)
    theft = np.repeat(random.random(150) < 0.3, 4)
    apart = out_of_fold(rows, theft, np.repeat(np.arange(150), 4), BOOSTING, seed=1)
    parted = out_of_fold(rows, theft, np.arange(600), BOOSTING, seed=1)
    assert roc_auc(apart, theft) < 0.62
    assert roc_auc(parted, theft) > 0.8


def test_the_order_of_the_rows_is_no_sign() -> None:
    """The public file lists flagged customers first. Sorted so, what is not to be learnt stays so."""
    _, theft = households(400, seed=4)
    rows = np.random.default_rng(4).normal(size=(400, len(SIGNS)))
    first = np.sort(theft)[::-1]
    assert 0.38 < roc_auc(out_of_fold(rows, first, np.arange(400), BOOSTING, seed=1), first) < 0.62


def test_a_model_and_how_it_ranks_beside_scores_without_labels() -> None:
    kwh, theft = households(400, seed=6)
    meter = np.array([f"m{number // 2}" for number in range(400)], dtype=object)  # each inspected twice
    labels = Inspections(meter, np.arange(400) + 19_700, theft)
    model, merits = learnt(Days(kwh), labels, 8.0, {"chance": np.zeros(400)}, seed=1)
    assert [one.score for one in merits] == [COMBINED, "chance", *KINDS, CHOICE]
    chance, choice = merits[1], merits[-1]
    assert (chance.roc_auc.value, chance.at_best) == (0.5, pytest.approx(theft.mean()))
    assert choice.roc_auc.low > 0.75 > chance.roc_auc.high
    assert (model.made.roc_auc, model.made.inspections, model.made.thefts) == (choice.roc_auc.value, 400, theft.sum())
    assert model.made.first == "2023-12-09"


def test_a_few_inspections_have_no_first_hundred() -> None:
    theft = np.arange(90) < 30
    (one,) = ranked({"score": np.arange(90.0)}, theft, np.arange(90), seed=1)
    assert np.isnan(one.at_best)
    assert one.roc_auc.value == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_meters_are_told_with_what_raises_their_odds(kind: str) -> None:
    kwh, theft = households(400, seed=7)
    rows = of(kwh)
    medians = tuple(float(np.nanmedian(column)) if not np.isnan(column).all() else np.nan for column in rows.T)
    made = Made(kind, 400, int(theft.sum()), "2024-01-01", "2024-06-30", 0.9, 0.8, 1)
    model = LabelledModel(fit(rows, theft, kind, 1), medians, float(np.nanmedian(kwh)), made)
    new = np.full((2, DAYS), 8.0) * np.random.default_rng(8).lognormal(0, 0.25, (2, DAYS))
    new[1, 30:] *= 0.15
    found = judged(["honest", "falls"], Days(new), model).to_pandas()
    assert found["probability"][1] > 0.6 > 0.3 > found["probability"][0]
    assert "below its first" in found["reasons"][1]
    assert found["days"].tolist() == [DAYS, DAYS]
    order = found.sort_values("probability", ascending=False, ignore_index=True)
    page = told(order, Ranking(order, pd.Timestamp("2024-06-30").date(), 3), "london/1: x.", first=1)
    assert "1      falls" in page
    assert "honest" not in page
    assert page.endswith("2 meters are ranked by their days up to 2024-06-30; of 3 too few days are known.")
