"""The commands `quarantine`, `backfill` and `restore`: options in, sentences out."""

import argparse
import getpass
from collections.abc import Callable, Iterable

from pyspark.sql import Row

from meterlake.errors import UsageError
from meterlake.recover.backfill import backfill, dry_run
from meterlake.recover.downstream import ForcedRun
from meterlake.recover.quarantine import Selection, counts, release, shown
from meterlake.recover.record import Request
from meterlake.recover.recovery import Recovered
from meterlake.recover.replay import replay
from meterlake.recover.restore import Restored, restore
from meterlake.run import holding
from meterlake.session import spark_session
from meterlake.settings import Settings
from meterlake.sources.catalog import source_named
from meterlake.tables.store import Store

MOST_DAYS = 60  # lines of a diff that are told; `recovery_diffs` has all


def quarantine(parsed: argparse.Namespace, settings: Settings) -> str:
    """`meterlake quarantine list|show|release|replay`."""
    if parsed.action in ("list", "show"):
        store = Store(spark_session(settings, "meterlake quarantine"), settings)
        if parsed.action == "list":
            return told_counts(counts(store, selection(parsed)))
        return told_lines(shown(store, selection(parsed), parsed.limit))
    if not parsed.source:
        raise UsageError(f"`meterlake quarantine {parsed.action}` needs --source.")
    chosen = selection(parsed)
    if parsed.action == "replay":
        return told(_held(parsed, settings, lambda run: replay(run, _request("replay", parsed))))
    if not (chosen.lines or chosen.rule):
        raise UsageError("`meterlake quarantine release` needs --line or --rule: which lines are valid?")
    if not parsed.reason:
        raise UsageError('`meterlake quarantine release` needs --reason "...": why are these lines valid?')
    return told(_held(parsed, settings, lambda run: release(run, _request("release", parsed), chosen)))


def backfilled(parsed: argparse.Namespace, settings: Settings) -> str:
    """`meterlake backfill`."""
    request = _request("backfill", parsed)
    if parsed.dry_run:
        return told(_held(parsed, settings, lambda run: dry_run(run, request))) + "\nDry run: nothing was changed."
    return told(_held(parsed, settings, lambda run: backfill(run, request)))


def restored(parsed: argparse.Namespace, settings: Settings) -> str:
    """`meterlake restore TABLE`."""
    with holding(settings):
        store = Store(spark_session(settings, "meterlake restore"), settings)
        request = (parsed.reason, parsed.by or getpass.getuser())
        return told_restored(restore(store, parsed.table, request, parsed.version, parsed.timestamp))


def selection(parsed: argparse.Namespace) -> Selection:
    """The options of `quarantine` that say which lines."""
    lines = []
    for text in parsed.line or ():
        try:
            file_id, line_order = map(int, text.split(":"))
        except ValueError:
            raise UsageError(f"--line {text!r} is not FILE:LINE as `meterlake quarantine show` tells it.") from None
        lines.append((file_id, line_order))
    return Selection(parsed.source, parsed.rule, parsed.meter, parsed.first, parsed.last, tuple(lines))


def _request(kind: str, parsed: argparse.Namespace) -> Request:
    first, last = (parsed.first, parsed.last) if kind == "backfill" else (None, None)
    if first and last and first > last:
        raise UsageError(f"--from {first} is after --to {last}.")
    return Request(kind, parsed.reason or "", parsed.by or getpass.getuser(), first, last)


def _held(parsed: argparse.Namespace, settings: Settings, work: Callable[[ForcedRun], Recovered]) -> Recovered:
    """Do the work while no other run holds the home."""
    source = source_named(parsed.source, settings)
    with holding(settings):
        store = Store(spark_session(settings, f"meterlake {parsed.name} {source.name}"), settings)
        return work(ForcedRun(source, settings, store, run_id=parsed.run_id or ""))


def told(done: Recovered) -> str:
    """A recovery for people: figures, then what changed in the marts."""
    figures = ", ".join(f"{int(value):,} {name.replace('_', ' ')}" for name, value in done.figures.items())
    lines = [f"{done.recovery_id}: {figures}", ""]
    if not done.diffs:
        return "\n".join([*lines, "No mart changed."])
    lines.append(
        f"{'mart':<26} {'day':<10} {'added':>8} {'removed':>8} {'changed':>8} {'kWh before':>14} {'kWh after':>14}"
    )
    lines += [
        f"{row.mart:<26} {row.day} {row.rows_added:>8,} {row.rows_removed:>8,} {row.rows_changed:>8,} "
        f"{_kwh(row.kwh_before):>14} {_kwh(row.kwh_after):>14}"
        for row in done.diffs[:MOST_DAYS]
    ]
    if len(done.diffs) > MOST_DAYS:
        lines.append(f"... {len(done.diffs) - MOST_DAYS} more days; ops.recovery_diffs has all.")
    return "\n".join(lines)


def _kwh(energy: object) -> str:
    return "" if energy is None else f"{energy:,.2f}"


def told_counts(rows: Iterable[Row]) -> str:
    lines = [f"{row.source:<18} {row.rule:<26} {row.day or 'no day'!s:<10} {row.lines:>12,}" for row in rows]
    head = f"{'source':<18} {'rule':<26} {'day':<10} {'lines':>12}"
    return "\n".join([head, *lines]) if lines else "Nothing is quarantined."


def told_lines(rows: Iterable[Row]) -> str:
    lines = []
    for row in rows:
        place = f"{row.source_file} data line {row.data_line}"
        lines += [f"{row.file_id}:{row.line_order}  {place}  {'; '.join(row.reasons)}", f"    {row.line}"]
    return "\n".join(lines) or "Nothing is quarantined."


def told_restored(done: Restored) -> str:
    """What a restore undid, and what follows."""
    lines = [f"{done.table} stands again as in version {done.version}. Undone:"]
    for row in done.undone:
        told = f"  version {row.version} of {row.timestamp:%Y-%m-%d %H:%M:%S}: {row.operation} {row.userMetadata or ''}"
        lines.append(told.rstrip())
    lines += [f"  {source}: {before:,} rows before, {after:,} after" for source, (before, after) in done.rows.items()]
    for step, source in done.steps:
        lines.append(f"{step} of {source} computes again what came in since: meterlake {step} --source {source}")
    for source, batch in done.batches:
        lines.append(f"batch {batch} waits to be staged again: meterlake stage --source {source}")
    return "\n".join([*lines, "The steps after it take the difference up when they run next, or with `meterlake run`."])
