"""Lines mapped with Arrow: bit for bit what Spark makes of them, and none of those that are left out."""

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import VILLAGE, row_of

from meterlake.quality.validation import INTERVAL
from meterlake.settings import Settings
from meterlake.sources.source import Columns, Format, Source, Units
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store
from meterlake.transforms import plain_readings, stg_meter_readings

FIRST, LAST, NOW = date(2024, 1, 1), date(2024, 1, 3), datetime(2024, 2, 1)
NEPAL = Source(
    name="nepal",
    description="mean power in W at the end of each quarter of an hour, with everything beside it",
    interval_minutes=15,
    time_zone="+05:45",
    stamp="end",
    units=Units(value="W", sub_metering="Wh", wind_speed="m/s"),
    labels={"ok": False, "odd": True},
    format=Format(missing_is_declared=True),
    columns=Columns(meter_id="meter", timestamp="at", value="w"),
)
PLAIN_VILLAGE = VILLAGE.model_copy(update={"time_zone": "Africa/Lagos"})


def lines(source: Source, count: int = 150) -> list[tuple[Any, ...]]:
    """Lines of bronze, some without a value, with blanks around names, in two files."""
    return [
        row_of(
            METER_READINGS,
            source=source.name,
            meter_id=f" m{n % 3} ",
            stamp_local=datetime(2024, 1, 1) + timedelta(minutes=source.interval_minutes * n),
            value=None if n % 7 == 0 and source.format.missing_is_declared else n * 1.1 / 3,
            voltage=230.0 + n / 100 if n % 2 else None,
            sub_metering_1=n / 7,
            sub_metering_2=None,
            sub_metering_3=0.0,
            temperature=-n / 10,
            humidity=float(n % 100),
            wind_speed=n / 9,
            avg_past_consumption=n / 11,
            anomaly_label=(None, " ok", "ODD ", " ")[n % 4] if source is NEPAL else None,
            source_file=f"f{n % 2}",
            file_id=1 + n % 2,
            line_order=10 * n,
            batch_id="b1",
            ingested_at=NOW,
        )
        for n in range(count)
    ]


def by_spark(store: Store, source: Source) -> list[Row]:
    bronze = store.read(METER_READINGS, source.name)
    rows = stg_meter_readings.interpret(bronze, source)
    nothing = store.spark.createDataFrame([], "meter_id string, reading_timestamp timestamp")
    standing = store.read(STG_METER_READINGS)
    current = stg_meter_readings.judge(rows, source, standing, nothing.select(*INTERVAL)).current
    built = stg_meter_readings.build(current, source).select(*STG_METER_READINGS.names)
    return built.orderBy("reading_id").collect()


def by_arrow(store: Store, source: Source, left_out: plain_readings.Lines) -> list[Row]:
    ahead = plain_readings.ahead_of_utc(source, [(FIRST, LAST)])
    scan = store.scan(METER_READINGS, source=[source.name], batch_id=["b1"])
    assert ahead is not None
    assert scan is not None
    return plain_readings.build(scan, left_out, source, ahead).frame().orderBy("reading_id").collect()


@pytest.mark.parametrize("source", [NEPAL, PLAIN_VILLAGE], ids=lambda source: source.name)
def test_it_says_what_spark_says(spark: SparkSession, settings: Settings, source: Source) -> None:
    store = Store(spark, settings)
    place = {"source_file": "f0", "file_id": 1, "line_order": 7, "batch_id": "b1", "ingested_at": NOW}
    unparsed = row_of(METER_READINGS, source=source.name, parse_error="no number", **place)
    store.append(spark.createDataFrame([*lines(source), unparsed], METER_READINGS.schema), METER_READINGS)
    expected = by_spark(store, source)
    assert len(expected) == 150
    assert by_arrow(store, source, {}) == expected


def test_lines_that_are_left_out_make_no_reading(spark: SparkSession, settings: Settings) -> None:
    store = Store(spark, settings)
    store.append(spark.createDataFrame(lines(VILLAGE, 9), METER_READINGS.schema), METER_READINGS)
    places = pa.table({"file_id": [2, 1, 2], "line_order": [50, 20, 10]})
    kept = by_arrow(store, VILLAGE, plain_readings.lines_of(places))
    every_half_hour = {datetime(2024, 1, 1) + timedelta(minutes=30 * n) for n in range(9)}
    assert every_half_hour - {row.reading_timestamp for row in kept} == {
        datetime(2024, 1, 1) + timedelta(minutes=30 * n) for n in (1, 2, 5)
    }


def test_lines_of_a_file_are_found_by_file() -> None:
    found = plain_readings.lines_of(pa.table({"file_id": [2, 1, 2], "line_order": [50, 20, 10]}))
    assert {number: some.tolist() for number, some in found.items()} == {1: [20], 2: [10, 50]}
    assert (
        plain_readings.lines_of(pa.table({name: pa.array([], pa.int64()) for name in ("file_id", "line_order")})) == {}
    )


@pytest.mark.parametrize(
    ("zone", "first", "last", "ahead"),
    [
        ("UTC", FIRST, LAST, timedelta(0)),
        ("-03:30", date(1980, 1, 1), LAST, -timedelta(hours=3, minutes=30)),
        ("Europe/London", date(2024, 1, 1), date(2024, 3, 29), timedelta(0)),
        ("Europe/London", date(2024, 1, 1), date(2024, 3, 30), None),
        ("Europe/London", date(2024, 4, 2), date(2024, 6, 1), timedelta(hours=1)),
        ("Africa/Nairobi", date(1989, 12, 31), LAST, timedelta(hours=3)),
        ("Africa/Khartoum", date(2017, 10, 1), date(2017, 12, 1), None),
        ("Europe/London", date(1980, 1, 1), date(1980, 2, 1), None),
    ],
)
def test_a_clock_that_stands_still_and_one_that_moves(
    zone: str, first: date, last: date, ahead: timedelta | None
) -> None:
    source = VILLAGE.model_copy(update={"time_zone": zone})
    assert plain_readings.ahead_of_utc(source, [(first, last)]) == ahead


def test_a_clock_that_shows_the_same_on_days_far_apart() -> None:
    source = VILLAGE.model_copy(update={"time_zone": "Europe/London"})
    january, july, december = ((date(2024, month, 10), date(2024, month, 12)) for month in (1, 7, 12))
    assert plain_readings.ahead_of_utc(source, [january, december]) == timedelta(0)
    assert plain_readings.ahead_of_utc(source, [january, july]) is None
    assert plain_readings.ahead_of_utc(source, []) is None


def test_registers_need_the_next_reading() -> None:
    source = VILLAGE.model_copy(update={"units": Units(value="register_kWh")})
    assert plain_readings.ahead_of_utc(source, [(FIRST, LAST)]) is None
