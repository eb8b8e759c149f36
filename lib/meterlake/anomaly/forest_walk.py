"""An isolation forest's scores by a compiled walk: bit for bit those of scikit-learn, several times as fast.

scikit-learn walks row by row and stops at each leaf, so its steps cannot be done for several rows at once. Here every
tree is laid out full: the children of node i are 2i + 1 and 2i + 2, and a leaf that lies higher is repeated below. All
rows then take the same number of steps without a branch, and the compiler does them in vector instructions. Float32
values are compared with the largest float32 not above the threshold, which decides as the threshold itself does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._iforest import _average_path_length

from meterlake.compiled import compiled

Floats = NDArray[np.float64]

# Loading the compiled walk takes a process about as long as scikit-learn takes for so many rows.
WORTH_LOADING = 100_000
# A full tree this deep has 4,095 nodes and leaves for 4,096 rows (`model.subsample`); deeper ones are scikit-learn's.
DEEPEST = 12
# Rows that are walked through all trees before the next: their values stay in the core's nearest cache.
BLOCK = 256


@dataclass(frozen=True)
class FullTrees:
    """All trees of a forest, each (depth d) with its 2^d - 1 inner nodes and 2^d leaves.

    Attributes:
        feature: (trees, nodes) column of the matrix that a node looks at.
        threshold: (trees, nodes) a value above it goes right; infinite below a leaf.
        length: (trees, leaves) path length that a leaf stands for.
        normal: sum of the normal path lengths of all trees.
    """

    feature: NDArray[np.uint32]
    threshold: NDArray[np.float32]
    length: Floats
    normal: float

    @classmethod
    def of(cls, forest: IsolationForest) -> "FullTrees":
        """The trees of a fitted forest, none of which leaves out features."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        depth = max(1, *(tree.max_depth for tree in trees))
        parts = []
        known = zip(trees, forest._decision_path_lengths, forest._average_path_length_per_tree, strict=True)
        for tree, path, rest in known:
            node, levels = np.zeros(1, dtype=np.intp), []
            for _ in range(depth):
                left, right = tree.children_left[node], tree.children_right[node]
                leaf = left < 0
                levels.append((np.where(leaf, 0, tree.feature[node]), np.where(leaf, np.inf, tree.threshold[node])))
                node = np.stack([np.where(leaf, node, left), np.where(leaf, node, right)], axis=1).ravel()
            feature, threshold = (np.concatenate(of_levels) for of_levels in zip(*levels, strict=True))
            parts.append((feature, _not_above(threshold), (path + rest - 1.0)[node]))
        feature, threshold, length = (np.stack(part) for part in zip(*parts, strict=True))
        normal = len(trees) * float(_average_path_length([forest._max_samples])[0])
        return cls(feature.astype(np.uint32), threshold, length, normal)

    def scores(self, matrix: NDArray[np.float32]) -> Floats:
        """(rows,) raw scores, see ForestScores."""
        total = np.zeros(len(matrix))
        depth = self.length.shape[1].bit_length() - 1
        compiled(_walk)(np.ascontiguousarray(matrix), self.feature, self.threshold, self.length, depth, total)
        return np.asarray(2.0 ** -(total / self.normal))


class ForestScores:
    """Raw scores of one forest: by scikit-learn until so many rows have come that loading the compiled walk pays."""

    def __init__(self, forest: IsolationForest) -> None:
        self.forest = forest
        self._is_deep = max(tree.tree_.max_depth for tree in forest.estimators_) > DEEPEST
        self._rows = 0
        self._trees: FullTrees | None = None

    def __call__(self, matrix: NDArray[np.float32]) -> Floats:
        """(rows,) scores from 0 to 1, higher is stranger, of a matrix without NaN."""
        self._rows += len(matrix)
        if self._rows < WORTH_LOADING or self._is_deep:
            return -self.forest.score_samples(matrix)
        return self.compiled(matrix)

    def compiled(self, matrix: NDArray[np.float32]) -> Floats:
        """The same by the compiled walk, whatever came before."""
        if self._trees is None:
            self._trees = FullTrees.of(self.forest)
        return self._trees.scores(matrix)


def _not_above(threshold: Floats) -> NDArray[np.float32]:
    """The largest float32 not above each threshold."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _walk(
    matrix: NDArray[np.float32],
    feature: NDArray[np.uint32],
    threshold: NDArray[np.float32],
    length: Floats,
    depth: int,
    total: Floats,
) -> None:
    """Add each row's path lengths to `total`. Unsigned indexes: signed ones would be checked for below 0 each."""
    columns, first_leaf = np.uint32(matrix.shape[1]), np.uint32((1 << depth) - 1)
    place, start = np.zeros(BLOCK, np.uint32), np.zeros(BLOCK, np.uint32)
    for row in range(BLOCK):
        start[row] = np.uint32(row) * columns
    for block in range(0, len(matrix), BLOCK):
        rows = min(len(matrix) - block, BLOCK)
        values, sums = matrix[block : block + rows].ravel(), total[block : block + rows]
        for tree in range(len(feature)):
            looks_at, above, ends = feature[tree], threshold[tree], length[tree]
            place[:rows] = np.uint32(0)
            for _ in range(depth):
                for row in range(rows):
                    node = place[row]
                    right = np.uint32(values[np.uint32(start[row] + looks_at[node])] > above[node])
                    place[row] = np.uint32(2) * node + np.uint32(1) + right
            for row in range(rows):
                sums[row] += ends[np.uint32(place[row] - first_leaf)]
