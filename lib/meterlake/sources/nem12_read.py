"""NEM12 files -> rows of bronze, one per delivered value. A task reads whole files, line by line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.shares import frame_of
from meterlake.sources.inspect import Inspected, text_lines
from meterlake.sources.nem12_records import Day, Span, Stray, days_of, number, spans_of

LINE_BITS = 11  # line_order: the line above, the interval in the 11 bits below (a day has at most 288)
EPOCH = datetime(1970, 1, 1)
MINUTE = 60_000_000
BATCH = 50_000  # rows

SCHEMA = pa.schema(
    [
        ("file_id", pa.int64()),
        ("meter_id", pa.string()),
        ("interval_minutes", pa.int32()),
        ("unit", pa.string()),
        ("delivered_quality", pa.string()),
        ("stamp_local", pa.timestamp("us")),
        ("value", pa.float64()),
        ("raw_line", pa.string()),
        ("parse_error", pa.string()),
        ("line_order", pa.int64()),
    ]
)


def read_nem12(spark: SparkSession, files: list[tuple[Inspected, int, str]], encoding: str) -> DataFrame:
    """Every value of the files, with the columns of `SCHEMA` and `source_file`.

    Files are dealt out to the tasks one by one: a market participant sends tens of thousands of small ones a day.
    """
    rows = [(seen.path, file_id) for seen, file_id, _ in files]
    delivered = frame_of(spark, rows, "source_file string, file_id bigint")
    slices = max(1, min(len(files), 4 * spark.sparkContext.defaultParallelism))

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from rows_of(text_lines(row["source_file"], encoding), row["file_id"])

    values = delivered.repartition(slices).mapInArrow(read, from_arrow_schema(SCHEMA))
    return values.join(F.broadcast(delivered), on="file_id", how="inner")


def read_nem12_again(raw: DataFrame) -> DataFrame:
    """The values that parse now, of days whose records stand in raw lines of bronze; with the columns of `SCHEMA`.

    Args:
        raw: `file_id`, `line_order`, `raw_line`.
    """

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from rows_again(**row)

    days = raw.where(F.contains("raw_line", F.lit("\n"))).select("file_id", "line_order", "raw_line")
    return days.mapInArrow(read, from_arrow_schema(SCHEMA)).where(F.col("parse_error").isNull())


def rows_again(file_id: int, line_order: int, raw_line: str) -> Iterator[pa.RecordBatch]:
    """The rows of one day by its records, in the places that they have in the file."""
    place = line_order >> LINE_BITS << LINE_BITS
    for batch in rows_of(raw_line.split("\n"), file_id):
        interval = pc.bit_wise_and(batch["line_order"], (1 << LINE_BITS) - 1)
        yield batch.set_column(SCHEMA.get_field_index("line_order"), "line_order", pc.add(interval, place))


def rows_of(lines: Iterable[str], file_id: int) -> Iterator[pa.RecordBatch]:
    """The rows of one file, in the order of its lines."""
    block = _Block(file_id)
    for found in days_of(lines):
        block.add_stray(found) if isinstance(found, Stray) else block.add(found)
        if block.rows >= BATCH:
            yield block.batch()
            block = _Block(file_id)
    if block.rows:
        yield block.batch()


@dataclass
class _Block:
    """Rows in the making: what a run of intervals shares is kept once, and spread out at the end.

    The first row of a day that cannot be read keeps all records of the day, by which it can be read again; the others
    keep their own field.
    """

    file_id: int
    rows: int = 0
    counts: list[int] = field(default_factory=list)
    runs: list[tuple[str | None, int | None, str | None, str | None]] = field(default_factory=list)
    stamps: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, day: Day) -> None:
        fault, spans = day.fault, []
        if fault is None:
            try:
                spans = spans_of(day)
            except ValueError as gaps:
                fault = str(gaps)
        if fault is None:
            self._add_values(day, spans)
        else:
            self._add_unreadable(day.line, [day.raw, *day.values[1:]], fault)

    def add_stray(self, stray: Stray) -> None:
        self._add_unreadable(stray.line, [stray.text], stray.fault)

    def _add_values(self, day: Day, spans: list[Span]) -> None:
        minutes, count = day.channel.interval_minutes, len(day.values)
        for span in spans:
            self.counts.append(span.last - span.first + 1)
            self.runs.append((day.channel.meter_id, minutes, day.channel.unit, span.quality))
        midnight = (datetime.strptime(day.day, "%Y%m%d") - EPOCH).days * 1440
        self.stamps.append((midnight + np.arange(count) * minutes) * MINUTE)
        known = len(self.faults)
        self.values.append(np.array([self._value(day, index) for index in range(count)]))
        if len(self.faults) > known:
            first = next(row for row in range(self.rows, self.rows + count) if row in self.faults)
            self.faults[first] = (day.raw, self.faults[first][1])
        self._end(day.line, count)

    def _value(self, day: Day, index: int) -> float:
        try:
            return number(day.values[index])
        except ValueError as problem:
            self.faults[self.rows + index] = (day.values[index], f"line {day.line}, interval {index + 1}: {problem}")
            return np.nan

    def _add_unreadable(self, line: int, texts: list[str], fault: str) -> None:
        self.counts.append(len(texts))
        self.runs.append((None, None, None, None))
        self.faults |= {self.rows + index: (text, fault) for index, text in enumerate(texts)}
        self.stamps.append(np.zeros(len(texts), dtype=np.int64))
        self.values.append(np.full(len(texts), np.nan))
        self._end(line, len(texts))

    def _end(self, line: int, count: int) -> None:
        self.orders.append((line << LINE_BITS) + np.arange(count))
        self.rows += count

    def batch(self) -> pa.RecordBatch:
        shared = pa.Table.from_arrays([pa.array(c) for c in zip(*self.runs, strict=True)], names=list("abcd"))
        spread = np.repeat(np.arange(len(self.counts)), self.counts)
        failed = np.zeros(self.rows, dtype=bool)
        failed[list(self.faults)] = True
        raw, errors = np.full((2, self.rows), None, dtype=object)
        for row, (text, fault) in self.faults.items():
            raw[row], errors[row] = text, fault
        columns = [
            pa.array(np.full(self.rows, self.file_id)),
            # A value that does not parse has no measurements, whatever its neighbours say.
            *(column.combine_chunks().take(pa.array(spread, mask=failed)) for column in shared.columns),
            pa.array(np.concatenate(self.stamps), mask=failed),
            pa.array(np.concatenate(self.values), from_pandas=True),
            pa.array(raw, pa.string()),
            pa.array(errors, pa.string()),
            pa.array(np.concatenate(self.orders)),
        ]
        arrays = [column.cast(kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
