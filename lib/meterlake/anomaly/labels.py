"""Results of past inspections: a CSV with the columns meter_id, date and theft."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meterlake.errors import InputError, UsageError

COLUMNS = ("meter_id", "date", "theft")
SAID = {"yes": True, "1": True, "true": True, "no": False, "0": False, "false": False}
# Meters of each result: five folds then hold four, and a figure on fewer says nothing.
FEWEST = 20
EXPECTED = "give a CSV with the columns meter_id, date (like 2024-01-31) and theft (yes or no)"


@dataclass(frozen=True)
class Inspections:
    """n inspections, sorted by meter and day.

    Attributes:
        meter: (n,) whose; several inspections may be of one meter.
        day: (n,) local day, counted from 1970-01-01.
        theft: (n,) whether it found theft.
    """

    meter: NDArray[np.object_]
    day: NDArray[np.int64]
    theft: NDArray[np.bool_]

    def at(self, rows: NDArray[np.int64]) -> "Inspections":
        return Inspections(self.meter[rows], self.day[rows], self.theft[rows])


class TooFewInspections(UsageError):
    """Not enough inspected meters of each result to learn from and to be judged by."""

    def __init__(self, theft: int, others: int, of_those: str) -> None:
        self.theft, self.others = theft, others
        super().__init__(
            f"Nothing can be learnt from these labels: it takes {FEWEST} meters at which theft was found and {FEWEST} "
            f"at which none was, and there are {theft} and {others}{of_those}; inspect more meters first, those of "
            "mart_inspections and some others."
        )


def read(file: Path) -> Inspections:
    """The inspections of a file; one that is told twice counts once.

    Raises:
        InputError: the file cannot be read, or a line is not an inspection, or two of one meter and day disagree.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise InputError(str(file), f"cannot be read ({str(error).splitlines()[0]})", EXPECTED) from None
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(str(file), f"has no column {', '.join(missing)}", EXPECTED)
    table = table[list(COLUMNS)].apply(lambda column: column.str.strip())
    table["day"], table["said"] = table["date"].map(_day), table["theft"].str.lower().map(SAID)
    wrong = table[(table["meter_id"] == "") | table["day"].isna() | table["said"].isna()]
    if len(wrong):
        line, told = int(wrong.index[0]) + 2, ", ".join(wrong.iloc[0][list(COLUMNS)])
        raise InputError(str(file), f"line {line} is no inspection ({told})", EXPECTED)
    table = table.drop_duplicates(["meter_id", "day", "said"]).sort_values(["meter_id", "day"])
    if (twice := table.duplicated(["meter_id", "day"])).any():
        told = " on ".join(table[twice].iloc[0][["meter_id", "date"]])
        raise InputError(str(file), f"says yes and no of meter {told}", "keep one of the two")
    return Inspections(
        table["meter_id"].to_numpy(object), table["day"].to_numpy(np.int64), table["said"].to_numpy(np.bool_)
    )


def require_enough(of: Inspections, of_those: str = "") -> None:
    """Raises TooFewInspections where fewer than FEWEST meters have either result; `of_those` says which ones count."""
    theft, others = (len(set(of.meter[result])) for result in (of.theft, ~of.theft))
    if min(theft, others) < FEWEST:
        raise TooFewInspections(theft, others, of_those)


def _day(text: str) -> float:
    try:
        return float((date.fromisoformat(text) - date(1970, 1, 1)).days)
    except ValueError:
        return float("nan")
