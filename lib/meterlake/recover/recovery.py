"""A recovery from its opening to its close: record, restage, post, recompute, compare, record."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Row

from meterlake.errors import UsageError
from meterlake.recover.downstream import ForcedRun, recompute_and_publish
from meterlake.recover.posting import post
from meterlake.recover.record import Request, closed, end, opened
from meterlake.recover.restage import restage
from meterlake.recover.scope import Scope
from meterlake.run import Outcome, Run

After = Callable[[Run], None]


@dataclass(frozen=True)
class Recovered:
    """What a recovery did: its figures, and its rows of `recovery_diffs`."""

    recovery_id: str
    figures: dict[str, float]
    diffs: list[Row]


def recover(
    run: ForcedRun,
    request: Request,
    scope_of: Callable[[Run], tuple[Scope, dict[str, float]]],
    after: After = recompute_and_publish,
) -> Recovered:
    """Do what `request` asks for. Killed anywhere, the same command goes on where it stood.

    Args:
        scope_of: finds what to judge again, with figures about how; whatever it writes it may write twice.
        after: the steps that follow silver.
    """
    record = opened(run, request)
    figures: dict[str, float] = {}

    def step(_: Run) -> Outcome:
        scope, found = scope_of(run)
        done = restage(run, scope, record.recovery_id, request.kind)
        entry = post(run, record.recovery_id)
        figures.update(found | done.figures)
        if request.kind == "backfill":
            run.forced = done.changes
        moved = f"{entry.current:+,} current, {entry.quarantined:+,} quarantined" if entry else "nothing"
        said = [f"{done.lines:,} lines judged again, {done.corrections:,} readings changed; the ledger posts {moved}."]
        return Outcome(rows_in=done.lines, rows_out=done.current, figures=dict(figures), said=said)

    try:
        run.perform(request.kind, step)
    except UsageError:
        end(run, record, "refused", figures)
        raise
    after(run)
    return Recovered(record.recovery_id, figures, closed(run, record, figures))
