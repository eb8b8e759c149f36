"""The facts of the first two gates: every fault is found by its own fact, and a true story has none."""

from datetime import UTC, datetime

import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.quality import reading_blocks
from meterlake.quality.profile import raw_profile, staging_profile
from meterlake.settings import Settings
from meterlake.sources.source import Source
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.store import Store

NOW = datetime(2024, 12, 1, tzinfo=UTC)

# One fault for each day: fact -> (column, what it becomes in one reading of that day).
FAULTS: dict[str, tuple[str, object]] = {
    "without_required": ("batch_id", None),
    "ids_of_another": ("reading_id", "london:c:0"),
    "energy_out_of_range": ("consumption_kwh", 100.5),
    "voltage_out_of_range": ("voltage_v", 300.0),
    "temperature_out_of_range": ("temperature_c", 61.0),
    "humidity_out_of_range": ("humidity_pct", -1.0),
    "power_not_of_energy": ("active_power_kw", 50.0),
    "power_without_energy": ("active_power_kw", None),
    "missing_unlike_null": ("quality", "missing"),
    "unknown_quality": ("quality", "guessed"),
    "other_interval": ("interval_minutes", 15),
    "off_the_clock": ("hour_of_day", 24),
    "label_unlike_text": ("is_anomaly", True),
}
# A reading beyond the range also has another power than its energy says.
ALSO = {"energy_out_of_range": {"power_not_of_energy"}}


def staged(readings: DataFrame, ledger: DataFrame, source: Source) -> dict[str, dict[str, float]]:
    """Facts other than 0 of each subject."""
    return _wrong(staging_profile(readings, ledger, source, NOW), without=("readings", "hours_ahead_of_now"))


def _wrong(profile: DataFrame, without: tuple[str, ...]) -> dict[str, dict[str, float]]:
    rows = [row.asDict() for row in profile.drop("kind", *without).collect()]
    return {row.pop("subject"): {name: value for name, value in row.items() if value} for row in rows}


def test_a_true_story_has_no_faults(readings: DataFrame, ledger: DataFrame, london: Source) -> None:
    found = staged(readings, ledger, london)
    assert found.pop("batch b1") == {"rejected_share": 0.002}
    assert len(found) == 21
    assert not any(found.values())


def test_each_fault_of_a_reading_has_its_fact(readings: DataFrame, ledger: DataFrame, london: Source) -> None:
    chosen = (
        readings.where("consumption_kwh IS NOT NULL").groupBy("reading_date_local").agg(F.min("reading_id")).collect()
    )
    ids = [reading_id for _, reading_id in sorted(chosen)]
    broken = readings.withColumn("id", F.col("reading_id"))
    for reading_id, (column, becomes) in zip(ids, FAULTS.values(), strict=False):
        broken = broken.withColumn(column, F.when(F.col("id") == reading_id, F.lit(becomes)).otherwise(F.col(column)))

    found = staged(broken, ledger, london)
    days = sorted(day for day in found if day.startswith("day"))
    assert [set(found[day]) for day in days[: len(FAULTS)]] == [{fact} | ALSO.get(fact, set()) for fact in FAULTS]
    assert not any(found[day] for day in days[len(FAULTS) :])


@pytest.mark.parametrize("interval_minutes", [1, 15, 30, 60, 120])
def test_a_repeated_interval_is_found_at_any_cadence(
    spark: SparkSession, ledger: DataFrame, london: Source, interval_minutes: int
) -> None:
    """One reading twice among 100, also where the clock moves by less than an interval."""
    source = london.model_copy(update={"interval_minutes": interval_minutes})
    ids = [*range(100), 63]
    seconds = F.col("id") * interval_minutes * 60 + int(datetime(2024, 10, 26, tzinfo=UTC).timestamp())
    rows = spark.createDataFrame([(n,) for n in ids], "id bigint").withColumn("meter_id", F.lit("a"))
    stamped = rows.withColumn("reading_timestamp", F.timestamp_seconds(seconds))
    absent = [
        F.lit(None).cast(f.dataType).alias(f.name) for f in STG_METER_READINGS.schema if f.name not in stamped.columns
    ]

    profile = staging_profile(stamped.select("*", *absent), ledger, source, NOW)
    assert profile.agg(F.sum("repeated_intervals"), F.sum("readings")).first() == (1, 101)


def test_readings_of_a_day_they_do_not_lie_on_are_found(readings: DataFrame, ledger: DataFrame, london: Source) -> None:
    in_utc = readings.withColumn("reading_date_local", F.to_date("reading_timestamp"))
    found = staged(in_utc, ledger, london)
    wrong = [day for day, facts in found.items() if "on_another_day" in facts]
    assert wrong  # the UTC days of the summer time that is left in October, and only those
    assert max(wrong) <= "day 2024-10-26"


def test_a_reading_of_tomorrow_is_ahead_of_now(readings: DataFrame, ledger: DataFrame, london: Source) -> None:
    now = datetime(2024, 11, 9, 22, 30, tzinfo=UTC)
    profile = staging_profile(readings, ledger, london, now)
    ahead = {row.subject: row.hours_ahead_of_now for row in profile.collect()}
    assert (ahead["day 2024-11-09"], ahead["day 2024-11-10"]) == (1.0, 25.0)


def test_no_readings_give_no_facts(spark: SparkSession, london: Source) -> None:
    nothing = spark.createDataFrame([], STG_METER_READINGS.schema)
    no_batches = spark.createDataFrame([], LEDGER.schema)
    assert staging_profile(nothing, no_batches, london, NOW).collect() == []


def bronze_facts(bronze: DataFrame) -> dict[str, dict[str, float]]:
    shares = ("stamp_share", "meter_share", "value_share")
    found = _wrong(raw_profile(bronze), without=("lines",))
    return {subject: {n: v for n, v in facts.items() if n not in shares or v < 1} for subject, facts in found.items()}


def test_a_clean_delivery_has_no_faults(bronze: DataFrame) -> None:
    assert bronze_facts(bronze) == {"batch b1": {}, "file 1.csv": {}, "file 2.csv": {}}


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        pytest.param({"source_file": None}, "without_origin", id="line_without_file"),
        pytest.param({"parse_error": "no number"}, "unexplained", id="reason_without_the_line"),
        pytest.param({"raw_line": "1,2"}, "unexplained", id="raw_line_without_a_reason"),
        pytest.param({"stamp_local": None}, "without_stamp", id="line_without_stamp"),
        pytest.param({"meter_id": " "}, "without_meter", id="blank_meter"),
        pytest.param({"value": None}, "without_value", id="line_without_value"),
        pytest.param({"value": float("nan")}, "not_finite", id="not_a_number"),
        pytest.param({"value": float("-inf")}, "not_finite", id="infinite"),
        pytest.param({"stamp_local": datetime(1970, 1, 1)}, "long_past", id="clock_that_lost_its_battery"),
        pytest.param({"stamp_local": datetime(2024, 12, 3)}, "in_future", id="stamp_after_the_delivery"),
    ],
)
def test_each_fault_of_a_line_has_its_fact(bronze: DataFrame, changes: dict[str, object], fact: str) -> None:
    types = METER_READINGS.schema
    first = F.col("line_order") == 0
    broken = bronze.withColumns(
        {name: F.when(first, F.lit(v).cast(types[name].dataType)).otherwise(F.col(name)) for name, v in changes.items()}
    )
    assert bronze_facts(broken)["batch b1"][fact] == 1


def test_shares_belong_to_batches_and_files_with_enough_lines(bronze: DataFrame) -> None:
    half = (F.col("file_id") == 1) & (F.col("line_order") % 4 == 0)
    unparsable = {"parse_error": F.when(half, "no number"), "raw_line": F.when(half, "x")}
    facts = bronze_facts(bronze.withColumns(unparsable))
    assert facts["batch b1"] == {"unparsable": 100, "unparsable_share": 0.25}
    assert facts["file 1.csv"] == {"unparsable": 100, "unparsable_share_of_file": 0.5}
    assert facts["file 2.csv"] == {}

    few = bronze_facts(bronze.withColumns(unparsable).where("line_order < 99"))
    assert few["batch b1"] == {"unparsable": 25}


def test_tasks_find_the_same_in_the_files_of_bronze(
    spark: SparkSession, settings: Settings, bronze: DataFrame, london: Source
) -> None:
    faults = {
        "meter_id": F.when(F.col("line_order") % 3 == 0, "  ").when(F.col("line_order") % 5 > 0, "a"),
        "parse_error": F.when(F.col("line_order") % 7 == 0, "no number"),
        "raw_line": F.when(F.col("line_order") % 14 == 0, "1,2"),
        "stamp_local": F.when(F.col("line_order") % 11 == 0, F.lit(datetime(1970, 1, 1)).cast("timestamp_ntz"))
        .when(F.col("line_order") % 11 == 1, F.lit(datetime(2024, 12, 3)).cast("timestamp_ntz"))
        .when(F.col("line_order") % 11 > 2, F.col("stamp_local")),
        "value": F.when(F.col("line_order") % 13 == 0, float("nan"))
        .when(F.col("line_order") % 13 == 1, float("-inf"))
        .when(F.col("line_order") % 13 > 2, F.col("value")),
    }
    store = Store(spark, settings)
    for batch in ("b1", "b2", "b3"):
        store.append(bronze.withColumns({**faults, "batch_id": F.lit(batch)}), METER_READINGS)
    DeltaTable.forPath(spark, store.path(METER_READINGS)).delete("line_order % 17 = 0")
    lines = store.read(METER_READINGS).where("batch_id <> 'b3'")
    scan = store.scan(METER_READINGS, source=[london.name], batch_id=["b1", "b2"])
    assert scan is not None
    expected = sorted(raw_profile(lines).collect(), key=str)
    assert sorted(raw_profile(scan).collect(), key=str) == expected
    assert all(expected[0][fact] for fact in ("unparsable", "unexplained", "without_meter", "in_future", "not_finite"))
    assert len(expected) == 4


def test_tasks_find_the_same_in_the_files_of_silver(
    spark: SparkSession, settings: Settings, readings: DataFrame, ledger: DataFrame, london: Source
) -> None:
    number = F.abs(F.xxhash64("reading_timestamp", "meter_id"))
    becomes: dict[str, tuple[object, ...]] = {
        "reading_id": ("london:c:0",),
        "consumption_kwh": (100.5, float("nan"), None),
        "active_power_kw": (50.0, float("nan"), None),
        "voltage_v": (300.0, float("inf"), None),
        "temperature_c": (61.0, -12.5),
        "humidity_pct": (-1.0, 50.0),
        "interval_minutes": (15,),
        "hour_of_day": (24,),
        "quality": ("missing",),
        "is_anomaly": (True, None),
        "reading_date_local": (datetime(2024, 11, 1).date(),),
    }
    changes = {}
    for prime, (name, values) in zip((7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43), becomes.items(), strict=True):
        kind = STG_METER_READINGS.schema[name].dataType
        changes[name] = F.col(name)
        for rest, value in enumerate(values):
            changes[name] = F.when(number % prime == rest, F.lit(value).cast(kind)).otherwise(changes[name])
    store, broken = Store(spark, settings), readings.withColumns(changes)
    store.append(broken, STG_METER_READINGS)
    store.append(broken.where(number % 47 == 0), STG_METER_READINGS)
    DeltaTable.forPath(spark, store.path(STG_METER_READINGS)).delete("hour_of_day = 3")
    scan = store.scan(STG_METER_READINGS, source=[london.name])
    assert scan is not None
    expected = staging_profile(store.read(STG_METER_READINGS), ledger, london, NOW)
    found = staging_profile(scan, ledger, london, NOW)
    assert sorted(found.collect(), key=str) == sorted(expected.collect(), key=str)
    facts = (*reading_blocks.faults(london), "repeated_intervals", "on_another_day")
    sums = found.agg(*(F.sum(fact).alias(fact) for fact in facts)).first()
    assert sums is not None
    # Delta refuses a row without a required value, and another quality.
    assert {fact for fact in facts if not sums[fact]} == {"without_required", "unknown_quality"}


def test_no_lines_give_no_facts(spark: SparkSession) -> None:
    assert raw_profile(spark.createDataFrame([], METER_READINGS.schema)).collect() == []
