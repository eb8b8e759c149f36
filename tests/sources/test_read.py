"""Lines become typed rows; a line that does not parse keeps its text and the reason."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from meterlake.sources.household_power import HOUSEHOLD_POWER
from meterlake.sources.inspect import inspect
from meterlake.sources.read import read_lines
from meterlake.sources.smart_meter import SMART_METER
from meterlake.sources.source import Columns, Format, Source

LONG = Source(
    name="long",
    description="three columns",
    interval_minutes=30,
    columns=Columns(meter_id="m", timestamp="t", value="v"),
)


def read(spark: SparkSession, source: Source, folder: Path, **contents: str | bytes) -> DataFrame:
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(data)
    files = sorted(folder.glob("*.csv"))
    seen = [inspect(str(file), source) for file in files]
    return read_lines(spark, [(file, index, "the file") for index, file in enumerate(seen, 1)], source)


def test_every_fault_of_a_line_has_its_reason(spark: SparkSession, tmp_path: Path) -> None:
    lines = {
        "A,2024-01-01 00:00:00,1.5": None,
        " B , 2024-01-01 00:30 , 2.5 ": None,
        "C,2024-01-01 01:00:00,": None,
        '"D",2024-01-01 01:30:00,3': None,
        "E,2024-01-01 00:00:00,1.2.3": "v: '1.2.3' is no number",
        'F,2024-01-01 00:00:00,"1,234.5"': "v: '1,234.5' is no number",
        "G,yesterday,1": "'yesterday' is no time stamp",
        "H,2024-01-01 00:00:00": "2 fields where the header has 3",
        "I,2024-01-01 00:00:00,1,2": "4 fields where the header has 3",
        "J,2024-02-30 00:00:00,1": "'2024-02-30 00:00:00' is no time stamp",
    }
    rows = read(spark, LONG, tmp_path, f="m,t,v\r\n" + "\r\n".join(lines) + "\r\n").orderBy("line_order").collect()
    assert [row.parse_error for row in rows] == list(lines.values())
    assert [row.raw_line for row in rows] == [line if error else None for line, error in lines.items()]
    assert [(row.meter_id, row.value) for row in rows[:4]] == [("A", 1.5), ("B", 2.5), ("C", None), ("D", 3.0)]
    assert rows[1].stamp_local == datetime(2024, 1, 1, 0, 30)


@pytest.mark.parametrize(
    ("zone", "ahead"), [("UTC", 0), ("+05:30", 330), ("-03:00", -180), ("Africa/Nairobi", 180)], ids=str
)
def test_a_stamp_that_states_an_offset_is_put_on_a_clock_that_never_changes(
    spark: SparkSession, tmp_path: Path, zone: str, ahead: int
) -> None:
    stamps = [
        "2024-01-01T00:00:00Z",
        "2024-01-01T01:00:00+01:00",
        "2023-12-31 19:00-0500",
        "2024-01-01 00:00:00.000 +00",
    ]
    content = "m,t,v\n" + "".join(
        f"A,{stamp},1\n" for stamp in [*stamps, "2024-01-01 00:00:00", "2024-02-30T00:00:00Z"]
    )
    of_zone = LONG.model_copy(update={"time_zone": zone})
    rows = read(spark, of_zone, tmp_path, f=content).orderBy("line_order").collect()
    there = datetime(2024, 1, 1) + timedelta(minutes=ahead)
    assert [row.stamp_local for row in rows] == [*[there] * len(stamps), datetime(2024, 1, 1), None]
    assert [row.parse_error for row in rows] == [None] * 5 + ["'2024-02-30T00:00:00Z' is no time stamp"]
    assert [row.value for row in rows] == [1.0] * 5 + [None]


def test_a_clock_with_summer_time_keeps_no_stated_offset(spark: SparkSession, tmp_path: Path) -> None:
    of_berlin = LONG.model_copy(update={"time_zone": "Europe/Berlin"})
    [row] = read(spark, of_berlin, tmp_path, f="m,t,v\nA,2024-10-27T02:30:00+01:00,1\n").collect()
    assert row.parse_error == (
        "'2024-10-27T02:30:00+01:00' states an offset, which a clock with summer time (Europe/Berlin) does not keep"
    )
    assert row.raw_line == "A,2024-10-27T02:30:00+01:00,1"


def test_a_declared_pattern_may_have_an_offset(spark: SparkSession, tmp_path: Path) -> None:
    patterns = Format(timestamp=("dd.MM.yyyy HH:mm XXX", "dd.MM.yyyy HH:mm"))
    for form in (patterns, Format(timestamp=patterns.timestamp[:1])):
        source = LONG.model_copy(update={"time_zone": "+01:00", "format": form})
        [row] = read(spark, source, tmp_path, f="m,t,v\nA,01.06.2024 12:00 +03:00,1\n").collect()
        assert row.stamp_local == datetime(2024, 6, 1, 10, 0)


def test_a_line_of_ten_megabytes_ends_nothing(spark: SparkSession, tmp_path: Path) -> None:
    content = (
        "m,t,v\nA,2024-01-01 00:00:00,1\n" + "," * 10_000_000 + "\n" + "9" * 10_000_000 + "\nB,2024-01-01 00:00,2\n"
    )
    rows = read(spark, LONG, tmp_path, f=content).select("meter_id", "parse_error").collect()
    assert [row.meter_id for row in rows if row.parse_error is None] == ["A", "B"]
    assert {row.parse_error for row in rows} == {None, "longer than 65536 characters"}


def test_bytes_that_are_not_utf8_are_told(spark: SparkSession, tmp_path: Path) -> None:
    (row,) = read(spark, LONG, tmp_path, f=b"m,t,v\nM\xe9,2024-01-01 00:00:00,1\n").collect()
    assert row.parse_error == "not valid UTF-8"


def test_a_declared_encoding_is_read(spark: SparkSession, tmp_path: Path) -> None:
    latin = LONG.model_copy(update={"format": Format(encoding="ISO-8859-1")})
    (row,) = read(spark, latin, tmp_path, f="m,t,v\nMé,2024-01-01 00:00:00,1\n".encode("latin-1")).collect()
    assert row.meter_id == "Mé"


def test_header_order_and_extra_columns_may_differ(spark: SparkSession, tmp_path: Path) -> None:
    one, two = "m,t,v\nA,2024-01-01 00:00:00,1\n", "note,v,m,t\nhello,2,B,2024-01-01 00:00:00\n"
    rows = read(spark, LONG, tmp_path, one=one, two=two).orderBy("file_id").collect()
    assert [(row.meter_id, row.value, row.file_id) for row in rows] == [("A", 1.0, 1), ("B", 2.0, 2)]


def test_lines_keep_their_order_in_the_file(spark: SparkSession, tmp_path: Path) -> None:
    lines = "".join(f"A,2024-01-01 00:00:00,{n}\n" for n in range(300_000))
    rows = read(spark, LONG, tmp_path, f="m,t,v\n" + lines).orderBy("line_order").select("value").toPandas()
    assert rows["value"].is_monotonic_increasing
    assert len(rows) == 300_000


@pytest.mark.parametrize("name", ["a b", "c+d", "e%20f", "g[1]", "h{x}", "é", "k,l", "m#n"])
def test_odd_file_names(spark: SparkSession, tmp_path: Path, name: str) -> None:
    (row,) = read(spark, LONG, tmp_path, **{name: "m,t,v\nA,2024-01-01 00:00:00,1\n"}).collect()
    assert row.source_file == str(tmp_path / f"{name}.csv")


def test_null_marks_and_decimal_commas(spark: SparkSession, tmp_path: Path) -> None:
    european = LONG.model_copy(update={"format": Format(separator=";", decimal=",", null_marks=("-", "n/a"))})
    content = (
        "m;t;v\nA;2024-01-01 00:00:00;1,5\nB;2024-01-01 00:00:00;-\nC;2024-01-01 00:00:00;n/a\nD;2024-01-01 00:00;x\n"
    )
    rows = read(spark, european, tmp_path, f=content).orderBy("line_order").collect()
    assert [row.value for row in rows] == [1.5, None, None, None]
    assert [row.parse_error for row in rows] == [None, None, None, "v: 'x' is no number"]


def test_smart_meter_reads_both_date_formats(spark: SparkSession, tmp_path: Path) -> None:
    header = "Timestamp,Electricity_Consumed,Temperature,Humidity,Wind_Speed,Avg_Past_Consumption,Anomaly_Label\r\n"
    content = (
        header + "01/31/2024 0:30,0.1,0.2,0.3,0.4,0.5,Normal\r\n2024-02-01 00:00:00,0.1,0.2,0.3,0.4,0.5,Abnormal\r\n"
    )
    rows = read(spark, SMART_METER, tmp_path, f=content).orderBy("line_order").collect()
    assert [row.stamp_local for row in rows] == [datetime(2024, 1, 31, 0, 30), datetime(2024, 2, 1)]
    assert [row.meter_id for row in rows] == ["the file", "the file"]


def test_household_power_takes_question_marks_for_missing(spark: SparkSession, tmp_path: Path) -> None:
    names = ("Global_active_power", "Global_reactive_power", "Voltage", "Global_intensity")
    header = ";".join(("Date", "Time", *names, "Sub_metering_1", "Sub_metering_2", "Sub_metering_3"))
    content = f"{header}\n28/4/2007;00:21:00;?;?;?;?;?;?;\n28/4/2007;00:22:00;1.2;0;240.1;5;0;1;17.000 \n"
    rows = read(spark, HOUSEHOLD_POWER, tmp_path, f=content).orderBy("line_order").collect()
    assert [(row.value, row.voltage, row.sub_metering_3) for row in rows] == [(None, None, None), (1.2, 240.1, 17.0)]
    assert rows[0].parse_error is None
