"""The step on a real lake: what is estimated stands in silver with its trail, and every balance stays true."""

from datetime import datetime, timedelta
from pathlib import Path

from pyspark.sql import SparkSession
from tests.lake import deliver, half_hours, rows, written

from meterlake.settings import Settings
from meterlake.sources.nem12 import NEM12

STEPS = ("ingest", "stage", "vee", "aggregate", "marts")
MONDAY = datetime(2024, 1, 1)


def without(lines: list[str], *stamps: str) -> list[str]:
    return [line for line in lines if not any(stamp in line for stamp in stamps)]


def test_an_estimate_gives_way_to_the_reading_that_comes_late(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    lines = half_hours("a", MONDAY, 96)
    holes = ("2024-01-01 10:00", "2024-01-01 10:30")
    deliver(spark, settings, written(tmp_path / "1.csv", *without(lines, *holes)), *STEPS)
    estimated = [row for row in rows(spark, settings, "stg_meter_readings") if row.quality == "estimated"]
    assert [f"{row.reading_timestamp}" for row in estimated] == ["2024-01-01 10:00:00", "2024-01-01 10:30:00"]
    assert {row.batch_id for row in estimated} == {"not_delivered"}
    (day, _) = rows(spark, settings, "int_readings_daily")
    assert (day.reading_count, day.quality, day.estimated_share) == (48, "estimated", 2 / 48)
    (gap,) = [row for row in rows(spark, settings, "vee_findings") if row.rule == "gap"]
    assert (gap.rule_id, gap.interval_count, gap.details) == ("VEE-11", 2, "linear_interpolation")
    assert gap.to_timestamp - gap.from_timestamp == timedelta(hours=1)
    changes = rows(spark, settings, "corrected_readings")
    assert [(row.before_kwh, row.before_quality, row.after_quality) for row in changes] == [
        (None, None, "estimated")
    ] * 2

    late = [line for line in lines if any(hole in line for hole in holes)]
    deliver(spark, settings, written(tmp_path / "2.csv", *late), *STEPS)
    assert {row.quality for row in rows(spark, settings, "stg_meter_readings")} == {"measured"}
    entry = rows(spark, settings, "ledger")[-1]
    assert (entry.current, entry.replaced, entry.readings_after) == (2, 0, entry.readings_before + 2)
    superseded = [row for row in rows(spark, settings, "corrected_readings") if row.method == "superseded"]
    assert [row.before_quality for row in superseded] == ["estimated"] * 2
    assert [row.before_kwh for row in superseded] == [row.consumption_kwh for row in estimated]
    assert not [row for row in rows(spark, settings, "vee_findings") if row.rule == "gap"]

    at_once = settings.model_copy(update={"home": tmp_path / "at once"})
    deliver(spark, at_once, written(tmp_path / "all.csv", *lines), *STEPS)
    compared = ("consumption_kwh", "quality", "estimated_share")
    for table in ("int_readings_daily", "vee_findings"):
        assert [
            [row[name] for name in row.__fields__ if name in compared or name == "rule"]
            for row in rows(spark, settings, table)
        ] == [
            [row[name] for name in row.__fields__ if name in compared or name == "rule"]
            for row in rows(spark, at_once, table)
        ]


def test_readings_that_bring_their_own_quality_are_left_alone(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    values = ",".join(["0.5"] * 48)
    details = ("400,1,46,A,,", "400,47,47,S14,76,", "400,48,48,N,,")
    day = ("200,N,E1,1,E1,N1,M,KWH,30,", f"300,20240501,{values},V,,,20240502000000,", *details)
    file = written(tmp_path / "nem.csv", *day, "900", header="100,NEM12,202405020000,MDP,RET")
    told = deliver(spark, settings, file, "ingest", "stage", "vee", source=NEM12)
    qualities = [row.quality for row in rows(spark, settings, "stg_meter_readings")]
    assert qualities == ["measured"] * 46 + ["estimated", "missing"]
    assert not rows(spark, settings, "vee_findings")
    assert told["vee"].said == [
        "Readings of nem12 bring their own qualities and lengths: rules and estimation leave them alone."
    ]
    assert deliver(spark, settings, file, "vee", source=NEM12)["vee"].nothing_new
