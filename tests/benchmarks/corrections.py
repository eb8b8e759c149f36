"""A delivery that corrects a share of the meter-days: all their readings again, with another energy."""

from functools import cache
from pathlib import Path

import numpy as np

from meterlake.sources.generate_draws import uniform

METER, TIMESTAMP, ENERGY = 0, 1, 2  # fields of an `ami` line
FACTOR = 0.9  # a corrected reading / the first one


def write(days: Path, out: Path, share: float, seed: int = 1) -> int:
    """Write `out/corrected-DATE.csv` for each day of which a meter is corrected; the number of corrected meter-days.

    The files' names come after those of the days, so that a rebuild from one folder takes them as the later ones.
    """
    out.mkdir(parents=True, exist_ok=True)
    corrected: set[tuple[str, str]] = set()
    for file in sorted(days.glob("*.csv")):
        header, *lines = file.read_text().splitlines()
        chosen = {line: of for line in _good(lines) if _is_chosen(of := _meter_day(line), share, seed)}
        corrected |= set(chosen.values())
        if chosen:
            told = "\n".join([header, *map(_changed, chosen)])
            (out / f"corrected-{file.name}").write_text(told + "\n")
    return len(corrected)


def _good(lines: list[str]) -> list[str]:
    """The first line of each interval, of those that hold a meter, a time of the file's day and an energy."""
    first: dict[tuple[str, str], str] = {}
    for line in lines:
        fields = line.split(",")
        if len(fields) == 9 and fields[METER] and _is_energy(fields[ENERGY]) and len(fields[TIMESTAMP]) == 19:
            first.setdefault((fields[METER], fields[TIMESTAMP]), line)
    return list(first.values())


def _is_energy(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() and 0 < float(text) < 100


def _meter_day(line: str) -> tuple[str, str]:
    fields = line.split(",")
    return fields[METER], fields[TIMESTAMP][:10]


@cache
def _is_chosen(meter_day: tuple[str, str], share: float, seed: int) -> bool:
    meter, day = meter_day
    if not (meter[1:].isdigit() and day[:2] == "20"):
        return False
    number = np.datetime64(day).astype("datetime64[D]").astype(np.int64)
    return bool(uniform(seed, "correction", int(meter[1:]), int(number))[0] < share)


def _changed(line: str) -> str:
    fields = line.split(",")
    fields[ENERGY] = f"{float(fields[ENERGY]) * FACTOR + 0.0002:.4f}"
    return ",".join(fields)
