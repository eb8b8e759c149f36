"""Forecast against what came, with its band: days of a backtest, each as forecast at the end of the day before."""

from pathlib import Path

import numpy as np

from meterlake.forecast.backtest import NAIVE, Backtest
from meterlake.report.look import ANOMALY, GRID, INK, MEASURED, MISSING, MUTED, PALE

DAYS = 14


def draw(of: Backtest, title: str, file: Path) -> Path:
    """Write the last DAYS of a day-ahead backtest as PNG."""
    from matplotlib.dates import DateFormatter, DayLocator  # takes seconds; without pyplot it needs no display
    from matplotlib.figure import Figure

    shown = np.flatnonzero(of.origin > of.origin.max() - DAYS)
    shown = shown[np.argsort(of.hour[shown])]
    time = of.hour[shown].astype("datetime64[m]")
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots()
    axes.fill_between(time, of.band[shown, 0], of.band[shown, -1], color=PALE, lw=0, label="10-90 band")
    axes.plot(time, of.points[NAIVE][shown], color=MISSING, lw=0.9, ls=":", label="same hour last week")
    axes.plot(time, of.band[shown, 1], color=MEASURED, lw=1.4, label="forecast, median")
    axes.plot(time, of.kwh[shown], color=ANOMALY, lw=1.1, label="metered")
    axes.set_title(title, loc="left", color=INK, fontsize=12)
    axes.set_ylabel("kWh per hour", color=MUTED)
    axes.set_xlabel("UTC; each day forecast at the end of the day before", color=MUTED)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(DayLocator())
    axes.xaxis.set_major_formatter(DateFormatter("%d %b"))
    axes.legend(loc="upper left", frameon=False, ncols=4, fontsize=9)
    axes.grid(axis="y", color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=MUTED)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100, metadata={"Software": None})
    return file
