"""Plain lines are read; every other line is handed on as it stands."""

import gzip
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from meterlake.sources.household_power import HOUSEHOLD_POWER
from meterlake.sources.plain_lines import NUMBER, STAMP, Layout, blocks, is_plain, parse
from meterlake.sources.source import Columns, Format, Source

LAYOUT = Layout(
    separator=b",",
    width=3,
    fields={"meter_id": (0, pa.string()), "stamp_local": (1, STAMP), "value": (2, NUMBER)},
    null_marks=("-",),
    header=b"m,t,v",
    longest=100,
)
SOURCE = Source(
    name="plain",
    description="three columns",
    interval_minutes=30,
    columns=Columns(meter_id="m", timestamp="t", value="v"),
)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("A,2024-01-01 00:30:00,1.5", 1.5, id="number"),
        pytest.param(" A , 2024-01-01 00:30:00 , 1.5 \r", 1.5, id="white_space_around_fields"),
        pytest.param("A,2024-01-01T00:30:00,-1e3", -1000.0, id="iso_stamp_and_exponent"),
        pytest.param("A,2024-01-01 00:30:00,", None, id="empty_field"),
        pytest.param("A,2024-01-01 00:30:00, - ", None, id="null_mark"),
    ],
)
def test_plain_line(line: str, value: float | None) -> None:
    lines = parse(line.encode() + b"\n", 7, LAYOUT)
    assert lines.doubtful == []
    assert lines.order.tolist() == [7]
    assert lines.columns["meter_id"].to_pylist() == ["A"]
    assert str(lines.columns["stamp_local"][0]) == "2024-01-01 00:30:00"
    assert lines.columns["value"].to_pylist() == [value]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"A,2024-01-01 00:30:00,1,2", id="a_field_more"),
        pytest.param(b"A,2024-01-01 00:30:00", id="a_field_less"),
        pytest.param(b'"A",2024-01-01 00:30:00,1', id="quotes"),
        pytest.param(b"A\\,2024-01-01 00:30:00,1", id="backslash"),
        pytest.param(b"A\rB,2024-01-01 00:30:00,1", id="carriage_return_within"),
        pytest.param(b"A\xe9,2024-01-01 00:30:00,1", id="no_utf8"),
        pytest.param(b"A" * 101 + b",2024-01-01 00:30:00,1", id="too_long"),
        pytest.param(b"A,2024-02-30 00:30:00,1", id="no_such_day"),
        pytest.param(b"A,2024-01-01 00:30:00,1.2.3", id="no_number"),
        pytest.param(b"A,2024-01-01 00:30:00,nan", id="not_finite"),
        pytest.param(b"A,2024-01-01 00:30:00Z,1", id="a_zone_of_its_own"),
    ],
)
def test_doubtful_line_is_handed_on(line: bytes) -> None:
    good = b"B,2024-01-01 01:00:00,2\n"
    lines = parse(good + line + b"\n" + good, 0, LAYOUT)
    assert lines.doubtful == [(len(good), line)]
    assert lines.columns["meter_id"].to_pylist() == ["B", "B"]
    assert lines.order.tolist() == [0, len(good) + len(line) + 1]


@pytest.mark.parametrize("stamp", ["2024-01-01T00:30:00+01:00", "2023-12-31T23:30:00Z", "2023-12-31 18:30:00-0500"])
def test_a_stamp_that_states_an_offset_is_put_on_a_clock_that_never_changes(stamp: str) -> None:
    block = f"A,2024-01-01 05:00:00,1\nA,{stamp},2\nA,2024-01-01 06:00:00,3\n".encode()
    lines = parse(block, 0, replace(LAYOUT, ahead=timedelta(hours=5, minutes=30)))
    assert lines.doubtful == []
    found = [str(at)[11:16] for at in lines.columns["stamp_local"].to_pylist()]
    assert found == ["05:00", "05:00", "06:00"]


@pytest.mark.parametrize("stamp", ["2024-01-01T00Z", "2024-01-01 00:30:00 Z", "2024-01-01T00:00:00+20:00"])
def test_a_stated_offset_that_two_readers_could_see_differently_is_handed_on(stamp: str) -> None:
    lines = parse(f"A,2024-01-01 05:00Z,1\nA,{stamp},2\n".encode(), 0, replace(LAYOUT, ahead=timedelta(0)))
    assert [line for _, line in lines.doubtful] == [f"A,{stamp},2".encode()]


def test_blank_lines_and_repeated_headers_say_nothing() -> None:
    lines = parse(b"m,t,v\r\n\n \t\nA,2024-01-01 00:30:00,1\nm,t,v\n", 0, LAYOUT)
    assert lines.doubtful == []
    assert lines.columns["meter_id"].to_pylist() == ["A"]


def test_names_that_are_not_ascii_are_plain() -> None:
    assert parse("Zähler,2024-01-01 00:30:00,1\n".encode(), 0, LAYOUT).columns["meter_id"].to_pylist() == ["Zähler"]


def test_many_doubtful_values_leave_the_others() -> None:
    block = "".join(f"A,2024-01-01 00:30:00,{n if n % 3 else 'x'}\n" for n in range(40_000)).encode()
    lines = parse(block, 0, LAYOUT)
    assert lines.columns["value"].to_pylist() == [float(n) for n in range(40_000) if n % 3]
    assert len(lines.doubtful) == 13_334


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 29, 30, 31, 60, 78, 79])
def test_pieces_hold_each_line_once(tmp_path: Path, cut: int) -> None:
    whole = b"m,t,v\nA,2024-01-01 00:30:00,1\nB,2024-01-01 00:30:00,2\nC,2024-01-01 00:30:00,3"
    (tmp_path / "f.csv").write_bytes(whole)
    found = [b for edges in ((0, cut), (cut, len(whole))) for b in blocks(str(tmp_path / "f.csv"), *edges)]
    assert b"".join(block for _, block in found) == whole + b"\n"
    assert all(whole[offset:].startswith(block.rstrip(b"\n")) for offset, block in found)


def test_compressed_file_is_one_piece(tmp_path: Path) -> None:
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(b"m,t,v\nA,2024-01-01 00:30:00,1\n"))
    assert list(blocks(str(tmp_path / "f.csv.gz"), 0, 1 << 62)) == [(0, b"m,t,v\nA,2024-01-01 00:30:00,1\n")]


def test_which_sources_are_plain() -> None:
    assert is_plain(SOURCE)
    assert not is_plain(HOUSEHOLD_POWER)
    for other in (Format(decimal=",", separator=";"), Format(encoding="latin-1"), Format(timestamp=("d.M.yyyy",))):
        assert not is_plain(SOURCE.model_copy(update={"format": other}))
