"""What the model looks at: a reading beside its own meter's past, derived from a row of int_consumption_features.

The features are ratios: a flat and a factory, minutes and half-hours are judged alike. A floor keeps ratios of trifles
near 1 (0 kWh after 0.01 kWh is no news). Weather and sub-meters are left out: a cold day is no fault of the meter, and
few sources deliver them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.tables.file_scan import FileScan

Floats = NDArray[np.float64]

# Columns of int_consumption_features that the features are made of.
INPUTS = (
    "consumption_kwh",
    "rolling_mean_kwh_1h",
    "rolling_mean_kwh_24h",
    "rolling_std_kwh_24h",
    "same_hour_last_day_kwh",
    "same_hour_last_week_kwh",
    "hour_of_day",
)

# Share of the meter's own level, and of the source's typical level, that is added to both sides of a ratio. Measured on
# 90 London households: without the typical level 36 % of the flagged readings were zeros of nearly unused meters, with
# it 2 %, and the found share of readings raised to 5 times the day's mean rose from 0.36 to 0.51.
FLOOR = 0.1
# What a feature is where a part of it is null: "as expected", for the logarithm of a ratio and for a distance alike.
FILL = 0.0


@dataclass(frozen=True)
class Feature:
    """A column of the model's matrix: its name and formula.

    In the formulas x is the reading, m1 and m24 the means over 1 h and 24 h, s24 the standard deviation over 24 h,
    d and w the same hour of the day and of the week before. The floor is f = FLOOR x (own + typical): the mean of the
    known ones of m24, d and w, and the median of m24 over the training rows of the source.
    """

    name: str
    formula: str


FEATURES = (
    Feature("log_ratio_to_mean_24h", "ln((x + f) / (m24 + f))"),
    Feature("distance_24h", "sign(z) ln(1 + |z|) with z = (x - m24) / (s24 + f)"),
    Feature("log_ratio_to_last_day", "ln((x + f) / (d + f))"),
    Feature("log_ratio_to_last_week", "ln((x + f) / (w + f))"),
    Feature("log_ratio_hour_to_day", "ln((m1 + f) / (m24 + f))"),
    Feature("log_ratio_to_hour", "ln((x + f) / (m1 + f))"),
    Feature("hour_sin", "sin(2 pi hour_of_day / 24)"),
    Feature("hour_cos", "cos(2 pi hour_of_day / 24)"),
)
NAMES = tuple(feature.name for feature in FEATURES)
# What a stored model must have been made with to fit this code.
DEFINITION = {feature.name: feature.formula for feature in FEATURES} | {"FLOOR": str(FLOOR), "FILL": str(FILL)}
OBSERVED = ["measured", "edited"]  # qualities of what a meter read


def metered(features: DataFrame) -> DataFrame:
    """The rows of int_consumption_features that a model learns from and judges: an estimate is no observation."""
    return features.where(F.col("quality").isin(OBSERVED) & F.col("consumption_kwh").isNotNull())


def metered_in(features: FileScan) -> FileScan:
    """The same of the table's files."""
    return features.where(pc.field("quality").isin(OBSERVED) & pc.field("consumption_kwh").is_valid())


def typical_kwh(columns: Mapping[str, Floats]) -> float:
    """The source's typical energy of an interval: the median of the 24 h means."""
    return float(np.median(columns["rolling_mean_kwh_24h"]))


def matrix(columns: Mapping[str, Floats], typical: float) -> NDArray[np.float32]:
    """The model's matrix, one row per reading and one column per feature.

    Args:
        columns: the INPUTS, NaN where null; `consumption_kwh` is known in every row, and so are the rolling means.
        typical: typical energy of an interval in the training rows, kWh.
    """
    x, m1, m24, s24, d, w, hour = (columns[name] for name in INPUTS)
    floor = FLOOR * (_known_mean(m24, d, w) + typical)
    angle = 2 * np.pi * hour / 24
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x - m24) / (np.nan_to_num(s24) + floor)
        features = (
            np.log((x + floor) / (m24 + floor)),
            np.sign(z) * np.log1p(np.abs(z)),
            np.log((x + floor) / (d + floor)),
            np.log((x + floor) / (w + floor)),
            np.log((m1 + floor) / (m24 + floor)),
            np.log((x + floor) / (m1 + floor)),
            np.sin(angle),
            np.cos(angle),
        )
    # What is null, and 0/0 where nothing was ever consumed.
    return np.nan_to_num(np.stack(features, axis=1), nan=FILL, posinf=FILL, neginf=FILL).astype(np.float32)


def _known_mean(*columns: Floats) -> Floats:
    """Row by row the mean of the values that are not NaN; NaN where all are."""
    known = sum((~np.isnan(column)).astype(np.float64) for column in columns)
    total = sum(np.nan_to_num(column) for column in columns)
    return np.divide(total, known, out=np.full(len(columns[0]), np.nan), where=known > 0)
