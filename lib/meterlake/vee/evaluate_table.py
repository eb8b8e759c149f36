"""The scores of `meterlake vee evaluate` as a table for people, on the screen and in docs/vee.md."""

import math
import re
from datetime import timedelta
from pathlib import Path

from meterlake import text_tables
from meterlake.errors import UsageError
from meterlake.vee.estimate import DEFAULT
from meterlake.vee.estimation_policy import PRESCRIBED, EstimationPolicy
from meterlake.vee.evaluate import BASELINES, CHOSEN, Score

HEADER = (
    "gap",
    "estimate",
    "gaps",
    "MAE, kWh (95 %)",
    "bias",
    "energy of the gap",
    "MAE less than the better baseline's (95 %)",
    "estimated",
)
BEGIN, END = "<!-- generated: meterlake vee evaluate -->", "<!-- end of generated -->"


def rows(scores: list[Score]) -> list[tuple[str, ...]]:
    """The cells below HEADER, one row for each score. A baseline is not compared with the baselines."""
    return [
        (
            told_length(score.length),
            score.estimator + (f": {', '.join(score.used)}" if score.used else ""),
            f"{score.gaps:,}",
            f"{score.mae_kwh:.4f} ({score.mae_range[0]:.4f} to {score.mae_range[1]:.4f})",
            f"{score.bias_pct:+.1f} %",
            f"{score.energy_error_pct:.1f} %",
            "" if score.estimator in BASELINES else _told_gain(score),
            f"{100 * score.estimated:.4g} %",
        )
        for score in scores
    ]


def _told_gain(score: Score) -> str:
    if math.isnan(score.gain_pct):
        return "the baseline does not err"
    return f"{score.gain_pct:.0f} % ({score.gain_range[0]:.0f} to {score.gain_range[1]:.0f})"


def told_length(length: timedelta) -> str:
    """1 interval, 2 h, 3 days."""
    if not length:
        return "1 interval"
    hours = length / timedelta(hours=1)
    return f"{hours / 24:g} day{'s' if hours > 24 else ''}" if hours >= 24 else f"{hours:g} h"


def verdict(scores: list[Score]) -> str:
    """Whether the chosen estimates are better than both baselines at every gap length, in a sentence."""
    behind = [told_length(score.length) for score in scores if score.estimator == CHOSEN and not score.gain_pct > 0]
    if behind:
        return f"A baseline has a mean absolute error as low as the chosen estimate's at: {', '.join(behind)}."
    return "The chosen estimate has a lower mean absolute error than both baselines at every gap length."


def as_text(scores: list[Score]) -> str:
    """Columns of even width."""
    return text_tables.as_text([HEADER, *rows(scores)])


def as_markdown(scores: list[Score]) -> str:
    return text_tables.as_markdown([HEADER, *rows(scores)])


def settings() -> str:
    """Every setting of the estimation policy in Markdown: default, value as prescribed, meaning."""
    lines = ["| setting | default | as prescribed | meaning |", "|---|---|---|---|"]
    for name, field in EstimationPolicy.model_fields.items():
        default, prescribed = (_told_setting(getattr(policy, name)) for policy in (DEFAULT, PRESCRIBED))
        lines.append(f"| `{name}` | {default} | {prescribed if prescribed != default else ''} | {field.description} |")
    return "\n".join(lines)


def _told_setting(value: object) -> str:
    if isinstance(value, timedelta):
        return told_length(value)
    return f"{value}".lower()


def write_block(file: Path, text: str) -> None:
    """Put the text between the marks BEGIN and END of a page; the rest of the page stays.

    Raises:
        UsageError: the page cannot be read or does not hold the marks, each once.
    """
    try:
        page = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}); name a page that is there.") from None
    if page.count(BEGIN) != 1 or len(found := re.findall(f"{BEGIN}.*?{END}", page, re.DOTALL)) != 1:
        raise UsageError(
            f"{file} does not hold the marks {BEGIN!r} and {END!r} once; add them where the table belongs."
        )
    file.write_text(page.replace(found[0], f"{BEGIN}\n{text}\n{END}"), encoding="utf-8")
