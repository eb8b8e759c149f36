"""The report's charts: each takes small frames and gives a plotly figure, or None where there is nothing to draw."""

from datetime import date

import pandas as pd
import plotly.graph_objects as go

from meterlake.report.data import records
from meterlake.report.look import (
    INK,
    MEASURED,
    MISSING,
    MUTED,
    PALE,
    QUARANTINED,
    figure,
    number,
    short,
    shown,
    words,
)
from meterlake.report.spread import bars_of

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BAR_DAYS = 92
FEW_PERCENT = 10
CALENDAR_MONTHS = 60


def completeness(days: pd.DataFrame) -> go.Figure | None:
    """Share of the expected readings that are known: bars for up to three months, a calendar beyond."""
    if days.empty:
        return None
    share = days["reading_count"] / days["expected_count"]
    return _bars_by_day(days, share) if len(days) <= BAR_DAYS else _calendar(days, share)


def _bars_by_day(days: pd.DataFrame, share: pd.Series) -> go.Figure:
    """All readings by day; only the missing ones where they are so few that they would not be seen."""
    chart = figure(260, barmode="stack", bargap=0.25, legend_traceorder="normal")
    hover = "%{x|%a %d %b %Y}<br>%{customdata[0]:,} of %{customdata[1]:,} readings<extra></extra>"
    counts = days[["reading_count", "expected_count"]]
    known, lacking = 100 * share.clip(upper=1), 100 * (1 - share).clip(lower=0)
    few = float(lacking.max()) < FEW_PERCENT
    for name, values, colour in (("known", known, MEASURED), ("missing", lacking, MISSING))[few:]:
        bars = {"name": name, "marker_color": colour, "customdata": counts, "hovertemplate": hover}
        chart.add_bar(x=days["reading_date_local"], y=values, **bars)
    said = "missing, share of expected readings" if few else "share of expected readings"
    most = max(1.0, 1.1 * float(lacking.max())) if few else 100
    chart.update_yaxes(title_text=said, range=[0, most], ticksuffix=" %", nticks=6)
    return chart


def _calendar(days: pd.DataFrame, share: pd.Series) -> go.Figure:
    day = pd.to_datetime(days["reading_date_local"])
    table = pd.DataFrame({"month": day.dt.to_period("M"), "day": day.dt.day, "share": 100 * share})
    grid = table.pivot_table(index="month", columns="day", values="share").reindex(columns=range(1, 32))
    grid = grid.sort_index().tail(CALENDAR_MONTHS)
    months = list(pd.PeriodIndex(grid.index).strftime("%b %Y"))
    chart = figure(90 + max(9, 15 if len(months) < 24 else 10) * len(months))
    chart.add_heatmap(
        z=grid.to_numpy(),
        x=list(grid.columns),
        y=months,
        zmin=0,
        zmax=100,
        # All there is pale, so that what lacks stands out.
        colorscale=[[0, "#3d4855"], [0.6, MISSING], [0.95, "#c6ced6"], [0.9999, "#dfe8f0"], [1, PALE]],
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{x} %{y}: %{z:.1f} %<extra></extra>",
        colorbar={"thickness": 10, "ticksuffix": " %", "outlinewidth": 0, "tickfont": {"color": MUTED}},
    )
    chart.update_xaxes(title_text="day of the month", tickvals=[1, *range(5, 31, 5)])
    chart.update_yaxes(autorange="reversed", type="category", nticks=20, showgrid=False)
    return chart


def histogram(spread: pd.DataFrame, measure: str, unit: str) -> go.Figure | None:
    """Share of readings by value; a grey bar at an end gathers the few that would stretch the axis."""
    bars = bars_of(spread, measure)
    if not bars.readings:
        return None
    starts, counts, width = list(bars.readings), list(bars.readings.values()), bars.width
    said = [f"{start:,.4g} to {start + width:,.4g}" for start in starts]
    colours = [MEASURED] * len(starts)
    if bars.below:
        said[0], colours[0] = f"less than {starts[1]:,.4g}", MISSING
    if bars.beyond:
        said[-1], colours[-1] = f"{starts[-1]:,.4g} or more", MISSING
    chart = figure(250)
    chart.add_bar(
        x=[start + width / 2 for start in starts],
        y=[100 * readings / sum(counts) for readings in counts],
        width=width * 0.94,
        marker_color=colours,
        customdata=list(zip(said, counts, strict=True)),
        hovertemplate="%{customdata[0]} " + unit + "<br>%{customdata[1]:,} readings, %{y:.2f} %<extra></extra>",
    )
    chart.update_xaxes(title_text=unit)
    chart.update_yaxes(title_text="share of readings", ticksuffix=" %", rangemode="tozero")
    return chart


def heat(hours: pd.DataFrame) -> go.Figure | None:
    """Mean load by hour of the day and weekday."""
    if hours.empty:
        return None
    grid = hours.pivot_table(index="day_of_week", columns="hour_of_day", values="mean_kw")
    grid = grid.reindex(index=range(1, 8), columns=range(24))
    chart = figure(280)
    chart.add_heatmap(
        z=grid.to_numpy(),
        x=[f"{hour:02d}" for hour in grid.columns],
        y=list(WEEKDAYS),
        colorscale=[[0, "#f3f7fa"], [0.5, "#7fb0d3"], [1, "#0d4a78"]],
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{y} %{x}:00: %{z:.3f} kW<extra></extra>",
        colorbar={
            "thickness": 10,
            "outlinewidth": 0,
            "title": {"text": "kW", "side": "top"},
            "tickfont": {"color": MUTED},
        },
    )
    chart.update_yaxes(autorange="reversed", type="category", showgrid=False)
    chart.update_xaxes(title_text="hour of the day", type="category", nticks=12)
    return chart


def reasons(lines: dict[str, int]) -> go.Figure | None:
    """Lines by reason, the commonest first."""
    if not lines:
        return None
    chart = figure(70 + 30 * len(lines))
    chart.add_bar(
        x=list(lines.values()),
        y=[shown(short(words(name), 40)) for name in lines],
        orientation="h",
        marker_color=QUARANTINED,
        text=[number(count) for count in lines.values()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,} lines<extra></extra>",
    )
    chart.update_yaxes(autorange="reversed", type="category", showgrid=False)
    chart.update_xaxes(title_text="lines", showgrid=True, range=[0, 1.18 * max(lines.values())], nticks=6)
    return chart


def steps(done: pd.DataFrame) -> go.Figure | None:
    """Seconds per step in the order of the run, with rows per second."""
    if done.empty:
        return None
    rows = records(done)
    rates = [f" · {number(row['rate'])} rows/s" if row["rate"] else "" for row in rows]
    most = max(row["seconds"] for row in rows)
    chart = figure(70 + 28 * len(rows))
    chart.add_bar(
        x=[row["seconds"] for row in rows],
        y=[shown(row["step"]) for row in rows],
        orientation="h",
        marker_color=MEASURED,
        text=[f"{row['seconds']:,.1f} s{rate}" for row, rate in zip(rows, rates, strict=True)],
        # Beside a long bar there is no room for its words on a phone.
        textposition=["inside" if row["seconds"] > 0.55 * most else "outside" for row in rows],
        insidetextanchor="start",
        cliponaxis=False,
        insidetextfont={"color": "white", "size": 11},
        outsidetextfont={"color": INK, "size": 11},
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    chart.update_yaxes(autorange="reversed", type="category", showgrid=False)
    chart.update_xaxes(title_text="seconds", showgrid=True, rangemode="tozero")
    return chart


def worst_day(days: pd.DataFrame) -> tuple[date, float] | None:
    """The least complete day and its completeness; None without days."""
    if days.empty:
        return None
    share = days["reading_count"] / days["expected_count"]
    place = share.to_numpy().argmin()
    return days["reading_date_local"].iloc[place], float(share.iloc[place])
