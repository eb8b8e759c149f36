"""Files of readings as a table, without Spark: to measure the rules on, not to load.

Lines that the row rules of staging would reject are left out, and of lines about one interval that disagree all are.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from meterlake.errors import UsageError
from meterlake.sources.source import Source

MINUTE = "%Y-%m-%d %H:%M"


def readings_of(files: list[Path], source: Source) -> pa.Table:
    """`meter_id`, `reading_timestamp` (UTC), `delivered` (kWh) and `voltage_v` where the source has it, sorted.

    For sources with a meter column, ISO stamps in UTC at the start of the interval, and energy in kWh.

    Raises:
        UsageError: there is no file, or the source is another kind.
    """
    columns = source.columns
    if source.units.value != "kWh" or source.time_zone != "UTC" or source.stamp != "start" or not columns.meter_id:
        raise UsageError(f"{source.name}: rules are measured on kWh with a meter column and start stamps in UTC only.")
    if not files:
        raise UsageError("There is no file to measure the rules on; name a folder of CSV files.")
    names = {columns.meter_id: "meter_id", columns.stamps[0]: "stamp", columns.value: "kwh"}
    if columns.voltage:
        names[columns.voltage] = "voltage_v"
    lines = pa.concat_tables([_lines(file, source.format.separator, names) for file in files])
    meter, kwh = pc.utf8_trim_whitespace(lines["meter_id"]), _numbers(lines["kwh"])
    stamp = pc.strptime(pc.utf8_slice_codeunits(lines["stamp"], 0, 16), MINUTE, "us", error_is_null=True)
    table = pa.table({"meter_id": meter, "reading_timestamp": stamp, "delivered": kwh})
    if columns.voltage:
        table = table.append_column("voltage_v", _numbers(lines["voltage_v"]))
    return _single(
        table.filter(_valid(table, lines["stamp"], source)).sort_by(
            [("meter_id", "ascending"), ("reading_timestamp", "ascending")]
        )
    )


def _lines(file: Path, separator: str, names: dict[str, str]) -> pa.Table:
    options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=list(names))
    parse = csv.ParseOptions(delimiter=separator, invalid_row_handler=lambda row: "skip")
    return csv.read_csv(file, parse_options=parse, convert_options=options).rename_columns(list(names.values()))


def _numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as numbers; null where one is none."""
    trimmed = pc.utf8_trim_whitespace(text)
    good = pc.match_substring_regex(trimmed, r"^-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$")
    return pc.if_else(good, trimmed, pa.scalar(None, pa.string())).cast(pa.float64())


def _valid(table: pa.Table, stamp: pa.ChunkedArray, source: Source) -> pa.ChunkedArray:
    low, high = source.limits.consumption_kwh
    minute = pc.divide(table["reading_timestamp"].cast(pa.int64()), 60_000_000)
    on_grid = np.asarray(minute.fill_null(1)) % source.interval_minutes == 0
    whole = pc.is_in(pc.utf8_slice_codeunits(stamp, 16, 19), pa.array([":00", ""]))
    median = np.median(np.asarray(minute.drop_null()))
    near = np.abs(np.asarray(minute.fill_null(0)) - median) < 10 * 366 * 1440  # a clock that is decades off
    in_range = pc.and_(pc.greater_equal(table["delivered"], low), pc.less_equal(table["delivered"], high))
    known = pc.and_(pc.fill_null(in_range, source.format.missing_is_declared), pc.not_equal(table["meter_id"], ""))
    return pc.and_(pc.and_(known, whole), pa.array(on_grid & near))


def _single(table: pa.Table) -> pa.Table:
    """One line per interval: the same twice is one; of different ones none."""
    key = pa.chunked_array([table["meter_id"].combine_chunks().dictionary_encode().indices])
    meter, time = np.asarray(key), np.asarray(table["reading_timestamp"].cast(pa.int64()))
    kwh = np.asarray(table["delivered"].fill_null(np.nan))
    first = np.ones(len(meter), dtype=bool)
    first[1:] = (np.diff(meter) != 0) | (np.diff(time) != 0)
    group = np.cumsum(first) - 1
    differs = np.zeros(group[-1] + 1 if len(group) else 0, dtype=bool)
    differs[group[~np.isclose(kwh, kwh[first][group], equal_nan=True, rtol=0, atol=1e-9)]] = True
    return table.filter(pa.array(first & ~differs[group]))
