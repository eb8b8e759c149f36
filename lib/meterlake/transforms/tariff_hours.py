"""The clock hours of months, each with the band that the source's tariff puts it in."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.forecast.series import local, people_live_by
from meterlake.sources.source import Source
from meterlake.sources.tariff import ALL, Tariff
from meterlake.tables.months import later
from meterlake.vee.clock import DAY_MINUTES, Clock, clock_of
from meterlake.vee.daytypes import kinds

Ints = NDArray[np.int64]
STEP_MINUTES = 30  # a clock moves by half an hour at least, and its hours begin anew where it does
COLUMNS = pa.schema(
    {"month_local": pa.date32(), "hour_start": pa.timestamp("us", "UTC"), "band": pa.string(), "hours": pa.int64()}
)


def calendar(months: Iterable[date], source: Source) -> pa.Table:
    """Every hour of the months under `all`, and where the source has a tariff once more under its band.

    Months and hours are those of the source's clock; bands are of the clock that its customers live by.

    Args:
        months: their first days.

    Returns:
        COLUMNS: `hour_start` is UTC, `hours` tells how many hours of the month are of the band.
    """
    return pa.concat_tables([COLUMNS.empty_table(), *(_of_month(month, source) for month in months)])


def hour_starts(month: date, clock: Clock) -> Ints:
    """(n,) starts of the clock's hours in the month, minutes since 1970 UTC, ascending."""
    days = np.array([month, later(month)], "datetime64[D]").astype(np.int64)
    first, end = clock.utc(days * DAY_MINUTES)
    minutes = np.arange(first, end, STEP_MINUTES)
    return np.unique(minutes - (minutes + clock.offset(minutes)) % 60)


def _of_month(month: date, source: Source) -> pa.Table:
    starts = hour_starts(month, clock_of(source.time_zone))
    bands = np.full(len(starts), ALL)
    if source.tariff is not None:
        starts, bands = np.tile(starts, 2), np.concatenate([bands, _bands(starts, source, source.tariff)])
    names, place, hours = np.unique(bands, return_inverse=True, return_counts=True)
    columns = {
        "month_local": [month] * len(starts),
        "hour_start": starts.astype("datetime64[m]").astype("datetime64[us]"),
        "band": names[place],
        "hours": hours[place],
    }
    return pa.table(columns, schema=COLUMNS)


def _bands(starts: Ints, source: Source, tariff: Tariff) -> NDArray[np.str_]:
    """(n,) the band of each hour."""
    day, hour = local(starts, people_live_by(source))
    return np.array(tariff.by_kind)[kinds(day, source.country), hour]
