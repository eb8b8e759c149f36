"""The steps after a recovery: they recompute what changed, and what the recovery tells them to."""

from dataclasses import dataclass

from meterlake.run import Run
from meterlake.tables.changes import Changes
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.table import Table

FORCED_STEPS = ("vee", "aggregate", "marts")


@dataclass
class ForcedRun(Run):
    """A run whose steps compute the forced meter-days again although no row changed there: their code may have."""

    forced: Changes | None = None

    def changes(self, step: str, table: Table) -> Changes:
        found = super().changes(step, table)
        return self._with_forced(found) if step in FORCED_STEPS else found

    def changes_since(self, version: int | None, table: Table) -> Changes:
        found = super().changes_since(version, table)
        return self._with_forced(found) if table is INT_CONSUMPTION_FEATURES else found

    def _with_forced(self, found: Changes) -> Changes:
        return found if self.forced is None else found.or_in(self.forced)


def recompute(run: Run) -> None:
    """Silver -> marts, the findings and estimates of silver first."""
    from meterlake import steps

    run.perform("vee", steps.vee)
    _silver_to_marts(run)


def recompute_and_publish(run: Run) -> None:
    """Silver -> marts -> stores, with the gates between, as in a whole run.

    Raises:
        GateFailed: what was recomputed does not pass; it is kept and not published.
    """
    from meterlake import steps

    run.perform("vee", steps.vee)
    run.perform("validate_staging", steps.validate("staging_readings"))
    _silver_to_marts(run)
    run.perform("validate_marts", steps.validate("marts_metrics"))
    run.perform("publish", steps.publish)


def _silver_to_marts(run: Run) -> None:
    from meterlake import steps

    run.perform("aggregate", steps.aggregate)
    run.perform("score", steps.score)
    run.perform("marts", steps.marts)
