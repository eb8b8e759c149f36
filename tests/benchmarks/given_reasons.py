"""Why a reading is flagged, in words: the definition of meterlake.anomaly.classify, written out a second time.

For the same reason as in given_model.py: the other contenders must not get faster, nor import Spark, with the product.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Model(Protocol):
    """What the reasons need of a model."""

    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def medians(self) -> tuple[float, ...]: ...

    def raw_scores(self, matrix: NDArray[np.float32]) -> Floats: ...


# At most so many reasons; each must explain at least this share of what the strongest explains.
MOST_REASONS = 3
LEAST_SHARE = 0.25

# What can be a reason, with the features that are about it and the column it compares with.
GROUPS: dict[str, tuple[str, ...]] = {
    "rolling_mean_kwh_24h": ("log_ratio_to_mean_24h", "distance_24h"),
    "same_hour_last_day_kwh": ("log_ratio_to_last_day",),
    "same_hour_last_week_kwh": ("log_ratio_to_last_week",),
    "rolling_mean_kwh_1h": ("log_ratio_to_hour",),
    "sustained": ("log_ratio_hour_to_day",),
    "hour_of_day": ("hour_sin", "hour_cos"),
}
COMPARED_WITH = {
    "rolling_mean_kwh_24h": "the mean of the last 24 h",
    "same_hour_last_day_kwh": "the same hour of the day before",
    "same_hour_last_week_kwh": "the same hour of the week before",
    "rolling_mean_kwh_1h": "the mean of the last hour",
}
NO_SINGLE_REASON = "ordinary values in an unusual combination"


def reasons(columns: Mapping[str, Floats], matrix: NDArray[np.float32], raw: Floats, model: Model) -> list[str]:
    """For each flagged row what explains it best, in words.

    A group of features explains as much as the raw score falls when its features are set to their training medians
    (ablation). That costs one scoring per group, of flagged rows only.

    Args:
        columns: the columns of features.INPUTS, of the flagged rows.
        matrix: their features.
        raw: their raw scores.
    """
    falls = _falls(matrix, raw, model)
    return [
        _sentences({name: float(values[row]) for name, values in columns.items()}, falls[row])
        for row in range(len(matrix))
    ]


def _falls(matrix: NDArray[np.float32], raw: Floats, model: Model) -> Floats:
    """Fall of the raw score by group, shape (rows, groups)."""
    without = np.repeat(matrix[np.newaxis], len(GROUPS), axis=0)
    for number, names in enumerate(GROUPS.values()):
        for feature in map(model.features.index, names):
            without[number, :, feature] = model.medians[feature]
    ablated = model.raw_scores(without.reshape(-1, matrix.shape[1])).reshape(len(GROUPS), len(matrix))
    return (raw - ablated).T


def _sentences(row: Mapping[str, float], falls: Floats) -> str:
    strongest_first = np.argsort(-falls, kind="stable")
    enough = max(float(falls.max()) * LEAST_SHARE, 0.0)
    names = list(GROUPS)
    found = [_sentence(names[group], row) for group in strongest_first if falls[group] > enough]
    return "; ".join([text for text in found if text][:MOST_REASONS]) or NO_SINGLE_REASON


def _sentence(group: str, row: Mapping[str, float]) -> str:
    """One reason; empty where what it compares with is unknown."""
    if group == "hour_of_day":
        return f"unusual at {row['hour_of_day']:02.0f}:00"
    if group == "sustained":
        hour, day = row["rolling_mean_kwh_1h"], row["rolling_mean_kwh_24h"]
        return f"the last hour's mean {_compared(hour, day, COMPARED_WITH['rolling_mean_kwh_24h'])}"
    other = row[group]
    return "" if np.isnan(other) else _compared(row["consumption_kwh"], other, COMPARED_WITH[group])


def _compared(value: float, other: float, name: str) -> str:
    """'3.2 kWh is 6.1 times the same hour of the day before (0.52 kWh)'."""
    if other <= 0 or value <= 0:
        return f"{_kwh(value)} where {name} is {_kwh(other)}"
    ratio = value / other
    how = f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.1f} times" if ratio >= 1 else f"{100 * ratio:.0f} % of"
    return f"{_kwh(value)} is {how} {name} ({_kwh(other)})"


def _kwh(value: float) -> str:
    """Two or three significant digits, never in powers of ten."""
    digits = 2 if abs(value) >= 1 else 3 if abs(value) >= 0.1 else 5
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") + " kWh"
