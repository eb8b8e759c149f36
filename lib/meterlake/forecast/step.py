"""The step `forecast`: hours of a source -> load a day and a week ahead, with models fitted element by element."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from threadpoolctl import threadpool_limits

from meterlake.anomaly import registry
from meterlake.forecast.blocks import BLOCKS
from meterlake.forecast.commands import DEFAULT_LEVELS
from meterlake.forecast.features import DEFINITION, WEATHER
from meterlake.forecast.model import Element, Policy, TooLittleHistory, check_history, fit, forecast
from meterlake.forecast.series import local, people_live_by, summed
from meterlake.run import Outcome, Run
from meterlake.sources.source import Source
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_load_forecast import MART_LOAD_FORECAST
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms.int_readings_hourly import exact_sum
from meterlake.vee.clock import DAY_MINUTES

QUANTILE_COLUMNS = ("load_p10_kwh", "load_p50_kwh", "load_p90_kwh")
MADE = (
    "level string, element string, problem string, learnt_from bigint, minute bigint, day int, horizon_h int, "
    + ", ".join(f"{name} double" for name in QUANTILE_COLUMNS)
)
MADE_NAMES = [part.split()[0] for part in MADE.split(", ")]
TOLD_AT_MOST = 5


def forecast_step(levels: list[str] | None) -> Callable[[Run], Outcome]:
    """The step for these levels; None is DEFAULT_LEVELS."""
    return partial(_forecast, tuple(levels or DEFAULT_LEVELS))


def _forecast(levels: tuple[str, ...], run: Run) -> Outcome:
    store, source = run.store, run.source
    version = store.version(INT_READINGS_HOURLY)
    hourly = store.read(INT_READINGS_HOURLY, source.name, version if version >= 0 else None)
    newest = hourly.agg(F.max(F.unix_timestamp("hour_start"))).head()
    if newest is None or newest[0] is None:
        return Outcome(nothing_new=True, said=[f"{source.name} has no hours yet; `meterlake aggregate` makes them."])
    day = last_complete_day(int(newest[0]) // 60, source)
    if source.columns.temperature:
        hourly = _with_temperature(hourly, store.read(STG_METER_READINGS, source.name))
    hours = hours_of_elements(hourly, store.read(STG_METERS, source.name), levels, source)
    policy = Policy()

    def of_one(hours_of_one: pd.DataFrame) -> pd.DataFrame:
        return of_element(day, source, policy, hours_of_one)

    made = hours.groupBy("level", "element").applyInPandas(of_one, MADE).persist()
    elements = made.groupBy("level", "element", "problem").agg(F.max("learnt_from").alias("learnt_from")).collect()
    label = _logged(run, policy, version, day, elements)
    rows = _keep(run, made, levels, day, label)
    made.unpersist()
    outcome = Outcome(rows_in=len(elements), rows_out=rows, inputs={INT_READINGS_HOURLY.name: version})
    refused = sorted((row.level, row.element, row.problem) for row in elements if row.problem)
    outcome.figures = {"elements": len(elements) - len(refused), "elements_refused": len(refused)}
    outcome.said = _said(len(elements) - len(refused), refused, day, source)
    return outcome


def _logged(run: Run, policy: Policy, version: int, day: int, elements: list[Row]) -> str:
    """Tell MLflow how the forecast was made; the label that its rows carry.

    The models are not kept: each forecast fits its own, and the same hours and policy give the same ones.
    """
    name = f"meterlake-forecast-{run.source.name}"
    data = {"data_table": INT_READINGS_HOURLY.name, "data_version": version, "origin_day": str(np.datetime64(day, "D"))}
    with registry.tracked(run.settings, name, {"source": run.source.name, "run_id": run.run_id}) as (client, logged):
        run_id = logged.info.run_id
        for parameter, value in (asdict(policy) | data).items():
            client.log_param(run_id, parameter, value)
        client.log_metric(run_id, "elements", sum(row.problem is None for row in elements))
        client.log_dict(run_id, DEFINITION | WEATHER, "features.json")
        client.log_dict(run_id, {"elements": [row.asDict() for row in elements]}, "elements.json")
    return f"{name}/{run_id[:8]}"


def last_complete_day(newest_hour: int, source: Source) -> int:
    """The last local day that lies wholly in the hours, days since 1970-01-01.

    Args:
        newest_hour: start of the newest hour, minutes since 1970 UTC.
    """
    after, _ = local(np.array([newest_hour + 60]), people_live_by(source))
    return int(after[0]) - 1


def hours_of_elements(hourly: DataFrame, meters: DataFrame, levels: tuple[str, ...], source: Source) -> DataFrame:
    """Hours summed up by element: `level`, `element`, `minute` (since 1970 UTC), `kwh`, `completeness` (sum over the
    meters, that is how many reported) and `temperature_c`. A meter without a region is in no region.
    """
    names: dict[str, Column] = {
        "source": F.lit(source.name),
        "region": F.col("region"),
        "feeder": F.col("feeder"),
        "meter": F.col("meter_id"),
    }
    pairs = [F.struct(F.lit(level).alias("level"), names[level].alias("element")) for level in levels]
    placed = hourly.join(meters.select("meter_id", "region", "feeder"), on="meter_id", how="left")
    if "temperature_c" not in hourly.columns:
        placed = placed.withColumn("temperature_c", F.lit(None).cast("double"))
    each = placed.withColumn("of", F.explode(F.array(*pairs))).where(F.col("of.element").isNotNull())
    return each.groupBy(
        "of.level", "of.element", (F.unix_timestamp("hour_start") / 60).cast("bigint").alias("minute")
    ).agg(
        exact_sum("consumption_kwh").alias("kwh"),
        F.round(F.sum("completeness"), 6).alias("completeness"),
        F.round(F.avg("temperature_c"), 3).alias("temperature_c"),
    )


def of_element(day: int, source: Source, policy: Policy, hours: pd.DataFrame) -> pd.DataFrame:
    """Rows of MADE of one element; where it gets no forecast, one row that says why.

    Args:
        day: the last day that is known, days since 1970-01-01. What the hours hold after it is not looked at.
        hours: rows of `hours_of_elements` in any order.
    """
    about = {"level": hours["level"].iloc[0], "element": hours["element"].iloc[0]}
    try:
        # A Spark task has one core; OpenMP would take all of them in each task.
        with threadpool_limits(1):
            made = _made(day, source, policy, hours)
    except TooLittleHistory as refused:
        made = pd.DataFrame({"problem": [refused.problem]})
    return made.assign(**about).reindex(columns=MADE_NAMES)


def _made(day: int, source: Source, policy: Policy, hours: pd.DataFrame) -> pd.DataFrame:
    clock = people_live_by(source)
    end = int(clock.utc(np.array([(day + 1) * DAY_MINUTES]))[0])
    past = hours[hours["minute"] < end].sort_values("minute")
    if past.empty:
        raise TooLittleHistory("no hour is known before the origin")
    minute, kwh, reporting, warmth = (
        past[name].to_numpy() for name in ("minute", "kwh", "completeness", "temperature_c")
    )
    weather = None if np.isnan(warmth.astype(np.float64)).all() else warmth.astype(np.float64)
    series = summed(minute, kwh.astype(np.float64), reporting.astype(np.float64), weather, until=end)
    element = Element.of(series, clock, source.country)
    origin = day - element.known.wall.first_day
    check_history(element, origin)
    parts = []
    for block in BLOCKS:
        fitted = fit(element, origin, block, policy)
        rows, place, band = forecast(element, np.array([origin]), fitted)
        columns = {
            "problem": None,
            "learnt_from": fitted.rows,
            "minute": series.first_minute + 60 * place,
            "day": rows.day + element.known.wall.first_day,
            "horizon_h": np.arange(block.first_h, block.last_h + 1),
        }
        parts.append(pd.DataFrame(columns | dict(zip(QUANTILE_COLUMNS, band.T, strict=True))))
    return pd.concat(parts, ignore_index=True)


def _with_temperature(hourly: DataFrame, readings: DataFrame) -> DataFrame:
    """The hours with the mean air temperature that their readings brought."""
    hour = F.date_trunc("hour", "reading_timestamp").alias("utc_hour")
    warmth = readings.groupBy("meter_id", hour).agg(F.avg("temperature_c").alias("temperature_c"))
    return hourly.withColumn("utc_hour", F.date_trunc("hour", "hour_start")).join(
        warmth, on=["meter_id", "utc_hour"], how="left"
    )


def _keep(run: Run, made: DataFrame, levels: tuple[str, ...], day: int, label: str) -> int:
    """Write the forecasts; those of the same origin and levels are replaced, earlier origins stay."""
    end = int(people_live_by(run.source).utc(np.array([(day + 1) * DAY_MINUTES]))[0])
    origin = F.timestamp_seconds(F.lit(60 * end))
    rows = made.where(F.col("problem").isNull()).select(
        F.lit(run.source.name).alias("source"),
        "level",
        "element",
        origin.alias("forecast_origin"),
        F.timestamp_seconds(60 * F.col("minute")).alias("target_hour"),
        F.date_add(F.lit("1970-01-01").cast("date"), F.col("day")).alias("target_date_local"),
        "horizon_h",
        *QUANTILE_COLUMNS,
        F.lit(label).alias("model_version"),
        F.lit(datetime.now(UTC)).alias("made_at"),
    )
    ours = (F.col("forecast_origin") == origin) & F.col("level").isin(*levels)
    standing = run.store.read(MART_LOAD_FORECAST, run.source.name).where(ours)
    first, last = np.datetime64(day, "D"), np.datetime64(day + 9, "D")
    bounds = f"t.source = '{run.source.name}' AND t.target_date_local BETWEEN '{first}' AND '{last}'"
    return run.store.exchange(rows, standing, MART_LOAD_FORECAST, bounds)


def _said(done: int, refused: list[tuple[str, str, str]], day: int, source: Source) -> list[str]:
    told = [f"{done:,} elements of {source.name} are forecast from the end of {np.datetime64(day, 'D')} on."]
    told += [f"No forecast for {level} {element}: {problem}." for level, element, problem in refused[:TOLD_AT_MOST]]
    if len(refused) > TOLD_AT_MOST:
        told.append(f"... and for {len(refused) - TOLD_AT_MOST:,} more; all are in elements.json of the run in MLflow.")
    return told
