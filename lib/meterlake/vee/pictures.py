"""Days of generated meters before and after estimation: what was used, what was delivered, what was estimated."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from meterlake.report.look import ANOMALY, GRID, INK, MEASURED, MISSING, MUTED
from meterlake.sources.generate_shapes import block
from meterlake.vee.daytypes import EPOCH, kinds
from meterlake.vee.delivered import MeterSeries
from meterlake.vee.estimate import METHODS, Estimated
from meterlake.vee.estimation_policy import EstimationPolicy
from meterlake.vee.evaluate import Masked, by_policy, intervals_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL_MINUTES, SEED, DAYS = 30, 1, 60
FIRST_DAY = date(2024, 1, 1).toordinal() - EPOCH


@dataclass(frozen=True)
class Scene:
    """One picture: a generated meter, and the hole in its day `day` (counted from FIRST_DAY)."""

    file: str
    title: str
    meter: int
    day: int
    begins: timedelta
    length: timedelta
    with_register: bool = False


SCENES = (
    Scene("vee-hour.png", "1 h missing: a straight line", 0, 30, timedelta(hours=17), timedelta(hours=1)),
    Scene(
        "vee-six-hours.png",
        "6 h missing: like days, joined at the edges",
        4,
        31,
        timedelta(hours=7),
        timedelta(hours=6),
    ),
    Scene("vee-day.png", "A day missing under a register", 12, 30, timedelta(0), timedelta(days=1), with_register=True),
)


def draw(out: Path) -> list[Path]:
    """Write the pictures into a folder, which is made when it is missing; the files written."""
    from matplotlib.figure import Figure  # takes seconds; without pyplot it needs no display

    out.mkdir(parents=True, exist_ok=True)
    written = []
    for scene in SCENES:
        masked, made = estimated(scene)
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        before, after = figure.subplots(2, 1, sharex=True, sharey=True)
        figure.suptitle(scene.title, x=0.01, ha="left", color=INK, fontsize=12)
        _draw_before(before, masked, scene)
        _draw_after(after, masked, made, scene)
        figure.savefig(out / scene.file, dpi=110, metadata={"Software": None})
        written.append(out / scene.file)
    return written


def estimated(scene: Scene) -> tuple[Masked, Estimated]:
    """The scene's meter with its hole, and what the pipeline makes of it."""
    slots = 1440 // INTERVAL_MINUTES
    day = FIRST_DAY + np.arange(DAYS)
    kwh = np.round(block(SEED, 0.0, np.full(DAYS, scene.meter), day, INTERVAL_MINUTES).kwh.reshape(-1), 4)
    series = MeterSeries(
        "", kwh, np.repeat(day, slots).astype(np.int32), np.tile(np.arange(slots), DAYS).astype(np.int16)
    )
    start = np.array([scene.day * slots + scene.begins // timedelta(minutes=INTERVAL_MINUTES)])
    length = intervals_in(scene.length, INTERVAL_MINUTES)
    masked = Masked(series, start, length, kinds(series.local_day), INTERVAL_MINUTES)
    return masked, by_policy(EstimationPolicy(), scene.with_register)(masked)


def _draw_before(axes: "Axes", masked: Masked, scene: Scene) -> None:
    hours, shown = _shown(masked, scene)
    _look(axes, "delivered")
    axes.step(hours, masked.left[shown], where="post", color=MEASURED)
    first, last = hours[masked.start[0] - shown.start], hours[masked.start[0] - shown.start + masked.length]
    axes.axvspan(first, last, color=MISSING, alpha=0.18, lw=0)
    axes.text((first + last) / 2, axes.get_ylim()[1] * 0.92, "missing", color=MUTED, ha="center", va="top")


def _draw_after(axes: "Axes", masked: Masked, made: Estimated, scene: Scene) -> None:
    hours, shown = _shown(masked, scene)
    _look(axes, "estimated")
    hole = masked.hole[0]
    truth, values = masked.series.kwh[hole], made.values[hole]
    axes.step(hours, masked.left[shown], where="post", color=MEASURED, label="measured")
    edge = slice(hole[0] - shown.start, hole[-1] - shown.start + 2)
    for kwh, colour, style, label in (
        (truth, MISSING, ":", "true"),
        (values, ANOMALY, "-", METHODS[made.method[hole[0]]].replace("_", " ")),
    ):
        axes.step(hours[edge], np.append(kwh, kwh[-1]), where="post", color=colour, ls=style, label=label)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.97), frameon=False, ncols=3, fontsize=9)
    axes.set_xlabel(f"energy of the gap: true {truth.sum():.2f} kWh, estimated {values.sum():.2f} kWh", color=MUTED)


def _shown(masked: Masked, scene: Scene) -> "tuple[np.ndarray, slice]":
    """Hours of the day from six before midnight to six after the next one, and those intervals of the series."""
    slots, margin = 1440 // INTERVAL_MINUTES, 360 // INTERVAL_MINUTES
    shown = slice(scene.day * slots - margin, (scene.day + 1) * slots + margin)
    return (np.arange(shown.start, shown.stop) - scene.day * slots) * INTERVAL_MINUTES / 60, shown


def _look(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", color=MUTED, fontsize=9)
    axes.set_ylabel("kWh per half-hour", color=MUTED, fontsize=9)
    axes.set_xticks(range(-6, 31, 6), [f"{hour % 24}:00" for hour in range(-6, 31, 6)])
    axes.set_xlim(-6, 30)
    axes.grid(axis="y", color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=MUTED)
