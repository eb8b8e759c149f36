"""A meter-day is listed when one of its readings is flagged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from tests.lake import VILLAGE, rows, run_of

from meterlake import steps
from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import mart_anomaly_flags

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
# The mart of a version that did not tell the energy of the day.
EARLIER = replace(
    MART_ANOMALY_FLAGS, columns=tuple(column for column in MART_ANOMALY_FLAGS.columns if column.name != "scored_kwh")
)
HIGH, LOW, UNUSUAL = "high_consumption", "low_consumption", "unusual_pattern"


def scored(hour: int = 0, kind: str | None = None, score: float | None = None, **given: Any) -> tuple[Any, ...]:
    """A row of mart_anomaly_scores `hour` hours after noon; flagged when it has a type."""
    stamp, meter = NOON + timedelta(hours=hour), given.get("meter_id", "m1")
    values: dict[str, Any] = {
        **dict.fromkeys(MART_ANOMALY_SCORES.names),
        "reading_id": f"test:{meter}:{int(stamp.timestamp())}",
        "source": "test",
        "meter_id": meter,
        "reading_timestamp": stamp,
        "reading_date_local": stamp.date(),
        "consumption_kwh": Decimal("1.0000"),
        "expected_kwh": Decimal("1.0000"),
        "anomaly_score": score or (0.7 if kind else 0.2),
        "raw_score": 0.5,
        "is_anomaly": kind is not None,
        "anomaly_type": kind,
        "reasons": f"because of {hour}" if kind else None,
        "model_version": "m/1",
        "scored_at": NOON,
    }
    return tuple((values | given)[name] for name in MART_ANOMALY_SCORES.names)


@pytest.fixture(scope="module")
def meters(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([("test", "m1", "north", "f7", None, None)], STG_METERS.schema)


def flags(spark: SparkSession, meters: DataFrame, *rows: tuple[Any, ...]) -> list[Row]:
    frame = spark.createDataFrame(list(rows), MART_ANOMALY_SCORES.schema)
    return mart_anomaly_flags.build(frame, meters).orderBy("meter_id", "reading_date_local").collect()


def test_declared_columns_and_nothing_in_nothing_out(spark: SparkSession, meters: DataFrame) -> None:
    built = mart_anomaly_flags.build(spark.createDataFrame([], MART_ANOMALY_SCORES.schema), meters)
    assert [(f.name, f.dataType) for f in built.schema] == [(f.name, f.dataType) for f in MART_ANOMALY_FLAGS.schema]
    assert built.count() == 0


def test_a_day_without_a_flag_is_not_listed(spark: SparkSession, meters: DataFrame) -> None:
    assert flags(spark, meters, scored(0), scored(1)) == []


def test_counts_worst_reading_and_place(spark: SparkSession, meters: DataFrame) -> None:
    (day,) = flags(spark, meters, scored(0), scored(1, HIGH, 0.7), scored(2, LOW, 0.9), scored(3, HIGH, 0.8))
    assert (day["reading_count"], day["flagged_count"], day["main_type"]) == (4, 3, HIGH)
    assert (day["worst_score"], day["worst_reading_timestamp"]) == (0.9, datetime(2024, 6, 1, 14))
    assert (day["reasons"], day["region"], day["feeder"]) == ("because of 2", "north", "f7")


def test_of_equals_the_first_reading_and_the_first_type(spark: SparkSession, meters: DataFrame) -> None:
    (day,) = flags(spark, meters, scored(3, UNUSUAL, 0.8), scored(1, LOW, 0.8))
    assert (day["worst_reading_timestamp"], day["main_type"]) == (datetime(2024, 6, 1, 13), LOW)


def test_energy_at_stake_is_the_distance_to_what_was_expected(spark: SparkSession, meters: DataFrame) -> None:
    high = scored(1, HIGH, consumption_kwh=Decimal("5.0000"), expected_kwh=Decimal("1.5000"))
    low = scored(2, LOW, consumption_kwh=Decimal("0.0000"), expected_kwh=Decimal("0.2500"))
    unknown = scored(3, UNUSUAL, expected_kwh=None)
    not_flagged = scored(4, consumption_kwh=Decimal("9.0000"))
    (day,) = flags(spark, meters, high, low, unknown, not_flagged)
    assert day["energy_at_stake_kwh"] == Decimal("3.7500")


def test_the_energy_of_the_day_is_that_of_all_its_scored_readings(spark: SparkSession, meters: DataFrame) -> None:
    flagged = scored(1, HIGH, consumption_kwh=Decimal("5.0000"))
    (day,) = flags(spark, meters, flagged, scored(2), scored(3, consumption_kwh=Decimal("0.2500")))
    assert day["scored_kwh"] == Decimal("6.2500")


def test_a_flag_without_an_expectation_has_nothing_known_at_stake(spark: SparkSession, meters: DataFrame) -> None:
    (day,) = flags(spark, meters, scored(1, UNUSUAL, expected_kwh=None))
    assert day["energy_at_stake_kwh"] == 0


def test_meters_and_days_are_kept_apart(spark: SparkSession, meters: DataFrame) -> None:
    days = flags(spark, meters, scored(1, HIGH), scored(13, LOW), scored(1, HIGH, meter_id="m2"))
    assert [(day["meter_id"], day["reading_date_local"].day, day["region"]) for day in days] == [
        ("m1", 1, "north"),
        ("m1", 2, "north"),
        ("m2", 1, None),
    ]


def test_a_home_of_an_earlier_version_gets_the_energy_of_all_its_days(
    spark: SparkSession, settings: Settings, meters: DataFrame
) -> None:
    earlier, run = run_of(spark, settings), run_of(spark, settings)
    readings = [scored(1, HIGH, source=VILLAGE.name), scored(13, LOW, source=VILLAGE.name)]
    scores = spark.createDataFrame(readings, MART_ANOMALY_SCORES.schema)
    earlier.store.append(scores, MART_ANOMALY_SCORES)
    earlier.store.append(mart_anomaly_flags.build(scores, meters).drop("scored_kwh"), EARLIER)
    nothing = Changes(VILLAGE.name, None, None, None)
    assert steps._anomaly_flags(run, nothing, meters) == 2
    assert [day["scored_kwh"] for day in rows(spark, settings, "mart_anomaly_flags")] == [1, 1]
    assert steps._anomaly_flags(run, nothing, meters) == 0, "once"
