"""`meterlake anomaly evaluate`: fit on untouched training series, judge others untouched and with faults, compare."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterlake.anomaly.evaluation.detectors import Detector, Scorer, detectors
from meterlake.anomaly.evaluation.injections import INJECTIONS, Event, draw
from meterlake.anomaly.evaluation.measure import Judged, Merit, merit
from meterlake.anomaly.evaluation.population import Households, Population, split, untouched, with_faults
from meterlake.anomaly.evaluation.streets import REALLY_USED, Streets
from meterlake.errors import UsageError
from meterlake.settings import Model

log = logging.getLogger("meterlake")

Floats = NDArray[np.float64]

OVERALL = "all kinds"


class TooShort(UsageError):
    """The readings are too few to put faults in and judge anybody by them."""

    def __init__(self) -> None:
        super().__init__("No fault fits into the later half of the readings; deliver half a year of readings or more.")


@dataclass(frozen=True)
class Setup:
    """What the figures depend on.

    Attributes:
        base_rate: share of the meter-days that are anomalous in the population that is reported.
        alarm_share: share of the untouched training meter-days that a detector without a threshold of its own may flag.
        faults_per_meter: of each kind.
    """

    base_rate: float = 0.01
    alarm_share: float = 0.001
    faults_per_meter: int = 2
    seed: int = 1


@dataclass(frozen=True)
class Row:
    """A detector at a kind of fault."""

    detector: str
    kind: str
    merit: Merit


@dataclass(frozen=True)
class Fault:
    """A row of the truth table; days count from 1970-01-01, both inclusive."""

    meter: str
    kind: str
    first_day: int
    last_day: int
    missing_kwh: float


@dataclass(frozen=True)
class Evaluation:
    """What was found; train and test meters and judged days of untouched series."""

    setup: Setup
    rows: list[Row]
    truth: list[Fault]
    meters: tuple[int, int]
    days: tuple[int, int]


def evaluate(
    households: Households, conf: Model, setup: Setup, among: tuple[Detector, ...] | None = None
) -> Evaluation:
    """Every detector at every kind of fault and at all of them. Same input, settings and seed: the same result.

    Args:
        among: what is compared; None for `detectors`.

    Raises:
        TooShort: no fault fits into the series.
    """
    train_meters, train_days, test_meters, test_days = split(households)
    train = untouched(train_meters, train_days)
    test, faults = below_transformers(test_meters, test_days, setup)
    if not faults or not train.judged.any():
        raise TooShort
    truth = [fault for events, copies in faults.values() for fault in _truth(test_meters, events, copies)]
    rows: list[Row] = []
    fitted: dict[object, tuple[Scorer, dict[str, Floats], Floats]] = {}
    for detector in among or detectors(conf):
        if detector.fit not in fitted:
            scorer = detector.fit(train, conf)
            scores = {kind: scorer(copies) for kind, (_, copies) in faults.items()}
            fitted[detector.fit] = scorer, scores, scorer(test)
        scorer, scores, plain = fitted[detector.fit]
        threshold = detector.threshold or _threshold(detector, train, conf, setup.alarm_share)
        rows += _rows(detector, threshold, test, plain, faults, scores, setup)
        log.info("judged    by %s", detector.name)
    return Evaluation(
        setup,
        rows,
        truth,
        (len(train_meters.meters), len(test_meters.meters)),
        (int(train.judged.sum()), int(test.judged.sum())),
    )


def below_transformers(
    of: Households, days: range, setup: Setup
) -> tuple[Population, dict[str, tuple[list[Event], Population]]]:
    """The households untouched, and `faults_of` them, with the `balance_odds` by their transformers."""
    streets = Streets(of, days, setup.base_rate, setup.seed)
    faults = {
        kind: (events, streets.judged(copies, kind in REALLY_USED))
        for kind, (events, copies) in faults_of(of, days, setup).items()
    }
    return streets.judged(untouched(of, days)), faults


def faults_of(of: Households, days: range, setup: Setup) -> dict[str, tuple[list[Event], Population]]:
    """The faults of each kind and the copies that hold them; a kind that fits nowhere is left out."""
    found = {}
    for injection in INJECTIONS:
        kind = injection.kind
        events = [
            event
            for row, meter in enumerate(of.meters)
            for event in draw(
                of.kwh[row], row, meter, kind, days, setup.faults_per_meter, setup.seed, of.interval_minutes
            )
        ]
        if events:
            found[kind.name] = events, with_faults(of, events)
    return found


def _truth(of: Households, events: list[Event], copies: Population) -> list[Fault]:
    return [
        Fault(
            of.meters[event.household],
            event.kind.name,
            of.first_day + event.first_day,
            of.first_day + event.first_day + event.days - 1,
            float(missing),
        )
        for event, missing in zip(events, copies.missing_kwh, strict=True)
    ]


def _threshold(detector: Detector, train: Population, conf: Model, alarm_share: float) -> float:
    """The score that the share of the training days exceeds, each judged by a fit to the other half of the meters: a
    method knows the days that it was fitted to too well.
    """
    halves = [train.of(train.meter % 2 == half) for half in (0, 1)]
    if not all(half.judged.any() for half in halves):
        return float(np.nanquantile(detector.fit(train, conf)(train), 1 - alarm_share))
    scores = [detector.fit(one, conf)(other).ravel() for one, other in (halves, reversed(halves))]
    return float(np.nanquantile(np.concatenate(scores), 1 - alarm_share))


def _rows(
    detector: Detector,
    threshold: float,
    test: Population,
    plain: Floats,
    faults: dict[str, tuple[list[Event], Population]],
    scores: dict[str, Floats],
    setup: Setup,
) -> list[Row]:
    clean = Judged(
        plain[test.judged],
        test.meter[np.nonzero(test.judged)[0]],
        np.full(test.judged.sum(), -1),
        np.zeros(test.judged.sum(), dtype=bool),
        np.zeros(test.judged.sum(), dtype=np.int64),
        np.ones(test.judged.sum()),
    )
    parts, rows, number = [(clean, np.full(len(clean.score), np.nan))], [], 0
    for kind, (_, copies) in faults.items():
        part = _judged(copies, scores[kind], number)
        same_day = _same_days(copies, plain, int(test.first_day[0]))
        number += len(copies.kwh)
        parts.append((part, same_day))
        rows.append(Row(detector.name, kind, _merit([parts[0], parts[-1]], threshold, setup)))
    return [Row(detector.name, OVERALL, _merit(parts, threshold, setup)), *rows]


def _judged(copies: Population, scores: Floats, number: int) -> Judged:
    """The judged days of copies, numbered from `number`; together their anomalous days have a weight of 1."""
    series, day = np.nonzero(copies.judged)
    begin = np.argmax(copies.judged, axis=1)  # the fault's first day, or the first one after it that can be judged
    anomalous = copies.anomalous[copies.judged]
    return Judged(
        scores[copies.judged],
        copies.meter[series],
        number + series,
        anomalous,
        day - begin[series],
        np.full(len(series), 1 / max(1, int(anomalous.sum()))),
    )


def _same_days(copies: Population, plain: Floats, first_day: int) -> Floats:
    """Scores of the judged days of the copies in the untouched series; NaN where they are not judged there."""
    series, day = np.nonzero(copies.judged)
    return plain[copies.meter[series], copies.first_day[series] + day - first_day]


def _merit(parts: list[tuple[Judged, Floats]], threshold: float, setup: Setup) -> Merit:
    names = ("score", "meter", "event", "anomalous", "day", "share")
    whole = Judged(*(np.concatenate([getattr(part, name) for part, _ in parts]) for name in names))
    untouched_scores = np.concatenate([score for _, score in parts])
    return merit(whole, untouched_scores, threshold, setup.base_rate, setup.seed)
