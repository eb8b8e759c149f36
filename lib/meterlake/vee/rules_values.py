"""Is a value, or a day, too large or too small for this meter?"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from meterlake.vee.findings import NOTHING, Findings, of_days
from meterlake.vee.series import EXACT, HOLIDAY, WEEKEND, Floats, Ints, Series

MAD_TO_STD = 1.4826  # of a normal distribution
ROWS_AT_ONCE = 2_000  # local days whose windows are copied at a time: about 20 MB


def spike(series: Series, *, ratio: float = 1.8, least_kw: float = 3.0) -> Findings:
    """VEE-01. Does one interval of a local day stand far above the rest of the day: (p1 - p3) / p3 > ratio?

    p1 and p3 are the highest and the third highest energy of the day. Both of the two highest intervals are told when
    both are that far above.

    Args:
        ratio: (p1 - p3) / p3 from which on it is a spike.
        least_kw: a highest interval with less mean power is none: beside standby, one kettle is ten times the rest.
    """
    if series.grid.shape[1] < 3:
        return NOTHING
    values = np.where(np.isnan(series.grid), -np.inf, series.grid)
    third = np.partition(values, -3, axis=1)[:, -3]
    usable = np.isfinite(third) & (third > 0)
    bound = np.where(usable, np.maximum(third * (1 + ratio), least_kw * series.interval_minutes / 60), np.inf)
    row, column = np.nonzero(values > bound[:, None])
    at = series.index[row, column]
    order = np.argsort(at)
    at, row = at[order], row[order]
    return Findings(at, at + 1, series.kwh[at], third[row])


def high_usage(series: Series, *, share: float = 0.5, history_days: int = 60, least_days: int = 4) -> Findings:
    """VEE-02. Is a local day's average daily use more than `share` above that of the same kind of day before?

    Args:
        share: part of the expectation by which the day must be above it.
        history_days: days before that are looked at.
        least_days: days of the same kind that history must hold to say anything; a holiday with too few is compared
            with weekends.
    """
    expected = expected_daily_kwh(series, history_days, least_days)
    return of_days(series, _full(series) & (series.daily_kwh > (1 + share) * expected), series.daily_kwh, expected)


def low_usage(series: Series, *, share: float = 0.5, history_days: int = 60, least_days: int = 4) -> Findings:
    """VEE-03. Is a local day's average daily use more than `share` below that of the same kind of day before?

    Args:
        share: part of the expectation by which the day must be below it.
        history_days: days before that are looked at.
        least_days: days of the same kind that history must hold to say anything.
    """
    expected = expected_daily_kwh(series, history_days, least_days)
    return of_days(series, _full(series) & (series.daily_kwh < (1 - share) * expected), series.daily_kwh, expected)


def outlier(
    series: Series, *, deviations: float = 20.0, history: int = 10, least_days: int = 6, least_kw: float = 2.0
) -> Findings:
    """VEE-15. Is a reading far from the same time of the same kind of day: |x - median| > deviations x 1.4826 x MAD?

    Hampel's identifier (Davies and Gather, JASA 88, 1993) on the `history` days of the same kind before the day. The
    MAD is at least the mean over the day's slots: at night a household's is next to nothing.

    Args:
        deviations: distance in robust standard deviations.
        history: days of the same kind (weekday; weekend or holiday) that are looked at, the newest first.
        least_days: fewer known values say nothing.
        least_kw: a smaller distance, as mean power, is none.
    """
    median, spread = _past_of_slot(series, history, least_days)
    known = ~np.isnan(spread)
    slots = np.maximum(known.sum(axis=1, keepdims=True), 1)
    spread = np.maximum(spread, np.where(known, spread, 0).sum(axis=1, keepdims=True) / slots)
    least = least_kw * series.interval_minutes / 60
    row, column = np.nonzero(np.abs(series.grid - median) > np.maximum(deviations * MAD_TO_STD * spread, least))
    at = series.index[row, column]
    order = np.argsort(at)
    return Findings(at[order], at[order] + 1, series.grid[row, column][order], median[row, column][order])


def expected_daily_kwh(series: Series, history_days: int, least_days: int) -> Floats:
    """(rows,) mean average daily use of the same kind of day in the `history_days` before each local day, kWh.

    NaN where history holds fewer than `least_days` of them. Days with less than half of their readings do not count.
    """
    usable = _full(series)
    found = np.full(len(series.row_day), np.nan)
    use = np.where(usable, np.rint(np.nan_to_num(series.daily_kwh) * EXACT), 0).astype(np.int64)
    rows = np.arange(len(found))
    oldest = np.maximum(series.row_first, rows - history_days)
    # Holidays last: those that history has too few of keep what weekends say.
    for kind in np.unique(series.row_kind):
        mine = series.row_kind == kind
        for of in (WEEKEND, HOLIDAY) if kind == HOLIDAY else (kind,):
            same = usable & (series.row_kind == of)
            total, count = (_window(np.where(same, part, 0), oldest, rows) for part in (use, same.astype(np.int64)))
            enough = mine & (count >= least_days)
            found[enough] = total[enough] / count[enough] / EXACT
    return found


def _full(series: Series) -> np.ndarray:
    """(rows,) whether at least half of the day's readings are known."""
    return 2 * series.row_known >= series.slots


def _window(values: Ints, begin: Ints, end: Ints) -> Ints:
    """Sums over the rows from begin to before end."""
    running = np.concatenate([[0], np.cumsum(values)])
    return running[end] - running[begin]


def _past_of_slot(series: Series, history: int, least_days: int) -> tuple[Floats, Floats]:
    """(rows, columns) median and median absolute deviation of each slot in the same kind of day before the row's."""
    grid = series.grid
    median, spread = np.full(grid.shape, np.nan), np.full(grid.shape, np.nan)
    working = series.row_kind == 0
    for kind in (True, False):
        rows = np.flatnonzero(working == kind)
        if len(rows) <= least_days:
            continue
        before = np.concatenate([np.full((history, grid.shape[1]), np.nan), grid[rows]])
        windows = sliding_window_view(before, history, axis=0)[:-1]  # (rows, columns, history)
        # How many rows of the same kind and series lie before: older ones are another meter's.
        nth = np.arange(len(rows)) - np.searchsorted(series.row_series[rows], series.row_series[rows])
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            mine = np.arange(history) >= history - nth[part, None]
            values = np.where(mine[:, None, :], windows[part], np.nan)
            median[rows[part]], spread[rows[part]] = _median_and_mad(values, least_days)
    return median, spread


def _median_and_mad(values: Floats, least: int) -> tuple[Floats, Floats]:
    """Along the last axis, of the known values; NaN where fewer than `least` are known. `values` is overwritten."""
    count = np.count_nonzero(~np.isnan(values), axis=-1)
    middle = _middle(values, count)
    np.abs(values - middle[..., None], out=values)
    spread = _middle(values, count)
    return np.where(count >= least, middle, np.nan), np.where(count >= least, spread, np.nan)


def _middle(values: Floats, count: Ints) -> Floats:
    """The median of the first `count` values in order; NaN sorts last."""
    values.sort(axis=-1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[-1] - 1)
    ends = [np.take_along_axis(values, at[..., None], axis=-1)[..., 0] for at in (low, high)]
    return np.asarray((ends[0] + ends[1]) / 2)
