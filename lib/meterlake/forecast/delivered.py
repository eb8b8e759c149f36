"""Delivered files as one load series, without Spark: what the backtest looks at."""

import numpy as np

from meterlake.forecast.series import LoadSeries, summed
from meterlake.sources.source import Source
from meterlake.vee.clock import DAY_MINUTES, clock_of
from meterlake.vee.delivered import MeterSeries


def sum_of(meters: list[MeterSeries], source: Source) -> LoadSeries:
    """The hourly sum of the meters.

    An hour is counted in readings: where 5 of 90 meters stop, 5 / 90 of its usual readings are gone.
    """
    clock = clock_of(source.time_zone)
    hours, energies = [], []
    for meter in meters:
        known = ~np.isnan(meter.kwh)
        wall = meter.local_day[known].astype(np.int64) * DAY_MINUTES + meter.slot[known] * source.interval_minutes
        hours.append(clock.utc(wall) // 60)
        energies.append(meter.kwh[known])
    hour, place = np.unique(np.concatenate(hours), return_inverse=True)
    kwh = np.bincount(place, weights=np.concatenate(energies)).astype(np.float64)
    reporting = np.asarray(np.bincount(place) * (source.interval_minutes / 60), dtype=np.float64)
    return summed(60 * hour, kwh, reporting)
