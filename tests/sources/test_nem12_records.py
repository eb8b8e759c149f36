"""NEM12: records become values, every fault is told with its line, and both readers count the same."""

import re
from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterlake.sources import nem12_records
from meterlake.sources.nem12_inspect import Tally
from meterlake.sources.nem12_read import rows_again, rows_of

HEAD = "100,NEM12,202401020304,MDP,RET"
CHANNEL = "200,NMI1,E1B1,1,E1,N1,METER1,kWh,30,"
END = "900"


def day(*values: str, date: str = "20240101", quality: str = "A,,,20240102030405,") -> str:
    return ",".join(["300", date, *values, quality])


def half_hours(text: str = "1.5") -> list[str]:
    return [text] * 48


def read(*lines: str) -> list[dict[str, object]]:
    return pa.Table.from_batches(rows_of(lines, 7)).to_pylist()


def counted(lines: Iterable[str], end: str = "\n") -> Tally:
    tally = Tally()
    tally.add(end.join(lines).encode())
    tally.end()
    return tally


def test_a_day_becomes_a_row_per_value() -> None:
    rows = read(HEAD, CHANNEL, day(*half_hours()[:47], "0.25"), END)
    assert len(rows) == 48
    assert {(row["meter_id"], row["unit"], row["interval_minutes"]) for row in rows} == {("NMI1:E1", "kWh", 30)}
    assert {(row["delivered_quality"], row["parse_error"], row["raw_line"]) for row in rows} == {("A", None, None)}
    assert (rows[0]["stamp_local"], rows[0]["value"]) == (datetime(2024, 1, 1), 1.5)
    assert (rows[47]["stamp_local"], rows[47]["value"]) == (datetime(2024, 1, 1, 23, 30), 0.25)
    assert [row["line_order"] for row in rows] == [(3 << 11) + n for n in range(48)]


def test_quality_of_ranges_comes_from_400_records_in_any_order() -> None:
    ranges = ["400,31,48,A,,", "400,30,30,A,79,Power Outage Alert", "500,O,RSO1,20240102,1", "400,1,29,S14,32,"]
    rows = read(HEAD, CHANNEL, day(*half_hours(), quality="V,,,20240102030405,"), *ranges, END)
    assert [row["delivered_quality"] for row in rows] == [*["S14:32"] * 29, "A:79:Power Outage Alert", *["A"] * 18]


def test_an_empty_value_is_known_to_be_absent() -> None:
    rows = read(HEAD, CHANNEL, day("", *half_hours()[1:], quality="N"), END)
    assert (rows[0]["value"], rows[0]["parse_error"], rows[0]["delivered_quality"]) == (None, None, "N")


@pytest.mark.parametrize("length", [5, 15, 30, 60])
def test_interval_lengths(length: int) -> None:
    count = 1440 // length
    rows = read(HEAD, f"200,N,E1,1,E1,N1,M,kWh,{length},", day(*["2"] * count), END)
    assert len(rows) == count
    assert rows[1]["stamp_local"] == datetime(2024, 1, 1, length // 60, length % 60)


VARIABLE = day(*half_hours(), quality="V")


@pytest.mark.parametrize(
    ("lines", "fault", "values"),
    [
        pytest.param([CHANNEL, day("1", "2")], "line 3: 2 values where a day of 30-minute", 2, id="too_few"),
        pytest.param([CHANNEL, day(*["1"] * 96)], "line 3: 96 values where a day of", 96, id="too_many"),
        pytest.param([CHANNEL, "300,20240101,V,,,"], "line 3: 0 values where", 1, id="no_values"),
        pytest.param([CHANNEL, "300"], "line 3: '' is no date", 1, id="nothing_but_its_number"),
        pytest.param([CHANNEL, day(*half_hours(), date="20240230")], "line 3: '20240230' is no date", 48, id="date"),
        pytest.param([CHANNEL, day(*half_hours(), quality="")], "line 3: 49 values where", 49, id="no_quality"),
        pytest.param([day(*half_hours())], "line 2: a 300 record without a 200 record", 48, id="no_channel"),
        pytest.param(
            [CHANNEL, END, HEAD, day("1")], "line 5: a 300 record without a 200 record", 1, id="channel_of_file_before"
        ),
        pytest.param(
            ["200,NMI1,E1,1,E1,N1,M,kWh", day("1")], "its 200 record, line 2, has 8 of 9 fields", 1, id="short_channel"
        ),
        pytest.param(
            ["200,NMI1,E1,1,E1,N1,M,kWh,7,", day("1")], "line 2, has the interval length '7'", 1, id="length_of_7"
        ),
        pytest.param(["200,NMI1,E1,1,,N1,M,kWh,30,", day("1")], "line 2, names no NMI or no suffix", 1, id="no_suffix"),
        pytest.param([CHANNEL, VARIABLE], "line 3: quality V, and its 400 records cover nothing", 48, id="no_400"),
        pytest.param(
            [CHANNEL, VARIABLE, "400,1,20,A,,", "400,22,48,A,,"], "cover 1-20, 22-48 of the intervals", 48, id="hole"
        ),
        pytest.param(
            [CHANNEL, VARIABLE, "400,1,20,A,,", "400,20,48,A,,"], "cover 1-20, 20-48 of the", 48, id="overlap"
        ),
        pytest.param([CHANNEL, VARIABLE, "400,1,48,V,,"], "line 4: a 400 record that cannot", 48, id="400_of_V"),
        pytest.param([CHANNEL, VARIABLE, "400,1"], "line 4: a 400 record that cannot be read", 48, id="short_400"),
        pytest.param([CHANNEL, day(*half_hours()), "400,1,48,A,,"], "line 4: a 400 record without", 1, id="stray_400"),
        pytest.param([CHANNEL, "250,NMI1,11,1"], "line 3: '250' is no record of NEM12", 1, id="record_of_nem13"),
        pytest.param([CHANNEL, "hello"], "line 3: 'hello' is no record of NEM12", 1, id="text"),
    ],
)
def test_a_fault_names_its_line_and_nothing_is_lost(lines: list[str], fault: str, values: int) -> None:
    rows = read(HEAD, *lines, END)
    bad = [row for row in rows if row["parse_error"]]
    assert len(bad) == values
    assert all(fault in str(row["parse_error"]) for row in bad)
    assert all(row[name] is None for row in bad for name in ("meter_id", "value", "stamp_local", "delivered_quality"))
    assert all(row["raw_line"] is not None for row in bad)
    assert counted([HEAD, *lines, END]).values == len(rows)


def test_the_first_row_of_a_day_that_cannot_be_read_keeps_its_records() -> None:
    rows = read(HEAD, CHANNEL, VARIABLE, "400,1,47,A,,", END)
    assert rows[0]["raw_line"] == "\n".join([CHANNEL, VARIABLE, "400,1,47,A,,"])
    assert [row["raw_line"] for row in rows[1:]] == half_hours()[1:]


@pytest.mark.parametrize("text", ["1.2.3", "abc", "1_0", "nan", "inf", "1e", "--1", "1 2"])
def test_one_value_that_is_no_number_spoils_only_itself(text: str) -> None:
    rows = read(HEAD, CHANNEL, day(*half_hours()[:10], text, *half_hours()[11:]), END)
    (bad,) = [row for row in rows if row["parse_error"]]
    assert bad["parse_error"] == f"line 3, interval 11: {text!r} is no number"
    assert (bad["value"], bad["line_order"]) == (None, (3 << 11) + 10)
    assert len(rows) == 48


def test_what_parses_later_is_what_would_have_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["1.5e-1", "7", "2E0", *half_hours()[3:]]
    lines = [HEAD, CHANNEL, day(*values, quality="V"), "500,O", "400,25,48,A,,", "400,1,24,S14,32,", END]
    with monkeypatch.context() as patch:
        patch.setattr(nem12_records, "NUMBER", re.compile(r"[\d.]+$"))  # an adapter that knows no exponents
        of_values = read(*lines)
        patch.setattr(nem12_records, "FINEST_MINUTES", 60)  # nor half-hours
        of_days = read(*lines)
    wanted = read(*lines)
    for rows in (of_values, of_days):
        bad = [row for row in rows if row["parse_error"]]
        assert bad[0]["raw_line"] == "\n".join([CHANNEL, *lines[2:3], *lines[4:6]])
        again = [again for row in bad for again in _again(row)]
        assert [row for row in again if row["line_order"] in {one["line_order"] for one in bad}] == [
            row for row in wanted if row["line_order"] in {one["line_order"] for one in bad}
        ]
    assert [row["raw_line"] for row in of_values if row["parse_error"]][1:] == ["2E0"]


def _again(row: dict[str, object]) -> list[dict[str, object]]:
    """What a replay makes of a raw line; a field alone is no day."""
    found = rows_again(7, int(str(row["line_order"])), str(row["raw_line"]))
    return [again for batch in found for again in batch.to_pylist() if not again["parse_error"]]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param([CHANNEL, END], "has no header: line 1 is record 200", id="no_header"),
        pytest.param(["", CHANNEL, END], "has no header: line 2 is record 200", id="no_header_after_a_blank_line"),
        pytest.param(["meter,at,kwh"], "has no header: line 1 is 'meter,at,kwh'", id="another_csv"),
        pytest.param(["100,NEM13,2024", "250,X", END], "is a NEM13 file (line 1)", id="nem13"),
        pytest.param(["100,XYZ,2024", END], "says 'XYZ' on line 1", id="another_version"),
        pytest.param([HEAD, END], "holds no readings: line 2", id="no_readings"),
        pytest.param([HEAD, CHANNEL, day("1")], "ends on line 3 without an end record", id="cut_off"),
    ],
)
def test_what_is_no_whole_nem12_file_is_refused_in_a_sentence(lines: list[str], problem: str) -> None:
    assert problem in counted(lines).problem


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_behind_each_other_and_lines_of_commas(end: str) -> None:
    lines = ["\ufeff" + HEAD, CHANNEL, day(*half_hours()), "900,,,,", "", ",,,", HEAD, CHANNEL, day(*half_hours()), END]
    tally, rows = counted(lines, end), read(*(line + end for line in lines))
    assert (tally.problem, tally.values, len(rows)) == ("", 96, 96)
    assert {row["parse_error"] for row in rows} == {None}


PIECES = st.one_of(
    st.sampled_from(
        [HEAD, CHANNEL, END, VARIABLE, day(*half_hours()), "400,1,48,A,,", "400,1,20,S14,,", "500,O", "", ","]
    ),
    st.sampled_from(
        ["300", "300,", "300,2024", "300,20240101,1,2,A", "300,,A", "300,20240101,1,V,A,1", "400", "x", "200"]
    ),
    st.text(alphabet="1234500,AV .x\t\u00a0\ufeff\u0663", max_size=30),
)


@given(st.lists(PIECES, max_size=12), st.integers(1, 40))
def test_both_readers_count_the_same_whatever_the_lines(pieces: list[str], chunk: int) -> None:
    lines = [HEAD, *pieces, END]
    content = "\n".join(lines).encode()
    tally = Tally()
    for start in range(0, len(content), chunk):
        tally.add(content[start : start + chunk])
    tally.end()
    assert tally.problem or tally.values == sum(batch.num_rows for batch in rows_of(lines, 1))
