"""Fit the classifier of meters to inspections, on the driver, and say what it was worth out of fold."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.anomaly.evaluation.ranking import Found, ranked
from meterlake.anomaly.labelled import CHOICE, LabelledModel, Made, better, cross_validated, fit
from meterlake.anomaly.labels import Inspections, require_enough
from meterlake.anomaly.meter_signs import COMBINED, Days, matrix, signs, surprise
from meterlake.anomaly.meter_windows import (
    DAY,
    LEAST_DAYS,
    WINDOW_DAYS,
    grids,
    known_days,
    known_enough,
    typical_kwh,
    windows,
)
from meterlake.errors import UsageError

Floats = NDArray[np.float64]

WORST_DAY = "worst day of mart_inspections"
BEGIN = date(1970, 1, 1)


class UnknownMeters(UsageError):
    """Inspections of meters that the source does not have."""

    def __init__(self, unknown: list[str], of: int) -> None:
        self.unknown = unknown
        first = ", ".join(unknown[:3])
        super().__init__(
            f"{len(unknown):,} of the {of:,} inspected meters are no meters of this source ({first}"
            f"{', ...' if len(unknown) > 3 else ''}); name meters as the deliveries do, or load their readings first."
        )


def train_labelled(
    daily: DataFrame, meters: DataFrame, inspections: DataFrame, labels: Inspections, tells_hours: bool, seed: int
) -> tuple[LabelledModel, list[Found]]:
    """The model of rows of int_readings_daily of one source, and how it ranks beside scores that have seen no label.

    Args:
        inspections: rows of mart_inspections of the source, for comparison; there may be none.

    Raises:
        UnknownMeters: the labels name meters that `meters` (rows of stg_meters) does not hold.
        TooFewInspections: few of them have LEAST_DAYS known days in the WINDOW_DAYS before.
    """
    columns = {"meter_id": labels.meter, "window": np.arange(len(labels.day)), "until": labels.day}
    until = F.broadcast(daily.sparkSession.createDataFrame(pd.DataFrame(columns)))
    _require_known(until, meters)
    first, last = (BEGIN + timedelta(days=int(day)) for day in (labels.day.min() - WINDOW_DAYS, labels.day.max() - 1))
    days = known_days(daily.where(F.col(DAY).between(first, last)), tells_hours)
    typical = typical_kwh(days) or 1.0
    window, history = grids(windows(days, until, typical).toArrow())
    known = known_enough(history)
    seen, also = labels.at(window[known]), _worst_day(inspections, until, len(labels.day))
    require_enough(seen, f" with {LEAST_DAYS} known days in the {WINDOW_DAYS} before")
    return learnt(history.at(known), seen, typical, {name: score[window[known]] for name, score in also.items()}, seed)


def learnt(
    of: Days, labels: Inspections, typical: float, also: dict[str, Floats], seed: int
) -> tuple[LabelledModel, list[Found]]:
    """The model of the days before each inspection, and how well it ranks out of fold, beside `also` and chance."""
    found = signs(of, typical)
    rows = matrix(found)
    _, meter = np.unique(labels.meter.astype(str), return_inverse=True)
    taught = cross_validated(rows, labels.theft, meter, seed)
    merits = ranked({COMBINED: surprise(found), **also, **taught}, labels.theft, meter, seed)
    kind = better(taught, labels.theft)
    merit = next(one for one in merits if one.score == CHOICE)
    made = Made(
        kind=kind,
        inspections=len(labels.theft),
        thefts=int(labels.theft.sum()),
        first=_iso(labels.day.min()),
        last=_iso(labels.day.max()),
        roc_auc=merit.roc_auc.value,
        pr_auc=merit.pr_auc.value,
        seed=seed,
    )
    medians = tuple(map(_median, rows.T))
    return LabelledModel(fit(rows, labels.theft, kind, seed), medians, typical, made), merits


def _require_known(until: DataFrame, meters: DataFrame) -> None:
    asked = {row.meter_id for row in until.select("meter_id").distinct().collect()}
    known = {row.meter_id for row in meters.join(until, on="meter_id", how="left_semi").select("meter_id").collect()}
    if asked - known:
        raise UnknownMeters(sorted(asked - known), len(asked))


def _worst_day(inspections: DataFrame, until: DataFrame, count: int) -> dict[str, Floats]:
    """(count,) the highest score of the window's days in mart_inspections, 0 without one; nothing of an empty mart."""
    if not inspections.head(1):
        return {}
    day = F.unix_date(DAY)
    inside = inspections.join(until, on="meter_id", how="inner").where(
        day.between(F.col("until") - WINDOW_DAYS, F.col("until") - 1)
    )
    score = np.zeros(count)
    for row in inside.groupBy("window").agg(F.max("day_score").alias("worst")).collect():
        score[row.window] = row.worst
    return {WORST_DAY: score}


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan


def _iso(day: np.int64) -> str:
    return (BEGIN + timedelta(days=int(day))).isoformat()
