"""Delivered files as dense series, meter by meter, without Spark: for measuring on real readings within seconds.

It reads what a source declares as staging does, but keeps no books: a line that does not parse, is out of range, off
the grid or about an interval that other lines contradict is an unknown interval.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from meterlake.errors import InputError, UsageError
from meterlake.sources.delivery import meter_named_by
from meterlake.sources.source import Source
from meterlake.transforms.stg_meter_readings import FACTORS, GRID

log = logging.getLogger("meterlake")

PATTERN = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d", "HH": "%H", "H": "%H", "mm": "%M"}
PATTERN |= {"m": "%M", "ss": "%S", "s": "%S"}
LETTERS = re.compile(r"'([^']*)'|([A-Za-z])\2*|.")


@dataclass(frozen=True)
class MeterSeries:
    """One meter from its first known interval to its last one; arrays are (n,).

    Attributes:
        kwh: energy of each interval, NaN where unknown.
        local_day: local day, days since 1970-01-01.
        slot: interval of the local day.
    """

    meter: str
    kwh: NDArray[np.float64]
    local_day: NDArray[np.int32]
    slot: NDArray[np.int16]


def read_series(paths: list[str], source: Source) -> list[MeterSeries]:
    """Every meter in the files, in the order of their names.

    Raises:
        InputError: a file cannot be read as its source declares it, or none holds a reading.
        UsageError: its readings are of several lengths.
    """
    if source.varies:
        raise UsageError(f"{source.name}: its readings are of several lengths; evaluate a source with one length.")
    readings = pd.concat([_read_file(path, source) for path in _told(paths)], ignore_index=True)
    readings = readings.drop_duplicates()
    readings = readings[~readings.duplicated(["meter", "instant"], keep=False)].sort_values(["meter", "instant"])
    if readings.empty:
        raise InputError(paths[0], "no line of the delivery holds a reading", "check the declaration of the source")
    return [_dense(str(meter), one, source) for meter, one in readings.groupby("meter", sort=False)]


def _told(paths: list[str]) -> Iterator[str]:
    for number, path in enumerate(paths, start=1):
        yield path
        if number % 20 == 0 or number == len(paths):
            log.info("read      %d of %d files", number, len(paths))


def _read_file(path: str, source: Source) -> pd.DataFrame:
    """Known readings: meter, instant (interval start, UTC), value (kWh, or the register)."""
    columns, form = source.columns, source.format

    def required(header: str) -> bool:
        return header.strip() in columns.required

    try:
        lines = pd.read_csv(
            path,
            sep=form.separator,
            encoding=form.encoding,
            usecols=required,
            dtype="string[pyarrow]",  # strips and replaces ten times faster than Python's str
            skipinitialspace=True,
            on_bad_lines="skip",
        ).rename(columns=str.strip)
        text = lines[columns.value].str.strip().str.replace(form.decimal, ".", regex=False)
        stamp, *rest = (lines[name] for name in columns.stamps)
        for part in rest:
            stamp = stamp + " " + part
        meter = lines[columns.meter_id].str.strip().fillna("") if columns.meter_id else meter_named_by(path)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            path, f"cannot be read ({str(error).splitlines()[0]})", "check it with `meterlake run`"
        ) from None
    instant = _instant(stamp, source)
    value = pd.to_numeric(text, errors="coerce") * _factor(source)
    if not source.units.is_register:
        value = value.where(value.between(*source.limits.consumption_kwh))
    on_grid = instant.dt.as_unit("s").astype("int64") % 60 == 0
    return pd.DataFrame({"meter": meter, "instant": instant, "value": value})[value.notna() & instant.notna() & on_grid]


def _instant(stamp: pd.Series, source: Source) -> pd.Series:
    """Interval starts in UTC; NaT where a stamp does not parse, does not exist on the clock or comes twice on it."""
    local = pd.Series(pd.NaT, index=stamp.index, dtype="datetime64[ns]")
    for form in [strptime_format(p) for pattern in source.format.timestamp for p in _with_options(pattern)] or [
        "ISO8601"
    ]:
        local = local.fillna(pd.to_datetime(stamp.str.strip(), format=form, errors="coerce"))
    if source.stamp == "end" and not source.units.is_register:
        local -= pd.Timedelta(minutes=source.interval_minutes)
    return local.dt.tz_localize(source.time_zone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")


def _with_options(pattern: str) -> list[str]:
    """The spellings of a pattern with [optional] parts, the longest first."""
    parts = [(part[1:-1], "") if part.startswith("[") else (part,) for part in re.findall(r"\[[^]]*\]|[^[]+", pattern)]
    return ["".join(chosen) for chosen in product(*parts)]


def strptime_format(pattern: str) -> str:
    """A Spark datetime pattern, as Python spells it.

    Raises:
        UsageError: it has a part that this reader does not know.
    """
    made = []
    for found in LETTERS.finditer(pattern):
        if found[0].isalpha() and found[0] not in PATTERN:
            raise UsageError(f"timestamp pattern {pattern!r}: {found[0]} is not known here; evaluate another source.")
        made.append(PATTERN.get(found[0], found[1] if found[1] is not None else found[0].replace("%", "%%")))
    return "".join(made)


def _factor(source: Source) -> float:
    """kWh per unit of the delivered value."""
    unit = source.units.value.removeprefix("register_")
    return FACTORS[unit] * (source.interval_minutes / 60 if unit in ("kW", "W") else 1.0)


def _dense(meter: str, readings: pd.DataFrame, source: Source) -> MeterSeries:
    """The meter's readings on the evenly spaced grid of its interval."""
    step = source.interval_minutes * 60
    second = readings["instant"].dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    index, off = np.divmod(second - second[0], step)
    value = np.full(int(index[-1]) + 1, np.nan)
    value[index[off == 0]] = readings["value"].to_numpy()[off == 0]
    kwh = _rises(value, source) if source.units.is_register else value
    return MeterSeries(
        meter, np.rint(kwh * GRID) / GRID, *on_local_days(second[0] + np.arange(len(kwh)) * step, source)
    )


def on_local_days(second: NDArray[np.int64], source: Source) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """`local_day` and `slot` of a MeterSeries, of interval starts in seconds since 1970-01-01 UTC."""
    starts = pd.to_datetime(second, unit="s", utc=True).tz_convert(source.time_zone).tz_localize(None)
    day, minute = np.divmod(starts.to_numpy().astype("datetime64[m]").astype(np.int64), 1440)
    return day.astype(np.int32), (minute // source.interval_minutes).astype(np.int16)


def _rises(register: NDArray[np.float64], source: Source) -> NDArray[np.float64]:
    """Energy of each interval but the last: the register's rise to the next; NaN where that is not plausible."""
    rise = np.diff(register)
    if source.units.register_rollover is not None:
        rise = np.where(rise < 0, rise + source.units.register_rollover * _factor(source), rise)
    return np.where((rise >= 0) & (rise <= source.limits.consumption_kwh[1]), rise, np.nan)
