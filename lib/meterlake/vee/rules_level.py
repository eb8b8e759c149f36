"""Does a meter's level, or its clock, change from one day to the next? Rules that compare the time before and after."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from meterlake.vee.clock import DAY_MINUTES
from meterlake.vee.findings import NOTHING, Findings, of_days
from meterlake.vee.series import EXACT, Bools, Floats, Ints, Series

MAD_TO_STD = 1.4826  # of a normal distribution


def step_change(
    series: Series, *, share: float = 0.4, window_days: int = 14, deviations: float = 3.0, least_kw: float = 0.02
) -> Findings:
    """VEE-14. On which day does the daily use shift to another level, and by how much?

    The medians of the `window_days` before and from the day on differ by more than `share` of the larger one, and by
    more than `deviations` robust standard errors of a median (1.2533 * 1.4826 * MAD / sqrt(window_days)). Of
    neighbouring days the one is told at which the two means differ most. value and reference are the medians after
    and before.

    Args:
        share: part of the larger level by which the levels must differ.
        window_days: days on either side; whole weeks, so that weekends cancel.
        deviations: distance of the levels in robust standard errors.
        least_kw: a smaller shift, as mean power, is none.
    """
    use = np.where(2 * series.row_known >= series.slots, np.round(series.daily_kwh * EXACT) / EXACT, np.nan)
    middle, spread, total = _ahead(series, use, window_days)
    before, after = _before(series, middle, window_days), middle
    noise = 1.2533 * MAD_TO_STD * np.hypot(_before(series, spread, window_days), spread) / np.sqrt(window_days)
    size = np.abs(after - before)
    least = np.maximum(share * np.maximum(before, after), np.maximum(deviations * noise, least_kw * 24))
    differs = np.abs(total - _before(series, total, window_days))
    return of_days(series, _largest_near(differs, size > least, window_days), after, before)


def clock_change(series: Series) -> Findings:
    """VEE-12. Is exactly the hour missing that a clock skips or repeats when summer time begins or ends?

    A meter whose stamps follow the wall clock although its source declares none that changes has no reading for the
    hour that was skipped, and two for the one that was repeated (which staging rejects as conflicting, so that the hour
    is missing). With a source that follows the wall clock, too, only the repeated hour can be missing. value is the
    length of the hole in minutes; reference is the change of the clock in minutes.
    """
    found = [NOTHING]
    for at, before, after in (
        series.civil.between(int(series.minute[0]), int(series.minute.max())) if series.size else ()
    ):
        wall = at + min(before, after)
        length = abs(after - before)
        first, width = wall - series.clock.offset(np.array([wall]))[0], length // series.interval_minutes
        if width and not (series.clock is series.civil and after > before):
            starts = (first, at - length, at) if series.clock is series.civil else (first,)
            found.append(_holes(series, sorted(set(starts)), int(width), after - before))
    parts = zip(*((f.begin, f.end, f.value, f.reference) for f in found), strict=True)
    begin, end, value, reference = (np.concatenate(part) for part in parts)
    order = np.argsort(begin, kind="stable")
    return Findings(begin[order], end[order], value[order], reference[order])


def clock_shift(
    series: Series, *, window_days: int = 14, most_hours: float = 3.0, better: float = 0.1, alike: float = 0.8
) -> Findings:
    """VEE-13. From which day on does the meter's day run earlier or later than before?

    The mean day of the `window_days` from the day on, moved by k intervals, fits the mean day of those before
    (Pearson's correlation) at least `alike`, and better by `better` than unmoved. Days are those of the wall clock at
    the meter, so that people who follow summer time move nothing. value is the shift in minutes (positive: later),
    reference how well it fits.

    Args:
        window_days: days on either side.
        most_hours: largest shift looked for.
        better: by how much the correlation must rise.
        alike: correlation that the moved day must reach.
    """
    slots, days = series.slots, window_days
    if slots < 24 or len(series.row_day) <= 2 * days:
        return NOTHING
    exact, known = _by_wall_clock(series)
    after = np.where(_in_one_series(series, days)[:, None], _mean_day(exact, known, days), np.nan)
    before = _before(series, after, days)
    rows = np.flatnonzero(~np.isnan(before).any(axis=1) & ~np.isnan(after).any(axis=1))
    shifts = np.arange(-series.intervals(most_hours), series.intervals(most_hours) + 1)
    fit = _fits(before[rows], after[rows], shifts)
    best = fit.argmax(axis=1)
    gain = fit[np.arange(len(rows)), best] - fit[:, len(shifts) // 2]
    minutes, reached, gained = (np.full(len(series.row_day), np.nan) for _ in range(3))
    minutes[rows] = shifts[best] * series.interval_minutes
    reached[rows], gained[rows] = np.round(fit[np.arange(len(rows)), best], 4), gain
    found = (gained >= better) & (reached >= alike)
    return of_days(series, _largest_near(gained, found, days), minutes, reached)


def _ahead(series: Series, use: Floats, days: int) -> tuple[Floats, Floats, Floats]:
    """(rows,) median, median absolute deviation and mean of the `days` that begin with each; NaN where not all lie in
    the series, or fewer than three quarters are known."""
    padded = np.concatenate([use, np.full(days - 1, np.nan)])
    windows = np.where(_in_one_series(series, days)[:, None], sliding_window_view(padded, days), np.nan)
    count = np.count_nonzero(~np.isnan(windows), axis=1)
    windows[4 * count < 3 * days] = np.nan
    some = ~np.isnan(windows).all(axis=1)
    middle, spread, mean = (np.full(len(use), np.nan) for _ in range(3))
    kept = windows[some]
    middle[some] = np.nanmedian(kept, axis=1)
    spread[some] = np.nanmedian(np.abs(kept - middle[some, None]), axis=1)
    mean[some] = np.round(np.nanmean(kept, axis=1), 4)
    return middle, spread, mean


def _in_one_series(series: Series, days: int) -> Bools:
    """(rows,) whether the row and the `days` - 1 after it are of one series."""
    number = series.row_series
    last = np.concatenate([number[days - 1 :], np.full(min(days - 1, len(number)), -1)])
    return number == last


def _before(series: Series, values: Floats, days: int) -> Floats:
    """Each row gets the value of `days` rows before, NaN where that is before the series."""
    moved = np.full(values.shape, np.nan)
    moved[days:] = values[: max(len(values) - days, 0)]
    moved[np.arange(len(values)) - series.row_first < days] = np.nan
    return moved


def _largest_near(size: Floats, candidate: Bools, days: int) -> Bools:
    """Of the candidates within `days` of each other, the one with the largest size; the first of equals."""
    values = np.where(candidate, size, -np.inf)
    edge = np.full(days - 1, -np.inf)
    earlier = sliding_window_view(np.concatenate([edge, values[:-1]]), days - 1).max(axis=1)
    later = sliding_window_view(np.concatenate([values[1:], edge]), days - 1).max(axis=1)
    return np.asarray(candidate & (values > earlier) & (values >= later))


def _holes(series: Series, starts: list[int], width: int, change: int) -> Findings:
    """The series in which all intervals from one of these UTC minutes on are missing, and those around are known."""
    found = []
    for start in starts:
        at = series.bounds[:-1] + (start - series.minute[series.bounds[:-1]]) // series.interval_minutes
        at = at[(at > series.bounds[:-1]) & (at + width < series.bounds[1:])]
        missing = ~series.known[at[:, None] + np.arange(width)].any(axis=1)
        found.append(at[missing & series.known[at - 1] & series.known[at + width]])
    begin = np.unique(np.concatenate(found))
    return Findings(
        begin,
        begin + width,
        np.full(len(begin), float(width * series.interval_minutes)),
        np.full(len(begin), float(change)),
    )


def _by_wall_clock(series: Series) -> tuple[Ints, Ints]:
    """(rows, slots) exact energy and whether it is known, by the time of the day on the wall clock at the meter."""
    noon = series.row_day * DAY_MINUTES + DAY_MINUTES // 2
    ahead = (series.civil.offset(noon) - series.clock.offset(noon)) // series.interval_minutes
    column = (np.arange(series.slots)[None, :] - ahead[:, None]) % series.slots
    grid = np.take_along_axis(series.grid, column, axis=1)
    known = ~np.isnan(grid)
    return np.rint(np.where(known, grid, 0) * EXACT).astype(np.int64), known.astype(np.int64)


def _mean_day(exact: Ints, known: Ints, days: int) -> Floats:
    """(rows, slots) mean of each slot over the `days` that begin with the row; NaN where half of them are unknown."""

    def ahead(values: Ints) -> Ints:
        running = np.concatenate([np.zeros((1, values.shape[1]), dtype=np.int64), np.cumsum(values, axis=0)])
        last = np.minimum(np.arange(len(values)) + days, len(values))
        return running[last] - running[:-1]

    total, count = ahead(exact), ahead(known)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=2 * count >= days)


def _fits(before: Floats, after: Floats, shifts: Ints) -> Floats:
    """(rows, shifts) Pearson's correlation of the mean day before with the one after, moved back by each shift."""
    one, other = _standard(before), _standard(after)
    return np.stack([np.einsum("ij,ij->i", one, np.roll(other, -shift, axis=1)) for shift in shifts], axis=1)


def _standard(days: Floats) -> Floats:
    centred = days - days.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))[:, None]
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
