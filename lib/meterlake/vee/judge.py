"""One pass over whole meters: the rules' findings, and the readings that estimation and editing change.

Every verdict is about the readings as delivered, never about an earlier estimate: to judge the same delivery again
gives the same, and what changed is found by comparing with what stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.sources.source import Source
from meterlake.vee.daytypes import kinds
from meterlake.vee.estimate import METHODS, NO_SUPPLY, estimate
from meterlake.vee.findings import Findings
from meterlake.vee.rulebook import RULES, Rule, parameters_of, severity_of
from meterlake.vee.series import Bools, Floats, Ints, Series, series_of

Codes = NDArray[np.int8]
# Meter -> (s, 2) when it was supplied with nothing: from which minute since 1970 UTC to before which.
Dark = Mapping[str, Ints]
# Qualities by code; ABSENT: silver has no row for the interval.
QUALITIES = ("measured", "edited", "estimated", "missing")
MEASURED, EDITED, ESTIMATED, MISSING, ABSENT = range(5)
CHANNELS = ("voltage_v", "register_kwh", "sub_kwh")
LATE = ("register_sum", "prolonged_estimation")  # rules about what estimation wants or gave

FINDING = pa.schema(
    [
        ("rule", pa.string()),
        ("begin", pa.timestamp("us", "UTC")),
        ("end", pa.timestamp("us", "UTC")),
        ("interval_count", pa.int64()),
        ("value", pa.float64()),
        ("reference", pa.float64()),
        ("details", pa.string()),
    ]
)
CHANGE = pa.schema(
    [
        ("delivered_kwh", pa.float64()),
        ("before_kwh", pa.float64()),
        ("after_kwh", pa.float64()),
        ("before_quality", pa.string()),
        ("after_quality", pa.string()),
        ("method", pa.string()),
    ]
)
# A row is a finding (`rule` is known) or a change of the reading that begins at `begin`.
JUDGED = pa.schema([("meter_id", pa.string()), ("reading_date_local", pa.date32()), *FINDING, *CHANGE])


@dataclass(frozen=True)
class Standing:
    """(n,) what silver holds for each interval: energy and quality code, ABSENT where it holds nothing."""

    kwh: Floats
    quality: Codes


@dataclass(frozen=True)
class Outcome:
    """(n,) what silver should hold: energy, quality code and how it came about (index into METHODS)."""

    kwh: Floats
    quality: Codes
    method: Codes


def judged(readings: pa.Table, source: Source, dark: Dark | None = None) -> pa.Table:
    """Rows of JUDGED for the readings of whole meters.

    Args:
        readings: sorted by meter_id and reading_timestamp: `delivered` (kWh as delivered), `consumption_kwh` and
            `code` (quality code; ABSENT for a row that no line delivered and that stands by an estimate only), and
            those of CHANNELS that the source has.
        dark: what was supplied with nothing; its missing intervals are 0.
    """
    if not readings.num_rows:
        return JUDGED.empty_table()
    series, meters = series_from(readings, source)
    standing = Standing(np.full(series.size, np.nan), np.full(series.size, ABSENT, dtype=np.int8))
    standing.kwh[series.row_of] = _numbers(readings["consumption_kwh"], pa.float64())
    standing.quality[series.row_of] = _numbers(readings["code"], pa.int8())
    findings, outcome = validated(series, source, _unsupplied(series, meters, dark or {}))
    told = [_told(RULES[name], found, series, outcome, meters) for name, found in findings.items() if len(found)]
    return pa.concat_tables([JUDGED.empty_table(), *told, _changes(series, standing, outcome, meters)])


def series_from(readings: pa.Table, source: Source) -> tuple[Series, pa.Array]:
    """The readings as series, and the names of the meters that `Series.meter` numbers."""
    meters, codes = _encoded(readings["meter_id"])
    minute = _numbers(readings["reading_timestamp"], pa.int64()) // 60_000_000
    channels = {name: _numbers(readings[name], pa.float64()) for name in CHANNELS if name in readings.column_names}
    series = series_of(
        codes,
        minute,
        _numbers(readings["delivered"], pa.float64()),
        source.interval_minutes,
        source.time_zone,
        source.vee.civil_time_zone,
        partial(kinds, country=source.country),
        **channels,
    )
    return series, meters


def validated(series: Series, source: Source, unsupplied: Bools | None = None) -> tuple[dict[str, Findings], Outcome]:
    """What each rule that is not off found, and what the readings should be.

    `unsupplied` tells the intervals, (n,), in which nothing could be used.
    """
    conf = source.vee.rules
    active = {name: rule for name, rule in RULES.items() if severity_of(rule, conf) != "off"}
    found = {n: r.function(series, **parameters_of(r, conf)) for n, r in active.items() if n not in LATE}
    edit, reject = (_marked(series, found, source, severity) for severity in ("edit", "reject"))
    wanted = (~series.known | edit | reject) if source.vee.estimate else edit
    if "prolonged_estimation" in active:
        prolonged = RULES["prolonged_estimation"]
        found["prolonged_estimation"] = prolonged.function(series, wanted, **parameters_of(prolonged, conf))
        wanted = wanted & ~found["prolonged_estimation"].mask(series.size)
    dead = found["outage"].mask(series.size) if "outage" in found else np.zeros(series.size, dtype=bool)
    none = wanted & unsupplied if unsupplied is not None else np.zeros(series.size, dtype=bool)
    outcome = _estimated(series, wanted, edit, reject, dead, none, source)
    if "register_sum" in active:
        rule = RULES["register_sum"]
        found["register_sum"] = rule.function(series, outcome.kwh, **parameters_of(rule, conf))
    return found, outcome


def _unsupplied(series: Series, meters: pa.Array, dark: Dark) -> Bools:
    """(n,) the intervals that lie whole in a stretch without supply."""
    mask = np.zeros(series.size, dtype=bool)
    if dark:
        for number, meter in enumerate(meters.take(pa.array(series.meter)).to_pylist()):
            part = slice(series.bounds[number], series.bounds[number + 1])
            minute = series.minute[part]
            for begin, end in dark.get(meter, ()):
                mask[part] |= (minute >= begin) & (minute + series.interval_minutes <= end)
    return mask


def _marked(series: Series, found: dict[str, Findings], source: Source, severity: str) -> Bools:
    """(n,) known readings that a rule of this severity found."""
    mask = np.zeros(series.size, dtype=bool)
    for name, findings in found.items():
        if severity_of(RULES[name], source.vee.rules) == severity:
            mask |= findings.mask(series.size)
    return mask & series.known


def _estimated(
    series: Series, wanted: Bools, edit: Bools, reject: Bools, dead: Bools, none: Bools, source: Source
) -> Outcome:
    """The outcome of each interval. What cannot be estimated stays as delivered; what was rejected goes missing.

    `none` is 0, and known to be: no other interval is estimated across it, and a register's rise is not shared with it.
    """
    values, method = np.full(series.size, np.nan), np.zeros(series.size, dtype=np.int8)
    wanted, known_kwh = wanted & ~none, np.where(none, 0.0, series.kwh)
    usable = series.known & ~edit & ~reject & ~dead & ~none
    register = None if series.register_kwh is None else _unrolled(series, source)
    for number in np.unique(series.number[wanted]):
        part = slice(series.bounds[number], series.bounds[number + 1])
        made = estimate(
            known_kwh[part],
            usable[part],
            wanted[part],
            series.day[part].astype(np.int32),
            series.slot[part].astype(np.int16),
            series.row_kind[series.row[part]],
            series.interval_minutes,
            None if register is None else register[part],
            source.vee.estimation,
        )
        values[part], method[part] = made.values, made.method
    values[none], method[none] = 0.0, NO_SUPPLY
    found = ~np.isnan(values)
    kwh = np.where(found, values, np.where(reject, np.nan, series.kwh))
    quality = np.where(np.isnan(kwh), MISSING, MEASURED)
    quality[found] = np.where(edit[found] & ~reject[found], EDITED, ESTIMATED)
    return Outcome(kwh, quality.astype(np.int8), method)


def _unrolled(series: Series, source: Source) -> Floats:
    """The register as if it had more digits: every fall is the declared rollover."""
    assert series.register_kwh is not None
    if source.units.register_rollover is None:
        return series.register_kwh
    size = source.units.register_rollover * (1e-3 if source.units.value == "register_Wh" else 1.0)
    register, read = series.register_kwh.copy(), np.flatnonzero(~np.isnan(series.register_kwh))
    fell = np.diff(register[read], prepend=np.inf) < 0
    fell[np.diff(series.number[read], prepend=-1) != 0] = False
    turns = np.cumsum(fell)
    before = turns[np.searchsorted(series.number[read], series.number[read])]  # of the meters before
    register[read] += size * (turns - before)
    return register


def _told(rule: Rule, found: Findings, series: Series, outcome: Outcome, meters: pa.Array) -> pa.Table:
    """Findings as rows; where estimation dealt with the first interval, `details` says how."""
    length = len(found)
    columns = {
        "rule": pa.array([rule.name]).take(pa.array(np.zeros(length, dtype=np.int8))),
        "begin": _instants(series.minute[found.begin]),
        # Not the begin of the next interval: that may be another series'.
        "end": _instants(series.minute[found.end - 1] + series.interval_minutes),
        "interval_count": pa.array(found.end - found.begin),
        "value": pa.array(np.round(found.value, 6), from_pandas=True),
        "reference": pa.array(np.round(found.reference, 6), from_pandas=True),
        "details": _names((None, *METHODS[1:]), outcome.method[found.begin]),
    }
    return _rows(series, found.begin, meters, columns)


def _changes(series: Series, standing: Standing, outcome: Outcome, meters: pa.Array) -> pa.Table:
    """The readings that do not stand as they should; an interval without a row needs none while it is missing."""
    none = standing.quality == ABSENT
    known = ~np.isnan(standing.kwh)
    nothing = none & ~known & (outcome.quality == MISSING)
    gone = none & known & (outcome.quality == MISSING)
    differs = (np.where(none & known, ESTIMATED, standing.quality) != outcome.quality) | gone
    differs |= known & (standing.kwh != outcome.kwh)
    at = np.flatnonzero(differs & ~nothing)
    before = np.where(none & known, ESTIMATED, standing.quality)
    columns = {
        "begin": _instants(series.minute[at]),
        "delivered_kwh": pa.array(series.kwh[at], from_pandas=True),
        "before_kwh": pa.array(standing.kwh[at], from_pandas=True),
        "after_kwh": pa.array(outcome.kwh[at], from_pandas=True),
        "before_quality": _names((*QUALITIES, None), before[at]),
        "after_quality": _names((*QUALITIES, None), np.where(gone[at], ABSENT, outcome.quality[at])),
        "method": _names(METHODS, outcome.method[at]),
    }
    return _rows(series, at, meters, columns)


def _rows(series: Series, at: Ints, meters: pa.Array, columns: dict[str, pa.Array]) -> pa.Table:
    """Rows of JUDGED about these intervals; what is not given is null."""
    columns["meter_id"] = meters.take(pa.array(series.meter[series.number[at]]))
    columns["reading_date_local"] = pa.array(series.day[at].astype(np.int32)).cast(pa.date32())
    return pa.table([columns.get(f.name, pa.nulls(len(at), f.type)) for f in JUDGED], schema=JUDGED)


def _names(names: tuple[str | None, ...], codes: Codes) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes.astype(np.int8)))


def _instants(minute: Ints) -> pa.Array:
    return pa.array(minute * 60_000_000).cast(pa.timestamp("us", "UTC"))


def _encoded(meter: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The meters in order, and the number of each row's."""
    encoded = meter.combine_chunks().dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def _numbers(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    return column.cast(kind).to_numpy()
