"""What is wrong with a file is told before Spark reads it, and its lines are counted by a second reader."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlake.sources.ami import AMI
from meterlake.sources.inspect import count_data_lines, inspect

HEADER = b"meter_id,timestamp,consumption_kwh"
LINE = b"M1,2024-01-01 00:00:00,0.5"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(HEADER + b"\n" + LINE + b"\n", 1, id="one_line"),
        pytest.param(HEADER + b"\n" + LINE, 1, id="no_newline_at_the_end"),
        pytest.param(HEADER + b"\r\n" + LINE + b"\r\n" + LINE + b"\r\n", 2, id="carriage_returns"),
        pytest.param(b"\xef\xbb\xbf" + HEADER + b"\n" + LINE + b"\n", 1, id="byte_order_mark"),
        pytest.param(HEADER + b"\n\n  \n\t\r\n" + LINE + b"\n\n", 1, id="blank_lines"),
        pytest.param(HEADER + b"\n" + LINE + b"\n" + HEADER + b"\n" + LINE + b"\n", 2, id="header_twice"),
        pytest.param(HEADER + b"\n", 0, id="header_only"),
    ],
)
def test_data_lines_are_counted(tmp_path: Path, content: bytes, lines: int) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    seen = inspect(str(file), AMI)
    assert seen.problem is None
    assert seen.lines == lines
    assert seen.header == ("meter_id", "timestamp", "consumption_kwh")


def test_the_same_content_has_the_same_hash_compressed_or_not(tmp_path: Path) -> None:
    content = HEADER + b"\n" + LINE + b"\n"
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    plain, packed = inspect(str(tmp_path / "a.csv"), AMI), inspect(str(tmp_path / "b.csv.gz"), AMI)
    assert plain.sha256 == packed.sha256
    assert packed.lines == 1


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("empty.csv", b"", "is empty", id="empty"),
        pytest.param("blank.csv", b"\n \n", "is empty", id="blank"),
        pytest.param("utf16.csv", HEADER.decode().encode("utf-16"), "binary or UTF-16", id="utf16"),
        pytest.param("binary.csv", b"\x7fELF\x00\x01", "binary or UTF-16", id="binary"),
        pytest.param("late.csv", HEADER + b"\n" + b"x" * 9_000_000 + b"\0", "binary data", id="binary_later"),
        pytest.param("latin.csv", b"meter_id,timestamp,\xe9nergie", "is not UTF-8", id="latin1_header"),
        pytest.param(
            "semi.csv", HEADER.replace(b",", b";"), "by a semicolon where source ami declares a comma", id="sep"
        ),
        pytest.param("other.csv", b"a,b,c\n1,2,3\n", "has no column 'timestamp', 'consumption_kwh'", id="columns"),
        pytest.param(
            "cut.csv.gz", gzip.compress(HEADER + LINE * 9999)[:-20], "is not a whole gzip file", id="cut_gzip"
        ),
        pytest.param("fake.csv.gz", HEADER + b"\n" + LINE, "is not a whole gzip file", id="no_gzip"),
        pytest.param("a:b.csv", HEADER, "colon in its name", id="colon_in_name"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    seen = inspect(str(file), AMI)
    assert problem in str(seen.problem)
    assert seen.remedy


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read" in str(inspect(str(tmp_path / "nowhere.csv"), AMI).problem)


@given(st.lists(st.sampled_from([b"m1,1", b"meter", b"meter,x", b"", b" ", b"\t", b" m2,2", b"meter\r", b"m3,3\r"])))
def test_counting_equals_a_plain_loop(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    stripped = [line.strip() for line in lines]
    assert not block or count_data_lines(block, b"meter") == sum(line not in (b"", b"meter") for line in stripped)
