"""How good the list of suspects is: worlds of the generator, where every stolen kWh is known.

Each world is judged in its second month, by its first. A meter hides energy when it reads below 95 % of what was used.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from meterlake.losses.suspects import Days, Judged, judge
from meterlake.losses.technical import technical_loss
from meterlake.resampled import Figure, figure
from meterlake.sources import generate_supply as supply
from meterlake.sources.ami import AMI
from meterlake.sources.generate_load import population
from meterlake.sources.generate_plan import Plan
from meterlake.sources.generate_shapes import block
from meterlake.vee.daytypes import kinds

Floats = NDArray[np.float64]
START, DAYS, FIRST_MONTH = date(2024, 3, 1), 61, 31  # March and April
HIDES = 0.05
FIRST = (10, 20, 50, 100)
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class World:
    """One world's second month: arrays over its m meters.

    Attributes:
        used_kwh, read_kwh: what went through the meter, and what it read.
        with_balance, without_balance: how it was judged, with the balance of its transformer and without.
    """

    used_kwh: Floats
    read_kwh: Floats
    with_balance: Judged
    without_balance: Judged

    @property
    def hidden_kwh(self) -> Floats:
        return self.used_kwh - self.read_kwh

    @property
    def hides(self) -> NDArray[np.bool_]:
        return self.hidden_kwh > HIDES * self.used_kwh

    def head(self, of: "Ranking", first: int) -> NDArray[np.intp]:
        """The first so many meters of a list; those that cannot be judged come last."""
        return np.argsort(-np.nan_to_num(of(self), nan=-np.inf), kind="stable")[:first]


Ranking = Callable[[World], Floats]
RANKINGS: dict[str, Ranking] = {
    "mart_suspects": lambda world: world.with_balance.recoverable_kwh,
    "the same without a balance": lambda world: world.without_balance.recoverable_kwh,
    "largest shortfall": lambda world: world.with_balance.shortfall_kwh,
    "largest fall in %": lambda world: world.with_balance.shortfall_kwh / world.with_balance.reference_kwh,
}


def world(seed: int, meters: int) -> World:
    """March and April of a generated grid; every transformer has a supply meter, every reading arrives."""
    plan = Plan("", meters=meters, start=START, days=DAYS, seed=seed, supply_meters=True)
    used, read, taken = _days(plan)
    of = population(seed, np.arange(meters))
    days = plan.first_day + np.arange(DAYS)
    past = np.arange(DAYS) < FIRST_MONTH
    with_balance, without = [], []
    assert AMI.losses is not None
    for transformer, supplied in enumerate(taken):
        own = of.transformer == transformer
        level = read[of.region == of.region[own][0]].mean(axis=0)
        technical = technical_loss(supplied[~past], supplied[~past].mean(), AMI.losses.transformer).sum(axis=1)
        unexplained = np.full(DAYS, np.nan)
        unexplained[~past] = supplied[~past].sum(axis=1) - read[own][:, ~past].sum(axis=0) - technical
        told = Days(read[own], kinds(days), past, level, unexplained, supplied.sum(axis=1))
        with_balance.append(judge(told))
        without.append(judge(replace(told, unexplained=np.full(DAYS, np.nan))))
    now = slice(FIRST_MONTH, None)
    return World(used[:, now].sum(axis=1), read[:, now].sum(axis=1), _joined(with_balance), _joined(without))


def precision(worlds: list[World], of: Ranking, first: int, seed: int = 1) -> Figure:
    """Share of the first so many of each world's list that hide energy: mean, with 1,000 draws of the worlds."""
    shares = [float(one.hides[one.head(of, first)].mean()) for one in worlds]
    draws = np.random.default_rng(seed).choice(shares, (1000, len(shares))).mean(axis=1)
    return figure([np.mean(shares), *draws])


def recovered(worlds: list[World], of: Ranking, first: int) -> float:
    """Share of all hidden energy that lies behind the first so many of each world's list."""
    found = total = 0.0
    for one in worlds:
        hidden = np.where(one.hides, one.hidden_kwh, 0.0)
        found += hidden[one.head(of, first)].sum()
        total += hidden.sum()
    return found / total


def calibration(worlds: list[World]) -> list[tuple[str, int, float, float]]:
    """By probability: number of suspects, kWh expected, kWh really hidden behind them."""
    probability = np.concatenate([one.with_balance.probability for one in worlds])
    expected = np.concatenate([np.nan_to_num(one.with_balance.recoverable_kwh) for one in worlds])
    hidden = np.concatenate([one.hidden_kwh for one in worlds])
    rows = []
    for low, high in pairwise(BINS):
        inside = (probability > low) & (probability <= high)
        rows.append((f"{low:.1f} to {high:.1f}", int(inside.sum()), expected[inside].sum(), hidden[inside].sum()))
    return rows


def _days(plan: Plan) -> tuple[Floats, Floats, Floats]:
    """kWh used and read, (m, days), and what the transformers took in, (t, days, 24)."""
    used, read, taken = [], [], []
    number = np.arange(plan.meters)
    for day in plan.first_day + np.arange(plan.days):
        of_day = block(plan.seed, plan.rates.anomaly, number, np.full(plan.meters, day), plan.interval_minutes)
        read.append(of_day.kwh.sum(axis=1))
        used.append(supply.really_used(plan, of_day.meters, np.full(plan.meters, day)).sum(axis=1))
        districts = [supply.supply_of(plan, district, int(day))[0].recorded for district in range(plan.districts)]
        hours = np.concatenate(districts)
        taken.append(hours.reshape(len(hours), 24, -1).sum(axis=2))
    return np.stack(used, axis=1), np.stack(read, axis=1), np.stack(taken, axis=1)


def _joined(parts: list[Judged]) -> Judged:
    names = [name for name in vars(parts[0]) if name != "missing_kwh"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Judged(**joined, missing_kwh=float(np.nansum([part.missing_kwh for part in parts])))
