"""Faults that the generator does not make, put into its readings by a seed: what the rules about other channels, the
clock and long silence must find.

Generated readings have neither a register nor sub-meters; both are made here from the readings themselves. The files
and their truth stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from meterlake.vee.series import Floats, Ints, Series

NOMINAL_V = 230.0
REGISTER_DIGITS = 2  # a register that shows 0.01 kWh
LEAST_DAYS = 42  # of a series: room for each kind


@dataclass(frozen=True)
class Events:
    """What was put in: k events, by series, from the first to before the last interval."""

    kind: np.ndarray
    begin: Ints
    end: Ints


@dataclass(frozen=True)
class Channels:
    """(n,) what the meters of a series record; faults change it in place."""

    kwh: Floats
    voltage_v: Floats
    register_kwh: Floats
    sub_kwh: Floats


Effect = Callable[[Channels, slice, float], None]


@dataclass(frozen=True)
class Fault:
    """A kind of fault, named by the rule that must find it.

    Attributes:
        effect: changes the channels in a stretch of intervals; the number is drawn evenly from `parameter`.
        lasts_hours: drawn evenly; None: to the end of the series.
        real: the energy flows as the meter then records it, so register and sub-meters agree with it.
        margin_days: distance from either end of the series.
    """

    rule: str
    what: str
    effect: Effect
    parameter: tuple[float, float]
    lasts_hours: tuple[float, float] | None
    real: bool = False
    margin_days: int = 0


def _outage(channels: Channels, at: slice, zero: float) -> None:
    channels.voltage_v[at] = 0.0
    channels.kwh[at] = 0.0 if zero < 0.5 else np.nan


def _silence(channels: Channels, at: slice, _: float) -> None:
    channels.voltage_v[at] = channels.kwh[at] = np.nan


def _late_clock(channels: Channels, at: slice, intervals: float) -> None:
    late, kwh = round(intervals), channels.kwh[at].copy()
    channels.kwh[at] = np.concatenate([np.full(late, np.nan), kwh[: len(kwh) - late]])


def _reverse_flow(channels: Channels, at: slice, share: float) -> None:
    channels.kwh[at] *= -share


def _altered(channels: Channels, at: slice, share: float) -> None:
    channels.kwh[at] *= 1 + share


def _wrong_pulse_constant(channels: Channels, at: slice, times: float) -> None:
    channels.sub_kwh[at] *= times


def faults(series: Series) -> tuple[Fault, ...]:
    """The kinds of faults, for the intervals of these series."""
    hour = series.intervals(1)
    return (
        Fault("outage", "0 V for 2 to 12 h, energy 0 or missing", _outage, (0, 1), (2, 12), real=True),
        Fault("negative", "reverse flow for 1 to 6 h, 10 to 100 % of the use", _reverse_flow, (0.1, 1.0), (1, 6)),
        Fault("register_sum", "one interval 50 % too low to 50 % too high", _altered, (-0.5, 0.5), (0, 0)),
        Fault(
            "sub_meters", "sub-meters count 1.1 to 3 times for 1 to 7 days", _wrong_pulse_constant, (1.1, 3), (24, 168)
        ),
        Fault("clock_shift", "clock 1 to 3 h late from a day on", _late_clock, (hour, 3 * hour), None, True, 15),
        Fault("prolonged_estimation", "silence for 8 to 21 days", _silence, (0, 0), (192, 504), real=True),
    )


def put_in(series: Series, into: Ints, seed: int) -> tuple[Series, Events]:
    """The series with a register, sub-meters and one fault in each of those numbered `into`, the kinds in turn.

    The register is read at the beginning of each local day and rises by the mean where energy is unknown; sub-meters
    count 10 to 95 % of each interval.

    Args:
        into: series of LEAST_DAYS or more.
    """
    random = np.random.default_rng(seed)
    kinds = faults(series)
    planned = [(kinds[n % len(kinds)], number) for n, number in enumerate(random.permutation(into))]
    drawn = [
        (fault, _place(series, number, fault, random), random.uniform(*fault.parameter)) for fault, number in planned
    ]
    kwh = series.kwh.copy()
    voltage = np.full(series.size, NOMINAL_V) if series.voltage_v is None else series.voltage_v.copy()
    channels = Channels(kwh, voltage, np.empty(series.size), np.empty(series.size))
    _apply(channels, [one for one in drawn if one[0].real])
    channels.register_kwh[:] = _register(series, kwh)
    channels.sub_kwh[:] = kwh * random.uniform(0.1, 0.95, series.size)
    _apply(channels, [one for one in drawn if not one[0].real])
    places = [at for _, at, _ in drawn]
    events = Events(
        np.array([fault.rule for fault, _, _ in drawn]),
        np.array([at.start for at in places], dtype=np.int64),
        np.array([at.stop for at in places], dtype=np.int64),
    )
    return replace(series, **vars(channels)), events


def _apply(channels: Channels, drawn: list[tuple[Fault, slice, float]]) -> None:
    for fault, at, parameter in drawn:
        fault.effect(channels, at, parameter)


def _place(series: Series, number: int, fault: Fault, random: np.random.Generator) -> slice:
    """Where in its series a fault lies: anywhere it has room, at least one interval."""
    margin = fault.margin_days * series.slots
    first, last = int(series.bounds[number]) + margin, int(series.bounds[number + 1]) - margin
    if fault.lasts_hours is None:
        return slice(int(random.integers(first, max(last, first + 1))), int(series.bounds[number + 1]))
    length = min(series.intervals(random.uniform(*fault.lasts_hours)), last - first)
    begin = int(random.integers(first, last - length + 1))
    return slice(begin, begin + length)


def _register(series: Series, kwh: Floats) -> Floats:
    """(n,) what a register shows at the beginning of each local day, NaN at other times."""
    known = ~np.isnan(kwh)
    total, count = (np.add.reduceat(part, series.bounds[:-1]) for part in (np.where(known, kwh, 0.0), known))
    filled = np.where(known, kwh, (total / np.maximum(count, 1))[series.number])
    shown = np.round(np.concatenate([[0.0], np.cumsum(filled)[:-1]]), REGISTER_DIGITS)
    return np.where(series.slot == 0, shown, np.nan)
