"""Champion and challenger at the same faults: who is to score."""

import math
from dataclasses import dataclass

from meterlake.anomaly.evaluation.detectors import Detector, given
from meterlake.anomaly.evaluation.evaluate import OVERALL, Setup, evaluate
from meterlake.anomaly.evaluation.population import Households
from meterlake.anomaly.evaluation.tables import as_range
from meterlake.anomaly.registry import ModelVersion
from meterlake.resampled import Figure
from meterlake.settings import Model


@dataclass(frozen=True)
class Contest:
    """The precision of their flags by meter-day, at all kinds of fault together; NaN where nothing is flagged."""

    champion: str
    challenger: str
    of_champion: Figure
    of_challenger: Figure

    @property
    def lost(self) -> bool:
        """Whether the challenger is less precise, or flags nothing where the champion flags something."""
        return not math.isnan(self.of_champion.value) and not self.of_challenger.value >= self.of_champion.value

    @property
    def told(self) -> str:
        return (
            f"at the same faults the precision of {self.challenger} is {as_range(self.of_challenger)} and that of "
            f"{self.champion} {as_range(self.of_champion)}"
        )


def contest(champion: ModelVersion, challenger: ModelVersion, households: Households, conf: Model) -> Contest:
    """Judge both as they are, by the test households and faults of `meterlake anomaly evaluate`.

    Raises:
        TooShort: no fault fits into the series.
    """
    both = champion, challenger
    detectors = tuple(Detector(one.label, given(one.model), one.model.calibration.threshold) for one in both)
    rows = evaluate(households, conf, Setup(), detectors).rows
    found = {row.detector: row.merit.precision for row in rows if row.kind == OVERALL}
    return Contest(champion.label, challenger.label, *(found[one.label] for one in both))
