"""The page's colours and the charts' common look. A colour means the same thing in every chart and table."""

import math
from datetime import datetime
from html import escape

import pandas as pd
import plotly.graph_objects as go

MEASURED, MISSING, QUARANTINED, ANOMALY = "#1b6ca8", "#96a1ad", "#dd8f00", "#c8321f"
PALE = "#cfe0ee"  # measured, when it is the ground and not the matter
FORECAST, FORECAST_BAND = "#7048a8", "#d9cbee"
INK, MUTED, GRID = "#1d2733", "#55606e", "#e4e9ee"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"

COLOURS = {
    "measured": MEASURED,
    "missing": MISSING,
    "quarantined": QUARANTINED,
    "anomaly": ANOMALY,
    "pale": PALE,
    "ink": INK,
    "muted": MUTED,
    "grid": GRID,
}


def figure(height: int, **layout: object) -> go.Figure:
    """An empty chart in the page's look. It takes the width of its place."""
    chart = go.Figure()
    chart.update_layout(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"family": FONT, "size": 12, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "white", "bordercolor": GRID, "font": {"color": INK, "family": FONT}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": MUTED}},
        dragmode=False,
        separators=".,",
        bargap=0.15,
    )
    chart.update_layout(**layout)
    return quiet_axes(chart)


def quiet_axes(chart: go.Figure) -> go.Figure:
    """Thin grid lines across, none upright, small muted titles."""
    title = {"standoff": 8, "font": {"size": 12, "color": MUTED}}
    chart.update_xaxes(gridcolor=GRID, linecolor=GRID, zeroline=False, automargin=True, title=title, showgrid=False)
    return chart.update_yaxes(gridcolor=GRID, linecolor=GRID, zeroline=False, automargin=True, title=title)


def shown(text: object) -> str:
    """Text for a chart label: plotly reads tags in labels, and ids and reasons come from input files."""
    return escape(str(text), quote=False)


def short(text: object, length: int = 28) -> str:
    """The text itself, or its two ends where it is too long for a label."""
    text = str(text)
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def number(value: float | None, digits: int = 0) -> str:
    """12,345.6, or a dash for nothing known."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def figures(value: float | None, significant: int = 3) -> str:
    """A measured quantity with so many significant digits: 0.0123, 4.56, 1,234."""
    if value is None or math.isnan(value):
        return "–"
    digits = significant - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(0, min(digits, 6))}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """98.8 %; a share that is nearly but not quite all or nothing is not rounded to 100 or 0."""
    if share is None or math.isnan(share):
        return "–"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    text = f"{100 * share:.{digits}f}"
    if 0 < share < 1 and float(text) in (0.0, 100.0):
        smallest = 10.0**-digits
        return f"< {smallest:g} %" if share < 0.5 else f"> {100 - smallest:.{digits}f} %"
    return f"{text} %"


def words(name: str) -> str:
    """energy_out_of_range -> energy out of range."""
    return name.replace("_", " ")


def instant(moment: datetime | None) -> str:
    """2024-01-31 00:15, or a dash for an unknown one."""
    return "–" if moment is None or pd.isna(moment) else f"{moment:%Y-%m-%d %H:%M}"


def file_name(path: str | None) -> str:
    """The last part of a path or URI."""
    return (path or "–").rstrip("/").rsplit("/", 1)[-1]
