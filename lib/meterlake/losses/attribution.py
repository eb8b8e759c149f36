"""Whose reading is wrong on a day, by the energy that its transformer misses hour by hour.

Pure numpy. What a transformer takes in and its customers' meters do not read, less the technical loss, is missing.
Where one meter reads half of the use, half of its load is missing, in the very hours in which it reads; where its clock
is slow, what it reads later is missing earlier. Each meter is asked, for each way of being wrong, how much of the
missing energy that explains. Hour by hour a meter's load is its own, so one answers and the others do not. After the
idea of S. Salinas, M. Li, P. Li: "Privacy-preserving energy theft detection in smart grids", IEEE J. Sel. Areas Commun.
31 (2013) 257-267 (each meter's coefficient of its readings in the total), by day and with other faults than a share.

A day depends on its own hours alone, so that one that comes late changes no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.meter_day import NIGHT
from meterlake.losses.technical import technical_loss
from meterlake.sources.source import TechnicalLoss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HOURS = 24
# Hours in which all meters are known, for a day to be judged.
LEAST_HOURS = 18
# Permitted errors: customers' meters of class 1 (IEC 62053-21), supply meters of class 0.5 S (IEC 62053-22).
METER_ERROR, SUPPLY_ERROR = 0.01, 0.005
# All meters of a transformer together are wrong on one day of so many, before it is looked at.
ONE_DAY_OF = 100
# A meter is named from odds of ten to one on. Where somebody uses what no meter sees, even odds named a meter that was
# right on one of 2,600 days, and seven to one on one of 20,000 (streets of the training households, docs/anomalies.md).
NAMED = float(np.log(10))
# The hours of a day are no independent witnesses: so many of them count as one.
HOURS_ALIKE = 2
AT_NIGHT = np.isin(np.arange(HOURS), NIGHT)
# A meter that hides less than this share of what it reads is within what errors of many meters can add up to.
LEAST_SHARE = 0.05
LEAST_ERRORS = 1e-9  # kWh^2, of a transformer without load
SHIFTS = tuple(sign * half / 2 for sign in (1, -1) for half in range(2, 25))
FORMS = ("share", "at_night", "by_day", "reading", "backwards", "clock")


@dataclass(frozen=True)
class Attributed:
    """Of the m meters of a transformer on d days, arrays (d, m); a day that cannot be judged has -inf.

    Attributes:
        log_odds: that this meter is wrong in one of the FORMS, against everything else.
        form: number of the form that explains most.
        size: of it: the share of the use that is not read, the hours by which a clock is slow, the hour of a reading.
        hidden_kwh: energy that the form adds to the day's readings; negative where they are too high.
        missing_kwh: (d,) energy that the transformer misses in the hours that are known.
    """

    log_odds: Floats
    form: Ints
    size: Floats
    hidden_kwh: Floats
    missing_kwh: Floats

    @property
    def named(self) -> Bools:
        """(d, m) the meters that are held to be wrong."""
        return self.log_odds > NAMED

    @property
    def probability(self) -> Floats:
        return np.asarray(1 / (1 + np.exp(-self.log_odds)))

    def told(self, day: np.integer, meter: np.integer) -> str:
        """Why, in a sentence."""
        size, hidden = self.size[day, meter], self.hidden_kwh[day, meter]
        match FORMS[self.form[day, meter]]:
            case "reading":
                return f"its transformer knows nothing of {-hidden:.1f} kWh of its reading at {size:.0f} h"
            case "backwards":
                return "its transformer's day fits when this meter's is read backwards"
            case "clock":
                way = "slow" if size > 0 else "fast"
                return f"its transformer's hours fit when its clock is taken to be {abs(size):g} h {way}"
            case form:
                when = {"share": "", "at_night": " from 22 to 6 h", "by_day": " from 6 to 22 h"}[form]
                where = f"its transformer misses {hidden:.1f} kWh in the hours in which it reads"
                return f"{where}, as if it did not read {size:.0%} of the use{when}"


@dataclass(frozen=True)
class Explanation:
    """What a form says is missing: `added` (d, m, 24) kWh, times a factor within the bounds.

    Attributes:
        alternatives: how many such explanations are tried.
        size: what Attributed tells of it; None for the share that the factor makes.
    """

    form: str
    added: Floats
    least: float
    most: float
    alternatives: int
    size: float | Ints | None = None


def attribute(read: Floats, member: Bools, supplied: Floats, loss: TechnicalLoss) -> Attributed:
    """Whose readings explain what is missing.

    For each meter the likelihood ratio of its best form to "nobody" is (S0 / S)^(n/2), S0 and S the sums of squares
    that are left without and with it, each with what the permitted errors of all meters make. Of both is taken out
    before what follows the supply as a whole or is the same in all hours: the model of technical loss may be wrong
    there. A free factor costs as by Schwarz, Annals of Statistics 6 (1978) 461-464, an alternative its share of the
    prior.

    Args:
        read: (d, m, 24) kWh, NaN where unknown.
        member: (d, m) whose readings count; an unknown hour of one makes the hour unknown.
        supplied: (d, 24) kWh that the transformer takes in, NaN where unknown.
    """
    known = ~np.isnan(supplied) & ~(np.isnan(read) & member[..., None]).any(axis=1)
    hours = known.sum(axis=1)
    read = np.where(member[..., None] & known[:, None], np.nan_to_num(read), 0.0)
    supplied = np.where(known, supplied, 0.0)
    # Of the day's mean, where the balance takes the month's: a day depends on itself alone.
    mean = (supplied.sum(axis=1) / np.maximum(hours, 1))[:, None]
    missing = np.where(known, supplied - read.sum(axis=1) - technical_loss(supplied, mean, loss), 0.0)
    common = _common(supplied, known)
    left = missing - _along(missing, common)
    errors = ((METER_ERROR * read) ** 2).sum(axis=(1, 2)) + ((SUPPLY_ERROR * supplied) ** 2).sum(axis=1)
    nobody = (left**2).sum(axis=1) + np.maximum(errors, LEAST_ERRORS)
    shape = read.shape[:2]
    best, form = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    size, hidden = np.zeros(shape), np.zeros(shape)
    cost_of_factor = np.log(np.maximum(hours, 1))[:, None] / 2
    for one in _explanations(read, left, known):
        length = (one.added**2).sum(axis=-1) - sum((one.added * by[:, None]).sum(axis=-1) ** 2 for by in common)
        along = (one.added * left[:, None]).sum(axis=-1)
        factor = np.clip(np.divide(along, length, out=np.zeros(shape), where=length > 0), one.least, one.most)
        rest = nobody[:, None] - 2 * factor * along + factor**2 * length
        free = cost_of_factor if one.least < one.most else 0.0
        gain = hours[:, None] / 2 * np.log(nobody[:, None] / rest) - free - np.log(one.alternatives)
        better = (gain > best) & (factor >= LEAST_SHARE)
        best, form = np.where(better, gain, best), np.where(better, FORMS.index(one.form), form)
        how_much = factor / (1 + factor) if one.size is None else np.reshape(one.size, (-1, 1))
        size, hidden = np.where(better, how_much, size), np.where(better, factor * one.added.sum(axis=-1), hidden)
    judged = (hours >= LEAST_HOURS)[:, None] & member
    return Attributed(np.where(judged, _odds(best, member), -np.inf), form, size, hidden, missing.sum(axis=1))


def _common(supplied: Floats, known: Bools) -> tuple[Floats, Floats]:
    """Two directions (d, 24) of length 1: the same in all known hours, and as the supply goes up and down."""
    hours = np.maximum(known.sum(axis=1, keepdims=True), 1)
    level = known / np.sqrt(hours)
    shape = np.where(known, supplied - supplied.sum(axis=1, keepdims=True) / hours, 0.0)
    length = np.sqrt((shape**2).sum(axis=1, keepdims=True))
    return level, np.divide(shape, length, out=np.zeros_like(shape), where=length > 0)


def _along(values: Floats, directions: tuple[Floats, ...]) -> Floats:
    return np.asarray(sum((values * by).sum(axis=1, keepdims=True) * by for by in directions))


def _explanations(read: Floats, left: Floats, known: Bools) -> Iterator[Explanation]:
    there = known[:, None]
    yield Explanation("share", read, 0.0, np.inf, 1)
    yield Explanation("at_night", np.where(AT_NIGHT, read, 0.0), 0.0, np.inf, 2)
    yield Explanation("by_day", np.where(AT_NIGHT, 0.0, read), 0.0, np.inf, 2)
    for width in (1, 2):
        lowest = sum(left[:, first : HOURS - width + 1 + first] for first in range(width))
        hour = np.argmin(lowest, axis=1)
        inside = (np.arange(HOURS) >= hour[:, None]) & (np.arange(HOURS) < hour[:, None] + width)
        yield Explanation("reading", np.where(inside[:, None], -read, 0.0), 0.0, 1.0, 2 * HOURS, hour)
    yield Explanation("backwards", np.where(there, read[..., ::-1] - read, 0.0), 1.0, 1.0, 1, 0.0)
    around = np.pad(read, ((0, 0), (0, 0), (HOURS, HOURS)), constant_values=np.nan)
    for shift in SHIFTS:
        moved = _moved(around, shift)
        yield Explanation("clock", np.where(there & ~np.isnan(moved), moved - read, 0.0), 1.0, 1.0, len(SHIFTS), shift)


def _moved(around: Floats, hours: float) -> Floats:
    """(d, m, 24) what stands so many hours later. Half an hour lies between two hours.

    Args:
        around: (d, m, 72) the day between two unknown ones.
    """
    whole = int(np.floor(hours))
    one, next_ = (around[..., HOURS + by : 2 * HOURS + by] for by in (whole, whole + 1))
    return one if whole == hours else (one + next_) / 2


def _odds(gain: Floats, member: Bools) -> Floats:
    """(d, m) logarithm of the odds of each meter against all others and nobody; one meter is wrong at most."""
    weight = np.where(member, gain / HOURS_ALIKE, -np.inf)
    nobody = np.log(ONE_DAY_OF * np.maximum(member.sum(axis=1), 1))
    highest = np.maximum(weight.max(axis=1), nobody)[:, None]
    each = np.exp(weight - highest)
    everything = each.sum(axis=1, keepdims=True) + np.exp(nobody[:, None] - highest)
    # Next to certainty nothing is left for the others; the logarithm stays finite.
    others = np.maximum(everything - each, np.exp(-700.0))
    return weight - highest - np.log(others)
