"""The compiled walk: the bits of scikit-learn's scores, whatever the forest and the values."""

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from meterlake.anomaly import forest_walk
from meterlake.anomaly.forest_walk import BLOCK, ForestScores

ROUNDED = np.random.default_rng(1).standard_normal((3_000, 8)).round(1).astype(np.float32)


def forest(rows: NDArray[np.float32], subsample: int = 256, trees: int = 100) -> IsolationForest:
    return IsolationForest(n_estimators=trees, max_samples=subsample, random_state=1).fit(rows)


@pytest.mark.parametrize("rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3_000])
@pytest.mark.parametrize(("subsample", "trees"), [(256, 100), (37, 20), (2, 3), (4_096, 5)])
def test_the_compiled_walk_has_the_bits_of_scikit_learn(rows: int, subsample: int, trees: int) -> None:
    fitted = forest(np.repeat(ROUNDED, 2, axis=0), subsample, trees)
    np.testing.assert_array_equal(ForestScores(fitted).compiled(ROUNDED[:rows]), -fitted.score_samples(ROUNDED[:rows]))


def test_a_value_on_a_threshold_goes_left_as_in_scikit_learn() -> None:
    """Thresholds are float64: rounded to float32 one may come to lie above a value that it lay below."""
    fitted = forest(ROUNDED)
    thresholds = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in fitted.estimators_])
    near = thresholds.astype(np.float32)
    edges = np.concatenate([np.nextafter(near, -np.inf), near, np.nextafter(near, np.inf)]).astype(np.float32)
    matrix = np.repeat(edges[:, np.newaxis], 8, axis=1)
    np.testing.assert_array_equal(ForestScores(fitted).compiled(matrix), -fitted.score_samples(matrix))


def test_what_is_constant_makes_trees_of_one_leaf() -> None:
    same = np.zeros((300, 8), dtype=np.float32)
    fitted = forest(same)
    assert {tree.tree_.node_count for tree in fitted.estimators_} == {1}
    np.testing.assert_array_equal(ForestScores(fitted).compiled(same), -fitted.score_samples(same))


def test_compiling_begins_when_it_pays_and_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest_walk, "WORTH_LOADING", 5_000)
    scores = ForestScores(forest(ROUNDED))
    first, second = scores(ROUNDED), scores(ROUNDED)
    assert scores._trees is not None, "the second 3,000 rows pass the mark"
    np.testing.assert_array_equal(first, second)


def test_few_rows_and_deep_forests_are_left_to_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ForestScores(forest(ROUNDED))
    few(ROUNDED)
    monkeypatch.setattr(forest_walk, "WORTH_LOADING", 0)
    monkeypatch.setattr(forest_walk, "DEEPEST", 7)
    deep = ForestScores(forest(ROUNDED))
    deep(ROUNDED)
    assert few._trees is None
    assert deep._trees is None


def test_it_goes_to_the_tasks_as_a_model_does() -> None:
    scores = ForestScores(forest(ROUNDED))
    expected = scores.compiled(ROUNDED)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scores)).compiled(ROUNDED), expected)
