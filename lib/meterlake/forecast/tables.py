"""What `meterlake forecast evaluate` found, for people: on the screen and in docs/forecast.md."""

from collections.abc import Callable
from datetime import date, timedelta

from meterlake.forecast.backtest import BOOSTING, FOUR_WEEKS, NAIVE, REFIT_DAYS, Backtest
from meterlake.forecast.measure import ORIGINS_TOGETHER, band, merits
from meterlake.resampled import Figure
from meterlake.text_tables import Lines

HEADER = ("horizon", "method", "MAE, kWh", "WAPE", "MAPE of larger hours", "the model errs less by (95 %)")
BAND_HEADER = ("horizon", "pinball loss, kWh", "10-90 band holds (95 %)", "truth below it", "truth above it")


def points(of: list[Backtest], seed: int) -> Lines:
    """A line for each method and block."""
    lines: Lines = [HEADER]
    for one in of:
        for row in merits(one, seed):
            margin = "" if row.method == BOOSTING else _range(row.skill)
            lines.append((_hours(one), row.method, f"{row.mae:.4g}", f"{row.wape:.1%}", f"{row.mape:.1%}", margin))
    return lines


def bands(of: list[Backtest], seed: int) -> Lines:
    """A line for each block."""
    lines: Lines = [BAND_HEADER]
    for one in of:
        found = band(one, seed)
        shares = (f"{share:.1%}" for share in (found.below, found.above))
        lines.append((_hours(one), f"{found.pinball:.4g}", _range(found.coverage), *shares))
    return lines


def verdict(of: list[Backtest], seed: int) -> str:
    """Whether the model beats the seasonal naive forecast and the mean of four weeks, block by block."""
    told = []
    for one in of:
        skill = {row.method: row.skill for row in merits(one, seed)}
        words = [
            f"{_against(skill[name])} {words}"
            for name, words in ((NAIVE, "seasonal naive"), (FOUR_WEEKS, "the mean of four weeks"))
        ]
        told.append(f"{one.block.name}: the model {' and '.join(words)}")
    return "; ".join(told) + "."


def made_by(of: list[Backtest], what: str, seed: int) -> str:
    """The command and what it judged."""
    one = of[0]
    first, last = (date(1970, 1, 1) + timedelta(days=int(day)) for day in (one.origin.min(), one.origin.max()))
    return (
        f"`meterlake forecast evaluate {what}`: an origin at the end of each local day from {first} to {last}, "
        f"{', '.join(f'{len(each.kwh):,} hours {each.block.name}' for each in of)}; models fitted anew every "
        f"{REFIT_DAYS} days ({one.refits} times each); mean hour {one.kwh.mean():.4g} kWh. "
        f"Ranges: bootstrap over groups of {ORIGINS_TOGETHER} origins, seed {seed}."
    )


def whole(of: list[Backtest], what: str, seed: int, written: Callable[[Lines], str]) -> str:
    """All of it."""
    return "\n\n".join(
        (made_by(of, what, seed), verdict(of, seed), written(points(of, seed)), written(bands(of, seed)))
    )


def _against(skill: Figure) -> str:
    if skill.low > 0:
        return f"beats by {_range(skill)}"
    return f"does not beat ({_range(skill)})"


def _hours(of: Backtest) -> str:
    return f"{of.block.name}, {of.block.first_h}-{of.block.last_h} h"


def _range(figure: Figure) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"
