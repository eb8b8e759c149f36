"""Days and balances -> the meters of a month where energy may be recovered (losses/suspects.py judges them)."""

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.losses.suspects import Days, Judged, judge
from meterlake.sources.source import Source
from meterlake.transforms.int_readings_hourly import MICRO, exact_sum
from meterlake.transforms.mart_energy_balance import BALANCED
from meterlake.vee.daytypes import kinds

if TYPE_CHECKING:
    import pandas as pd

DAY = "reading_date_local"
WHOLE = 1 - 1e-9
PLACE = ("region", "feeder", "transformer")
FOUND = (
    "meter_id string, region string, feeder string, transformer string, month_local date, since_local date, "
    "reference_kwh double, shortfall_kwh double, standard_errors double, balanced_by string, confirmed_kwh double, "
    "recoverable_kwh double, probability double, missing_kwh double"
)


def build(daily: DataFrame, balances: DataFrame, meters: DataFrame, source: Source, months: list[date]) -> DataFrame:
    """Rows of `mart_suspects` of these months.

    One shuffle of the days by element and month. An element is a transformer or feeder with a balance in the month,
    else the smallest that is known, judged without one.

    Args:
        daily: days of the source, in the months and in the month before each.
        balances: rows of `mart_energy_balance` of the source in the same months.
        meters: `stg_meters` of the source.
        months: first days of the months to judge.
    """
    balances = balances.where((F.col("status") == BALANCED) & F.col("level").isin("transformer", "feeder")).select(
        "level",
        "element",
        DAY,
        F.trunc(DAY, "month").cast("date").alias("month_local"),
        F.col("non_technical_loss_kwh").cast("double").alias("unexplained"),
        F.col("supplied_kwh").cast("double").alias("supplied"),
    )
    days = daily.join(meters.select("meter_id", *PLACE), on="meter_id", how="inner")
    days = days.withColumn("of_region", F.coalesce("region", F.lit("")))
    placed = _by_element(_for_months(days, months), balances)
    placed = placed.join(F.broadcast(_levels(days)), on=["of_region", DAY], how="left")
    judged = partial(_judge, country=source.country)
    found = (
        placed.groupBy("level", "element", "month_local")
        .cogroup(balances.groupBy("level", "element", "month_local"))
        .applyInPandas(judged, FOUND)
    )
    return found.select(
        F.lit(source.name).alias("source"),
        "*",
        (F.col("reference_kwh") - F.col("shortfall_kwh")).alias("consumption_kwh"),
        _reason().alias("reason"),
    ).drop("missing_kwh")


def _levels(days: DataFrame) -> DataFrame:
    """What a meter of each region used on each day in the mean, by its known intervals: `region_kwh`."""
    level = F.try_divide(exact_sum("consumption_kwh"), exact_sum("completeness", MICRO))
    return days.groupBy("of_region", DAY).agg(level.alias("region_kwh"))


def _for_months(days: DataFrame, months: list[date]) -> DataFrame:
    """Each day once as a day of its own month and once as the past of the next, `month_local` and `past`."""
    own = F.trunc(DAY, "month")
    targets = F.array(
        F.struct(own.cast("date").alias("month_local"), F.lit(False).alias("past")),
        F.struct(F.add_months(own, 1).alias("month_local"), F.lit(True).alias("past")),
    )
    return (
        days.withColumn("target", F.explode(targets)).select("*", "target.*").where(F.col("month_local").isin(months))
    )


def _by_element(days: DataFrame, balances: DataFrame) -> DataFrame:
    """The days of the months, each with the `element` that its meter is judged with; `level` "" has no balance."""
    with_balance = balances.select("level", "element", "month_local").distinct()
    for level in ("transformer", "feeder"):
        have = with_balance.where(F.col("level") == level).select(
            F.col("element").alias(level), "month_local", F.lit(True).alias(f"by_{level}")
        )
        days = days.join(F.broadcast(have), on=[level, "month_local"], how="left")
    judged_at = F.when(F.col("by_transformer"), "transformer").when(F.col("by_feeder"), "feeder").otherwise("")
    smallest = F.coalesce("transformer", "feeder", "region", "meter_id")
    element = F.when(F.col("by_feeder") & F.col("by_transformer").isNull(), F.col("feeder")).otherwise(smallest)
    columns = ("meter_id", *PLACE, "of_region", "month_local", DAY, "past", "consumption_kwh", "completeness")
    return days.select(*columns, judged_at.alias("level"), element.alias("element"))


def _judge(days: "pd.DataFrame", balance: "pd.DataFrame", country: str | None) -> "pd.DataFrame":
    """Inside a task: the suspects of one element and month."""
    import pandas as pd

    names = [column.split()[0] for column in FOUND.split(", ")]
    if days.empty:
        return pd.DataFrame(columns=names)
    calendar = np.sort(days[DAY].unique())
    whole = days["completeness"] >= WHOLE
    kwh = days.assign(kwh=days["consumption_kwh"].where(whole)).pivot(index="meter_id", columns=DAY, values="kwh")
    by_day = days.groupby(DAY)
    past = by_day["past"].first().reindex(calendar).to_numpy()
    told = balance.set_index(DAY).reindex(calendar)
    number = pd.to_datetime(pd.Series(calendar)).to_numpy().astype("datetime64[D]").astype(np.int64)
    judged = judge(
        Days(
            kwh=kwh.reindex(columns=calendar).to_numpy(),
            kind=kinds(number, country),
            past=past,
            level=by_day["region_kwh"].mean().reindex(calendar).to_numpy(),
            unexplained=np.where(past, np.nan, told["unexplained"].to_numpy(dtype=np.float64)),
            supplied=np.nan_to_num(told["supplied"].to_numpy(dtype=np.float64)),
        )
    )
    places = days.groupby("meter_id")[[*PLACE, "month_local"]].first().reindex(kwh.index)
    balanced_by = days["element"].iloc[0] if np.isfinite(judged.unexplained_kwh).any() else None
    return _rows(judged, places, calendar, balanced_by)[names]


def _rows(judged: Judged, places: "pd.DataFrame", calendar: np.ndarray, by: str | None) -> "pd.DataFrame":
    rows = places.reset_index().assign(
        since_local=calendar[judged.since],
        reference_kwh=judged.reference_kwh,
        shortfall_kwh=judged.shortfall_kwh,
        standard_errors=np.minimum(judged.standard_errors, 1e6),
        balanced_by=by,
        confirmed_kwh=judged.unexplained_kwh,
        recoverable_kwh=judged.recoverable_kwh,
        probability=judged.probability,
        missing_kwh=judged.missing_kwh,
    )
    return rows[np.nan_to_num(judged.recoverable_kwh) >= 0.0001]


def _reason() -> Column:
    """Such as: reads 62 % less than usual since 2024-02-03; T2 misses 60 kWh, of which 50 go with this meter."""
    less = F.format_string(
        "reads %.0f %% less than usual since %s",
        100 * F.col("shortfall_kwh") / F.col("reference_kwh"),
        F.col("since_local").cast("string"),
    )
    at_element = F.format_string(
        "; %s misses %.0f kWh, of which %.0f go with this meter", "balanced_by", "missing_kwh", "confirmed_kwh"
    )
    return F.concat(less, F.when(F.col("balanced_by").isNotNull(), at_element).otherwise("; no balance confirms it"))
