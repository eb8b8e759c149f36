"""Transformers made up around real households, so that what a fault hides is missing where it would be.

Each judged household gets a street of its own: neighbours drawn from the other households, who have faults, too, on as
many of their days as the base rate says. Their transformer takes in what all use, its losses, and in every third
street what a household uses that no meter sees. All meters err as their class permits, and the losses are not those
that are declared.
"""

from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.evaluation.injections import INJECTIONS, draw, injected
from meterlake.anomaly.evaluation.population import Households, Population
from meterlake.anomaly.meter_day import Hours
from meterlake.losses.attribution import HOURS, attribute
from meterlake.losses.technical import technical_loss
from meterlake.sources.source import Losses, TechnicalLoss

Floats = NDArray[np.float64]

NEIGHBOURS = 14
# Of each meter, for good: standard deviations of a customer's meter and of the supply meter.
METER_GAIN, SUPPLY_GAIN = 0.005, 0.0025
SUPPLY_NOISE = 0.002  # of one hour
# The true shares of technical loss are the declared ones times 1 +- so much.
LOSS_ERROR = 0.2
UNMETERED = 1 / 3
DECLARED: TechnicalLoss = Losses(supply_source="supply").transformer
# Energy that really flows: the meter is right, and its transformer takes it in.
REALLY_USED = ("cold_load_surge",)
# Logarithm of the odds of a day that cannot be judged: below all others.
UNKNOWN = -50.0
# A fault that fits nowhere counts as so much of a day: readings into which nothing fits must end, too.
FITS_NOWHERE = 0.1


@dataclass(frozen=True)
class Street:
    """The transformer of one household over D days; energies are (n, D, 24) kWh of the household and its neighbours,
    NaN on days that are not wholly known: on these a neighbour is left out, used and read.

    Attributes:
        used_kwh, read_kwh: what flows, and what the meters read of it; the household's own is without a fault.
        unmetered_kwh: (D, 24).
        gain: (n, 1, 1) of the meters' errors.
        supply_gain: (D, 24) of the supply meter's.
        loss: what the transformer and its lines really lose.
    """

    used_kwh: Floats
    read_kwh: Floats
    unmetered_kwh: Floats
    gain: Floats
    supply_gain: Floats
    loss: TechnicalLoss

    @classmethod
    def of(cls, among: Households, household: int, days: range, base_rate: float, seed: int) -> "Street":
        """The street of one household, always the same for a seed.

        Args:
            days: those of which a share `base_rate` has a fault of a neighbour.
        """
        random = np.random.default_rng([seed, household, days.start])
        others = random.permutation(np.delete(np.arange(len(among.meters)), household))
        neighbours = among.of(np.append(household, others[:NEIGHBOURS]))
        used, read = _with_faults(neighbours, days, base_rate, random)
        unmetered = np.zeros((among.kwh.shape[1], HOURS))
        if len(others) > NEIGHBOURS and random.random() < UNMETERED:
            unmetered = np.nan_to_num(Hours.of(among.kwh[others[-1]]).kwh)
        supply_gain = (1 + SUPPLY_GAIN * random.standard_normal()) * (
            1 + SUPPLY_NOISE * random.standard_normal(unmetered.shape)
        )
        fixed, i2r = 1 + LOSS_ERROR * random.uniform(-1, 1, 2)
        loss = TechnicalLoss(fixed_share=DECLARED.fixed_share * fixed, i2r_share=DECLARED.i2r_share * i2r)
        gain = 1 + METER_GAIN * random.standard_normal((len(neighbours.meters), 1, 1))
        return cls(Hours.of(used).kwh, Hours.of(read).kwh, unmetered, gain, supply_gain, loss)

    def odds(self, days: slice, read_kwh: Floats, really_used: bool) -> Floats:
        """(w,) logarithm of the odds that the household's meter is wrong when it reads this (w, 24) on the days.

        Args:
            really_used: what it reads is what it used.
        """
        read, used = self.read_kwh[:, days].copy(), self.used_kwh[:, days].copy()
        read[0] = read_kwh
        if really_used:
            used[0] = read_kwh
        there = np.asarray(~np.isnan(read + used).any(axis=2), dtype=bool)
        flows = self.unmetered_kwh[days] + (np.where(there[..., None], used, 0.0) * self.gain).sum(axis=0)
        lost = technical_loss(flows, flows.mean(axis=1, keepdims=True), self.loss)
        supplied = (flows + lost) * self.supply_gain[days]
        return np.maximum(attribute(np.swapaxes(read, 0, 1), there.T, supplied, DECLARED).log_odds[:, 0], UNKNOWN)


class Streets:
    """The streets of households, made when they are asked for."""

    def __init__(self, of: Households, days: range, base_rate: float, seed: int) -> None:
        self._of = of
        self._street = cache(partial(Street.of, of, days=days, base_rate=base_rate, seed=seed))

    def judged(self, series: Population, really_used: bool = False) -> Population:
        """The series with the `balance_odds` of their judged days.

        Args:
            really_used: what they have beside the household's own is real consumption.
        """
        odds = np.full(series.judged.shape, np.nan)
        for row in np.flatnonzero(series.judged.any(axis=1)):
            household, chosen = int(series.meter[row]), np.flatnonzero(series.judged[row])
            days = slice(chosen[0], chosen[-1] + 1)
            begin = int(series.first_day[row]) - self._of.first_day
            there = slice(begin + days.start, begin + days.stop)
            found = self._street(household).odds(there, Hours.of(series.kwh[row, days]).kwh, really_used)
            odds[row, chosen] = found[chosen - days.start]
        return replace(series, balance_odds=odds)


def _with_faults(of: Households, days: range, base_rate: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """What is used and what is read (n, D, slots): the neighbours, all but the first, have faults of all kinds until
    such a share of their days has one.
    """
    used, read = of.kwh.copy(), of.kwh.copy()
    neighbours = len(of.meters) - 1
    wanted = base_rate * neighbours * len(days)
    while wanted > 0:
        row, kind = 1 + int(random.integers(neighbours)), INJECTIONS[int(random.integers(len(INJECTIONS)))].kind
        drawn = draw(of.kwh[row], row, of.meters[row], kind, days, 1, int(random.integers(2**31)), of.interval_minutes)
        for event in drawn:
            recorded, changed = injected(of.kwh[row], event)
            there = slice(event.first_day, event.first_day + event.days)
            read[row, there] = recorded[there]
            used[row, there] = recorded[there] if kind.name in REALLY_USED else of.kwh[row, there]
            wanted -= int(changed.any(axis=1).sum())
        wanted -= 0 if drawn else FITS_NOWHERE
    return used, read
