"""Recompute a period from bronze with today's code and declarations; or show first what that would change."""

from datetime import date

from meterlake.recover.downstream import ForcedRun, recompute, recompute_and_publish
from meterlake.recover.record import Request
from meterlake.recover.recovery import After, Recovered, recover
from meterlake.recover.rehearsal import rehearsal
from meterlake.recover.scope import Scope
from meterlake.run import Run


def backfill(run: ForcedRun, request: Request, after: After = recompute_and_publish) -> Recovered:
    """Judge all lines of the period again and recompute everything that depends on it.

    Each table changes in one commit of its own, and the stores by a swap: readers see the old rows or the new ones.
    """
    return recover(run, request, lambda run: (_period(run, request.first, request.last), {}), after)


def dry_run(run: ForcedRun, request: Request) -> Recovered:
    """The same on shallow copies of the tables, up to the marts; they are removed again, nothing else is touched."""
    with rehearsal(run) as rehearsed:
        return backfill(rehearsed, request, recompute)


def _period(run: Run, first: date | None, last: date | None) -> Scope:
    if first is None and last is None:
        return Scope(run.source.name)
    return Scope(run.source.name, first or date(1970, 1, 2), last or date(9999, 12, 1))
