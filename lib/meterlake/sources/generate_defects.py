"""What is wrong with the delivery of a reading: lost, sent twice, or spoilt on the way. One defect or none."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.sources.generate_draws import Ints, uniform
from meterlake.sources.generate_shapes import Shape

GAP, EXACT, CONFLICT = "gap", "exact_duplicate", "conflicting_duplicate"
# How long a gap lasts and how often.
GAP_MINUTES = (1, 120, 360, 1440, 4320)
GAP_SHARES = (0.60, 0.25, 0.10, 0.04, 0.01)
GAP_DAYS = 3
FUTURE = np.timedelta64(18262, "D")  # 50 years: the time of day stays, so nothing else is wrong with the line
OUT_OF_RANGE_KWH = 150


@dataclass(frozen=True)
class Line:
    """A good line about to be spoilt."""

    fields: list[str]
    shape: Shape
    time: np.datetime64
    interval_minutes: int

    @property
    def energy(self) -> str:
        return self.fields[self.shape.energy_field]

    def with_energy(self, text: str) -> list[str]:
        fields = list(self.fields)
        fields[self.shape.energy_field] = text
        return fields

    def with_time(self, texts: list[str]) -> list[str]:
        fields = list(self.fields)
        fields[self.shape.time_fields] = texts
        return fields


def _unparsable_timestamp(line: Line) -> list[str]:
    texts = line.fields[line.shape.time_fields]
    return line.with_time([*texts[:-1], texts[-1][:-1] + "x"])


def _negative_energy(line: Line) -> list[str]:
    return line.with_energy(f"-{line.energy}" if float(line.energy) else "-0.5000")


def _out_of_range(line: Line) -> list[str]:
    return line.with_energy(f"{OUT_OF_RANGE_KWH * line.shape.per_kwh + float(line.energy):.3f}")


def _off_cadence(line: Line) -> list[str]:
    """A third of an interval late."""
    return line.with_time(line.shape.stamp(line.time + np.timedelta64(line.interval_minutes * 20, "s")))


# Each makes the fields of the bad line that REPLACES the good one: the interval is lost.
BAD: dict[str, Callable[[Line], list[str]]] = {
    "unparsable_number": lambda line: line.with_energy("ERR"),
    "unparsable_timestamp": _unparsable_timestamp,
    "too_few_fields": lambda line: line.fields[: len(line.fields) // 2],
    "too_many_fields": lambda line: [*line.fields, "extra"],
    "negative_energy": _negative_energy,
    "out_of_range": _out_of_range,
    "future_timestamp": lambda line: line.with_time(line.shape.stamp(line.time + FUTURE)),
    "off_cadence": _off_cadence,
    "missing_meter": lambda line: ["", *line.fields[1:]],
}
# A code of `drawn` is an index into this; 0 is a reading without defect.
KINDS = ("", GAP, EXACT, CONFLICT, *BAD)


def drawn(seed: int, rates: dict[str, float], meter: Ints, day: Ints, interval_minutes: int) -> NDArray[np.int8]:
    """The defect of each reading as an index into KINDS, (n, k). `rates`: share of intervals by kind."""
    intervals = 1440 // interval_minutes
    luck = uniform(seed, "defect", meter, day, count=intervals)
    kinds = [kind for kind in KINDS if kind not in ("", GAP) and rates.get(kind, 0.0) > 0]
    bounds = np.cumsum([rates[kind] for kind in kinds])
    codes = np.zeros(luck.shape, dtype=np.int8)
    if kinds:
        hit = luck < bounds[-1]
        numbers = np.array([KINDS.index(kind) for kind in kinds], dtype=np.int8)
        codes[hit] = numbers[np.searchsorted(bounds, luck[hit], side="right")]
    codes[_gaps(seed, rates.get(GAP, 0.0), meter, day, interval_minutes)] = KINDS.index(GAP)
    return codes


def _gaps(seed: int, rate: float, meter: Ints, day: Ints, interval_minutes: int) -> NDArray[np.bool_]:
    """Where nothing arrives, (n, k). A gap may have begun up to three days before."""
    intervals = 1440 // interval_minutes
    lengths = np.array([max(1, minutes // interval_minutes) for minutes in GAP_MINUTES])
    begins = rate * intervals / float(lengths @ np.array(GAP_SHARES))
    missing = np.zeros((len(day), intervals), dtype=bool)
    for ago in range(GAP_DAYS + 1):
        draw = uniform(seed, "gap", meter, day - ago, count=3)
        length = lengths[np.searchsorted(np.cumsum(GAP_SHARES[:-1]), draw[:, 2], side="right")]
        first = (draw[:, 1] * intervals).astype(np.int64) - ago * intervals
        rows = np.flatnonzero((draw[:, 0] < begins) & (first + length > 0))
        index = np.arange(intervals)
        missing[rows] |= (index >= first[rows, None]) & (index < (first + length)[rows, None])
    return missing
