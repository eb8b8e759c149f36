"""Drift in a run: a verdict for each column that the champion watches, and one sentence when training is due.

Nothing is trained by itself: readings may have moved because the meters are wrong.
"""

from collections.abc import Sequence

from meterlake.anomaly.counted import Counted, total
from meterlake.anomaly.drift import LARGE, Shift, shifts, training_is_due
from meterlake.anomaly.registry import ModelVersion
from meterlake.run import Run

SUITE = "model_drift"


def watch(run: Run, champion: ModelVersion, counted: Counted) -> list[str]:
    """Keep the verdicts on the readings that were scored; what a person should know of them."""
    reference = champion.model.reference
    if reference is None:
        return [f"{champion.label} was trained before drift was watched; a model that is trained from now on can be."]
    found = shifts(reference, total(counted, reference))
    run.keep(
        [
            run.verdict(SUITE, expectation(shift), "warning", not shift.large, f"{shift.told} ({champion.label})")
            for shift in found
        ]
    )
    return advice(champion.label, run.source.name, found)


def expectation(shift: Shift) -> str:
    return f"The population stability index of {shift.name} against training is at most {LARGE}"


def advice(label: str, source: str, found: Sequence[Shift]) -> list[str]:
    """When training is due: why, and by which command."""
    due = training_is_due(found)
    if due is None:
        return []
    return [
        f"Train again: the readings have moved away from those of {label} ({due}); look at the data, then "
        f"`meterlake train --challenger --source {source}`."
    ]
