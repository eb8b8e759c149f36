"""How energy, voltage and temperature are distributed: fine bins counted in Spark, joined to bars here."""

import math
from dataclasses import dataclass
from itertools import count

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store

FINE_BINS = 4000  # per measure at most, few of them filled; the page draws about 50


def spread(store: Store, source: Source, days: pd.DataFrame) -> DataFrame:
    """Fine histograms of energy, voltage and temperature, and readings by quality, in one scan.

    Returns:
        measure, step (width of a bin), bin (floor(value / step), null for an unknown value), quality, readings.
    """
    energy = _energy_step(days, source)
    steps = {
        "consumption_kwh": energy,
        "voltage_v": _step(*source.limits.voltage_v),
        "temperature_c": _step(*source.limits.temperature_c),
    }
    binned = store.read(STG_METER_READINGS, source.name).select(
        "quality", *(_bin(name, step) for name, step in steps.items())
    )
    sets = [*([F.col(name)] for name in steps), [F.col("quality")]]
    counted = binned.groupingSets(sets, *steps, "quality").agg(
        F.count("*").alias("readings"), *(F.grouping(name).alias(f"not_{name}") for name in (*steps, "quality"))
    )
    measure, step, number = F.lit("quality"), F.lit(0.0), F.lit(None).cast("bigint")
    for name, width in steps.items():
        chosen = F.col(f"not_{name}") == 0
        measure = F.when(chosen, F.lit(name)).otherwise(measure)
        step = F.when(chosen, F.lit(width)).otherwise(step)
        number = F.when(chosen, F.col(name)).otherwise(number)
    return counted.select(measure.alias("measure"), step.alias("step"), number.alias("bin"), "quality", "readings")


def _bin(name: str, step: float) -> Column:
    return F.floor(F.col(name) / step + 1e-6).alias(name)  # 230.1 / 0.1 is 2300.9999...


def _energy_step(days: pd.DataFrame, source: Source) -> float:
    """Bins between the smallest and the largest reading, both known from the daily table."""
    hours = source.interval_minutes / 60
    low, high = days["min_kw"].min() * hours, days["max_kw"].max() * hours
    return 1.0 if pd.isna(low) or pd.isna(high) else _step(min(0.0, low), high)


def _step(low: float, high: float) -> float:
    """The smallest of 1, 2, 5 x 10^n that cuts the range into `FINE_BINS` at most: round values fall evenly."""
    if not (high > low and math.isfinite(high - low)):
        return 1.0
    smallest = (high - low) / FINE_BINS
    decade = 10.0 ** math.floor(math.log10(smallest))
    return next(decade * digit for digit in (1, 2, 5, 10) if decade * digit >= smallest * (1 - 1e-9))


@dataclass(frozen=True)
class Bars:
    """A histogram to draw.

    Attributes:
        readings: by the start of their bar.
        width: of a bar.
        below, beyond: whether the first, the last bar gathers what would stretch the axis.
    """

    readings: dict[float, int]
    width: float
    below: bool
    beyond: bool


def bars_of(counted: pd.DataFrame, measure: str, wanted: int = 60) -> Bars:
    """The fine bins of one measure joined to about `wanted` bars; 0.5 % at either end do not stretch the axis."""
    fine, step = _fine(counted, measure)
    if not fine:
        return Bars({}, 1.0, False, False)
    first, last = _at(fine, 0.005), _at(fine, 0.995)
    far = (last - first + 1) / 2
    below, beyond = first - min(fine) > far, max(fine) - last > far
    first, last = first if below else min(fine), last if beyond else max(fine)
    joined = next(n for n in count(-(-(last - first + 1) // wanted)) if _is_round(n * step))
    low, high = first // joined - below, last // joined + beyond
    bars = dict.fromkeys(range(low, high + 1), 0)
    for fine_bin, readings in fine.items():
        bars[min(max(fine_bin // joined, low), high)] += readings
    return Bars({bar * joined * step: readings for bar, readings in bars.items()}, joined * step, below, beyond)


def quantiles(counted: pd.DataFrame, measure: str) -> dict[str, float] | None:
    """Smallest, median, 99th percentile and largest value to the width of a fine bin; None without values."""
    fine, step = _fine(counted, measure)
    if not fine:
        return None
    shares = {"low": 0.0, "median": 0.5, "p99": 0.99, "high": 1.0}
    return {"step": step} | {name: _at(fine, share) * step for name, share in shares.items()}


def _is_round(width: float) -> bool:
    """Whether a width is 1, 2 or 5 x 10^n: values with few digits then fall evenly into the bars."""
    leading = width / 10.0 ** math.floor(math.log10(width) + 1e-9)
    return any(math.isclose(leading, digit, rel_tol=1e-6) for digit in (1, 2, 5))


def _fine(counted: pd.DataFrame, measure: str) -> tuple[dict[int, int], float]:
    """(readings by fine bin in rising order, width of a bin)."""
    own = counted[(counted["measure"] == measure) & counted["bin"].notna()].sort_values("bin")
    step = float(own["step"].iloc[0]) if len(own) else 1.0
    return dict(zip(own["bin"].astype(int), own["readings"].astype(int), strict=True)), step


def _at(fine: dict[int, int], share: float) -> int:
    """The first bin up to which at least this share of the readings lies."""
    wanted, below = share * sum(fine.values()), 0
    for fine_bin, readings in fine.items():
        below += readings
        if below >= wanted:
            return fine_bin
    return max(fine)
