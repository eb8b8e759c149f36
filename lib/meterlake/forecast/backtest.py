"""Rolling-origin backtest: forecasts as they would have been made, day after day, beside baselines, and what came."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.errors import UsageError
from meterlake.forecast.blocks import BLOCKS, Block
from meterlake.forecast.features import WEEKS, Rows, mean_known, newest_same_weekday
from meterlake.forecast.model import LEAST_DAYS, Element, Policy, fit, forecast

log = logging.getLogger("meterlake")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOOSTING, NAIVE, LAST_DAY, FOUR_WEEKS = (
    "gradient boosting, median",
    "seasonal naive: same hour last week",
    "last day: same hour of the newest day",
    "mean of the last four weeks at the hour",
)
REFIT_DAYS = 28
TEST_DAYS = 365


@dataclass(frozen=True)
class Backtest:
    """Hours of one block that every method has a value for and whose truth is known; arrays are (n,).

    Attributes:
        origin: day at whose end the forecast was made, days since 1970-01-01.
        hour: start of the hour, minutes since 1970 UTC.
        points: (n,) kWh by method.
        band: (n, 3) kWh of QUANTILES.
        refits: how often models were fitted.
    """

    block: Block
    origin: Ints
    hour: Ints
    kwh: Floats
    points: dict[str, Floats]
    band: Floats
    refits: int


def backtest(element: Element, policy: Policy, test_days: int = TEST_DAYS, refit: int = REFIT_DAYS) -> list[Backtest]:
    """Every block at a daily origin through the last `test_days`, or the later half where there are fewer.

    Models are fitted anew every `refit` days to what was known by then; features are those of each origin's own day.

    Raises:
        UsageError: the series is too short.
    """
    days = len(element.known.wall.kwh)
    first, last = max(days - test_days, days // 2), days - 2
    if first < 2 * LEAST_DAYS:
        raise UsageError(f"The series has {days} days; a backtest needs {4 * LEAST_DAYS} or more.")
    return [_of_block(element, block, np.arange(first, last), policy, refit) for block in BLOCKS]


def baselines(element: Element, rows: Rows) -> dict[str, Floats]:
    """What anyone has without a model, kWh, from what is known at each row's origin."""
    wall, newest = element.known.wall.kwh, newest_same_weekday(rows)
    weeks = np.stack([wall[newest - 7 * week, rows.hour] for week in range(WEEKS)])
    return {NAIVE: weeks[0], LAST_DAY: wall[rows.origin, rows.hour], FOUR_WEEKS: mean_known(weeks)}


def _of_block(element: Element, block: Block, origins: Ints, policy: Policy, refit: int) -> Backtest:
    parts = []
    for begin in range(0, len(origins), refit):
        chunk = origins[begin : begin + refit]
        rows, place, band = forecast(element, chunk, fit(element, int(chunk[0]), block, policy))
        there = place < len(element.series.kwh)
        truth = np.where(there, element.series.kwh[np.where(there, place, 0)], np.nan)
        points = {BOOSTING: band[:, 1], **baselines(element, rows)}
        known = np.isfinite(np.column_stack([truth, band, *points.values()])).all(axis=1)
        parts.append([part[known] for part in (rows.origin, place, truth, band, *points.values())])
        log.info("backtest  %s, origins %d of %d", block.name, begin + len(chunk), len(origins))
    origin, place, truth, band, *made = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Backtest(
        block,
        origin + element.known.wall.first_day,
        element.series.first_minute + 60 * place,
        truth,
        dict(zip(points, made, strict=True)),
        band,
        len(parts),
    )
