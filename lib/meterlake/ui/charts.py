"""The charts of one meter: its days and some days' readings, coloured by their quality."""

from datetime import date

import pandas as pd
import plotly.graph_objects as go

from meterlake.report.look import ANOMALY, MEASURED, MISSING, MUTED, figure

# Measured and missing as everywhere in the report; what was changed has colours of its own.
QUALITIES = {"measured": MEASURED, "estimated": "#12908a", "edited": "#7a4fb5", "missing": MISSING}
MARKED = ("estimated", "edited")


def days(by_day: pd.DataFrame, flagged: set[date]) -> go.Figure:
    """Energy per day as bars in the colour of the day's quality, days with a flag marked above."""
    chart = figure(260, bargap=0.2, dragmode="zoom")
    for quality, colour in QUALITIES.items():
        own = by_day[by_day["quality"] == quality]
        if own.empty:
            continue
        chart.add_bar(
            x=own["day"],
            y=own["kwh"],
            name=quality,
            marker_color=colour,
            customdata=own[["known", "expected"]],
            hovertemplate="%{x|%a %d %b %Y}<br>%{y:,.2f} kWh, %{customdata[0]:,} of %{customdata[1]:,} readings"
            "<extra>" + quality + "</extra>",
        )
    marked = by_day[by_day["day"].isin(flagged)]
    if len(marked):
        chart.add_scatter(
            x=marked["day"],
            y=marked["kwh"],
            mode="markers",
            name="flagged",
            marker={"color": ANOMALY, "size": 7, "line": {"color": "white", "width": 1}},
            hovertemplate="%{x|%a %d %b %Y}<br>flagged readings<extra></extra>",
        )
    return chart.update_yaxes(title_text="kWh per day", rangemode="tozero")


def readings(known: pd.DataFrame, clock: str) -> go.Figure:
    """Mean power per interval as a stepped line; estimated, edited, missing and flagged readings are marked on it."""
    chart = figure(340, dragmode="zoom")
    hover = "%{x|%a %d %b %Y %H:%M}<br>%{y:.3f} kW<extra>"
    if known["expected_kw"].notna().any():
        dotted = {"color": MUTED, "width": 1, "dash": "dot"}
        chart.add_scatter(
            x=known["at"], y=known["expected_kw"], mode="lines", line=dotted, name="expected", hoverinfo="skip"
        )
    line = {"color": MEASURED, "width": 1.4, "shape": "hv"}
    chart.add_scatter(
        x=known["at"],
        y=known["kw"],
        mode="lines",
        line=line,
        name="reading",
        customdata=known["quality"],
        hovertemplate=hover + "%{customdata}</extra>",
    )
    for quality in MARKED:
        _mark(chart, known[known["quality"] == quality], quality, {"color": QUALITIES[quality], "size": 5}, hover)
    lacking = known[known["kw"].isna()].assign(kw=0.0)
    strokes = {"color": MISSING, "size": 9, "symbol": "line-ns", "line": {"color": MISSING, "width": 2}}
    _mark(chart, lacking, "missing", strokes, "%{x|%a %d %b %Y %H:%M}<br>no value<extra>")
    ring = {"color": ANOMALY, "size": 7, "line": {"color": "white", "width": 1}}
    _mark(chart, known[known["flagged"]], "flagged", ring, hover)
    chart.update_xaxes(title_text=clock, range=[known["at"].iloc[0], known["at"].iloc[-1]] if len(known) > 1 else None)
    return chart.update_yaxes(title_text="mean kW of the interval", rangemode="tozero")


def _mark(chart: go.Figure, rows: pd.DataFrame, name: str, marker: dict[str, object], hover: str) -> None:
    if len(rows):
        chart.add_scatter(
            x=rows["at"],
            y=rows["kw"],
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate=hover + name + "</extra>",
        )
