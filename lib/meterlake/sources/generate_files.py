"""One file of readings as text: rendered by Arrow, defects put in line by line, the truth about each line kept.

A line is one value of a binary array whose data buffer is the file itself, so leaving out, repeating and replacing
lines is one `take`. Only defective lines are touched one by one.
"""

import gzip
import uuid
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.fs as fs
from numpy.typing import NDArray

from meterlake.files import filesystem_of
from meterlake.sources import generate_defects as defects
from meterlake.sources.generate_draws import Ints
from meterlake.sources.generate_shapes import Block, Shape, meter_ids, seconds

GAP, EXACT, CONFLICT = (defects.KINDS.index(kind) for kind in (defects.GAP, defects.EXACT, defects.CONFLICT))


@dataclass(frozen=True)
class Delivery:
    """A file's content and the truth about it. Energies are integers in the file's own unit."""

    content: bytes
    lines: int
    intervals: int
    clean_readings: int
    clean_energy: int
    conflicting_first_energy: int
    conflicting_second_energy: int
    # meter_id, timestamp (UTC), kind, line, one row for each defect.
    defects: pa.Table


def deliver(shape: Shape, block: Block, codes: NDArray[np.int8]) -> Delivery:
    """The file of a block. `codes` (n, k) are indices into defects.KINDS. What is sent twice comes again at the end."""
    energy, code = shape.energy(block), codes.reshape(-1)
    good = _lines(shape.columns(block, energy), shape.separator)
    hit = np.flatnonzero(code)
    spoilt = _spoilt(shape, block, good, hit, code[hit])
    instead = np.arange(len(code))
    instead[hit] = len(code) + np.arange(len(hit))
    twice = (code == EXACT) | (code == CONFLICT)
    first = np.where(twice, np.arange(len(code)), instead)
    kept = first if shape.missing else first[code != GAP]
    order = np.concatenate([kept, instead[twice]])
    content = _joined(pa.concat_arrays([good, spoilt]).take(pa.array(order)))
    flat, clean, conflict = energy.reshape(-1), (code == 0) | (code == EXACT), code == CONFLICT
    return Delivery(
        content=f"{shape.header}\n".encode() + content,
        lines=len(order),
        intervals=len(code),
        clean_readings=int(clean.sum()),
        clean_energy=int(flat[clean].sum()),
        conflicting_first_energy=int(flat[conflict].sum()),
        conflicting_second_energy=int(_second(flat[conflict]).sum()),
        defects=_truth(shape, block, hit, code[hit], spoilt),
    )


def _second(energy: Ints) -> Ints:
    """What the second of two conflicting lines says: a fifth less, or a little more where there is next to nothing."""
    return np.where(energy >= 100, energy * 4 // 5, energy + 50)


def _spoilt(
    shape: Shape, block: Block, good: pa.LargeBinaryArray, hit: Ints, code: NDArray[np.int8]
) -> pa.LargeBinaryArray:
    """The other line for each reading with a defect: what replaces it, or what is sent in addition."""
    time, scale = seconds(block)[hit], 10**shape.energy_decimals
    second = _second(shape.energy(block).reshape(-1)[hit])
    texts = []
    for number, line in enumerate(good.take(pa.array(hit)).to_pylist()):
        kind = defects.KINDS[code[number]]
        fields = line.decode().rstrip("\n").split(shape.separator)
        if kind == defects.GAP:
            fields = [*fields[shape.time_fields], *shape.missing] if shape.missing else []
        elif kind == defects.CONFLICT:
            fields[shape.energy_field] = f"{second[number] / scale:.{shape.energy_decimals}f}"
        elif kind in defects.BAD:
            fields = defects.BAD[kind](defects.Line(fields, shape, time[number], block.interval_minutes))
        texts.append((shape.separator.join(fields) + "\n").encode())
    return pa.array(texts, pa.large_binary())


def _truth(shape: Shape, block: Block, hit: Ints, code: NDArray[np.int8], spoilt: pa.LargeBinaryArray) -> pa.Table:
    ids = pa.array(meter_ids(block.meters.number), pa.string())
    utc = seconds(block)[hit] - np.timedelta64(shape.ahead_minutes, "m")
    return pa.table(
        {
            "meter_id": ids.take(pa.array(hit // block.kwh.shape[1])),
            "timestamp": pa.array(utc).cast(pa.string()),
            "kind": pa.array(defects.KINDS).take(pa.array(code)),
            "line": [text.decode().rstrip("\n") for text in spoilt.to_pylist()],
        }
    )


def _lines(columns: list[pa.Array], separator: str) -> pa.LargeBinaryArray:
    """Columns rendered as CSV, one value a line, its newline included."""
    sink = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style="none", batch_size=1 << 17)
    csv.write_csv(pa.table(columns, names=[str(i) for i in range(len(columns))]), sink, options)
    text = sink.getvalue()
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int64)
    return pa.Array.from_buffers(pa.large_binary(), len(ends), [None, pa.py_buffer(offsets), text])


def _joined(texts: pa.LargeBinaryArray) -> bytes:
    """The values one after the other."""
    if not len(texts):
        return b""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return texts.buffers()[2][offsets[0] : offsets[-1]].to_pybytes()


def table_csv(table: pa.Table) -> bytes:
    """A truth table as CSV; only values that need quotes have them."""
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(quoting_style="needed", quoting_header="none"))
    return sink.getvalue().to_pybytes()


def write(folder: str, name: str, content: bytes) -> None:
    """A file that is there whole or not at all; a second try replaces it by the same bytes. `.gz` is compressed."""
    filesystem, path = filesystem_of(folder)
    if name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=1, mtime=0)
    unfinished = f"{path}/.{name}.{uuid.uuid4().hex}"
    try:
        with filesystem.open_output_stream(unfinished, compression=None) as out:
            out.write(content)
        filesystem.move(unfinished, f"{path}/{name}")
    finally:
        if filesystem.get_file_info(unfinished).type != fs.FileType.NotFound:
            filesystem.delete_file(unfinished)
