"""Real theft flags: 26 days of daily use of 25,863 customers.

The file is a CSV with one column a day, a customer number and FLAG, 1 where an inspection found theft. It is judged
by scores that have seen no flag, and by classifiers that have not seen the customers they judge.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meterlake.anomaly.evaluation.ranking import Found, ranked
from meterlake.anomaly.labelled import cross_validated, out_of_fold
from meterlake.anomaly.meter_signs import COMBINED, UNTAUGHT, Days, matrix, signs, surprise
from meterlake.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

A_DAY = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")
FLAG = "FLAG"
KIND = "gradient boosting"
TAUGHT = "taught, cross-validated: "


@dataclass(frozen=True)
class Check:
    """What the classifier makes of less, or of what it must not see.

    Attributes:
        customers, base_rate: whom it was fitted to and judged on.
    """

    found: Found
    customers: int
    base_rate: float


def read(file: Path) -> tuple[Floats, Bools]:
    """Daily use (customers, days), NaN where unknown, and who is flagged.

    Raises:
        InputError: the file cannot be read, or has no days or no FLAG.
    """
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise InputError(str(file), f"cannot be read ({str(error).splitlines()[0]})", "name a CSV file") from None
    days = sorted((name for name in table.columns if A_DAY.fullmatch(name)), key=pd.to_datetime)
    if FLAG not in table or len(days) < 2:
        raise InputError(str(file), "has no column FLAG or no columns of days", "name a file of daily use with flags")
    return table[days].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64), table[FLAG].to_numpy() == 1


def scores(kwh: Floats) -> dict[str, Floats]:
    """Numbers of each customer, larger is more like theft: what a thief's meter would do. None has seen a flag."""
    found = _signs(kwh)
    return {**{name: found[name] for name in UNTAUGHT}, COMBINED: surprise(found)}


def evaluate(kwh: Floats, flagged: Bools, seed: int) -> list[Found]:
    """Every score against the flags, then the classifiers out of fold, with 95 % of a bootstrap over customers."""
    customer = customers(kwh)
    rows = matrix(_signs(kwh))
    taught = cross_validated(rows, flagged, customer, seed)
    named = {TAUGHT + name: probability for name, probability in taught.items()}
    return ranked(scores(kwh) | named, flagged, customer, seed)


def checks(kwh: Floats, flagged: Bools, seed: int) -> list[Check]:
    """Whether the flags can be told by the size of a customer, by the making of the file, or by chance."""
    found, customer = _signs(kwh), customers(kwh)
    rows, everyone = matrix(found), np.full(len(flagged), True)
    smaller = matrix(found | {"uses little": np.full(len(flagged), np.nan)})
    shuffled = np.random.default_rng(seed).permutation(flagged)
    empty = np.isnan(kwh)
    asked = {
        "without how much is used": (smaller, flagged, everyone),
        "only customers with use on each day": (rows, flagged, (kwh > 0).all(axis=1)),
        "only customers without an empty day": (rows, flagged, ~empty.any(axis=1)),
        "only how much is used": (rows[:, :1], flagged, everyone),
        "artefact: decimals and empty days only": (np.column_stack([decimals(kwh), empty.sum(1)]), flagged, everyone),
        "artefact: place in the file only": (np.arange(len(flagged), dtype=float)[:, None], flagged, everyone),
        "all signs, flags shuffled": (rows, shuffled, everyone),
    }
    return [_check(name, rows[of], flags[of], customer[of], seed) for name, (rows, flags, of) in asked.items()]


def _signs(kwh: Floats) -> dict[str, Floats]:
    return signs(Days(kwh), float(np.nanmedian(kwh)))


def _check(name: str, rows: Floats, flagged: Bools, customer: Ints, seed: int) -> Check:
    found = ranked({name: out_of_fold(rows, flagged, customer, KIND, seed)}, flagged, customer, seed)
    return Check(found[0], len(flagged), float(flagged.mean()))


def customers(kwh: Floats) -> Ints:
    """(n,) a number that rows with the same use share: they may be one customer told twice, and are never parted. Those
    without any use are customers of their own: nothing at all is alike for everybody."""
    table = np.nan_to_num(kwh, nan=-1.0)
    _, number = np.unique(table, axis=0, return_inverse=True)
    nothing = ~(table > 0).any(axis=1)
    return np.where(nothing, len(kwh) + np.arange(len(kwh)), number.reshape(-1))


def decimals(kwh: Floats) -> Floats:
    """(n,) mean number of decimals of a customer's days with use; 0 without any."""
    digits = np.where(np.abs(kwh - np.round(kwh)) < 1e-6, 0, np.where(np.abs(kwh - np.round(kwh, 1)) < 1e-6, 1, 2))
    used = kwh > 0
    return (digits * used).sum(axis=1) / np.maximum(1, used.sum(axis=1))
