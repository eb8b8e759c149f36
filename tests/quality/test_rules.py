"""Each row rule: what it lets through, what it names."""

from datetime import datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from meterlake.quality.rules import RULES, broken_rules, is_valid
from meterlake.sources.household_power import HOUSEHOLD_POWER
from meterlake.sources.nem12 import NEM12
from meterlake.sources.smart_meter import SMART_METER
from meterlake.sources.source import Source

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
    ids = [str(rule.__doc__).split(".")[0] for rule in RULES.values()]
    of_pairs = {12, 13}  # QC-12 and QC-13 compare lines with each other: quality/validation.py
    numbers = [number for number in range(1, len(RULES) + 1 + len(of_pairs)) if number not in of_pairs]
    assert ids == [f"QC-{number:02}" for number in numbers]
