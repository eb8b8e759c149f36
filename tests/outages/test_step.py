"""Interruptions and indices by the real step: in whatever order findings come, all end as if made at once."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import VILLAGE, rows, run_of, write

from meterlake.outages.step import outages
from meterlake.settings import Settings
from meterlake.tables.changes import Changes
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.vee_findings import VEE_FINDINGS

TOWN = VILLAGE.model_copy(update={"time_zone": "Europe/Paris"})
MARTS = ("mart_feeder_outages", "mart_reliability")
MONTHS = [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)]
NOTHING = Changes(TOWN.name, None, None, None)
# Ten meters on a feeder with two transformers; three under a transformer that no feeder is known of, and a lost one.
PLACES = {f"a{n}": ("north", "F1", f"T{n % 2}") for n in range(10)}
PLACES |= {f"b{n}": ("south", None, "T9") for n in range(3)} | {"lost": ("south", None, None)}


def finding(meter: str, begin: datetime, hours: float, rule: str = "zero_run") -> dict[str, object]:
    """One that begins at a UTC time; in winter the town is an hour ahead."""
    return {
        "source": TOWN.name,
        "meter_id": meter,
        "reading_date_local": (begin + timedelta(hours=1)).date(),
        "rule_id": "VEE",
        "rule": rule,
        "severity": "review",
        "from_timestamp": begin,
        "to_timestamp": begin + timedelta(hours=hours),
        "interval_count": int(2 * hours),
    }


def month_of(month: date) -> list[dict[str, object]]:
    counts = {"reading_count": 1, "expected_count": 1, "completeness": 1.0}
    one = {"source": TOWN.name, "month_local": month, "interval_minutes": 30, "quality": "measured", **counts}
    return [one | {"meter_id": meter} for meter in PLACES]


def made(spark: SparkSession, settings: Settings, days: Changes, found: Changes) -> dict[str, list[Row]]:
    outages(run_of(spark, settings, TOWN), days, found)
    return {name: rows(spark, settings, name) for name in MARTS}


def changed(spark: SparkSession, findings: list[dict[str, object]]) -> Changes:
    pairs = sorted({(str(one["meter_id"]), one["reading_date_local"]) for one in findings})
    days = [day for _, day in pairs]
    return Changes(TOWN.name, spark.createDataFrame(pairs, "meter_id string, day date"), min(days), max(days))


def test_given_findings_in_any_order_when_all_are_in_then_as_made_at_once(
    spark: SparkSession, settings: Settings
) -> None:
    """A feeder is dark over the end of January, local time, a transformer over the end of a week; others are alone."""
    evening = datetime(2024, 1, 31, 21)  # 22:00 in town
    findings = [finding(f"a{n}", evening, 4) for n in range(9)]
    findings += [finding(f"b{n}", datetime(2024, 2, 25, 22), 1, "gap") for n in range(3)]  # to Monday 00:00
    findings += [finding(f"b{n}", datetime(2024, 2, 25, 23), 2) for n in range(3)]
    findings += [finding("a3", datetime(2024, 3, 5), 30), finding("lost", datetime(2024, 3, 5), 30)]
    findings += [finding("a1", datetime(2024, 3, 9), 3, "low_usage")]
    write(
        settings,
        STG_METERS,
        [
            {"source": TOWN.name, "meter_id": meter, "region": region, "feeder": feeder, "transformer": transformer}
            for meter, (region, feeder, transformer) in PLACES.items()
        ],
    )
    for month in MONTHS:
        write(settings, INT_READINGS_MONTHLY, month_of(month))
    write(settings, VEE_FINDINGS, [finding("a0", datetime(2024, 1, 3), 5, "gap")])
    nothing_yet = made(spark, settings, Changes(TOWN.name, None, MONTHS[0], date(2024, 3, 31)), NOTHING)
    assert nothing_yet["mart_feeder_outages"] == []

    parts = np.array_split(np.random.default_rng(7).permutation(len(findings)), 3)
    for part in parts:
        came = [findings[n] for n in part]
        write(settings, VEE_FINDINGS, came)
        step_by_step = made(spark, settings, NOTHING, changed(spark, came))
    at_once = made(spark, settings, Changes(TOWN.name, None, MONTHS[0], date(2024, 3, 31)), NOTHING)
    assert step_by_step == at_once

    told = [
        (
            row.kind,
            row.element,
            row.transformer,
            row.from_timestamp,
            row.minutes,
            row.evidence,
            row.meters_interrupted,
            row.customers_interrupted,
            row.customer_minutes,
        )
        for row in at_once["mart_feeder_outages"]
    ]
    midnight = datetime(2024, 1, 31, 23)
    assert told == [
        ("feeder", "F1", None, evening, 120, "zeros", 9, 9, 9 * 120),
        ("feeder", "F1", None, midnight, 120, "zeros", 9, 0, 9 * 120),
        ("meter", "a3", "T1", datetime(2024, 3, 5), 1800, "zeros", 1, 1, 1800),
        ("transformer", "T9", "T9", datetime(2024, 2, 25, 22), 180, "zeros", 3, 3, 540),
    ]
    indices = {(row.element, row.month_local): row for row in at_once["mart_reliability"]}
    assert {element for element, _ in indices} == {"village", "north", "south", "F1"}
    january, february, march = (indices["F1", month] for month in MONTHS)
    assert (january.meters, january.saidi_minutes, january.saifi) == (10, 108.0, 0.9)
    assert january.caidi_minutes == pytest.approx(120)
    assert (february.saidi_minutes, february.saifi, february.caidi_minutes) == (108.0, 0.0, None)
    assert (march.saidi_minutes, march.interruptions, march.caidi_minutes) == (0.0, 0, None)
    village = indices["village", MONTHS[1]]
    assert (village.meters, village.interruptions, village.customer_minutes) == (13, 2, 9 * 120 + 540)
