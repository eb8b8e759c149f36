"""`meterlake anomaly confidence`: how often each set of evidence is seen on anomalous and on ordinary meter-days.

Measured on the training households of `meterlake anomaly evaluate`, each half of them judged by models of the other,
and then held against what is found on the test households. Both stand in the streets of evaluation/streets.py.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.evaluation.detectors import day_model, days_by, product
from meterlake.anomaly.evaluation.evaluate import Setup, TooShort, below_transformers
from meterlake.anomaly.evaluation.measure import meters_drawn
from meterlake.anomaly.evaluation.population import Households, Population, split
from meterlake.anomaly.evidence import EVIDENCE, OF_METERS, TELLING_RULES, Shares, bayes, named
from meterlake.losses.attribution import NAMED
from meterlake.resampled import Figure, figure
from meterlake.settings import Model
from meterlake.sources.source import Source
from meterlake.vee.judge import series_from, validated

log = logging.getLogger("meterlake")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Evidence = Callable[[Population], Ints]

SETS, SETS_OF_METERS = 1 << len(EVIDENCE), 1 << len(OF_METERS)
# Added to each count of a set, so that one that was never seen is rare and not impossible (Jeffreys' prior).
PRIOR = 0.5


@dataclass(frozen=True)
class Seen:
    """Meter-days by their evidence; k kinds of fault, m meters.

    Attributes:
        anomalous: (k, m, SETS) days that a fault of the kind has changed.
        ordinary: (m, SETS) untouched days.
    """

    anomalous: Floats
    ordinary: Floats

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(self.anomalous + other.anomalous, self.ordinary + other.ordinary)

    def shares(self, drawn: Floats | None = None, prior: float = 0.0) -> tuple[Floats, Floats]:
        """(SETS,) of the anomalous days, all kinds alike, and of the ordinary ones.

        Args:
            drawn: (m,) how often each meter counts.
        """
        times = np.ones(self.ordinary.shape[0]) if drawn is None else drawn
        anomalous = np.einsum("kms,m->ks", self.anomalous, times) + prior
        ordinary = times @ self.ordinary + prior
        return (anomalous / anomalous.sum(axis=1, keepdims=True)).mean(axis=0), ordinary / ordinary.sum()


@dataclass(frozen=True)
class Held:
    """A set of evidence: what is stated, and what was found on the test households.

    Attributes:
        stated: share that is anomalous, by the training households.
        found: the same on the test households.
        of_anomalous, of_all: share of the anomalous and of all meter-days of the test households with this evidence.
    """

    evidence: str
    stated: float
    found: Figure
    of_anomalous: float
    of_all: float


def measure(households: Households, source: Source, conf: Model, setup: Setup) -> tuple[Shares, list[Held]]:
    """The shares by the training households, and how they hold on the test households.

    Raises:
        TooShort: no fault fits into the series.
    """
    train_meters, train_days, test_meters, test_days = split(households)
    train, train_faults = below_transformers(train_meters, train_days, setup)
    test, test_faults = below_transformers(test_meters, test_days, setup)
    halves = [train.of(train.meter % 2 == half) for half in (0, 1)]
    if not train_faults or not test_faults or not all(half.judged.any() for half in halves):
        raise TooShort
    known = Seen(np.zeros((len(train_faults), len(train.meter), SETS)), np.zeros((len(train.meter), SETS)))
    for half, other in ((0, halves[1]), (1, halves[0])):
        told = _evidence(other, source, conf)
        faults = [copies.of(copies.meter % 2 == half) for _, copies in train_faults.values()]
        known += _seen(told, faults, halves[half], len(train.meter))
        log.info("judged    half %d of the training meters", half + 1)
    shares = _shares(known)
    told = _evidence(train, source, conf)
    held = _seen(told, [copies for _, copies in test_faults.values()], test, len(test.meter))
    return shares, _held(shares, held, setup)


def _shares(known: Seen) -> Shares:
    of_meters = Seen(*(_with_and_without(seen).sum(axis=-2) for seen in (known.anomalous, known.ordinary)))
    of_balance = Seen(*(_with_and_without(seen).sum(axis=-1) for seen in (known.anomalous, known.ordinary)))
    anomalous, ordinary = of_meters.shares(prior=PRIOR)
    (_, named_anomalous), (_, named_ordinary) = of_balance.shares(prior=PRIOR)
    return Shares(
        {named(code): float(share) for code, share in enumerate(anomalous)},
        {named(code): float(share) for code, share in enumerate(ordinary)},
        float(named_anomalous),
        float(named_ordinary),
    )


def _with_and_without(seen: Floats) -> Floats:
    """(..., SETS) as (..., 2, SETS_OF_METERS): without the balance, which has the highest bit, and with it."""
    return seen.reshape(*seen.shape[:-1], 2, SETS_OF_METERS)


def _evidence(train: Population, source: Source, conf: Model) -> Evidence:
    """The number of the evidence of each meter-day, by models that are fitted to ordinary meters."""
    reading, model = product(train, conf), day_model(train, conf)
    day = days_by(model)

    def told(of: Population) -> Ints:
        with np.errstate(invalid="ignore"):
            signs = (
                reading(of) > conf.threshold,
                rule_days(of, source),
                day(of) > model.threshold,
                of.balance_odds > NAMED,
            )
        return np.asarray(sum(sign.astype(np.int64) << bit for bit, sign in enumerate(signs)))

    return told


def rule_days(of: Population, source: Source) -> NDArray[np.bool_]:
    """(c, w) the days on which one of TELLING_RULES finds something, by the rules as the source has them.

    The grid has no clock changes, so it is judged as if on UTC.
    """
    plain = source.model_copy(
        update={"time_zone": "UTC", "vee": source.vee.model_copy(update={"estimate": False, "civil_time_zone": None})}
    )
    *_, known = of.known()
    series, meters = series_from(known.rename_columns(["meter_id", "reading_timestamp", "delivered"]), plain)
    found, _ = validated(series, plain)
    mask = np.logical_or.reduce([found[name].mask(series.size) for name in TELLING_RULES if name in found])
    whose = np.asarray(meters)[series.meter[series.number[mask]]]
    days = np.zeros(of.judged.shape, dtype=bool)
    days[whose, series.day[mask] - of.first_day[whose]] = True
    return days


def _seen(told: Evidence, faults: list[Population], plain: Population, meters: int) -> Seen:
    ordinary = _counted(told(plain), plain, plain.judged, meters)
    return Seen(np.stack([_counted(told(copies), copies, copies.anomalous, meters) for copies in faults]), ordinary)


def _counted(codes: Ints, of: Population, chosen: NDArray[np.bool_], meters: int) -> Floats:
    """(meters, SETS) chosen days by meter and evidence."""
    series, _ = np.nonzero(chosen)
    counts = np.bincount(of.meter[series] * SETS + codes[chosen], minlength=meters * SETS)
    return counts.reshape(meters, SETS).astype(np.float64)


def _held(shares: Shares, test: Seen, setup: Setup) -> list[Held]:
    """What is stated of each set beside what is found; the range is of draws of the test meters."""
    base_rate, drawn = setup.base_rate, meters_drawn(np.arange(len(test.ordinary)), setup.seed)
    anomalous, ordinary = (np.stack(part) for part in zip(*(test.shares(times) for times in drawn), strict=True))
    with np.errstate(invalid="ignore"):
        found = bayes(base_rate, anomalous, ordinary)
    return [
        Held(
            named(code),
            shares.confidence(code, base_rate),
            figure(found[:, code]),
            float(anomalous[0, code]),
            float(base_rate * anomalous[0, code] + (1 - base_rate) * ordinary[0, code]),
        )
        for code in range(SETS)
    ]
