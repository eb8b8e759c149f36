"""Each row rule: what it lets through, what it names."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, whole

from meterlake.quality.rules import RULES, broken_rules, is_valid
from meterlake.quality.survey_pass import is_sure
from meterlake.sources.household_power import HOUSEHOLD_POWER
from meterlake.sources.nem12 import NEM12
from meterlake.sources.smart_meter import SMART_METER
from meterlake.sources.source import Format, Limits, Source, Units
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.transforms.stg_meter_readings import interpret

SCHEMA = """meter_id string, reading_timestamp timestamp, stamp_local timestamp_ntz, delivered_value double,
consumption_kwh double, voltage_v double, temperature_c double, humidity_pct double, anomaly_label string,
ingested_at timestamp"""
AT = datetime(2024, 1, 1, 0, 30)
GOOD: dict[str, Any] = {
    "meter_id": "m",
    "reading_timestamp": AT,
    "stamp_local": AT,
    "delivered_value": 1.0,
    "consumption_kwh": 1.0,
    "voltage_v": 230.0,
    "temperature_c": 20.0,
    "humidity_pct": 50.0,
    "anomaly_label": "normal",
    "ingested_at": datetime(2024, 6, 1),
}


def broken(spark: SparkSession, source: Source = SMART_METER, **values: Any) -> list[str]:
    row = spark.createDataFrame([tuple((GOOD | values).values())], SCHEMA)
    found = row.select(broken_rules(source).alias("broken"), is_valid(source).alias("valid")).head()
    assert found is not None
    assert found.valid == (not found.broken)
    return list(found.broken)


def at(*when: int) -> dict[str, datetime]:
    return {"reading_timestamp": datetime(*when), "stamp_local": datetime(*when)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "reasons"),
    [
        pytest.param({}, [], id="good"),
        pytest.param({"meter_id": ""}, ["missing_meter"], id="blank_meter"),
        pytest.param({"meter_id": None}, ["missing_meter"], id="no_meter"),
        pytest.param({"reading_timestamp": None, "stamp_local": None}, ["missing_timestamp"], id="no_stamp"),
        pytest.param({"delivered_value": None, "consumption_kwh": None}, ["missing_value"], id="no_value"),
        pytest.param({"consumption_kwh": -0.001}, ["negative_energy"], id="negative"),
        pytest.param({"consumption_kwh": 100.0}, [], id="at_the_limit"),
        pytest.param({"consumption_kwh": 100.001}, ["energy_out_of_range"], id="above_the_limit"),
        pytest.param({"consumption_kwh": float("nan")}, ["energy_out_of_range"], id="not_a_number"),
        pytest.param({"voltage_v": 400.0}, ["voltage_out_of_range"], id="voltage"),
        pytest.param({"voltage_v": None, "temperature_c": None, "anomaly_label": None}, [], id="absent_options"),
        pytest.param({"temperature_c": -51.0}, ["temperature_out_of_range"], id="cold"),
        pytest.param({"humidity_pct": 100.1}, ["humidity_out_of_range"], id="humid"),
        pytest.param(at(2024, 6, 1, 0, 30), ["future_timestamp"], id="after_the_file_was_read"),
        pytest.param(at(1990, 1, 1), [], id="the_first_moment"),
        pytest.param(at(1989, 12, 31, 23, 30), ["past_timestamp"], id="before_it"),
        pytest.param(at(1, 1, 1), ["past_timestamp"], id="a_time_that_is_none"),
        pytest.param(at(2024, 1, 1, 0, 31), ["off_cadence_timestamp"], id="off_the_half_hour"),
        pytest.param(at(2024, 1, 1, 0, 30, 1), ["off_cadence_timestamp"], id="a_second_off"),
        pytest.param({"anomaly_label": "odd"}, ["unknown_label"], id="label"),
        pytest.param(
            {"consumption_kwh": -1.0, "voltage_v": 0.0, **at(2024, 1, 1, 0, 31)},
            ["negative_energy", "voltage_out_of_range", "off_cadence_timestamp"],
            id="all_reasons_are_named",
        ),
    ],
)
def test_rule(spark: SparkSession, values: dict[str, Any], reasons: list[str]) -> None:
    assert broken(spark, **values) == reasons


def test_a_declared_gap_is_no_fault(spark: SparkSession) -> None:
    assert broken(spark, HOUSEHOLD_POWER, delivered_value=None, consumption_kwh=None) == []


@pytest.mark.parametrize(
    ("meter", "unit", "reasons"),
    [
        pytest.param("N:E1", "KWH", [], id="consumption"),
        pytest.param("N:B1", "Wh", [], id="feed_in"),
        pytest.param("N:Q1", "kVArh", ["other_quantity"], id="reactive_energy"),
        pytest.param("N:V1", "", ["other_quantity"], id="no_unit"),
        pytest.param("N:D1", "kWh", ["other_quantity"], id="a_channel_that_would_count_twice"),
    ],
)
def test_quantities_of_nem12(spark: SparkSession, meter: str, unit: str, reasons: list[str]) -> None:
    values = GOOD | {"meter_id": meter, "unit": unit}
    row = spark.createDataFrame([tuple(values.values())], SCHEMA + ", unit string")
    found = row.select(broken_rules(NEM12).alias("broken")).head()
    assert found is not None
    assert found.broken == reasons


def test_every_rule_has_an_id_of_its_own() -> None:
    ids = [str(rule.keeps.__doc__).split(".")[0] for rule in RULES.values()]
    of_pairs = {12, 13}  # QC-12 and QC-13 compare lines with each other: quality/validation.py
    numbers = [number for number in range(1, len(RULES) + 1 + len(of_pairs)) if number not in of_pairs]
    assert ids == [f"QC-{number:02}" for number in numbers]


# A line that keeps all rules of the sources below, and what may stand in its columns instead.
NUMBERS = [None, 0.0, -0.0, 1e-9, -1e-9, -4e-9, -6e-9, float("nan"), float("inf"), float("-inf"), 1e308]
KNOWN_AT = datetime(2024, 6, 1)
SOUND = {
    "meter_id": "m",
    "stamp_local": AT,
    "value": 1.0,
    "voltage": 230.0,
    "temperature": 20.0,
    "humidity": 50.0,
    "anomaly_label": None,
    "ingested_at": KNOWN_AT,
}
AWKWARD: dict[str, list[Any]] = {
    "meter_id": [None, "", " ", " m ", "\t", "\u00a0"],
    "stamp_local": [
        None,
        *(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 30), datetime(1969, 12, 31, 23, 30), datetime(1970, 1, 1)),
        *(AT + timedelta(microseconds=1), AT + timedelta(minutes=15), AT - timedelta(microseconds=1)),
        *(KNOWN_AT + timedelta(minutes=30 * n) for n in range(-5, 6)),
    ],
    "value": [*NUMBERS, 100.0, 100.000000004, 100.000000006, 100.1, -5.0, -5.1, 2e5, 200000.00001],
    "voltage": [*NUMBERS, 184.0, 276.0, 183.99, 276.01],
    "temperature": [*NUMBERS, -50.0, 60.0, -50.1, 60.1],
    "humidity": [*NUMBERS, 100.0, 100.1],
    "anomaly_label": ["", " ", "normal", " ANOMALY ", "ok", "odd", "Odd\u00a0", "\u212a", "NORMAL\u0130", "\u00dcBEL"],
    "ingested_at": [KNOWN_AT + timedelta(microseconds=1), AT],
}
WATTS = VILLAGE.model_copy(
    update={
        "units": Units(value="W"),
        "time_zone": "-03:30",
        "stamp": "end",
        "labels": {"ok": False, "odd": True, "k": True, "\u00fcbel": True},
        "format": Format(missing_is_declared=True),
    }
)
FED_IN = VILLAGE.model_copy(update={"time_zone": "Europe/London", "limits": Limits(consumption_kwh=(-5.0, 100.0))})
# Few columns at a time: a line that is awkward in all is unsure whatever the others would be.
LINES = st.dictionaries(st.sampled_from(sorted(AWKWARD)), st.integers(0, 100), max_size=2).map(
    lambda picked: SOUND | {name: AWKWARD[name][n % len(AWKWARD[name])] for name, n in picked.items()}
)
EACH_ALONE = [SOUND] + [SOUND | {name: value} for name, values in AWKWARD.items() for value in values]


@pytest.mark.parametrize("source", [VILLAGE, WATTS, FED_IN], ids=["village", "watts", "fed_in"])
@given(lines=st.lists(LINES, min_size=50, max_size=50))
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_arrow_is_sure_of_spark_calls_valid(
    spark: SparkSession, source: Source, lines: list[dict[str, Any]]
) -> None:
    rest = {"source": source.name, "source_file": "f", "file_id": 1, "batch_id": "b"}
    given = [rest | line | {"line_order": n} for n, line in enumerate([*EACH_ALONE, *lines])]
    table = whole(METER_READINGS, given)
    sure = is_sure(table.combine_chunks().to_batches()[0], source)
    frame = interpret(spark.createDataFrame(table, METER_READINGS.schema), source)
    judged = frame.select("line_order", is_valid(source).alias("valid")).toArrow().sort_by("line_order")
    valid = judged.column("valid").to_numpy()
    assert [given[n] for n in range(len(given)) if sure[n] and not valid[n]] == []
    assert sure[0]
    # It would be of no use were it sure of little: only stamps shortly before they were read may be doubted in vain.
    doubted = [line for line, is_sound, known in zip(given, valid, sure, strict=True) if is_sound and not known]
    assert {KNOWN_AT - line["stamp_local"] <= timedelta(hours=2) for line in doubted} <= {True}
