"""The report's part about losses: what the feeders lose day by day, which elements lose most, and whom to visit."""

import pandas as pd
import plotly.graph_objects as go
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.report.look import ANOMALY, MEASURED, MISSING, figure
from meterlake.sources.source import Source
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.tables.mart_suspects import MART_SUSPECTS
from meterlake.tables.store import Store
from meterlake.transforms.mart_energy_balance import BALANCED

TOP = 10
LAST_DAYS = 400
ENERGIES = ("supplied_kwh", "delivered_kwh", "missing_kwh", "technical_loss_kwh", "non_technical_loss_kwh")


def by_day(store: Store, source: Source) -> DataFrame:
    """Energies of all balanced feeders by day, of the last 400 days: at most so many rows."""
    feeders = (
        store.read(MART_ENERGY_BALANCE, source.name).where(F.col("level") == "feeder").groupBy("reading_date_local")
    )
    return feeders.agg(*_sums(), *_counts()).orderBy(F.desc("reading_date_local")).limit(LAST_DAYS)


def by_element(store: Store, source: Source) -> DataFrame:
    """The feeders and transformers that miss most, over all their balanced days: ten rows."""
    elements = (
        store.read(MART_ENERGY_BALANCE, source.name)
        .where(F.col("level") != "region")
        .groupBy("level", "element", "region")
    )
    lost = elements.agg(*_sums(), *_counts()).where("balanced > 0")
    share = F.try_divide("non_technical_loss_kwh", "supplied_kwh")
    return lost.withColumn("share", share).orderBy(F.desc("non_technical_loss_kwh"), "level", "element").limit(TOP)


def recoverable(store: Store, source: Source) -> DataFrame:
    """The head of the list of suspects of its newest month: ten rows."""
    suspects = store.read(MART_SUSPECTS, source.name)
    newest = suspects.agg(F.max("month_local").alias("month_local"))
    numbers = (F.col(name).cast("double").alias(name) for name in ("shortfall_kwh", "recoverable_kwh"))
    listed = suspects.join(F.broadcast(newest), on="month_local")
    listed = listed.select("meter_id", "feeder", "month_local", "probability", *numbers, "reason")
    return listed.orderBy(F.desc("recoverable_kwh"), "meter_id").limit(TOP)


def picture(days: pd.DataFrame) -> go.Figure | None:
    """Technical and non-technical loss as shares of the energy supplied, day by day."""
    if says(days) is None:
        return None
    days = days[days["balanced"] > 0].sort_values("reading_date_local")
    chart = figure(260, barmode="relative", bargap=0.2, legend_traceorder="normal")
    parts = (("technical", "technical_loss_kwh", MISSING), ("non-technical", "non_technical_loss_kwh", ANOMALY))
    for name, column, colour in parts:
        chart.add_bar(
            x=days["reading_date_local"],
            y=100 * days[column] / days["supplied_kwh"],
            name=name,
            marker_color=colour,
            customdata=days[[column, "supplied_kwh", "balanced", "elements"]],
            hovertemplate="%{x|%a %d %b %Y}<br>%{customdata[0]:,.0f} of %{customdata[1]:,.0f} kWh, %{y:.1f} %"
            "<br>%{customdata[2]} of %{customdata[3]} feeders balanced<extra>" + name + "</extra>",
        )
    chart.update_yaxes(
        title_text="loss, share of energy supplied", ticksuffix=" %", zeroline=True, zerolinecolor=MEASURED
    )
    return chart


def says(days: pd.DataFrame) -> dict[str, float] | None:
    """Sums over the balanced days of all feeders; None where there are none."""
    if days.empty or not (days["balanced"] > 0).any():
        return None
    balanced = float(days["balanced"].sum() / days["elements"].sum())
    return {name: float(days[name].sum()) for name in ENERGIES} | {"balanced": balanced}


def _sums() -> list[Column]:
    balanced = F.col("status") == BALANCED
    return [F.sum(F.when(balanced, F.col(name))).cast("double").alias(name) for name in ENERGIES]


def _counts() -> list[Column]:
    return [F.count_if(F.col("status") == BALANCED).alias("balanced"), F.count("*").alias("elements")]
