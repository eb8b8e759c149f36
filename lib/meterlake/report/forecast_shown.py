"""The report's part about the forecast: metered load, forecast and band by the hour, and what they say."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from meterlake.forecast.blocks import BLOCKS
from meterlake.report.forecast import BAND, MOST_NAMED, MOST_REGIONS, drawn, regions
from meterlake.report.look import (
    FORECAST,
    FORECAST_BAND,
    INK,
    MEASURED,
    MISSING,
    figure,
    quiet_axes,
    short,
    shown,
)

LOW, MEDIAN, HIGH = BAND


def picture(ranked: pd.DataFrame, together: pd.DataFrame, clock: str) -> go.Figure | None:
    """The source and its largest regions one below the other.

    Args:
        ranked: rows of `forecast.elements`.
        together: rows of `forecast.beside`.
        clock: what the times are to be read as.
    """
    if ranked.empty:
        return None
    of = list(_each(ranked, together))
    names = [shown(short(name, 40)) for name, _ in of]
    gap = 0.04 + 0.12 / len(of)
    chart = make_subplots(rows=len(of), cols=1, shared_xaxes=True, vertical_spacing=gap, subplot_titles=names)
    margin = {"l": 8, "r": 8, "t": 56, "b": 8}
    chart.update_layout(figure(90 + 150 * len(of), margin=margin).layout)
    chart.update_layout(legend={"y": 1, "yref": "container", "yanchor": "top"})
    chart.update_annotations(font={"size": 12, "color": INK}, x=0, xanchor="left")
    for row, (_, hours) in enumerate(of, start=1):
        _draw(chart, hours, row)
    quiet_axes(chart).update_xaxes(range=[together["start"].min(), together["start"].max()])
    chart.update_xaxes(title_text=clock, row=len(of))
    return chart.update_yaxes(rangemode="tozero", nticks=4, title_text="kWh per hour")


def _draw(chart: go.Figure, hours: pd.DataFrame, row: int) -> None:
    """Load, median and band in one row of the picture, with an upright line where each block begins."""
    place, legend = {"row": row, "col": 1}, {"showlegend": row == 1}
    ahead = hours[hours["horizon_h"].notna()]
    edge = {"x": ahead["start"], "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    chart.add_scatter(y=ahead[LOW], **edge, **place, showlegend=False)
    chart.add_scatter(
        y=ahead[HIGH], fill="tonexty", fillcolor=FORECAST_BAND, name="10-90 % band", **edge, **place, **legend
    )
    time = "%{x|%a %d %b %Y %H:%M}<br>"
    chart.add_scatter(
        x=ahead["start"],
        y=ahead[MEDIAN],
        mode="lines",
        line={"color": FORECAST, "width": 1.4, "dash": "dot"},
        name="forecast (median)",
        customdata=ahead[[LOW, HIGH]],
        hovertemplate=time + "%{y:,.2f} kWh, 10-90 % %{customdata[0]:,.2f} to %{customdata[1]:,.2f}<extra></extra>",
        **place,
        **legend,
    )
    chart.add_scatter(
        x=hours["start"],
        y=hours["kwh"],
        mode="lines",
        line={"color": MEASURED, "width": 1.3},
        name="metered",
        hovertemplate=time + "%{y:,.2f} kWh<extra></extra>",
        **place,
        **legend,
    )
    for at in ahead.loc[ahead["horizon_h"].isin([block.first_h for block in BLOCKS]), "start"]:
        chart.add_vline(x=at, line={"color": MISSING, "width": 1}, layer="below", **place)


def says(ranked: pd.DataFrame, together: pd.DataFrame) -> dict[str, Any] | None:
    """What the section tells in words and in its table; None without a forecast.

    Returns:
        begins (on the source's clock), model, rows (of the elements drawn, see `_row`), left_out (names of regions
        that are not drawn), more (whether there are others still).
    """
    if ranked.empty:
        return None
    left_out = list(regions(ranked)["element"].iloc[MOST_REGIONS:])
    return {
        "begins": together.loc[together["horizon_h"].notna(), "start"].min(),
        "model": " and ".join(sorted(ranked["model_version"].unique())),
        "rows": [_row(name, hours) for name, hours in _each(ranked, together)],
        "left_out": left_out[:MOST_NAMED],
        "more": len(left_out) > MOST_NAMED,
    }


def _each(ranked: pd.DataFrame, together: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """(name, hours) of the elements that are drawn."""
    of = drawn(ranked)
    for level, element in zip(of["level"], of["element"], strict=True):
        name = f"all of {element}" if level == "source" else f"{level} {element}"
        yield name, together[(together["level"] == level) & (together["element"] == element)]


def _row(name: str, hours: pd.DataFrame) -> dict[str, Any]:
    """Per block the largest hour and the band's mean width; how many of the hours that are known by now it holds."""
    blocks = [(block.name, hours[hours["horizon_h"].between(block.first_h, block.last_h)]) for block in BLOCKS]
    known = hours[hours["horizon_h"].notna() & hours["kwh"].notna()]
    return {
        "name": name,
        "blocks": [_block(block, ahead) for block, ahead in blocks if len(ahead)],
        "known": len(known),
        "held": int(known["kwh"].between(known[LOW], known[HIGH]).sum()),
    }


def _block(name: str, ahead: pd.DataFrame) -> dict[str, Any]:
    largest = ahead.loc[ahead[MEDIAN].idxmax()]
    width, load = float((ahead[HIGH] - ahead[LOW]).mean()), float(ahead[MEDIAN].mean())
    return {
        "name": name,
        "width_kwh": width,
        "width_share": width / load if load else None,
        "largest_at": largest["start"],
        "largest": [float(largest[edge]) for edge in (MEDIAN, LOW, HIGH)],
    }
