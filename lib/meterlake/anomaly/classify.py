"""Why a reading is flagged: its type, and its reasons as sentences."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.model import TrainedModel

Floats = NDArray[np.float64]

# A flagged reading is high (low) when it is at least this many times (at most this part of) what was expected, and
# also above (below) the mean of the last 24 h. Anything else is an unusual pattern.
HIGH_FACTOR = 1.5
LOW_FACTOR = 0.5

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


def expected_kwh(columns: Mapping[str, Floats]) -> Floats:
    """What the meter's own past leads to expect: the mean of the same hour of the day and of the week before, of one of
    them when the other is unknown, else the mean of the last 24 h (the reading itself included); NaN without a past.

    Args:
        columns: the columns of features.INPUTS.
    """
    day, week = columns["same_hour_last_day_kwh"], columns["same_hour_last_week_kwh"]
    last_24h = np.where(np.isnan(columns["rolling_std_kwh_24h"]), np.nan, columns["rolling_mean_kwh_24h"])
    one = np.where(np.isnan(day), week, day)
    past = np.where(np.isnan(day + week), one, (day + week) / 2)
    return np.where(np.isnan(past), last_24h, past)


def anomaly_types(columns: Mapping[str, Floats], expected: Floats) -> list[str]:
    """The type of each flagged row.

    Args:
        columns: the columns of features.INPUTS, of the flagged rows.
        expected: what was expected of them, kWh, NaN where unknown.
    """
    energy, mean = columns["consumption_kwh"], columns["rolling_mean_kwh_24h"]
    high = (energy >= HIGH_FACTOR * expected) & (energy > mean)
    low = (energy <= LOW_FACTOR * expected) & (energy < mean)
    return np.select([high, low], ["high_consumption", "low_consumption"], "unusual_pattern").tolist()


def reasons(columns: Mapping[str, Floats], matrix: NDArray[np.float32], raw: Floats, model: TrainedModel) -> list[str]:
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


def _falls(matrix: NDArray[np.float32], raw: Floats, model: TrainedModel) -> Floats:
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
