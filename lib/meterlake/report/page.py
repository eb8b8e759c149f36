"""One self-contained HTML page per run: what came in, where it went, what it says, and where to look."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Required, TypedDict

import plotly.graph_objects as go
from jinja2 import DictLoader, Environment, StrictUndefined
from plotly.offline import get_plotlyjs

from meterlake import __version__
from meterlake.errors import Unreachable
from meterlake.report import forecast_shown, losses, plots, sankey, sections, timelines
from meterlake.report.data import Facts, collect
from meterlake.report.look import COLOURS, FONT, figures, file_name, instant, number, percent, words
from meterlake.serving.endpoint import STORES, endpoint
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.store import Store

TEMPLATES = ("page.html.j2", "page.css.j2", "page.js")


class StepDone(TypedDict):
    step: str
    seconds: float
    rows_in: int
    rows_out: int


class Summary(TypedDict, total=False):
    """What a run knows of itself and no table holds.

    Attributes:
        seconds: duration of the whole run; without it the sum of its steps.
        input: what was delivered, as the user named it.
        steps: every step that ran, also those that found nothing new and left no marker in `ops.runs`.
        said: sentences for the reader: alerts, files left out, columns not read.
        places: further places to look by name, for instance Data Docs.
    """

    run_id: Required[str]
    seconds: float
    input: str
    steps: list[StepDone]
    said: list[str]
    places: dict[str, str]


def write_report(store: Store, source: Source, summary: Summary, settings: Settings) -> Path:
    """Write `<home>/reports/<run_id>.html` and its copy `latest.html`; returns the first.

    Raises:
        Unreachable: the folder cannot be written.
    """
    facts = collect(store, source, summary["run_id"], steps_known=bool(summary.get("steps")))
    html = render(facts, summary, settings)
    folder = settings.folder("reports")
    target = folder / f"{summary['run_id']}.html"
    try:
        for path in (target, folder / "latest.html"):
            scratch = path.with_suffix(".part")
            scratch.write_text(html, encoding="utf-8")
            os.replace(scratch, path)
    except OSError as error:
        raise Unreachable(
            f"{target} cannot be written ({error.strerror}); make room or choose another --home."
        ) from None
    return target


def render(facts: Facts, summary: Summary, settings: Settings) -> str:
    """The page as text. Everything from data passes through autoescape or, in charts, through plotly's safe JSON."""
    ours = files("meterlake.report")
    loader = DictLoader({name: ours.joinpath(name).read_text(encoding="utf-8") for name in TEMPLATES})
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters.update(
        number=number, percent=percent, figures=figures, words=words, instant=instant, file_name=file_name
    )
    charts = {name: chart for name, chart in _charts(facts, summary).items() if chart is not None}
    return page.get_template(TEMPLATES[0]).render(
        run_id=summary["run_id"],
        input=summary.get("input", ""),
        said=summary.get("said", []),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        facts=facts,
        source=facts.source,
        head=sections.headline(facts, summary),
        places=_places(summary, settings),
        versions=_versions(),
        measures=sections.MEASURES,
        colours=COLOURS,
        font=FONT,
        plotly_js=get_plotlyjs(),
        charts={name: chart.to_json() for name, chart in charts.items()},
        heights={name: chart.layout.height for name, chart in charts.items()},
        **sections.all_of(facts, summary),
    )


def _charts(facts: Facts, summary: Summary) -> dict[str, go.Figure | None]:
    clock = sections.clock(facts.source)
    return {
        "ledger": sankey.ledger_picture(facts.ledger, facts["reasons"]),
        "completeness": plots.completeness(facts.days),
        "consumption": timelines.consumption(facts["load"], facts["flagged"], facts.bucket, clock),
        "forecast": forecast_shown.picture(facts["forecast_elements"], facts["forecast"], clock),
        "losses": losses.picture(facts["losses_by_day"]),
        "suspects": timelines.suspects(facts["suspects"]),
        "heat": plots.heat(facts["heat"]),
        "reasons": plots.reasons(sections.lines_by_reason(facts["reasons"])),
        "steps": plots.steps(sections.steps(facts, summary)),
        **{name: plots.histogram(facts["spread"], name, unit) for name, (_, unit) in sections.MEASURES.items()},
    }


def _places(summary: Summary, settings: Settings) -> list[tuple[str, str]]:
    """Where to look further, as (what, where). Passwords stay in their files."""
    places = [("Lake (Delta tables)", settings.lake_root), ("Reports", str(settings.home / "reports"))]
    for name in STORES:
        at = endpoint(settings, name)
        places.append(
            (f"{at.title} (reader {at.reader})", at.jdbc_url if at.running else f"{at.jdbc_url} (not running now)")
        )
    if any(endpoint(settings, name).embedded for name in STORES):
        places.append(("Passwords of the embedded stores", str(settings.home / "secrets")))
    places.append(("MLflow", settings.tracking_uri))
    return places + list(summary.get("places", {}).items())


def _versions() -> list[tuple[str, str]]:
    known = [("meterlake", __version__), ("Python", platform.python_version())]
    for title, package in (("Spark", "pyspark"), ("Delta Lake", "delta-spark"), ("scikit-learn", "scikit-learn")):
        try:
            known.append((title, version(package)))
        except PackageNotFoundError:
            continue
    return known
