"""The theft file: how it is read and how a ranking is judged."""

from pathlib import Path

import numpy as np
import pytest

from meterlake.anomaly.evaluation.ranking import precision_of_best, ranked, roc_auc
from meterlake.anomaly.evaluation.theft import COMBINED, customers, decimals, read, scores
from meterlake.errors import InputError


def test_roc_auc_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert roc_auc(np.array([4.0, 3, 2, 1]), positive) == 0.75
    assert roc_auc(np.array([1.0, 1, 1, 1]), positive) == 0.5


def test_equal_scores_get_no_luck_from_the_order_of_the_file() -> None:
    positive = np.array([True] * 5 + [False] * 5)
    assert precision_of_best(np.zeros(10), positive, 4) == 0.5
    assert precision_of_best(np.arange(10.0), positive, 5) == 0.0
    assert precision_of_best(-np.arange(10.0), positive, 5) == 1.0


def test_reading(tmp_path: Path) -> None:
    file = tmp_path / "daily.csv"
    file.write_text("1/13/2014,01/02/2014,CONS_NO,FLAG\n7,5,a,1\n,4,b,0\n")
    kwh, flagged = read(file)
    np.testing.assert_array_equal(kwh, [[5, 7], [4, np.nan]])
    assert flagged.tolist() == [True, False]
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column FLAG"):
        read(file)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.csv")


def test_a_meter_that_falls_and_one_that_stops_rank_first() -> None:
    kwh = np.random.default_rng(1).uniform(8, 12, (300, 26))
    kwh[0, 13:] *= 0.2
    kwh[1, 5:] = 0.0
    found = scores(kwh)
    assert np.argmax(found["longest run without use"]) == 1
    assert set(np.argsort(-found["falls from first to second half"])[:2]) == {0, 1}
    assert np.argmax(found[COMBINED]) == 1


def test_the_real_flags(shared_data: Path) -> None:
    kwh, flagged = read(shared_data / "theft" / "datasetsmall.csv")
    assert kwh.shape == (25_863, 26)
    assert flagged.sum() == 2_122
    found = {one.score: one for one in ranked(scores(kwh[::5]), flagged[::5], np.arange(len(flagged[::5])), seed=1)}
    assert 0.3 < found[COMBINED].roc_auc.low < found[COMBINED].roc_auc.high < 0.7
    # What could be learnt from the making of the file, and is no sign: nobody may be told by an empty day.
    empty = np.isnan(kwh).any(axis=1)
    assert (empty.sum(), (empty & flagged).sum()) == (41, 29)


def test_the_same_use_is_one_customer_unless_it_is_none() -> None:
    kwh = np.array([[1.0, 2], [0, 0], [1, 2], [0, 0], [1, np.nan], [1, 0]])
    number = customers(kwh)
    assert number[0] == number[2]
    assert len(set(number.tolist())) == 5


def test_decimals_of_days_with_use() -> None:
    np.testing.assert_allclose(decimals(np.array([[0, 3.0], [1.5, 2.25], [0, 0], [0.1, np.nan]])), [0, 1.5, 0, 1])
