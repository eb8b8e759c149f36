"""Rows in the binary format of PostgreSQL's COPY: half the server's work for text, and a tenth of ours.

The format: https://www.postgresql.org/docs/current/sql-copy.html, Binary Format. Each field as its type's `recv` wants
it: big-endian; times and days since 2000; a decimal as a sign and digits to the base of 10,000.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.compiled import compiled
from meterlake.tables.coded import one_batch

HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
EPOCH_S, EPOCH_DAYS = 946_684_800, 10_957
NUMBERS = {"double": ">f8", "int64": ">i8", "int32": ">i4", "bool": "u1"}

# Places are unsigned: of a signed index the compiled loops ask for each byte whether it counts from the end, and take
# two to five times as long.
ONE, TWO, THREE, FOUR, EIGHT = np.array([1, 2, 3, 4, 8], dtype=np.uint64)

Bytes = NDArray[np.uint8]
Places = NDArray[np.uint64]
Bools = NDArray[np.bool_]


class Texts(NamedTuple):
    """Where in `data` the bytes of each row's value begin, and how many they are."""

    begins: Places
    lengths: Places
    data: Bytes


def encoded(rows: pa.Table) -> pa.Buffer:
    """The rows as what COPY ... FROM STDIN (FORMAT binary) reads.

    Args:
        rows: of columns of texts, also coded, doubles, whole numbers of 32 and 64 bits, booleans, days, times (told to
            the second) and decimals with four places.

    Raises:
        KeyError: a column of another type.
    """
    batch = one_batch(rows)
    valid = [column.is_valid().to_numpy(zero_copy_only=False) for column in batch.columns]
    fields = [_field(column) for column in batch.columns]
    sizes = np.full(batch.num_rows, 2 + 4 * len(fields), dtype=np.uint64)
    for field, known in zip(fields, valid, strict=True):
        sizes += known * (field.lengths if isinstance(field, Texts) else np.uint64(field.shape[1]))
    ends = np.uint64(len(HEADER)) + np.cumsum(sizes)
    out = np.empty(len(HEADER) + int(sizes.sum()) + len(TRAILER), dtype=np.uint8)
    out[: len(HEADER)] = np.frombuffer(HEADER, dtype=np.uint8)
    out[-len(TRAILER) :] = np.frombuffer(TRAILER, dtype=np.uint8)
    at = ends - sizes
    out[at], out[at + ONE] = 0, len(fields)
    at += TWO
    for field, known in zip(fields, valid, strict=True):
        if isinstance(field, Texts):
            compiled(_put_texts)(out, at, known, *field)
        else:
            compiled(_put)(out, at, known, field)
    return pa.py_buffer(out)


def _field(values: pa.Array) -> Texts | Bytes:
    """The values as they are written, (rows, bytes) where all take the same; of what is null anything."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return _texts(values)
    if pa.types.is_decimal(kind):
        return _decimals(values)
    if pa.types.is_timestamp(kind):
        micros = values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()).fill_null(0).to_numpy()
        return _wide((micros // 1_000_000 - EPOCH_S) * 1_000_000, ">i8")
    if pa.types.is_date32(kind):
        return _wide(values.cast(pa.int32()).fill_null(0).to_numpy() - EPOCH_DAYS, ">i4")
    return _wide(values.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy(False), NUMBERS[str(kind)])


def _wide(values: NDArray[np.generic], kind: str) -> Bytes:
    made = np.ascontiguousarray(values.astype(kind))
    return made.view(np.uint8).reshape(len(made), made.itemsize)


def _decimals(values: pa.Array) -> Bytes:
    """Five digits to the base of 10,000, the last of them of the four places; the server strips zeros."""
    places = values.type.scale
    if places != 4:
        raise KeyError(f"decimals of {places} places")
    # 18 digits are in the lower half of the 128 bits.
    halves = np.frombuffer(values.buffers()[1], dtype="<i8")[::2]
    unscaled = halves[values.offset : values.offset + len(values)]
    digits = np.empty((len(unscaled), 18), dtype=np.uint8)
    compiled(_put_digits)(digits, unscaled)
    return digits


def _texts(values: pa.Array) -> Texts:
    held = values.dictionary if pa.types.is_dictionary(values.type) else values
    _, offsets, data = held.buffers()
    if not len(held) or data is None:
        nothing = np.zeros(len(values), dtype=np.uint64)
        return Texts(nothing, nothing, np.empty(0, dtype=np.uint8))
    bounds = np.frombuffer(offsets, dtype=np.int32)[held.offset : held.offset + len(held) + 1].astype(np.uint64)
    begins, lengths = bounds[:-1], np.diff(bounds)
    if held is not values:
        codes = values.indices.fill_null(0).to_numpy()
        begins, lengths = begins[codes], lengths[codes]
    return Texts(begins, lengths, np.frombuffer(data, dtype=np.uint8))


def _put_digits(out: Bytes, unscaled: NDArray[np.int64]) -> None:
    """How many digits, the place of the first, the sign, how many places are shown; then the digits."""
    for row in range(len(unscaled)):
        out[row, :8] = 0
        out[row, 1], out[row, 3], out[row, 7] = 5, 3, 4
        if unscaled[row] < 0:
            out[row, 4] = 0x40
        left = abs(unscaled[row])
        for place in range(16, 7, -2):
            digit = left % 10_000
            left //= 10_000
            out[row, place], out[row, place + 1] = digit >> 8, digit & 255


def _put(out: Bytes, at: Places, known: Bools, values: Bytes) -> None:
    """Write a field of each row at its place, which moves on; -1 bytes are null."""
    width = np.uint64(values.shape[1])
    for row in range(len(at)):
        to = at[row]
        if known[row]:
            out[to] = out[to + ONE] = out[to + TWO] = 0
            out[to + THREE] = width
            for byte in range(width):
                out[to + FOUR + byte] = values[row, byte]
            at[row] = to + FOUR + width
        else:
            out[to] = out[to + ONE] = out[to + TWO] = out[to + THREE] = 255
            at[row] = to + FOUR


def _put_texts(out: Bytes, at: Places, known: Bools, begins: Places, lengths: Places, data: Bytes) -> None:
    """The same of texts."""
    for row in range(len(at)):
        to = at[row]
        if known[row]:
            length, begin = lengths[row], begins[row]
            for byte in range(FOUR):
                out[to + byte] = length >> (EIGHT * (THREE - byte))
            for byte in range(length):
                out[to + FOUR + byte] = data[begin + byte]
            at[row] = to + FOUR + length
        else:
            out[to] = out[to + ONE] = out[to + TWO] = out[to + THREE] = 255
            at[row] = to + FOUR
