"""A meter-day is listed when one of its readings is flagged, or something else speaks for it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, Row, SparkSession
from tests.lake import VILLAGE, rows, run_of

from meterlake import steps
from meterlake.anomaly.evidence import EVIDENCE, measured, number
from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
from meterlake.tables.table import Table
from meterlake.tables.vee_findings import VEE_FINDINGS
from meterlake.transforms import mart_anomaly_flags

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
# The mart of a version that told flagged readings only, and not the energy of the day.
SINCE = ("scored_kwh", "evidence", "confidence", "why")
EARLIER = replace(
    MART_ANOMALY_FLAGS,
    checks=(),
    columns=tuple(
        replace(column, required=column.required or column.name in ("main_type", "worst_reading_timestamp"))
        for column in MART_ANOMALY_FLAGS.columns
        if column.name not in SINCE
    ),
)
# Source, meter and day are those of the readings unless a row says otherwise.
FINDING = {"rule_id": "VEE-04", "rule": "frozen", "severity": "review", "interval_count": 6}
INSPECTION = {"day_score": 0.8, "surprise": 20.0, "reasons": "read nothing for 24 h in a row", "model_version": "m/1"}
METER_LOSS = {"transformer": "t1", "form": "share", "probability": 0.95, "reason": "its transformer misses it, too"}
BASE_RATE = 0.01
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
    return found(spark, meters, rows, {})


def found(
    spark: SparkSession,
    meters: DataFrame,
    readings: Sequence[tuple[Any, ...]],
    given: dict[Table, list[dict[str, Any]]],
) -> list[Row]:
    """The mart of these readings and rows of other tables."""
    scores = spark.createDataFrame(list(readings), MART_ANOMALY_SCORES.schema)
    frames = (
        spark.createDataFrame([_row(table, values) for values in given.get(table, [])], table.schema)
        for table in (VEE_FINDINGS, MART_INSPECTIONS, LOSS_FINDINGS)
    )
    evidence = mart_anomaly_flags.evidence_of(*frames, VILLAGE)
    return mart_anomaly_flags.build(scores, evidence, meters, BASE_RATE).orderBy(*MART_ANOMALY_FLAGS.key).collect()


def _row(table: Table, values: dict[str, Any]) -> tuple[Any, ...]:
    whose = {"source": "test", "meter_id": "m1", "reading_date_local": NOON.date()}
    energies = {column.name: Decimal(1) for column in table.columns if column.required and column.unit == "kWh"}
    some = {column.name: 1.0 for column in table.columns if column.required and column.type == "double"}
    return tuple((dict.fromkeys(table.names) | some | energies | whose | values)[name] for name in table.names)


def test_declared_columns_and_nothing_in_nothing_out(spark: SparkSession, meters: DataFrame) -> None:
    findings, inspections, losses, scores = (
        spark.createDataFrame([], table.schema)
        for table in (VEE_FINDINGS, MART_INSPECTIONS, LOSS_FINDINGS, MART_ANOMALY_SCORES)
    )
    evidence = mart_anomaly_flags.evidence_of(findings, inspections, losses, VILLAGE)
    built = mart_anomaly_flags.build(scores, evidence, meters, BASE_RATE)
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


def test_everything_that_speaks_for_a_day_is_told_the_surest_first(spark: SparkSession, meters: DataFrame) -> None:
    finding = FINDING | {"from_timestamp": NOON, "to_timestamp": NOON + timedelta(hours=3)}
    told = {VEE_FINDINGS: [finding], MART_INSPECTIONS: [INSPECTION], LOSS_FINDINGS: [METER_LOSS]}
    (day,) = found(spark, meters, [scored(1, LOW), scored(2)], told)
    assert day["evidence"] == "reading, rule, day, balance"
    assert day["why"] == "; ".join([INSPECTION["reasons"], METER_LOSS["reason"], "rule VEE-04 frozen", "because of 1"])
    assert day["confidence"] == measured().confidence(number(EVIDENCE), BASE_RATE)


def test_a_day_without_a_flagged_reading_is_listed_for_what_else_speaks(spark: SparkSession, meters: DataFrame) -> None:
    (day,) = found(spark, meters, [scored(0, score=0.3), scored(1)], {MART_INSPECTIONS: [INSPECTION]})
    assert (day["evidence"], day["why"]) == ("day", INSPECTION["reasons"])
    assert (day["flagged_count"], day["worst_score"], day["energy_at_stake_kwh"]) == (0, 0.3, None)
    assert (day["main_type"], day["worst_reading_timestamp"], day["reasons"]) == (None, None, None)


def test_a_finding_counts_on_each_day_that_it_touches(spark: SparkSession, meters: DataFrame) -> None:
    until_midnight = FINDING | {"from_timestamp": NOON, "to_timestamp": datetime(2024, 6, 3, tzinfo=UTC)}
    readings = [scored(hour) for hour in (0, 24, 48)]
    days = found(spark, meters, readings, {VEE_FINDINGS: [until_midnight]})
    assert [(day["reading_date_local"].day, day["evidence"]) for day in days] == [(1, "rule"), (2, "rule")]


@pytest.mark.parametrize("rule", ["gap", "outage", "high_usage", "prolonged_estimation"])
def test_what_says_nothing_of_this_meter_is_no_evidence(spark: SparkSession, meters: DataFrame, rule: str) -> None:
    finding = FINDING | {"rule": rule, "from_timestamp": NOON, "to_timestamp": NOON + timedelta(hours=3)}
    assert found(spark, meters, [scored(0)], {VEE_FINDINGS: [finding]}) == []


def test_the_balance_speaks_for_the_day_that_it_names(spark: SparkSession, meters: DataFrame) -> None:
    days = found(spark, meters, [scored(0), scored(24)], {LOSS_FINDINGS: [METER_LOSS]})
    assert [(day["reading_date_local"].day, day["evidence"]) for day in days] == [(1, "balance")]


def test_meters_and_days_are_kept_apart(spark: SparkSession, meters: DataFrame) -> None:
    days = flags(spark, meters, scored(1, HIGH), scored(13, LOW), scored(1, HIGH, meter_id="m2"))
    assert [(day["meter_id"], day["reading_date_local"].day, day["region"]) for day in days] == [
        ("m1", 1, "north"),
        ("m1", 2, "north"),
        ("m2", 1, None),
    ]


def test_a_home_of_an_earlier_version_gets_all_that_is_told_of_its_days(
    spark: SparkSession, settings: Settings, meters: DataFrame
) -> None:
    earlier, run = run_of(spark, settings), run_of(spark, settings)
    readings = [scored(1, HIGH, source=VILLAGE.name), scored(13, LOW, source=VILLAGE.name)]
    scores = spark.createDataFrame(readings, MART_ANOMALY_SCORES.schema)
    earlier.store.append(scores, MART_ANOMALY_SCORES)
    nothing = Changes(VILLAGE.name, None, None, None)
    steps._anomaly_flags(earlier, earlier.changes_since(None, MART_ANOMALY_SCORES), meters)
    told = earlier.store.read(MART_ANOMALY_FLAGS).drop(*SINCE).collect()
    shutil.rmtree(earlier.store.path(MART_ANOMALY_FLAGS))
    run_of(spark, settings).store.append_rows(told, EARLIER)
    inspection = {"source": VILLAGE.name, "reading_date_local": date(2024, 6, 3)}
    run.store.append_rows([_row(MART_INSPECTIONS, INSPECTION | inspection)], MART_INSPECTIONS)
    run.store.append(spark.createDataFrame([scored(48, source=VILLAGE.name)], scores.schema), MART_ANOMALY_SCORES)
    assert steps._anomaly_flags(run, nothing, meters) == 3
    listed = rows(spark, settings, "mart_anomaly_flags")
    assert [(day["scored_kwh"], day["evidence"]) for day in listed] == [(1, "reading"), (1, "reading"), (1, "day")]
    assert steps._anomaly_flags(run, nothing, meters) == 0, "once"


def test_tasks_sum_up_the_same_of_files(spark: SparkSession, settings: Settings, meters: DataFrame) -> None:
    store = Store(spark, settings)
    readings = [
        scored(0, expected_kwh=None),
        scored(1, HIGH, 0.7, consumption_kwh=Decimal("2.5001")),
        scored(2, LOW, 0.9, expected_kwh=Decimal("3.2")),
        scored(3, HIGH, 0.9, reasons="later"),
        scored(0, UNUSUAL, meter_id="m2", expected_kwh=None),
        scored(1, meter_id="m3", consumption_kwh=None),
        scored(30, LOW, 0.8),
        scored(31, LOW, 0.95),
    ]
    for some in (readings[:3], readings[3:]):
        store.append(spark.createDataFrame(some, MART_ANOMALY_SCORES.schema), MART_ANOMALY_SCORES)
    DeltaTable.forPath(spark, store.path(MART_ANOMALY_SCORES)).delete("anomaly_score = 0.95")
    nothing = (spark.createDataFrame([], table.schema) for table in (VEE_FINDINGS, MART_INSPECTIONS, LOSS_FINDINGS))
    evidence = mart_anomaly_flags.evidence_of(*nothing, VILLAGE)
    files = store.scan(MART_ANOMALY_SCORES, source=["test"])
    assert files is not None
    found, expected = (
        mart_anomaly_flags.build(scores, evidence, meters, BASE_RATE).orderBy(*MART_ANOMALY_FLAGS.key).collect()
        for scores in (files, store.read(MART_ANOMALY_SCORES))
    )
    assert found == expected
    assert [(day.meter_id, day.flagged_count, day.energy_at_stake_kwh) for day in found] == [
        ("m1", 3, Decimal("3.7001")),
        ("m1", 1, Decimal(0)),
        ("m2", 1, Decimal(0)),
    ]
