"""How good the estimates are: known readings of real series are masked, estimated and compared.

Every estimate is made by `estimate.estimate`, as in the pipeline, beside two baselines that anyone has: the last value
carried forward, and the meter's plain mean.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.daytypes import kinds
from meterlake.vee.delivered import MeterSeries
from meterlake.vee.estimate import DEFAULT, METHODS, Estimated, estimate
from meterlake.vee.estimation_policy import PRESCRIBED, EstimationPolicy

log = logging.getLogger("meterlake")

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Estimator = Callable[["Masked"], Estimated]

# Gaps to make; the first is one interval.
LENGTHS = (timedelta(0), timedelta(hours=2), timedelta(hours=6), timedelta(days=1), timedelta(days=3))
# At most this share of a meter's readings is masked at the same time: the rest is what the estimates are made from.
LARGEST_SHARE = 0.1
RESAMPLES = 2000


@dataclass(frozen=True)
class Masked:
    """A meter with holes of equal length in what is known.

    Attributes:
        start: (g,) first interval of each hole.
        length: intervals of each hole.
        kind: (n,) kind of the local day.
    """

    series: MeterSeries
    start: Ints
    length: int
    kind: NDArray[np.int8]
    interval_minutes: int

    @property
    def hole(self) -> Ints:
        """(g, length) the masked intervals."""
        return self.start[:, None] + np.arange(self.length)

    @property
    def wanted(self) -> Bools:
        mask = np.zeros(len(self.series.kwh), dtype=bool)
        mask[self.hole] = True
        return mask

    @property
    def left(self) -> Floats:
        """(n,) what is still known."""
        return np.where(self.wanted, np.nan, self.series.kwh)


def by_policy(policy: EstimationPolicy, with_register: bool = False) -> Estimator:
    """The pipeline's own estimation; `with_register`: a register was read right before and after each hole."""

    def made(masked: Masked) -> Estimated:
        series, register = masked.series, None
        if with_register:
            register = np.concatenate([[0.0], np.cumsum(np.nan_to_num(series.kwh))[:-1]])
            register[masked.hole[:, 1:]] = np.nan
        return estimate(
            masked.left,
            ~np.isnan(masked.left),
            masked.wanted,
            series.local_day,
            series.slot,
            masked.kind,
            masked.interval_minutes,
            register,
            policy,
        )

    return made


def last_value(masked: Masked) -> Estimated:
    """Baseline: the last reading before the hole, carried forward."""
    values = np.full(len(masked.left), np.nan)
    values[masked.hole] = masked.left[masked.start - 1][:, None]
    return Estimated(values, np.zeros(len(values), dtype=np.int8))


def plain_mean(masked: Masked) -> Estimated:
    """Baseline: the mean of all that is known of the meter."""
    values = np.where(masked.wanted, np.nanmean(masked.left), np.nan)
    return Estimated(values, np.zeros(len(values), dtype=np.int8))


CHOSEN, LAST_VALUE, MEAN = "chosen", "last value carried forward", "plain mean"
BASELINES = (LAST_VALUE, MEAN)
ESTIMATORS: dict[str, Estimator] = {
    CHOSEN: by_policy(DEFAULT),
    "as prescribed": by_policy(PRESCRIBED),
    "chosen, with a register": by_policy(DEFAULT, with_register=True),
    LAST_VALUE: last_value,
    MEAN: plain_mean,
}


@dataclass(frozen=True)
class Score:
    """One estimator at one gap length.

    Attributes:
        used: the methods that made its estimates, most frequent first; empty for a baseline.
        gaps, intervals: compared, of all meters. Only intervals that every estimator gave a value for are compared.
        estimated: share of the masked intervals that it gave a value for.
        mae_kwh: mean absolute error of an interval, with the 95 % interval of a bootstrap over meters.
        bias_pct: sum of the errors in % of the true energy.
        energy_error_pct: absolute errors of each gap's energy, summed, in % of the true energy.
        gain_pct: how much smaller its mean absolute error is than the better baseline's, with its 95 % interval; NaN
            where that is 0.
    """

    length: timedelta
    estimator: str
    used: tuple[str, ...]
    gaps: int
    intervals: int
    estimated: float
    mae_kwh: float
    mae_range: tuple[float, float]
    bias_pct: float
    energy_error_pct: float
    gain_pct: float
    gain_range: tuple[float, float]


def evaluate(
    meters: list[MeterSeries],
    interval_minutes: int,
    country: str | None = None,
    seed: int = 1,
    gaps_per_meter: int = 50,
    lengths: tuple[timedelta, ...] = LENGTHS,
) -> list[Score]:
    """Mask, estimate and score: one Score for each length and estimator, in that order. Seeded, so repeatable.

    A length that no meter has enough readings for is left out.
    """
    kind = [kinds(series.local_day, country) for series in meters]
    scores: list[Score] = []
    for number, length in enumerate(lengths, start=1):
        compared = []
        for series, days in zip(meters, kind, strict=True):
            start = holes(series, intervals_in(length, interval_minutes), gaps_per_meter, seed)
            if len(start):
                masked = Masked(series, start, intervals_in(length, interval_minutes), days, interval_minutes)
                compared.append(_compared(masked))
        log.info("masked    %d of %d gap lengths, %d meters", number, len(lengths), len(compared))
        if any(meter.intervals for meter in compared):
            scores += _scores(length, compared, seed)
    return scores


def intervals_in(length: timedelta, interval_minutes: int) -> int:
    """A gap's length in intervals; at least one."""
    return max(1, round(length / timedelta(minutes=interval_minutes)))


def holes(series: MeterSeries, length: int, most: int, seed: int) -> Ints:
    """Where holes of `length` intervals are made: one at random in each of up to `most` equal parts of the series.

    What is masked, and the reading on each side of it, are known. The same for the same seed, meter and length.
    """
    known = np.concatenate([[0], np.cumsum(~np.isnan(series.kwh))])
    here = np.arange(1, len(series.kwh) - length)
    here = here[known[here + length + 1] - known[here - 1] == length + 2]
    parts = min(most, int(LARGEST_SHARE * known[-1] / length))
    bounds = np.linspace(0, len(series.kwh), parts + 1).astype(np.int64)
    random = np.random.default_rng([seed, crc32(series.meter.encode()), length])
    found = []
    for first, last in pairwise(bounds):
        inside = here[(here > first) & (here + length < last)]
        if len(inside):
            found.append(random.choice(inside))
    return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class _Compared:
    """One meter: sums over its holes, (estimators,) each, and the methods used."""

    gaps: int
    intervals: int
    masked: int
    estimated: Floats
    absolute: Floats
    error: Floats
    energy_absolute: Floats
    truth: float
    used: list[NDArray[np.int64]]


def _compared(masked: Masked) -> _Compared:
    made = [estimator(masked) for estimator in ESTIMATORS.values()]
    hole, truth = masked.hole, masked.series.kwh[masked.hole]
    values = np.stack([one.values[hole] for one in made])  # (estimators, gaps, length)
    all_know = ~np.isnan(values).any(axis=0)
    error = np.where(all_know, values - truth, 0.0)
    return _Compared(
        gaps=len(hole),
        intervals=int(all_know.sum()),
        masked=hole.size,
        estimated=(~np.isnan(values)).sum(axis=(1, 2)).astype(np.float64),
        absolute=np.abs(error).sum(axis=(1, 2)),
        error=error.sum(axis=(1, 2)),
        energy_absolute=np.abs(error.sum(axis=2)).sum(axis=1),
        truth=float(truth[all_know].sum()),
        used=[np.bincount(one.method[hole].reshape(-1), minlength=len(METHODS)) for one in made],
    )


def _scores(length: timedelta, meters: list[_Compared], seed: int) -> Iterator[Score]:
    truth = sum(meter.truth for meter in meters)
    names = list(ESTIMATORS)
    mae, resampled = _mean_absolute_errors([meter for meter in meters if meter.intervals], seed)
    better = min((names.index(name) for name in BASELINES), key=lambda at: mae[at])
    for at, name in enumerate(names):
        gain = _gain(resampled[:, at], resampled[:, better])
        used = np.sum([meter.used[at] for meter in meters], axis=0)
        yield Score(
            length=length,
            estimator=name,
            used=tuple(METHODS[code] for code in np.argsort(-used, kind="stable") if code and used[code]),
            gaps=sum(meter.gaps for meter in meters),
            intervals=sum(meter.intervals for meter in meters),
            estimated=float(sum(meter.estimated[at] for meter in meters) / sum(meter.masked for meter in meters)),
            mae_kwh=float(mae[at]),
            mae_range=_middle(resampled[:, at]),
            bias_pct=100 * float(sum(meter.error[at] for meter in meters)) / truth,
            energy_error_pct=100 * float(sum(meter.energy_absolute[at] for meter in meters)) / truth,
            gain_pct=float(_gain(mae[at], mae[better])),
            gain_range=_middle(gain),
        )


def _mean_absolute_errors(meters: list[_Compared], seed: int) -> tuple[Floats, Floats]:
    """(estimators,) kWh, and the same (draws, estimators) with the meters drawn anew with replacement."""
    count = np.array([meter.intervals for meter in meters], dtype=np.float64)
    absolute = np.stack([meter.absolute for meter in meters])
    drawn = np.random.default_rng(seed).multinomial(len(meters), np.full(len(meters), 1 / len(meters)), RESAMPLES)
    return absolute.sum(axis=0) / count.sum(), (drawn @ absolute) / (drawn @ count)[:, None]


def _gain(error: NDArray[np.float64] | np.float64, of: NDArray[np.float64] | np.float64) -> Floats:
    """By how many % an error is smaller than another one; NaN where that one is 0."""
    return 100 * (1 - np.divide(error, of, out=np.full(np.shape(of), np.nan), where=np.asarray(of) > 0))


def _middle(draws: Floats) -> tuple[float, float]:
    """The range that holds 95 % of the draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
