"""What the report shows of the newest forecast: its elements, their hours with the band, and the load beside them."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.forecast.blocks import BLOCKS
from meterlake.forecast.series import USUAL_DAYS, summed
from meterlake.sources.source import Source
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_load_forecast import MART_LOAD_FORECAST
from meterlake.tables.spans import A_DAY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
from meterlake.vee.clock import clock_of

LEVELS = ("source", "region")
MOST_REGIONS = 4
MOST_NAMED = 20
RECENT = timedelta(days=28)
BEFORE_DAYS = 7
BAND = ["load_p10_kwh", "load_p50_kwh", "load_p90_kwh"]


def elements(store: Store, source: Source, last_day: date) -> DataFrame:
    """What the newest forecast is of: the source first, then its regions by the energy that is forecast.

    Args:
        last_day: the last local day with readings. A forecast that began four weeks before it or earlier is not read.

    Returns:
        forecast_origin, model_version, level, element, kwh; regions beyond those drawn are there to be named.
    """
    oldest = last_day - RECENT
    recent = (
        store.read(MART_LOAD_FORECAST, source.name)
        .where(F.col("target_date_local") >= oldest - A_DAY)  # by which files are left out
        .where((F.col("forecast_origin") >= F.lit(oldest).cast("timestamp")) & F.col("level").isin(*LEVELS))
    )
    newest = recent.agg(F.max("forecast_origin").alias("forecast_origin"))
    each = recent.join(F.broadcast(newest), on="forecast_origin", how="inner")
    kwh = F.sum("load_p50_kwh").cast("double").alias("kwh")
    ranked = each.groupBy("forecast_origin", "model_version", "level", "element").agg(kwh)
    return ranked.orderBy(F.desc("level"), F.desc("kwh"), "element").limit(1 + MOST_REGIONS + MOST_NAMED + 1)


def drawn(ranked: pd.DataFrame) -> pd.DataFrame:
    """The elements that get a picture: the source and its largest regions."""
    return pd.concat([ranked[ranked["level"] == "source"], regions(ranked).head(MOST_REGIONS)])


def regions(ranked: pd.DataFrame) -> pd.DataFrame:
    """The regions among the elements, the largest first."""
    return ranked[ranked["level"] == "region"]


def hours(store: Store, source: Source, ranked: pd.DataFrame) -> DataFrame:
    """The forecast of the elements that are drawn: level, element, minute (since 1970 UTC), horizon_h and its band."""
    origin = ranked["forecast_origin"].iloc[0]
    made = store.read(MART_LOAD_FORECAST, source.name).where(_target_days(origin))
    made = made.where((F.col("forecast_origin") == F.lit(str(origin)).cast("timestamp")) & _is_drawn(ranked))
    band = (F.col(name).cast("double").alias(name) for name in BAND)
    return made.select("level", "element", _minute("target_hour"), "horizon_h", *band)


def metered(store: Store, source: Source, ranked: pd.DataFrame) -> DataFrame:
    """The load of the same elements from the days before the forecast to its end, as the forecast itself sums it.

    Returns:
        level, element, minute (since 1970 UTC), kwh, completeness; from so many days before on that it is known which
        hours too few meters reported.
    """
    from meterlake.forecast.step import hours_of_elements  # scikit-learn takes seconds

    days = _target_days(ranked["forecast_origin"].iloc[0], "reading_date_local", BEFORE_DAYS + USUAL_DAYS)
    hourly = store.read(INT_READINGS_HOURLY, source.name).where(days)
    levels = tuple(drawn(ranked)["level"].unique())
    of_elements = hours_of_elements(hourly, store.read(STG_METERS, source.name), levels, source)
    return of_elements.where(_is_drawn(ranked)).select("level", "element", "minute", "kwh", "completeness")


def beside(forecast: pd.DataFrame, load: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Each element's hours from the days before its forecast to its end.

    Args:
        forecast: rows of `hours`.
        load: rows of `metered`.

    Returns:
        level, element, start (on the source's clock), kwh (NaN where unknown), horizon_h and the band (NaN before the
        forecast), in the order of time.
    """
    parts = []
    for (level, element), own in forecast.groupby(["level", "element"]):
        begin, end = own["minute"].min() - 60 * 24 * BEFORE_DAYS, own["minute"].max()
        every = pd.DataFrame({"minute": np.arange(begin, end + 1, 60)})
        known = _known(load[(load["level"] == level) & (load["element"] == element)])
        part = every.merge(known, on="minute", how="left").merge(own[["minute", "horizon_h", *BAND]], how="left")
        parts.append(part.assign(level=str(level), element=str(element)))
    together = pd.concat(parts, ignore_index=True)
    minute = together["minute"].to_numpy()
    return together.assign(start=(minute + clock_of(source.time_zone).offset(minute)).astype("datetime64[m]"))


def _known(load: pd.DataFrame) -> pd.DataFrame:
    """minute, kwh: the hours that enough meters reported."""
    if load.empty:
        return load[["minute", "kwh"]]
    minute, kwh, reporting = (load[name].to_numpy() for name in ("minute", "kwh", "completeness"))
    series = summed(minute, kwh, reporting)
    return pd.DataFrame({"minute": series.minutes, "kwh": series.kwh})


def _is_drawn(ranked: pd.DataFrame) -> Column:
    names = list(regions(ranked)["element"].head(MOST_REGIONS))
    return (F.col("level") == "source") | ((F.col("level") == "region") & F.col("element").isin(names))


def _target_days(origin: pd.Timestamp, day: str = "target_date_local", days_before: int = 0) -> Column:
    """The local days of the forecast, and so many before; one more on either side, as the origin is in UTC."""
    first, last = origin.date() - (days_before + 1) * A_DAY, origin.date() + BLOCKS[-1].last_h * A_DAY / 24 + A_DAY
    return F.col(day).between(first, last)


def _minute(name: str) -> Column:
    return (F.unix_timestamp(name) / 60).cast("bigint").alias("minute")
