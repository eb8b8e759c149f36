"""Plain files -> files of bronze, in one pass of Spark's tasks that read, parse and write with Arrow."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.session import is_small
from meterlake.shares import frame_of_batches, shared_out
from meterlake.sources import plain_lines
from meterlake.sources.inspect import Inspected
from meterlake.sources.plain_lines import NUMBER, STAMP, Layout
from meterlake.sources.read import MAX_LINE, NUMBERS
from meterlake.sources.source import Source
from meterlake.tables.arrow_writer import WRITTEN, Batches, file_writer
from meterlake.tables.coded import coded, declared, filled
from meterlake.tables.meter_readings import METER_READINGS

DOUBTFUL = "file_id bigint, line_order bigint, line binary"
# Bytes that a task reads at most; a task writes about a tenth of that.
PIECE_BYTES = 64 << 20
BEYOND = 1 << 62


class Piece(NamedTuple):
    """A range of bytes of a file: of the lines that begin in it. `meter` is the one that the file's name tells."""

    path: str
    file_id: int
    meter: str
    start: int
    stop: int
    layout: int


@dataclass(frozen=True)
class Loaded:
    """What the pass made: files of bronze that no commit knows yet, and the lines that `read.py` is to judge.

    Attributes:
        doubtful: columns of DOUBTFUL; kept, as making it writes files.
    """

    files: list[Row]
    doubtful: DataFrame


def load_plain(
    spark: SparkSession,
    files: list[tuple[Inspected, int, str]],
    source: Source,
    constants: dict[str, Any],
    bronze: str,
) -> Loaded:
    """Parse the files' plain lines into Parquet files in the folder of bronze.

    Args:
        files: as `read.read_lines` takes them.
        constants: columns of bronze that are the same in every line.
        bronze: path of the table `meter_readings`.
    """
    headers = sorted({seen.header_line for seen, _, _ in files})
    layouts = [_layout(source, next(seen for seen, _, _ in files if seen.header_line == line)) for line in headers]
    pieces = [piece for file in files for piece in _pieces(file, headers.index(file[0].header_line))]
    total = sum(seen.size for seen, _, _ in files)
    tasks = max(spark.sparkContext.defaultParallelism, math.ceil(total / PIECE_BYTES))
    load, types = _loader(layouts, constants, bronze), f"{WRITTEN}, {DOUBTFUL}"
    if is_small(spark):  # a job takes longer
        made = frame_of_batches(spark, load(pieces), types)
    else:
        shares, own = shared_out(spark, pieces, tasks, [min(piece.stop - piece.start, total) for piece in pieces])
        made = shares.mapInArrow(lambda batches: load(own(batches)), types).persist()
    written = made.where(F.col("path").isNotNull()).select("path", "size", "rows", "statistics").collect()
    return Loaded(written, made.where(F.col("path").isNull()).select("file_id", "line_order", "line"))


def _layout(source: Source, seen: Inspected) -> Layout:
    """The declared columns of bronze that the header holds, and what they are."""
    header, columns = seen.header, source.columns
    names = {"stamp_local": columns.stamps[0], "value": columns.value, **columns.optional}
    if columns.meter_id:
        names["meter_id"] = columns.meter_id
    kinds = {"stamp_local": STAMP, **dict.fromkeys(NUMBERS, NUMBER)}
    return Layout(
        separator=source.format.separator.encode(),
        width=len(header),
        fields={
            name: (header.index(text), kinds.get(name, coded(pa.string())))
            for name, text in names.items()
            if text in header
        },
        null_marks=source.format.null_marks,
        header=seen.header_line.encode(),
        longest=MAX_LINE,
        ahead=source.constant_offset,
    )


def _pieces(file: tuple[Inspected, int, str], layout: int) -> Iterator[Piece]:
    """Ranges of bytes of a file, in order; a compressed file is one."""
    seen, file_id, meter = file
    whole = seen.path.endswith(".gz")
    for start in range(0, 1 if whole else max(1, seen.size), PIECE_BYTES):
        stop = BEYOND if whole else min(start + PIECE_BYTES, seen.size)
        yield Piece(seen.path, file_id, meter, start, stop, layout)


def _loader(layouts: list[Layout], constants: dict[str, Any], bronze: str) -> Callable[[Iterable[Piece]], Batches]:
    """What a task does with its pieces: a row about each file it wrote, then the doubtful lines."""
    write = file_writer(METER_READINGS, bronze)
    schema = to_arrow_schema(METER_READINGS.schema, timezone="UTC")

    def load(pieces: Iterable[Piece]) -> Batches:
        doubtful: list[dict[str, Any]] = []
        for file in write(_rows(pieces, layouts, constants, schema, doubtful)):
            yield _told([file._asdict()])
        yield _told(doubtful)

    return load


def _rows(
    pieces: Iterable[Piece],
    layouts: list[Layout],
    constants: dict[str, Any],
    schema: pa.Schema,
    doubtful: list[dict[str, Any]],
) -> Batches:
    """Batches of bronze; lines that are not plain are appended to `doubtful`."""
    for piece in pieces:
        layout = layouts[piece.layout]
        of_file = constants | {"source_file": piece.path, "file_id": piece.file_id, "meter_id": piece.meter}
        for offset, block in plain_lines.blocks(piece.path, piece.start, piece.stop):
            lines = plain_lines.parse(block, offset, layout)
            doubtful += [{"file_id": piece.file_id, "line_order": at, "line": line} for at, line in lines.doubtful]
            known = lines.columns | {"line_order": pa.array(lines.order)}
            yield declared(filled(known, schema, of_file), schema)


def _told(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, _TOLD)


_TOLD = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("rows", pa.int64()),
        ("statistics", pa.string()),
        ("file_id", pa.int64()),
        ("line_order", pa.int64()),
        ("line", pa.binary()),
    ]
)
