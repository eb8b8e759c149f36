"""The pages: each reads what its address asks for, asks the lake or the marts, and fills a template."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from flask import render_template, request

from meterlake.errors import NothingYet, UsageError
from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.report import plots, sankey, sections, series, timelines
from meterlake.report.data import Facts, records
from meterlake.settings import Settings
from meterlake.sources.catalog import sources
from meterlake.sources.source import Source
from meterlake.tables.reader import Lake
from meterlake.ui import asked, charts, meters, overview, quarantine, runs, visits

LAST_RUNS, WORST, TO_INSPECT = 6, 8, 10
WINDOWS = (1, 7, 31)  # days of readings in one chart
MOST_LISTED = 1500


@dataclass(frozen=True)
class Home:
    """Where the pages read."""

    settings: Settings
    lake: Lake

    def sources(self) -> dict[str, Source]:
        """The sources that something ran for and that are still declared, the latest first."""
        declared = sources(self.settings)
        return {name: declared[name] for name in runs.sources(self.lake) if name in declared}

    def source(self) -> Source:
        """The source that the address names, else the one that ran last.

        Raises:
            UsageError: nothing ran for that one.
        """
        known = self.sources()
        name = asked.text(request.args, "source") or next(iter(known), "")
        if name not in known:
            raise UsageError(f"Nothing ran for a source called {name!r}; choose one of {', '.join(known) or 'none'}.")
        return known[name]


def show_overview(home: Home) -> str:
    source = home.source()
    done = runs.listed(home.lake, source.name, asked.Page(1), LAST_RUNS)
    ledger = runs.ledger(home.lake, source.name)
    try:
        marts, said = _marts(home, source, ledger), ""
    except NothingYet as nothing:
        marts, said = {"tiles": [], "worst": [], "drawn": {}}, str(nothing)
    drawn = marts.pop("drawn")
    return _page(
        home,
        source,
        "overview.html",
        drawn,
        runs=done[:LAST_RUNS],
        said=said,
        balance=sections.balance(ledger),
        **marts,
    )


def _marts(home: Home, source: Source, ledger: dict[str, int]) -> dict[str, Any]:
    """What the overview shows of the marts."""
    by_day = overview.days(home.settings, source.name)
    if by_day.empty:
        raise NothingYet(f"The marts hold no reading of {source.name}; a supply source has none of its own.")
    bucket = "week" if Facts(source, False, {}, 0, by_day).bucket == "week" else "day"  # the marts have no hours
    load = series.load_by_day(by_day, bucket)
    flags = overview.flags(home.settings, source.name, bucket)
    drawn = {
        "consumption": timelines.consumption(load, flags, bucket, sections.clock(source)),
        "completeness": plots.completeness(by_day),
    }
    return {
        "tiles": overview.tiles(home.settings, source.name, by_day, ledger),
        "worst": visits.flagged_days(home.settings, source.name, "", asked.Page(1), WORST)[:WORST],
        "drawn": drawn,
    }


def show_meters(home: Home) -> str:
    source, page = home.source(), asked.page(request.args)
    search = asked.text(request.args, "search").strip()
    order = asked.choice(request.args, "order", tuple(meters.ORDERS))
    rows = meters.of_source(home.settings, source.name, search, order, page)
    many = int(rows[0]["meters"]) if rows else 0
    paging = asked.Paging.of(page, len(rows), many)
    return _page(home, source, "meters.html", {}, rows=rows, search=search, order=order, paging=paging)


def show_meter(home: Home) -> str:
    source, page, meter = home.source(), asked.page(request.args), asked.text(request.args, "meter")
    by_day = meters.days(home.settings, source.name, meter)
    if by_day.empty:
        raise NothingYet(f"The marts hold no meter {meter!r} of {source.name}; look for it on the page Meters.")
    anomalies = meters.anomalies(home.settings, source, meter, page)
    many = int(anomalies[0]["flagged"]) if anomalies else 0
    days = asked.choice(request.args, "days", tuple(map(str, WINDOWS)), "7")
    first, last = _window(by_day["day"].iloc[0], by_day["day"].iloc[-1], int(days))
    readings = meters.readings(home.lake, home.settings, source, meter, first, last)
    drawn = {"days": charts.days(by_day, meters.flagged_days(home.settings, source.name, meter))}
    listed = readings
    if not readings.empty:
        drawn["readings"] = charts.readings(readings, sections.clock(source))
        listed = readings if first == last else readings[readings["flagged"] | (readings["quality"] != "measured")]
    return _page(
        home,
        source,
        "meter.html",
        drawn,
        meter=meter,
        tiles=meters.tiles(by_day, many),
        place=(by_day["region"].iloc[-1], by_day["feeder"].iloc[-1]),
        anomalies=anomalies,
        paging=asked.Paging.of(page, len(anomalies), many),
        suspicions=visits.of_meter(home.settings, source.name, meter),
        window={"first": first, "last": last, "days": int(days), "step": timedelta(days=int(days))},
        windows=WINDOWS,
        qualities=readings["quality"].value_counts().to_dict() if len(readings) else {},
        readings=records(listed.head(MOST_LISTED)),
        left_out=max(0, len(listed) - MOST_LISTED),
    )


def _window(first: date, last: date, days: int) -> tuple[date, date]:
    """So many days from the day that is asked for; without one the last days that there are."""
    start = asked.day(request.args, "day") or last - timedelta(days=days - 1)
    start = min(max(start, first), last)
    return start, start + timedelta(days=days - 1)


def show_anomalies(home: Home) -> str:
    source, page = home.source(), asked.page(request.args)
    kind = asked.choice(request.args, "type", ("", *visits.TYPES))
    rows = visits.flagged_days(home.settings, source.name, kind, page)
    paging = asked.Paging.of(page, len(rows))
    first = visits.inspections(home.settings, source.name, TO_INSPECT) if page.number == 1 else []
    return _page(
        home,
        source,
        "anomalies.html",
        {},
        rows=rows[: asked.ROWS],
        kind=kind,
        kinds=visits.TYPES,
        paging=paging,
        inspections=first,
    )


def show_suspects(home: Home) -> str:
    source, page = home.source(), asked.page(request.args)
    months = visits.months(home.settings, source.name)
    month = asked.day(request.args, "month") or next(iter(months), None)
    rows = visits.suspects(home.settings, source.name, month, page) if month else []
    paging = asked.Paging.of(page, len(rows), int(rows[0]["suspects"]) if rows else 0)
    return _page(home, source, "suspects.html", {}, rows=rows, months=months, month=month, paging=paging)


def show_quarantine(home: Home) -> str:
    source, page = home.source(), asked.page(request.args)
    reason, meter = asked.text(request.args, "reason"), asked.text(request.args, "meter")
    file_id = asked.whole(request.args, "file", 0)
    unparsable = reason == "unparsable"
    if unparsable:
        rows = quarantine.unparsable(home.lake, source.name, page, file_id)
    else:
        rows = quarantine.lines(home.lake, source.name, page, reason, meter, file_id)
    counts = quarantine.by_reason(home.lake, source.name)
    faults = {name: lines for name, lines in counts.items() if name != EXACT_DUPLICATE}
    whole = not (reason or meter or file_id)
    return _page(
        home,
        source,
        "quarantine.html",
        {"reasons": plots.reasons(faults) if whole else None},
        rows=rows[: asked.ROWS],
        counts=counts,
        reason=reason,
        meter=meter,
        file_id=file_id,
        unparsable=unparsable,
        unparsable_lines=runs.ledger(home.lake, source.name).get("unparsable", 0),
        paging=asked.Paging.of(page, len(rows)),
    )


def show_lineage(home: Home) -> str:
    source, page = home.source(), asked.page(request.args)
    rows = runs.listed(home.lake, source.name, page)
    paging, balance = asked.Paging.of(page, len(rows)), sections.balance(runs.ledger(home.lake, source.name))
    return _page(home, source, "lineage.html", {}, rows=rows[: asked.ROWS], paging=paging, balance=balance)


def show_run(home: Home) -> str:
    source, run_id = home.source(), asked.text(request.args, "run")
    steps, batches = runs.steps(home.lake, source.name, run_id), runs.batches(home.lake, source.name, run_id)
    if steps.empty and not batches:
        raise NothingYet(f"No run of {source.name} is called {run_id!r}; choose one on the page Lineage.")
    ledger = runs.added_up(batches)
    files, reasons = runs.files(home.lake, source.name, run_id), runs.reasons(home.lake, source.name, run_id)
    facts = Facts(source, True, ledger, 0, pd.DataFrame(), {"reasons": reasons, "steps": steps})
    return _page(
        home,
        source,
        "run.html",
        {"ledger": sankey.ledger_picture(ledger, reasons), "steps": plots.steps(sections.steps(facts, {}))},
        run_id=run_id,
        balance=sections.balance(ledger),
        ledger_rows=sections.ledger_rows(facts),
        batches=batches,
        files=files[: runs.MOST_FILES],
        more_files=len(files) > runs.MOST_FILES,
        steps=records(steps),
        failures=runs.failures(home.lake, source.name, run_id),
    )


def _page(home: Home, source: Source, template: str, drawn: dict[str, go.Figure | None], **shown: Any) -> str:
    made = {name: chart.to_json() for name, chart in drawn.items() if chart is not None}
    return render_template(
        template, source=source, sources=list(home.sources()), clock=sections.clock(source), charts=made, **shown
    )


PAGES = {
    "overview": "Overview",
    "meters": "Meters",
    "anomalies": "Anomalies",
    "suspects": "Suspects",
    "quarantine": "Quarantine",
    "lineage": "Lineage",
}
ADDRESSES: tuple[tuple[str, str, Callable[[Home], str]], ...] = (
    ("/", "overview", show_overview),
    ("/meters", "meters", show_meters),
    ("/meter", "meter", show_meter),
    ("/anomalies", "anomalies", show_anomalies),
    ("/suspects", "suspects", show_suspects),
    ("/quarantine", "quarantine", show_quarantine),
    ("/lineage", "lineage", show_lineage),
    ("/run", "run", show_run),
)
