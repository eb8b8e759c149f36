"""Plain lines of CSV -> columns of bronze, block by block with Arrow: no row of Spark's is made on the way.

A line is plain when it has the header's number of fields, no quotes, and nothing in it that is not the number or time
stamp it should be. All other lines are doubtful: they are handed on as they stand, and `read.py` reads them or tells
why they do not parse. So nothing is decided here that two readers could see differently.
"""

import codecs
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from meterlake.files import filesystem_of
from meterlake.sources.inspect import BLANK
from meterlake.sources.source import WITH_OFFSET, Source

BLOCK = 8 << 20
NEWLINE, RETURN, QUOTE, BACKSLASH = b'\n\r"\\'
# A column that holds a value that cannot be cast is tried again in parts of so many rows, and those by halves.
CAST_ROWS = 4_096
STAMP, INSTANT, NUMBER = pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.float64()


@dataclass(frozen=True)
class Layout:
    """How plain lines of one header are read.

    Attributes:
        separator: one byte.
        width: number of fields.
        fields: column of bronze -> (its field, its type).
        null_marks: texts that stand for no value.
        header: the header line, which a file may repeat.
        longest: lines of more bytes are doubtful.
        ahead: what the clock of the stamps is ahead of UTC, where that never changes: a stamp that states an offset is
            put on it. Elsewhere such a line is doubtful.
    """

    separator: bytes
    width: int
    fields: dict[str, tuple[int, pa.DataType]]
    null_marks: tuple[str, ...]
    header: bytes
    longest: int
    ahead: timedelta | None = None


def is_plain(source: Source) -> bool:
    """Whether the source's lines can be plain: a table, UTF-8, decimal points, and ISO time stamps in one column."""
    form = source.format
    if form.layout != "csv":
        return False
    utf8 = form.encoding.upper().replace("-", "") == "UTF8"
    return utf8 and form.decimal == "." and not form.timestamp and len(source.columns.stamps) == 1


@dataclass(frozen=True)
class Lines:
    """What a block holds.

    Attributes:
        columns: the fields of the plain lines, by column of bronze.
        order: the offset of each of them in the file.
        doubtful: (offset, line) of the others that are neither blank nor a header.
    """

    columns: dict[str, pa.Array]
    order: NDArray[np.int64]
    doubtful: list[tuple[int, bytes]]


def blocks(path: str, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of whole lines of a file: of those that begin at or after `start` and before `stop`.

    A compressed file is one piece: its offsets count uncompressed bytes, and `stop` is beyond its end.
    """
    filesystem, inner = filesystem_of(path)
    if start:
        stream = filesystem.open_input_file(inner)
        stream.seek(start - 1)
    else:
        stream = filesystem.open_input_stream(inner, compression="detect")
    with stream:
        offset, held = (start - 1, stream.read(BLOCK)) if start else (0, stream.read(BLOCK))
        if start:  # the line that holds the byte before is the piece's before
            while (end := held.find(b"\n")) < 0 and (more := stream.read(BLOCK)):
                held += more
            offset, held = (offset + end + 1, held[end + 1 :]) if end >= 0 else (stop, b"")
        while held and offset < stop:
            more = stream.read(BLOCK)
            end = held.rfind(b"\n") + 1 if more else len(held)
            if offset + end >= stop:
                last = held.find(b"\n", stop - 1 - offset) + 1
                end = last or (0 if more else len(held))
            if end:
                yield offset, held[:end] if held[end - 1] == NEWLINE else held[:end] + b"\n"
            offset, held = offset + end, held[end:] + more


def parse(block: bytes, offset: int, layout: Layout) -> Lines:
    """The lines of a block that ends in a newline."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    doubtful = _unlike(block, data, starts, ends, layout)
    texts = _texts(_without(block, starts, ends, doubtful), layout)
    failed = np.zeros(len(ends) - int(doubtful.sum()), bool)
    columns = {}
    for name, (field, kind) in layout.fields.items():
        column = texts.column(f"f{field}")
        coded = pa.types.is_dictionary(kind)
        columns[name], of_column = (column.dictionary_encode(), None) if coded else _cast(column, kind, layout.ahead)
        if of_column is not None:
            failed |= of_column
    plain = np.flatnonzero(~doubtful)
    doubtful[plain[failed]] = True
    if failed.any():
        columns = {name: column.filter(pa.array(~failed)) for name, column in columns.items()}
    others = ((int(starts[n]), block[starts[n] : ends[n]]) for n in np.flatnonzero(doubtful))
    told = [(offset + start, line) for start, line in others if not _says_nothing(line, layout.header)]
    return Lines(columns, offset + starts[plain[~failed]], told)


def _unlike(
    block: bytes, data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], layout: Layout
) -> NDArray[np.bool_]:
    """True for lines that cannot be split at separators: quotes, another width, bytes that are no UTF-8, too long."""
    separators = np.add.reduceat(data == layout.separator[0], starts, dtype=np.int32)
    unlike = (separators != layout.width - 1) | (ends - starts > layout.longest)
    odd = [np.flatnonzero(data == byte) for byte in (QUOTE, BACKSLASH) if byte in block]
    if RETURN in block:
        returns = np.flatnonzero(data == RETURN)
        odd.append(returns[data[returns + 1] != NEWLINE])
    if not block.isascii() and not _is_utf8(block):
        odd.append(np.flatnonzero(data >= 0x80))
    for places in odd:
        unlike[np.searchsorted(ends, places)] = True
    return unlike


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without(block: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], left_out: NDArray[np.bool_]) -> bytes:
    lines = np.flatnonzero(left_out)
    if not len(lines):
        return block
    whole = memoryview(block)
    kept = zip([0, *(ends[lines] + 1)], [*starts[lines], len(block)], strict=True)
    return b"".join(whole[begin:end] for begin, end in kept)


def _texts(block: bytes, layout: Layout) -> pa.RecordBatch:
    """The fields that are wanted, as trimmed texts f0, f1, ..., coded where that is their type; null where empty."""
    numbers = {f"f{field}": pa.string() for field, kind in layout.fields.values() if not pa.types.is_dictionary(kind)}
    kinds = {f"f{field}": kind for field, kind in layout.fields.values()} | numbers
    names = list(kinds)
    if not block:
        return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in kinds.values()], names)
    table = pyarrow.csv.read_csv(
        pa.BufferReader(block),
        pyarrow.csv.ReadOptions(
            use_threads=False, block_size=len(block) + 1, column_names=[f"f{n}" for n in range(layout.width)]
        ),
        pyarrow.csv.ParseOptions(delimiter=layout.separator.decode(), quote_char=False, ignore_empty_lines=False),
        pyarrow.csv.ConvertOptions(
            column_types=kinds,
            include_columns=names,
            null_values=["", *layout.null_marks],
            strings_can_be_null=True,
            check_utf8=False,
        ),
    ).combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    return pa.RecordBatch.from_arrays([_trimmed(array, layout.null_marks) for array in arrays], names)


def _trimmed(texts: pa.Array, null_marks: tuple[str, ...]) -> pa.Array:
    if pa.types.is_dictionary(texts.type):
        each = _trimmed(texts.dictionary, null_marks)
        return texts if each is texts.dictionary else each.take(texts.indices).dictionary_encode()
    trimmed = pc.ascii_trim_whitespace(texts)
    if pc.sum(pc.binary_length(trimmed)) == pc.sum(pc.binary_length(texts)):
        return texts
    return pc.if_else(pc.is_in(trimmed, pa.array(["", *null_marks])), None, trimmed)


def _cast(texts: pa.Array, kind: pa.DataType, ahead: timedelta | None) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """The texts as numbers or time stamps, and where that failed (None: nowhere). What is not finite is no number."""
    values = _cast_or_none(texts, kind, ahead)
    if values is None:
        parts = [_cast_part(texts.slice(start, CAST_ROWS), kind, ahead) for start in range(0, len(texts), CAST_ROWS)]
        values = pa.concat_arrays(parts)
    failed = _as_numpy(values.is_null()) & _as_numpy(texts.is_valid())
    if kind == NUMBER:
        failed |= ~np.isfinite(values.fill_null(0.0).to_numpy())
    return values, failed if failed.any() else None


def _as_numpy(flags: pa.BooleanArray) -> NDArray[np.bool_]:
    """Not `np.asarray`, which imports pandas: 2 s in a worker that has just started."""
    return flags.to_numpy(zero_copy_only=False)


def _cast_part(texts: pa.Array, kind: pa.DataType, ahead: timedelta | None) -> pa.Array:
    values = _cast_or_none(texts, kind, ahead)
    if values is not None:
        return values
    if len(texts) == 1:
        return pa.nulls(1, kind)
    half = len(texts) // 2
    return pa.concat_arrays([_cast_part(part, kind, ahead) for part in (texts.slice(0, half), texts.slice(half))])


def _cast_or_none(texts: pa.Array, kind: pa.DataType, ahead: timedelta | None) -> pa.Array | None:
    with suppress(pa.ArrowInvalid):
        return pc.cast(texts, kind)
    # Arrow alone would also take an hour without minutes, or an offset of 20 hours.
    if kind == STAMP and ahead is not None and pc.all(pc.match_substring_regex(texts, WITH_OFFSET)).as_py():
        with suppress(pa.ArrowInvalid):
            return pc.add(pc.cast(texts, INSTANT).cast(STAMP), pa.scalar(ahead, pa.duration("us")))
    return None


def _says_nothing(line: bytes, header: bytes) -> bool:
    """Whether a line is blank or a header: what `inspect` does not count either."""
    text = line.strip(BLANK).removeprefix(codecs.BOM_UTF8)
    return not text or text == header
