"""Look at each delivered file once, byte by byte, before Spark reads it.

The pass gives what the ledger needs from a second, independent reader (how many data lines the bytes hold), what makes
loading idempotent (the content's hash), and what is wrong with the file as a whole.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.files import filesystem_of
from meterlake.shares import shared_out
from meterlake.sources.delivery import NO_UTF_8
from meterlake.sources.nem12_inspect import Tally
from meterlake.sources.source import Source

CHUNK = 8 << 20
BLANK = b" \t\r\f\v"
ZIP = b"PK\x03\x04"
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


@dataclass(frozen=True)
class Inspected:
    """One file. `problem` and `remedy` are set when it cannot be read; the rest describes its uncompressed content.

    Attributes:
        lines: lines that are neither blank nor a (possibly repeated) header; of NEM12 the values.
        header_line: the header as it stands in the file.
        header: its names.
    """

    path: str
    sha256: str = ""
    size: int = 0
    lines: int = 0
    header_line: str = ""
    header: tuple[str, ...] = ()
    problem: str | None = None
    remedy: str = ""


def inspect_files(spark: SparkSession, paths: list[str], source: Source) -> list[Inspected]:
    """Every file looked at, in the order given: here when it is one, by Spark's tasks when they are many."""
    if len(paths) == 1:
        return [inspect(paths[0], source)]
    shares, own = shared_out(spark, paths, 4 * spark.sparkContext.defaultParallelism)

    def looked_at(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for path in own(batches):
            yield pa.RecordBatch.from_pylist([asdict(inspect(path, source))], _TOLD)

    rows = shares.mapInArrow(looked_at, from_arrow_schema(_TOLD)).collect()
    return [Inspected(**row.asDict() | {"header": tuple(row.header)}) for row in rows]


def inspect(path: str, source: Source) -> Inspected:
    """One streaming pass: hash, size, data lines, header, and what is wrong."""
    if ":" in path.rsplit("/", 1)[-1]:
        return _refused(path, "has a colon in its name, which Hadoop cannot read", "rename it")
    if NO_UTF_8.search(path):
        return _refused(path, "has a name that is not UTF-8", "rename it")
    try:
        chunks = _chunks(path)
        first = next(chunks, b"")
        tally: _DataLines | Tally
        if source.format.layout == "nem12":
            seen, tally = _of_nem12(path, first), Tally()
        else:
            seen = _header(Inspected(path), first.removeprefix(codecs.BOM_UTF8), source)
            tally = _DataLines(seen.header_line.encode(source.format.encoding))
        return seen if seen.problem else _counted(seen, chain([first], chunks), tally)
    except (OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        if path.endswith(".gz"):
            return _refused(path, f"is not a whole gzip file ({reason})", "deliver it again")
        return _refused(path, f"cannot be read ({reason})", "check the path and its permissions")


def _chunks(path: str) -> Iterator[bytes]:
    filesystem, inner = filesystem_of(path)
    with filesystem.open_input_stream(inner, compression="detect") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def text_lines(path: str, encoding: str) -> Iterator[str]:
    """The lines of a file, unpacked, ends of line and all; a byte that is no text is replaced."""
    filesystem, inner = filesystem_of(path)
    with filesystem.open_input_stream(inner, compression="detect") as stream:
        yield from io.TextIOWrapper(stream, encoding, errors="replace", newline="\n")


def _refused(path: str, problem: str, remedy: str) -> Inspected:
    return Inspected(path, problem=problem, remedy=remedy)


def _header(seen: Inspected, first: bytes, source: Source) -> Inspected:
    """Read the header from the first bytes and check it against the source."""
    if not first.strip():
        return _refused(seen.path, "is empty", "deliver it again")
    if b"\0" in first or first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _refused(seen.path, "is a binary or UTF-16 file, not text", "save it as CSV in UTF-8")
    line = first.split(b"\n", 1)[0].strip(BLANK)
    try:
        text = line.decode(source.format.encoding)
    except UnicodeDecodeError:
        return _refused(seen.path, f"is not {source.format.encoding}", "declare its encoding in [format] of the source")
    names = names_of(text, source.format.separator)
    missing = [name for name in source.columns.required if name not in names]
    if missing:
        return _missing_columns(seen.path, text, names, missing, source)
    return replace(seen, header_line=text, header=names)


def names_of(header: str, separator: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(csv.reader([header], delimiter=separator), []))


def _missing_columns(path: str, text: str, names: tuple[str, ...], missing: list[str], source: Source) -> Inspected:
    for separator, spoken in SEPARATORS.items():
        if separator != source.format.separator and set(source.columns.required) <= set(names_of(text, separator)):
            declared = SEPARATORS.get(source.format.separator, repr(source.format.separator))
            problem = f"separates its columns by {spoken} where source {source.name} declares {declared}"
            return _refused(path, problem, "correct the separator in [format] of the source")
    shown = ", ".join(names)[:200]
    problem = f"has no column {', '.join(map(repr, missing))} (its header is: {shown})"
    return _refused(path, problem, f"deliver it with the columns of source {source.name}, or correct the source")


class _DataLines:
    """Fed with chunks of a CSV file; afterwards `values` is the number of its data lines."""

    problem = remedy = ""

    def __init__(self, header: bytes) -> None:
        self.values, self._header, self._carry = 0, header, b""

    def add(self, chunk: bytes) -> None:
        whole, newline, self._carry = (self._carry + chunk).rpartition(b"\n")
        if newline:
            self.values += count_data_lines(whole + newline, self._header)

    def end(self) -> None:
        self.values += count_data_lines(self._carry + b"\n", self._header)


def _counted(seen: Inspected, chunks: Iterator[bytes], tally: _DataLines | Tally) -> Inspected:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if b"\0" in chunk:
            return _refused(seen.path, "holds binary data between its lines", "deliver it again as text")
        tally.add(chunk)
    tally.end()
    if tally.problem:
        return _refused(seen.path, tally.problem, tally.remedy)
    return replace(seen, sha256=digest.hexdigest(), size=size, lines=tally.values)


def _of_nem12(path: str, first: bytes) -> Inspected:
    if first.startswith(ZIP):
        return _refused(path, "is a zip archive", "unpack it")
    return Inspected(path) if first.strip() else _refused(path, "is empty", "deliver it again")


def count_data_lines(block: bytes, header: bytes) -> int:
    """Lines in a block of whole lines (each ends in a newline) that are neither blank nor the header.

    Only lines that start with white space or like the header are looked at one by one: the rest is counted by their
    newlines, at about the speed of memory.
    """
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == 0x0A)
    starts = np.concatenate(([0], ends[:-1] + 1))
    doubtful = np.flatnonzero((data[starts] <= 0x20) | (data[starts] == header[0]) | (data[starts] == 0xEF))
    if len(doubtful) > len(ends) // 2:
        doubtful = _like_header(data, starts, ends, doubtful, header)
    not_data = 0
    for index in doubtful:
        line = block[starts[index] : ends[index]].strip(BLANK).removeprefix(codecs.BOM_UTF8)
        not_data += not line or line == header
    return len(ends) - not_data


def _like_header(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray, doubtful: np.ndarray, header: bytes
) -> np.ndarray:
    """When most lines begin with the header's first letter (meter_id, M001...), keep those of about its length, too."""
    length = ends[doubtful] - starts[doubtful]
    near = (length >= len(header)) & (length <= len(header) + 8)
    return doubtful[near | (data[starts[doubtful]] <= 0x20)]


# The fields of Inspected.
_TOLD = pa.schema(
    [
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("size", pa.int64()),
        ("lines", pa.int64()),
        ("header_line", pa.string()),
        ("header", pa.list_(pa.string())),
        ("problem", pa.string()),
        ("remedy", pa.string()),
    ]
)
