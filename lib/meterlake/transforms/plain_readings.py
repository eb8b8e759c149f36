"""Bronze lines -> readings with Arrow, where a line is a reading by itself: the mapping of stg_meter_readings.py.

Which lines are none (rejected, repeated, contradicted) Spark finds, as that takes rules and comparisons; they are few
and are named to this pass. The others need their columns mapped and no more, and as rows of Spark's that costs several
times as much (docs/performance.md).
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass, Rows
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.coded import declared, filled, same
from meterlake.tables.file_scan import FileScan
from meterlake.tables.spans import Span
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.transforms.stg_meter_readings import FACTORS, GRID, KMH, kwh_per_unit
from meterlake.vee.clock import clock_of

# Number of a file -> `line_order` of some of its lines, ascending.
Lines = Mapping[int, NDArray[np.int64]]

UNCHANGED = {"voltage": "voltage_v", "temperature": "temperature_c", "humidity": "humidity_pct"}
SUB_METERS = {f"sub_metering_{n}": f"sub_metering_{n}_kwh" for n in (1, 2, 3)}
OTHERS = ("meter_id", "stamp_local", "value", "wind_speed", "avg_past_consumption", "anomaly_label", "batch_id")
PLACE = ("file_id", "line_order")
# Columns of bronze that `as_judged` needs.
JUDGED = ("meter_id", "stamp_local", "value", *UNCHANGED, "anomaly_label", "ingested_at")


def ahead_of_utc(source: Source, spans: list[Span]) -> timedelta | None:
    """How far the source's clock is ahead of UTC; None where lines of these days are no readings by themselves.

    That is so where the clock is not the same on all days, and where the source's lines never are (see `alone`).
    """
    clock = clock_of(source.time_zone)
    ahead = {clock.ahead_throughout(*span) for span in spans} if alone(source) else set()
    return ahead.pop() if len(ahead) == 1 else None


def alone(source: Source) -> bool:
    """Whether a line becomes a reading without others, while the clock stands still.

    Not so where a reading's energy is the rise to the next (registers), and where lines bring their own lengths and
    units (NEM12).
    """
    return not (source.units.is_register or source.varies)


def build(bronze: FileScan, left_out: Lines, source: Source, ahead: timedelta) -> ArrowPass:
    """Rows of stg_meter_readings of all lines that parse but for those left out.

    Args:
        bronze: lines of meter_readings.
        ahead: what `ahead_of_utc` found for their days.
    """
    parsed = bronze.where(pc.field("parse_error").is_null())
    work = partial(_readings, left_out=bronze.spark.sparkContext.broadcast(left_out), source=source, ahead=ahead)
    rows = Rows.of(parsed, (*OTHERS, *UNCHANGED, *SUB_METERS, *PLACE))
    return ArrowPass(STG_METER_READINGS, rows, work)


def lines_of(places: pa.Table) -> Lines:
    """PLACE of some lines, by file."""
    file, line = (places.column(name).to_numpy() for name in PLACE)
    order = np.lexsort((line, file))
    files, begin = np.unique(file[order], return_index=True)
    return dict(zip(files.tolist(), np.split(line[order], begin)[1:], strict=True))


def reading_ids(source: str, meter: pa.Array, start: pa.Array) -> pa.Array:
    """source, meter and the interval's start in seconds since 1970, which `reading_id` is made of."""
    second = start.cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64())
    return pc.binary_join_element_wise(source, meter.cast(pa.string()), second.cast(pa.string()), ":")


def _readings(batches: Batches, left_out: Broadcast[Lines], source: Source, ahead: timedelta) -> Batches:
    """The pass over one partition."""
    schema = to_arrow_schema(STG_METER_READINGS.schema, timezone="UTC")
    for lines in batches:
        kept = lines.filter(pa.array(~_among(lines, left_out.value)))
        yield declared(filled(_mapped(kept, source, ahead), schema), schema)


def _among(lines: pa.RecordBatch, some: Lines) -> NDArray[np.bool_]:
    """Which lines are some of these."""
    file, line = (lines.column(name).to_numpy() for name in PLACE)
    found = np.zeros(len(file), dtype=bool)
    for number in np.unique(file).tolist():
        if number in some:
            of_file = file == number
            found[of_file] = np.isin(line[of_file], some[number])
    return found


def _mapped(lines: pa.RecordBatch, source: Source, ahead: timedelta) -> dict[str, pa.Array]:
    """Columns of readings; those that such a source never fills are left out."""
    minutes, labels = source.interval_minutes, _labels(lines.column("anomaly_label"), source)
    meter = trimmed(lines.column("meter_id"))
    local, kwh = _local_start(lines, source), _on_grid(lines.column("value"), kwh_per_unit(source))
    start = _instant(local, ahead)
    return {
        "reading_id": reading_ids(source.name, meter, start),
        "source": same(pa.scalar(source.name), len(kwh)),
        "meter_id": meter,
        "reading_timestamp": start,
        "interval_minutes": pa.repeat(minutes, len(kwh)),
        "consumption_kwh": kwh,
        "active_power_kw": pc.divide(kwh, minutes / 60),
        **{name: lines.column(delivered) for delivered, name in UNCHANGED.items()},
        **{
            name: _on_grid(lines.column(delivered), FACTORS[source.units.sub_metering])
            for delivered, name in SUB_METERS.items()
        },
        "wind_speed_kmh": pc.multiply(lines.column("wind_speed"), KMH[source.units.wind_speed]),
        "avg_past_consumption_kwh": _on_grid(lines.column("avg_past_consumption"), kwh_per_unit(source)),
        "anomaly_label": labels,
        "is_anomaly": pc.equal(labels, "anomaly"),
        "reading_date_local": local.cast(pa.date32()),
        "hour_of_day": pc.hour(local),
        "day_of_week": pc.day_of_week(local, count_from_zero=False, week_start=1),
        "quality": pa.DictionaryArray.from_arrays(kwh.is_null().cast(pa.int32()), pa.array(["measured", "missing"])),
        "batch_id": lines.column("batch_id"),
    }


def as_judged(lines: pa.RecordBatch, source: Source, ahead: timedelta) -> dict[str, pa.Array]:
    """What the row rules look at, under the names that `stg_meter_readings.interpret` gives it.

    Args:
        lines: lines that parse, with the columns JUDGED.
        ahead: how far the source's clock is ahead of UTC; it stands still, so that no hour is unclear.
    """
    return {
        "meter_id": trimmed(lines.column("meter_id")),
        "reading_timestamp": _instant(_local_start(lines, source), ahead),
        "stamp_local": lines.column("stamp_local"),
        "delivered_value": lines.column("value"),
        "consumption_kwh": _on_grid(lines.column("value"), kwh_per_unit(source)),
        **{name: lines.column(delivered) for delivered, name in UNCHANGED.items()},
        "anomaly_label": _labels(lines.column("anomaly_label"), source),
        "unclear_hour": pa.repeat(False, lines.num_rows),
        "ingested_at": lines.column("ingested_at"),
    }


def trimmed(meter: pa.Array) -> pa.Array:
    """Texts without blanks around them, coded."""
    coded = meter.dictionary_encode()
    names = pc.utf8_trim(coded.dictionary, characters=" ")
    return coded if names.equals(coded.dictionary) else names.take(coded.indices).dictionary_encode()


def _local_start(lines: pa.RecordBatch, source: Source) -> pa.Array:
    """When the interval begins, on the source's clock."""
    stamp = lines.column("stamp_local")
    if source.stamp == "end":
        return pc.subtract(stamp, pa.scalar(timedelta(minutes=source.interval_minutes), pa.duration("us")))
    return stamp


def _instant(local: pa.Array, ahead: timedelta) -> pa.Array:
    # A cast takes the time for one of UTC as it stands, which assume_timezone looks up for each.
    return pc.subtract(local, pa.scalar(ahead, pa.duration("us"))).cast(pa.timestamp("us", "UTC"))


def _on_grid(values: pa.Array, factor: float) -> pa.Array:
    """Energy of delivered values, on the grid that all energies lie on; null stays null."""
    if values.null_count == len(values):
        return values
    numbers = values.to_numpy(zero_copy_only=False)
    return pa.array(np.rint(numbers * factor * GRID) / GRID, mask=values.is_null().to_numpy(zero_copy_only=False))


def _labels(delivered: pa.Array, source: Source) -> pa.Array:
    """normal or anomaly; null without a label; an unknown one as it is. There are few different ones."""
    meant = {"": None} | {name.lower(): "anomaly" if means else "normal" for name, means in source.labels.items()}
    coded = delivered.dictionary_encode()
    texts = (text.strip(" ").lower() for text in coded.dictionary.to_pylist())
    labels = [meant.get(text, text) for text in texts]
    return pa.array(labels, pa.string()).take(coded.indices)
