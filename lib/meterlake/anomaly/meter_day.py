"""How strange a meter's day is beside its own eight weeks before: slow faults, which no single reading shows.

Pure numpy. A day and the days before it, by the hour, are described by signs, each larger the stranger. The surprise of
a sign is how rare such a number is among ordinary days; the score of the day is the sum of the two largest: one sign
alone is mostly an odd household. Nothing depends on what lies further back than the window, so a day judged alone is
judged as in the whole series.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from meterlake.anomaly.drift import Reference, watched

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Days before the judged one that it is compared with: all but the last week, which is judged with it.
LOOKS_BACK_DAYS = 56
WEEK = 7
# So many known days make a past, so many a week.
LEAST, LEAST_OF_WEEK = 14, 4
# Share of a day's hours that makes it known, and that a judged day has.
KNOWN_SHARE, JUDGED_SHARE = 0.5, 0.9
# A judged day has LEAST such days among so many before it.
HISTORY = 28
# Share of the own level and of the typical level of all meters that keeps ratios of trifles near 1.
FLOOR = 0.05
# Least spread of a logarithm of energies that is believed: nobody's days are alike within 10 %.
LEAST_SPREAD = 0.1
# Quantiles of the meter's own past beyond which a day is news.
LOW_DAYS, LOW_WEEKS, HIGH_DAYS = 0.05, 0.25, 0.95
# At most this share of the meter's mean power is "nothing".
NOTHING = 0.05
NIGHT = [22, 23, 0, 1, 2, 3, 4, 5]
# An hour more in a row, beyond what the meter has done, makes a run of zeros or of one value e times rarer: among some
# dozens of meters such runs are too few to learn it.
RUN_SCALE_HOURS, RUNS = 1.0, ("idle_hours", "frozen_hours")
# Windows that are worked off together: 20 MB per array.
AT_ONCE = 2_000
# No sign is so sure that less than this is far beyond what 1 % of the ordinary days show.
LEAST_SCALE = 0.05
# A sign that one in twenty ordinary days has is no news.
WORTH_TELLING = 3.0
# What the score of a day is called before it is put between 0 and 1.
SCORE = "surprise"
# What is told of a sign that has no number of its own.
PLAIN = {
    "low_base_week": "its base load has been low for a week",
    "night_less_week": "a smaller part of its energy than usual at night for a week",
    "night_more_week": "a larger part of its energy than usual at night for a week",
    "shifted_week": "its day has run as on another clock for a week",
    "backwards_day": "its day fits the usual one better when read backwards",
    "backwards_three_days": "its last three days fit the usual one better when read backwards",
}


@dataclass(frozen=True)
class Hours:
    """Hours of local days, each of shape (..., 24), NaN where not wholly known.

    Attributes:
        kwh: energy of the hour.
        most_kw, least_kw: largest and smallest power of its readings.
    """

    kwh: Floats
    most_kw: Floats
    least_kw: Floats

    @classmethod
    def of(cls, kwh: Floats) -> "Hours":
        """From energies of readings, (..., slots of a day)."""
        parts = kwh.reshape(*kwh.shape[:-1], 24, kwh.shape[-1] // 24)
        per_hour = parts.shape[-1]
        return cls(parts.sum(axis=-1), parts.max(axis=-1) * per_hour, parts.min(axis=-1) * per_hour)

    def at(self, rows: Ints | Bools) -> "Hours":
        return Hours(self.kwh[rows], self.most_kw[rows], self.least_kw[rows])


@dataclass(frozen=True)
class MeterDays:
    """k days of any meters.

    Attributes:
        key: (k,) rising; the days of a meter are 1 apart, and meters more than LOOKS_BACK_DAYS.
        hours: (k, 24).
    """

    key: Ints
    hours: Hours

    @classmethod
    def grid(cls, kwh: Floats) -> "MeterDays":
        """Of dense grids of readings (c, w, slots): c w days."""
        series, days, slots = kwh.shape
        key = (np.arange(series)[:, None] << 32) + np.arange(days)
        return cls(key.reshape(-1), Hours.of(kwh.reshape(-1, slots)))

    @property
    def judged(self) -> Bools:
        """(k,) days with enough readings and enough known days before."""
        known = np.append(np.mean(~np.isnan(self.hours.kwh), axis=1) >= JUDGED_SHARE, False)
        before = known[self._rows(np.arange(len(self.key)), HISTORY)[:, :-1]]
        return known[:-1] & (before.sum(axis=1) >= LEAST)

    def windows(self, days: Ints) -> Iterator[Hours]:
        """(n, LOOKS_BACK_DAYS + 1, 24) of the chosen days, themselves last; in blocks."""
        with_none = Hours(*(_with_nan(values) for values in vars(self.hours).values()))
        for start in range(0, len(days), AT_ONCE):
            yield with_none.at(self._rows(days[start : start + AT_ONCE], LOOKS_BACK_DAYS))

    def _rows(self, days: Ints, back: int) -> Ints:
        """(n, back + 1) where each chosen day and the days before it stand; k for one that is not there."""
        wanted = self.key[days][:, None] - np.arange(back, -1, -1)
        found = np.searchsorted(self.key, wanted)
        there = self.key[np.minimum(found, len(self.key) - 1)] == wanted if len(self.key) else wanted == 0
        return np.where(there, found, len(self.key))


@dataclass(frozen=True)
class Signs:
    """What is told of n days.

    Attributes:
        strange: (n,) by the name of the sign, larger is stranger; NaN where the day or its past is not known.
        kwh, usual_kwh: (n,) energy of the day, filled up from its known hours, and the median of its past.
        week_less: (n,) how much less of it than usual the last seven days had, 1 is all.
        idle_hours, frozen_hours: (n,) longest run of nothing, and of one value.
        top: (n,) highest power beside the highest (95 %) of the past.
    """

    strange: dict[str, Floats]
    kwh: Floats
    usual_kwh: Floats
    week_less: Floats
    idle_hours: Floats
    frozen_hours: Floats
    top: Floats

    def at(self, rows: Bools) -> "Signs":
        numbers = {name: values[rows] for name, values in vars(self).items() if name != "strange"}
        return Signs({name: values[rows] for name, values in self.strange.items()}, **numbers)

    @classmethod
    def joined(cls, parts: "list[Signs]") -> "Signs":
        """One after the other; `parts` holds at least one."""
        names = [name for name in vars(parts[0]) if name != "strange"]
        strange = {name: np.concatenate([part.strange[name] for part in parts]) for name in parts[0].strange}
        return cls(strange, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def signs_of(of: MeterDays, days: Ints, typical_kwh: float) -> Signs:
    """The signs of the chosen days, of which there is one at least."""
    return Signs.joined([signs(window, typical_kwh) for window in of.windows(days)])


def signs(of: Hours, typical_kwh: float) -> Signs:
    """The signs of the last day of each window.

    Tried and left out, each for more false alarms than finds in cross-validation on the training households: more
    energy than usual (by day, by week, base load), distance of the form of the day from the usual, jumps between days.
    Taking out what the other meters do (weather, holidays) made hardly a difference there, and a late file of one meter
    would have changed the days of all others.

    Args:
        of: (n, LOOKS_BACK_DAYS + 1, 24).
        typical_kwh: energy of an ordinary day among all meters.
    """
    known = np.mean(~np.isnan(of.kwh), axis=2) >= KNOWN_SHARE
    kwh, most, least = (np.where(known[..., None], values, np.nan) for values in vars(of).values())
    with np.errstate(invalid="ignore", divide="ignore"):
        energy, top = 24 * mean(kwh, 2), _quantile(most, 1.0, 1)
        profile = kwh / np.nansum(kwh, axis=2, keepdims=True)
        night = np.where(known, np.nansum(profile[..., NIGHT], axis=2), np.nan)
        nothing = most <= NOTHING / 24 * median(energy[:, :-1], 1)[:, None, None]
        idle = np.where(known, longest(nothing), np.nan)
        frozen = np.where(known, longest(_repeats(most, least) & ~nothing), np.nan)
        usual, low_day, low_week, week_less = _fall(energy, typical_kwh)
        _, _, low_base_week, _ = _fall(_quantile(least, 0.1, 1), typical_kwh / 24)
        highest, floor = _high(top[:, :-1]), FLOOR * typical_kwh / 24
        more_at_night = _weeks(night)[:, -1] - _usual(night)
        strange = {
            "low_day": low_day,
            "low_week": low_week,
            "low_base_week": low_base_week,
            "night_less_week": -more_at_night,
            "night_more_week": more_at_night,
            "idle_hours": idle[:, -1] - _high(idle[:, :-WEEK]),
            "frozen_hours": frozen[:, -1] - _high(frozen[:, :-WEEK]),
            "top": np.log((top[:, -1] + floor) / (highest + floor)),
            **_form(profile),
        }
        return Signs(strange, energy[:, -1], usual, week_less, idle[:, -1], frozen[:, -1], top[:, -1] / highest)


def _fall(values: Floats, typical: float) -> tuple[Floats, Floats, Floats, Floats]:
    """(n,) of values (n, days) what is usual, how far the day lies below the low days of the past and the week below
    its low weeks, both in units of the meter's own spread of logarithms, and the week's fall below usual as a share.

    Below low days: a pump that stands still on every third day is no news on the next. Only the lowest quarter of the
    weeks, as what has gone on for two weeks would else be usual already.
    """
    usual = _usual(values)
    floor = FLOOR * (typical + usual)
    log = np.log((values + floor[:, None]) / (usual + floor)[:, None])
    week = _weeks(log)
    days, weeks = log[:, :-WEEK], week[:, :-WEEK]  # the weeks of the past end where the past ends
    fall_of_day = (_quantile(days, LOW_DAYS, LEAST) - log[:, -1]) / (LEAST_SPREAD + _spread(days))
    fall_of_week = (_quantile(weeks, LOW_WEEKS, LEAST) - week[:, -1]) / (LEAST_SPREAD + _spread(weeks))
    return usual, fall_of_day, fall_of_week, 1 - np.exp(week[:, -1])


def _form(profile: Floats) -> dict[str, Floats]:
    """Whether another clock, or the day read backwards, fits the usual form of the day better than the day as it is.

    Backwards beyond what the meter's own past has: some days are alike from both ends.
    """
    past = profile[:, :-WEEK]
    usual = mean(past, 1)
    week, three, day = mean(profile[:, -WEEK:], 1), mean(profile[:, -3:], 1), profile[:, -1]
    threes_of_past = mean(sliding_window_view(past, 3, axis=1), -1)
    shifted = np.max([_correlation(np.roll(week, -k, axis=1), usual) for k in range(2, 23)], axis=0)
    return {
        "shifted_week": shifted - _correlation(week, usual),
        "backwards_day": _backwards(day, usual) - _high(_backwards(past, usual[:, None])),
        "backwards_three_days": _backwards(three, usual) - _high(_backwards(threes_of_past, usual[:, None])),
    }


def _backwards(profile: Floats, usual: Floats) -> Floats:
    return _correlation(profile[..., ::-1], usual) - _correlation(profile, usual)


def _repeats(most: Floats, least: Floats) -> Bools:
    """Hours whose readings are all equal, and equal to those of the hour before in the same day."""
    flat = most == least
    flat[..., 1:] &= ~flat[..., :-1] | (most[..., 1:] == most[..., :-1])
    return flat


def longest(mask: Bools) -> Floats:
    """Longest run of true values along the last axis."""
    position = np.arange(1, mask.shape[-1] + 1)
    last_false = np.maximum.accumulate(np.where(mask, 0, position), axis=-1)
    return np.max(position - last_false, axis=-1).astype(np.float64)


def _usual(values: Floats) -> Floats:
    """Median of the past (n,) of (n, days)."""
    return median(values[:, :-WEEK], LEAST)


def _high(values: Floats) -> Floats:
    """What the meter has done before on all but one of twenty days (n,) of (n, days)."""
    return _quantile(values, HIGH_DAYS, LEAST)


def _weeks(values: Floats) -> Floats:
    """(n, days - 6) mean of the known ones of each seven days in a row, of at least four."""
    week = sliding_window_view(values, WEEK, axis=1)
    return np.where(np.sum(~np.isnan(week), axis=-1) >= LEAST_OF_WEEK, mean(week, -1), np.nan)


def _spread(values: Floats) -> Floats:
    """1.4826 times the median distance from the median (Hampel, JASA 69, 1974)."""
    return 1.4826 * median(np.abs(values - median(values, LEAST)[:, None]), LEAST)


def _correlation(one: Floats, other: Floats) -> Floats:
    """Pearson's, along the last axis; 0 where one of them is flat."""
    a, b = one - one.mean(axis=-1, keepdims=True), other - other.mean(axis=-1, keepdims=True)
    found = _dot(a, b) / np.sqrt(_dot(a, a) * _dot(b, b))
    return np.where(np.isinf(found), 0.0, found)


def _dot(one: Floats, other: Floats) -> Floats:
    """Sums of products along the last axis, without the array of products."""
    return np.asarray(np.einsum("...h,...h->...", one, other))


def mean(values: Floats, axis: int) -> Floats:
    """Of what is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def median(values: Floats, least: int) -> Floats:
    """Along the last axis, of what is known; NaN where that is less than `least`."""
    return _quantile(values, 0.5, least)


def _quantile(values: Floats, level: float, least: int) -> Floats:
    ordered = np.sort(values, axis=-1)
    count = np.sum(~np.isnan(ordered), axis=-1)
    at = np.maximum(count - 1, 0) * level
    low, part = np.floor(at).astype(np.int64), at % 1
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    below, above = (np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0] for index in (low, high))
    return np.where(count >= least, below + part * (above - below), np.nan)


def _with_nan(values: Floats) -> Floats:
    """With a last row that stands for every day that is not there."""
    return np.concatenate([values, np.full((1, *values.shape[1:]), np.nan)])


@dataclass(frozen=True)
class Surprise:
    """-ln of the share of ordinary days that are at least as strange: straight between the stored quantiles, and beyond
    the 99 % quantile an exponential tail.

    Attributes:
        values, surprise: rising; a value that many ordinary days share has the surprise of the first of them.
        tail: the surprise with which the tail begins.
        scale: mean excess of the tail.
    """

    values: tuple[float, ...]
    surprise: tuple[float, ...]
    tail: float
    scale: float

    @classmethod
    def of(cls, ordinary: Floats, scale: float | None = None) -> "Surprise":
        """Of ordinary days, NaN where unknown.

        Args:
            scale: of the tail; None for that of the ordinary days, by their median excess: among them are real faults,
                which nobody has labelled and which would rule a mean.
        """
        known = ordinary[np.isfinite(ordinary)]
        levels = np.concatenate([np.linspace(0, 0.9, 19), 1 - np.geomspace(0.1, 0.01, 12)[1:]])
        at = np.quantile(known, levels) if len(known) else np.zeros(len(levels))
        first = np.append(True, np.diff(at) > 0)
        excess = known[known > at[-1]] - at[-1]
        if scale is None:
            scale = max(float(np.median(excess)) / np.log(2) if len(excess) else 0.0, LEAST_SCALE)
        surprise = -np.log(1 - levels)
        return cls(tuple(at[first].tolist()), tuple(surprise[first].tolist()), float(surprise[-1]), scale)

    def __call__(self, values: Floats) -> Floats:
        inside = np.interp(values, self.values, self.surprise)
        beyond = self.tail + (values - self.values[-1]) / self.scale
        return np.where(np.isnan(values), 0.0, np.where(values > self.values[-1], beyond, inside))


def two_largest(surprises: Floats) -> Floats:
    """The sum of the two largest along the first axis.

    Chosen on the training households: the largest alone raised four times the false alarms for as many finds, the
    sum of all found less.
    """
    return np.sort(surprises, axis=0)[-2:].sum(axis=0)


def watched_days(surprises: Floats) -> NDArray[np.float32]:
    """(n, signs + 1) what a reference of days is about: the surprise (signs, n) of each sign, and the score.

    The surprise rises with its sign and is known of every day: 0 where the sign is not, as in the score.
    """
    return watched(surprises.T.astype(np.float32), two_largest(surprises))


@dataclass(frozen=True)
class DayModel:
    """What an ordinary day is, among the meters of a source.

    Attributes:
        typical_kwh: energy of one.
        surprises: of each sign.
        threshold: the score that the alarm share of ordinary days exceeds.
        published: where that lies from 0 to 1.
        days: so many it was fitted to.
        reference: what they looked like, see `watched_days`; None in models that were made before it was kept.
    """

    typical_kwh: float
    surprises: dict[str, Surprise]
    threshold: float
    published: float
    days: int
    reference: Reference | None = None

    def surprises_of(self, of: Signs) -> Floats:
        """(signs, n) in the order of `surprises`."""
        return _surprises(self.surprises, of)

    def from_0_to_1(self, scores: Floats) -> Floats:
        """Rising, `published` at the threshold: s / (s + threshold (1 - p) / p)."""
        return scores / (scores + self.threshold * (1 - self.published) / self.published)


def fit(of: MeterDays, judged: Bools, alarm_share: float, published: float) -> DayModel:
    """The model of ordinary meters.

    The threshold is set by days that the model was not fitted to: each half of the meters (of the days, where there is
    one meter) is judged by the other.

    Args:
        judged: (k,) the days that count; at least two.
        alarm_share: share of the ordinary days that may be flagged.
    """
    days = np.flatnonzero(judged)
    kwh = 24 * mean(of.hours.kwh[days], 1)
    typical = float(np.nanmedian(kwh))
    found = signs_of(of, days, typical)
    half = _halves(of.key[days] >> 32)
    scores = np.empty(len(days))
    for side in (half, ~half):
        scores[side] = two_largest(_surprises(_fitted(found.at(~side)), found.at(side)))
    threshold = float(np.quantile(scores, 1 - alarm_share))
    model = DayModel(typical, _fitted(found), threshold, published, len(days))
    reference = Reference.of(watched_days(model.surprises_of(found)), (*model.surprises, SCORE))
    return replace(model, reference=reference)


def _fitted(ordinary: Signs) -> dict[str, Surprise]:
    scales = dict.fromkeys(RUNS, RUN_SCALE_HOURS)
    return {name: Surprise.of(values, scales.get(name)) for name, values in ordinary.strange.items()}


def _surprises(surprises: dict[str, Surprise], of: Signs) -> Floats:
    return np.stack([surprise(of.strange[name]) for name, surprise in surprises.items()])


def _halves(meter: Ints) -> Bools:
    """Every second meter; the first half of the days of a single one."""
    _, number = np.unique(meter, return_inverse=True)
    return number % 2 == 0 if number[-1:].any() else np.arange(len(meter)) < len(meter) // 2


def told(of: Signs, surprises: Floats, names: tuple[str, ...]) -> list[str]:
    """One sentence for each day: its two most surprising signs.

    Args:
        surprises: (signs, n), in the order of `names`.
    """
    first_two = np.argsort(-surprises, axis=0, kind="stable")[:2]
    worth = np.take_along_axis(surprises, first_two, axis=0) >= WORTH_TELLING
    return [
        "; ".join(_sentence(names[sign], of, day) for sign in first_two[worth[:, day], day])
        for day in range(len(of.kwh))
    ]


def _sentence(name: str, of: Signs, day: int) -> str:
    match name:
        case "low_day":
            return f"used {100 * (1 - of.kwh[day] / of.usual_kwh[day]):.0f} % less than its usual day"
        case "low_week":
            return f"used {100 * of.week_less[day]:.0f} % less than usual for a week"
        case "idle_hours":
            return f"read nothing for {of.idle_hours[day]:.0f} h in a row"
        case "frozen_hours":
            return f"repeated one value for {of.frozen_hours[day]:.0f} h"
        case "top":
            return f"its highest power is {of.top[day]:.1f} times that of the eight weeks before"
        case _:
            return PLAIN[name]
