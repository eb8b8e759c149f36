"""Drift in a run: a verdict for each column that the champion watches, and one sentence when training is due.

Nothing is trained by itself: readings may have moved because the meters are wrong.
"""

from collections.abc import Sequence

from meterlake.anomaly.counted import Counted, total
from meterlake.anomaly.drift import DAYS, FEWEST_ROWS, LARGE, READINGS, Grain, Reference, Shift, shifts, training_is_due
from meterlake.anomaly.registry import ModelVersion
from meterlake.run import Run


def watch(run: Run, champion: ModelVersion, readings: Counted, days: Counted) -> list[str]:
    """Keep the verdicts on the readings and on the whole days that were judged; what a person should know of them."""
    model = champion.model
    said = _watched(run, champion.label, READINGS, model.reference, readings)
    # What was learnt from fewer days than a verdict takes is too little to compare with.
    if model.days and model.days.days >= FEWEST_ROWS:
        said += _watched(run, champion.label, DAYS, model.days.reference, days)
    return said


def _watched(run: Run, label: str, grain: Grain, reference: Reference | None, counted: Counted) -> list[str]:
    if reference is None:
        return [
            f"{label} was trained before the drift of {grain.rows} was watched; a model that is trained from now on "
            "can be."
        ]
    found = shifts(reference, total(counted, reference), grain)
    run.keep(
        [
            run.verdict(grain.suite, expectation(shift), "warning", not shift.large, f"{shift.told} ({label})")
            for shift in found
        ]
    )
    return advice(label, run.source.name, found)


def expectation(shift: Shift) -> str:
    return f"The population stability index of {shift.name} against training is at most {LARGE}"


def advice(label: str, source: str, found: Sequence[Shift]) -> list[str]:
    """When training is due: why, and by which command."""
    due = training_is_due(found)
    if due is None:
        return []
    return [
        f"Train again: the {found[0].grain.rows} have moved away from those of {label} ({due}); look at the data, then "
        f"`meterlake train --challenger --source {source}`."
    ]
