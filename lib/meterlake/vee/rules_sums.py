"""Do intervals add up to what another counter says? Rules that compare two channels of a meter."""

import numpy as np

from meterlake.vee.findings import NOTHING, Findings, by_week, of_intervals, runs
from meterlake.vee.series import EXACT, Floats, Ints, Series


def negative(series: Series, *, feed_in: bool = False) -> Findings:
    """VEE-08. Is energy below 0, or does a register run backwards, at a meter that feeds nothing in?

    Args:
        feed_in: whether the meters may feed in: then energy below 0 is as it should be.
    """
    if feed_in:
        return NOTHING
    below, value = np.nan_to_num(series.kwh) < 0, series.kwh
    if series.register_kwh is not None:
        rise = np.diff(series.register_kwh, append=np.nan)
        backwards = (rise < 0) & ~np.append(series.first[1:], True)
        below, value = below | backwards, np.where(backwards, rise, value)
    return of_intervals(below, value, np.zeros(series.size))


def register_sum(series: Series, kwh: Floats, *, tolerance_kwh: float = 0.01) -> Findings:
    """VEE-09. Do the intervals between two register readings sum to the register's difference?

    A register that fell (it started again, or runs backwards: VEE-08) says nothing.

    Args:
        kwh: (n,) energy of each interval as it would stand in the end, with its estimates.
        tolerance_kwh: by which they may differ: the resolution of the register.
    """
    if series.register_kwh is None:
        return NOTHING
    read = np.flatnonzero(~np.isnan(series.register_kwh))
    begin, end = read[:-1], read[1:]
    same = series.number[begin] == series.number[end]
    begin, end = begin[same], end[same]
    difference = np.round(series.register_kwh[end] - series.register_kwh[begin], 4)
    unknown = np.concatenate([[0], np.cumsum(np.isnan(kwh))])
    whole = unknown[end] == unknown[begin]
    total = sums(kwh, begin, end)
    apart = np.round(np.abs(total - difference), 4)  # a difference of exactly the resolution is within it
    wrong = np.flatnonzero(whole & (difference >= 0) & (apart > tolerance_kwh))
    return Findings(begin[wrong], end[wrong], total[wrong], difference[wrong])


def sub_meters(series: Series, *, tolerance: float = 0.02, least_kwh: float = 0.001) -> Findings:
    """VEE-10. Do the sub-meters count more than the meter above them, beyond their accuracy?

    Args:
        tolerance: part of the meter's energy by which the sum may be above it: twice the 1 % of a class 1 meter
            (IEC 62053-21).
        least_kwh: energy by which it may be above it in any case: a sub-meter may count whole watt-hours.
    """
    if series.sub_kwh is None:
        return NOTHING
    allowed = series.kwh + np.maximum(tolerance * np.abs(series.kwh), least_kwh)
    begin, end, _ = by_week(series, *runs(series, np.nan_to_num(series.sub_kwh - allowed) > 0))
    return Findings(begin, end, sums(series.sub_kwh, begin, end), sums(series.kwh, begin, end))


def sums(values: Floats, begin: Ints, end: Ints) -> Floats:
    """Sums over stretches, exact to a tenth of a watt-hour."""
    running = np.concatenate([[0], np.cumsum(np.rint(np.nan_to_num(values) * EXACT).astype(np.int64))])
    return np.asarray((running[end] - running[begin]) / EXACT)
