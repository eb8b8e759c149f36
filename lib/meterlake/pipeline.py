"""A whole run, or one step of it, from parsed arguments."""

import argparse
import logging
import time
from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING

from meterlake import headstart
from meterlake.errors import GateFailed, UsageError
from meterlake.object_store import is_s3
from meterlake.run import Run, holding, told
from meterlake.settings import Settings
from meterlake.sources.catalog import source_named, supply_sources
from meterlake.sources.delivery import bytes_of, files_of
from meterlake.tables.store import Store

if TYPE_CHECKING:
    from meterlake.anomaly.labels import Inspections

log = logging.getLogger("meterlake")


def whole_run(parsed: argparse.Namespace, settings: Settings) -> int:
    """Every step on one delivery. The report is written also when a gate fails, to show why.

    Raises:
        MeterlakeError: see errors.py; its exit code says which kind.
    """
    source = source_named(parsed.source, settings)
    text_bytes = _text_bytes(parsed, settings)  # a wrong path is told before Spark starts
    with holding(settings):
        began = time.monotonic()
        run = _run(parsed, settings, text_bytes)
        headstart.imports()
        from meterlake import steps

        log.info("run %s of source %s; Spark took %.1f s to start", run.run_id, source.name, time.monotonic() - began)
        loaded = run.perform("ingest", steps.ingest)
        publishes = not loaded.nothing_new and source.name not in supply_sources(settings)
        with headstart.serving(settings) if publishes else nullcontext():
            _after_ingest(run, parsed)
        log.info("%s", summary(run, time.monotonic() - began))
    return 0


def _after_ingest(run: Run, parsed: argparse.Namespace) -> None:
    from meterlake import steps

    try:
        run.perform("validate_raw", steps.validate("raw_readings"))
        run.perform("stage", steps.stage)
        run.perform("vee", steps.vee)
        run.perform("validate_staging", steps.validate("staging_readings"))
        run.perform("aggregate", steps.aggregate)
        run.perform("train", steps.train(again=parsed.retrain))
        run.perform("score", steps.score)
        run.perform("marts", steps.marts)
        run.perform("validate_marts", steps.validate("marts_metrics"))
        run.perform("publish", steps.publish)
    except GateFailed:
        run.perform("report", steps.report)
        raise
    run.perform("report", steps.report)


def one_step(parsed: argparse.Namespace, settings: Settings) -> int:
    """The step that the command names."""
    labels = _labels(parsed)  # a wrong file is told before Spark starts
    with holding(settings):
        run = _run(parsed, settings, _text_bytes(parsed, settings))
        from meterlake import steps

        name, step = parsed.name, getattr(steps, parsed.name)
        if name == "validate":
            name, step = f"validate_{parsed.suite.split('_')[0]}", step(parsed.suite)
        elif name == "train":
            step = step(again=not parsed.if_none, challenger=parsed.challenger, labels=labels)
        elif name == "forecast":
            step = step(parsed.level)
        run.perform(name, step)
    return 0


def _labels(parsed: argparse.Namespace) -> "Inspections | None":
    file = getattr(parsed, "labels", None)
    if file is None:
        return None
    if parsed.if_none:
        raise UsageError("--labels and --if-none exclude each other: what is taught is a new model.")
    from meterlake.anomaly.labels import read, require_enough

    found = read(file)
    require_enough(found)
    return found


def _run(parsed: argparse.Namespace, settings: Settings, text_bytes: int | None) -> Run:
    source = source_named(parsed.source, settings)
    starting = headstart.session(settings, f"meterlake {parsed.name} {source.name}", text_bytes)
    import_module("meterlake.steps")  # scikit-learn and more; not at the top, so that Spark starts meanwhile
    return Run(
        source=source,
        settings=settings,
        store=Store(starting.result(), settings),
        input=getattr(parsed, "input", ""),
        meter=getattr(parsed, "meter", None),
        first=getattr(parsed, "first", None),
        last=getattr(parsed, "last", None),
        run_id=parsed.run_id or "",
    )


def _text_bytes(parsed: argparse.Namespace, settings: Settings) -> int | None:
    """Size of the delivery; None for a step that takes none."""
    if not getattr(parsed, "input", ""):
        return None
    if is_s3(parsed.input) and not settings.uses_s3:
        raise UsageError(f"{parsed.input} lies in an object store; name its region in [s3] (docs/scaling.md).")
    return bytes_of(files_of(parsed.input, getattr(parsed, "first", None), getattr(parsed, "last", None)))


def summary(run: Run, seconds: float) -> str:
    """The end of a run: what came in and where it went, seconds per step, and where to look."""
    figures = {name: value for done in run.done for name, value in done.outcome.figures.items()}
    lines = ["", f"run {run.run_id} of source {run.source.name} is done in {seconds:.1f} s"]
    lines += [f"  {done.step:<18} {told(done)}" for done in run.done]
    if "lines" in figures:
        parts = ("current", "unparsable", "quarantined", "exact_duplicates", "superseded")
        went = ", ".join(f"{figures[name]:,.0f} {name.replace('_', ' ')}" for name in parts)
        lines.append(f"  {figures['lines']:,.0f} lines: {went}; nothing is lost")
    if "flagged" in figures:
        lines.append(f"  {figures['flagged']:,.0f} readings are flagged as anomalies")
    lines += [f"  {place}" for place in _where_to_look(run)]
    return "\n".join(lines)


def _where_to_look(run: Run) -> list[str]:
    home = run.settings.home
    return [
        f"report     {(home / 'reports' / f'{run.run_id}.html').as_uri()}",
        f"gates      {(home / 'data_docs' / 'index.html').as_uri()}",
        f"tables     {run.settings.lake_root}",
        "stores     `meterlake stores start` keeps PostgreSQL and ClickHouse up and tells their addresses",
    ]
