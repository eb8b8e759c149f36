"""Are a meter's zeros and silences an outage, or is it alone? Runs of a line's meters in a month -> interruptions.

An interruption lasts as long as SHARE of the meters of an element is dark at once: of the feeder, or of one of its
transformers while the feeder is not. What is left of a meter's zeros is its own. The runs of a line's meters are few,
and all work is sorts and running sums on arrays of them.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from meterlake.vee.findings import joined
from meterlake.vee.gaps import intervals_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SHARE = 0.5  # of an element's meters are dark at once: then it is the element that is
LEAST_METERS = 2  # of one meter alone nobody can tell
TELLING_SHARE = 0.2  # of the dark meters say so; of fewer, the rest may be silent for another reason
# What a meter says of itself in a run, and what an interruption is of; EVIDENCE by state.
STATES = DEAD, ZERO, SILENT = range(3)
LEVELS = FEEDER, TRANSFORMER, METER = range(3)
KINDS = ("feeder", "transformer", "meter")
EVIDENCE = ("voltage", "zeros", "silence")
SPAN = 2**34  # minutes: elements stand one after the other on one axis of time, far apart


@dataclass(frozen=True)
class Runs:
    """r runs of the meters of a line.

    Attributes:
        meter: (r,) running number.
        begin, end: (r,) minutes since 1970 UTC, end exclusive. A run that is cut in two touches its other part.
        state: (r,) DEAD: the voltage is gone; ZERO: zeros, not known to be DEAD; SILENT: no reading.
    """

    meter: Ints
    begin: Ints
    end: Ints
    state: Ints

    def where(self, chosen: Bools) -> "Runs":
        return Runs(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True)
class Line:
    """The line and month that the runs are of.

    Attributes:
        meters: of the feeder; 0 where the line is a transformer whose feeder is unknown.
        transformer: (m,) running number of each meter's transformer, -1 where it is unknown.
        transformer_meters: (t,) meters of each transformer.
        zero_is_dark: False where meters report their voltage: who reads zero at a voltage is not dark.
        first, last: the month in minutes since 1970 UTC, end exclusive.
    """

    meters: int
    transformer: Ints
    transformer_meters: Ints
    zero_is_dark: bool
    first: int
    last: int


@dataclass(frozen=True)
class Interruptions:
    """i interruptions.

    Attributes:
        kind: index into KINDS.
        element: running number of the transformer or meter; 0 for the feeder.
        begin, end: minutes since 1970 UTC, end exclusive.
        meters: meters of the element.
        interrupted: those without power for a part of it, at least; `dead`, `zero` and `silent` by what they say.
        begun: those that were in no other interruption right before.
        minutes: sum of their times without power.
        evidence: index into EVIDENCE.
    """

    kind: Ints
    element: Ints
    begin: Ints
    end: Ints
    meters: Ints
    interrupted: Ints
    dead: Ints
    zero: Ints
    silent: Ints
    begun: Ints
    minutes: Ints
    evidence: Ints

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class _Parts:
    """Stretches of time on an axis: SPAN * element + minute. `of` says whose they are, or what they lie in."""

    of: Ints
    begin: Ints
    end: Ints


def interruptions(runs: Runs, line: Line) -> Interruptions:
    """The interruptions of the line in the month: of the feeder, of transformers, of single meters, by time."""
    dark = runs.where((runs.state != ZERO) | line.zero_is_dark)
    whole = _united(dark)
    in_month = _clipped(whole, line)
    nowhere = len(line.transformer_meters)  # the transformer of meters that have none; it is never out
    levels = (
        (FEEDER, np.zeros_like(line.transformer), np.array([line.meters])),
        (TRANSFORMER, np.where(line.transformer < 0, nowhere, line.transformer), np.append(line.transformer_meters, 0)),
    )
    rest, out, inside = in_month, [], []
    for _, element, meters in levels:
        least = np.where(meters > 0, np.maximum(LEAST_METERS, np.ceil(meters * SHARE)), np.inf)
        out.append(_at_once(rest, element, least))
        inside.append(_inside(rest, element, out[-1]))
        rest = _without(rest, element, out[-1])
    known_before = _ends(inside, whole, line)
    told = [
        _of_element(level, element, meters, stretches, parts, dark, known_before)
        for (level, element, meters), stretches, parts in zip(levels, out, inside, strict=True)
    ]
    for state in (DEAD, ZERO):
        own = _clipped(_united(runs.where(runs.state == state)), line)
        if state == DEAD or line.zero_is_dark:
            for (_, element, _), stretches in zip(levels, out, strict=True):
                own = _without(own, element, stretches)
        told.append(_of_meter(own, state))
    return Interruptions(*(np.concatenate([getattr(part, f.name) for part in told]) for f in fields(Interruptions)))


def _united(runs: Runs) -> _Parts:
    """The times of each meter, those that touch or overlap made one."""
    order = np.lexsort((runs.begin, runs.meter))
    begin, end = joined((runs.meter * SPAN + runs.begin)[order], (runs.meter * SPAN + runs.end)[order])
    return _Parts(begin // SPAN, begin % SPAN, end % SPAN)


def _clipped(parts: _Parts, line: Line) -> _Parts:
    begin, end = np.maximum(parts.begin, line.first), np.minimum(parts.end, line.last)
    kept = begin < end
    return _Parts(parts.of[kept], begin[kept], end[kept])


def _at_once(parts: _Parts, element: Ints, least: NDArray[np.float64]) -> _Parts:
    """When at least so many meters of an element are dark at once; `of` is the element."""
    base = element[parts.of] * SPAN
    at = np.concatenate([base + parts.begin, base + parts.end])
    step = np.repeat([1, -1], len(base))
    times, where = np.unique(at, return_inverse=True)
    dark = np.cumsum(np.bincount(where, step, len(times)).astype(np.int64))
    edges = np.flatnonzero(np.diff(dark >= least[times // SPAN], prepend=False))
    begin, end = times[edges[::2]], times[edges[1::2]]
    return _Parts(begin // SPAN, begin % SPAN, end % SPAN)


def _overlaps(parts: _Parts, element: Ints, stretches: _Parts) -> tuple[Ints, Ints]:
    """Which stretch of its element, and which part, for each overlap of a part with a stretch."""
    base, axis = element[parts.of] * SPAN, stretches.of * SPAN
    first = np.searchsorted(axis + stretches.end, base + parts.begin, side="right")
    after = np.searchsorted(axis + stretches.begin, base + parts.end, side="left")
    return intervals_of(first, after)


def _inside(parts: _Parts, element: Ints, stretches: _Parts) -> tuple[Ints, _Parts]:
    """The pieces of parts that lie in a stretch: which one, and the meter's time in it."""
    stretch, part = _overlaps(parts, element, stretches)
    begin = np.maximum(parts.begin[part], stretches.begin[stretch])
    return stretch, _Parts(parts.of[part], begin, np.minimum(parts.end[part], stretches.end[stretch]))


def _without(parts: _Parts, element: Ints, stretches: _Parts) -> _Parts:
    """The pieces of parts that lie in no stretch."""
    stretch, part = _overlaps(parts, element, stretches)
    of = np.concatenate([np.arange(len(parts.of)), part])
    begin = np.concatenate([parts.begin, stretches.end[stretch]])
    end = np.concatenate([parts.end, stretches.begin[stretch]])
    begins, ends = np.lexsort((begin, of)), np.lexsort((end, of))
    kept = begin[begins] < end[ends]
    return _Parts(parts.of[of[begins]][kept], begin[begins][kept], end[ends][kept])


def _ends(inside: list[tuple[Ints, _Parts]], whole: _Parts, line: Line) -> Ints:
    """Where a meter's time in an interruption ends, on the axis; also where it goes on from the month before."""
    carried = whole.of[(whole.begin < line.first) & (whole.end > line.first)]
    return np.concatenate([*(parts.of * SPAN + parts.end for _, parts in inside), carried * SPAN + line.first])


def _of_element(
    level: int,
    element: Ints,
    meters: Ints,
    stretches: _Parts,
    inside: tuple[Ints, _Parts],
    dark: Runs,
    ends: Ints,
) -> Interruptions:
    count, (stretch, parts) = len(stretches.of), inside
    pairs = _distinct(stretch, parts.of)
    by_state = []
    for state in (DEAD, ZERO):  # a meter that says both is dead
        these = dark.where(dark.state <= state)
        at, part = _overlaps(_Parts(these.meter, these.begin, these.end), element, stretches)
        by_state.append(_counted(np.intersect1d(_distinct(at, these.meter[part]), pairs), count))
    new = ~np.isin(parts.of * SPAN + parts.begin, ends)
    interrupted, (dead, told) = _counted(pairs, count), by_state
    telling = TELLING_SHARE * interrupted
    return Interruptions(
        kind=np.full(count, level),
        element=stretches.of,
        begin=stretches.begin,
        end=stretches.end,
        meters=meters[stretches.of],
        interrupted=interrupted,
        dead=dead,
        zero=told - dead,
        silent=interrupted - told,
        begun=_counted(_distinct(stretch[new], parts.of[new]), count),
        minutes=np.bincount(stretch, parts.end - parts.begin, count).astype(np.int64),
        evidence=np.where(dead >= telling, DEAD, np.where(told >= telling, ZERO, SILENT)),
    )


def _of_meter(own: _Parts, state: int) -> Interruptions:
    count, one = len(own.of), np.ones(len(own.of), dtype=np.int64)
    none = np.zeros_like(one)
    dead, zero = (one, none) if state == DEAD else (none, one)
    minutes, evidence = own.end - own.begin, np.full(count, state)
    return Interruptions(
        np.full(count, METER), own.of, own.begin, own.end, one, one, dead, zero, none, one, minutes, evidence
    )


def _distinct(stretch: Ints, meter: Ints) -> Ints:
    """Each meter once for each stretch, as one number."""
    return np.unique(stretch * SPAN + meter)


def _counted(pairs: Ints, count: int) -> Ints:
    return np.bincount(pairs // SPAN, minlength=count)
