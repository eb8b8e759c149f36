"""Does a series stand still, stay at zero, or have a hole? Rules about runs of intervals."""

import numpy as np

from meterlake.vee.findings import NOTHING, Findings, by_week, joined, runs
from meterlake.vee.series import EXACT, Bools, Floats, Ints, Series


def frozen(series: Series, *, times: int = 6, tolerance_kwh: float = 0.0, least_kw: float = 0.15) -> Findings:
    """VEE-04. Does the same value come `times` in a row?

    Zeros are the zero runs' matter.

    Args:
        times: equal values in a row from which on the register may be stuck.
        tolerance_kwh: by which neighbours may differ and count as equal.
        least_kw: of less mean power nothing is said: a resolution of 1 Wh makes standby look frozen.
    """
    same = np.zeros(series.size, dtype=bool)
    same[1:] = (np.abs(np.diff(series.kwh)) <= tolerance_kwh) & ~series.first[1:]
    same &= np.abs(series.kwh) > max(least_kw * series.interval_minutes / 60, 1 / EXACT)
    begin, end = runs(series, same)
    long = end - begin >= times - 1
    return _pieces(series, begin[long] - 1, end[long], series.kwh)


def flatline(series: Series, *, hours: float = 24.0, relative_std: float = 0.01) -> Findings:
    """VEE-05. Does a reading hardly move for `hours`: std / |mean| < relative_std, each value known and none zero?

    Args:
        hours: length of the window; every window that is flat is told, joined where they overlap.
        relative_std: bound of the relative standard deviation.
    """
    width = series.intervals(hours)
    if series.size <= width:
        return NOTHING
    moves = series.known & (series.exact != 0)
    count, total, squares = (_window(part, width) for part in (moves.astype(np.int64), series.exact, series.exact**2))
    whole = (count == width) & (
        series.number == np.concatenate([series.number[: width - 1], series.number])[: series.size]
    )
    mean = total / width
    variance = np.maximum(squares / width - mean**2, 0.0)
    flat = whole & (variance < (relative_std * mean) ** 2)
    begin, end = runs(series, flat)
    begin = begin - width + 1
    # Windows that overlap are one stretch.
    return _pieces(series, *joined(begin, end), series.kwh)


def outage(series: Series, *, hours: float = 0.25, dead_v: float = 23.0) -> Findings:
    """VEE-06. Is there a run of zeros, or of nothing at all, while the voltage is gone?

    The voltage is gone where it is below `dead_v`, or absent although the meter reports one at other times.

    Args:
        hours: length of a run; one interval where that is longer.
        dead_v: 10 % of nominal.
    """
    begin, end = runs(series, _dead(series, dead_v))
    long = end - begin >= series.intervals(hours)
    return _pieces(series, begin[long], end[long], series.kwh)


def zero_run(series: Series, *, hours: float = 24.0, dead_v: float = 23.0) -> Findings:
    """VEE-07. Does a meter read zero for `hours` although it is not dead?

    Args:
        hours: length of a run.
        dead_v: voltage under which it is an outage (VEE-06), 10 % of nominal.
    """
    zero = series.known & (series.exact == 0) & ~_dead(series, dead_v)
    begin, end = runs(series, zero)
    long = end - begin >= series.intervals(hours)
    return _pieces(series, begin[long], end[long], series.kwh)


def gap(series: Series) -> Findings:
    """VEE-11. Which intervals between a meter's first and last one are missing? One by one, with from, to and count."""
    return _pieces(series, *runs(series, ~series.known), series.kwh)


def prolonged_estimation(series: Series, wanted: Bools, *, days: int = 7) -> Findings:
    """VEE-16. Has a meter been mostly estimated for more than `days` local days in a row?

    From then on nothing more is estimated.

    Args:
        wanted: (n,) the intervals that would be estimated.
        days: local days in a row with more than half of their intervals to estimate that may be.
    """
    count = np.add.reduceat(wanted.astype(np.int64), series.row_bounds[:-1])
    mostly = 2 * count > np.diff(series.row_bounds)
    rows = np.arange(len(mostly))
    broken = np.where(mostly, -1, rows)
    since = np.maximum(np.maximum.accumulate(broken), series.row_first - 1)
    row = np.flatnonzero(rows - since > days)
    return Findings(
        series.row_bounds[row],
        series.row_bounds[row + 1],
        (rows - since)[row].astype(np.float64),
        np.full(len(row), float(days)),
    )


def _dead(series: Series, dead_v: float) -> Bools:
    if series.voltage_v is None:
        return np.zeros(series.size, dtype=bool)
    volts = series.voltage_v
    reports = np.logical_or.reduceat(~np.isnan(volts), series.bounds[:-1])[series.number]
    zero = series.known & (series.exact == 0)
    return (volts < dead_v) | (zero & np.isnan(volts) & reports)


def _pieces(series: Series, begin: Ints, end: Ints, value: Floats) -> Findings:
    """Runs by week; the value is that of the first interval, the reference is unknown."""
    cut_from, cut_to, _ = by_week(series, begin, end)
    return Findings(cut_from, cut_to, value[cut_from], np.full(len(cut_from), np.nan))


def _window(values: Ints, width: int) -> Ints:
    """Sums over the `width` values that end with each; of fewer at the beginning."""
    running = np.cumsum(values)
    running[width:] -= running[:-width].copy()
    return running
