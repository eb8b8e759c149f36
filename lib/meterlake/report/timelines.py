"""Charts over time: all meters with their flags, and the meters with the most energy at stake."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from meterlake.report.look import ANOMALY, INK, MEASURED, figure, quiet_axes, short, shown

MARKED = 40
MARKED_DAYS = 15


def consumption(load: pd.DataFrame, flagged: pd.DataFrame, bucket: str, clock: str) -> go.Figure | None:
    """Energy over time with the most flagged times marked on it, and the flagged readings below."""
    if load.empty:
        return None
    chart = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05)
    chart.update_layout(figure(430).layout)
    line = {"color": MEASURED, "width": 1.3}
    form = {"hour": "%a %d %b %Y %H:%M", "day": "%a %d %b %Y", "week": "week of %d %b %Y"}[bucket]
    whole = _without_gaps_joined(load, bucket)
    hover = "%{x|" + form + "}<br>%{y:,.2f} kWh<extra></extra>"
    chart.add_scatter(
        x=whole["start"], y=whole["kwh"], mode="lines", line=line, name=f"kWh per {bucket}", hovertemplate=hover
    )
    if not flagged.empty:
        _mark(chart, load, flagged, form)
    quiet_axes(chart).update_yaxes(rangemode="tozero", nticks=6)
    chart.update_yaxes(title_text=f"kWh per {bucket}", row=1)
    chart.update_yaxes(title_text="flagged", row=2, nticks=3, tickformat=",d", range=None if len(flagged) else [0, 1])
    chart.update_xaxes(title_text=clock, row=2)
    chart.update_xaxes(range=[whole["start"].min(), whole["start"].max()] if len(whole) > 1 else None)
    return chart


def _mark(chart: go.Figure, load: pd.DataFrame, flagged: pd.DataFrame, form: str) -> None:
    most = flagged.nlargest(MARKED, ["flagged", "worst"]).merge(load, on="start", how="inner")
    hover = "%{x|" + form + "}<br>%{customdata[0]:,} flagged readings of %{customdata[1]:,} meters<extra></extra>"
    name = "flagged readings" if len(flagged) <= MARKED else f"the {MARKED} times with most flagged readings"
    ring = {"color": ANOMALY, "size": 7, "line": {"color": "white", "width": 1}}
    counts = ["flagged", "meters"]
    chart.add_scatter(
        x=most["start"],
        y=most["kwh"],
        mode="markers",
        marker=ring,
        name=name,
        customdata=most[counts],
        hovertemplate=hover,
    )
    chart.add_bar(
        x=flagged["start"],
        y=flagged["flagged"],
        marker={"color": ANOMALY, "line": {"color": ANOMALY, "width": 0.6}},
        showlegend=False,
        customdata=flagged[counts],
        hovertemplate=hover,
        row=2,
        col=1,
    )


def _without_gaps_joined(load: pd.DataFrame, bucket: str) -> pd.DataFrame:
    """The frame with every step of time in it, so that a gap in the data is a gap in the line."""
    times = pd.to_datetime(load["start"])
    every = pd.date_range(times.min(), times.max(), freq={"hour": "h", "day": "D", "week": "W-MON"}[bucket])
    summed = load.assign(start=times).groupby("start")["kwh"].sum(min_count=1)  # an hour comes twice in autumn
    return pd.DataFrame({"start": every}).merge(summed.reset_index(), on="start", how="outer").sort_values("start")


def suspects(days: pd.DataFrame) -> go.Figure | None:
    """Daily energy of the meters with the most energy at stake, one below the other, their most flagged days marked."""
    if days.empty:
        return None
    meters = list(days["meter_id"].unique())
    names = [shown(short(meter, 40)) for meter in meters]
    gap = 0.04 + 0.12 / len(meters)
    chart = make_subplots(rows=len(meters), cols=1, shared_xaxes=True, vertical_spacing=gap, subplot_titles=names)
    margin = {"l": 8, "r": 8, "t": 28, "b": 8}
    chart.update_layout(figure(60 + 130 * len(meters), showlegend=False, margin=margin).layout)
    chart.update_annotations(font={"size": 12, "color": INK}, x=0, xanchor="left")
    hover = "%{x|%a %d %b %Y}<br>%{y:,.2f} kWh<extra></extra>"
    line, ring = (
        {"color": MEASURED, "width": 1.3},
        {"color": ANOMALY, "size": 6, "line": {"color": "white", "width": 1}},
    )
    for row, meter in enumerate(meters, start=1):
        own = days[days["meter_id"] == meter]
        flagged = own[own["flagged_count"].notna()].nlargest(MARKED_DAYS, "flagged_count")
        for part, look in ((own, {"mode": "lines", "line": line}), (flagged, {"mode": "markers", "marker": ring})):
            x, y = part["reading_date_local"], part["consumption_kwh"]
            chart.add_scatter(x=x, y=y, hovertemplate=hover, row=row, col=1, **look)
    first, last = days["reading_date_local"].min(), days["reading_date_local"].max()
    quiet_axes(chart).update_xaxes(range=[first, last] if first < last else None)
    return chart.update_yaxes(rangemode="tozero", nticks=4, title_text="kWh/day")
