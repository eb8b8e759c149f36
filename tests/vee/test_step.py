"""The step on a real lake: what is estimated stands in silver with its trail, and every balance stays true."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, deliver, half_hours, rows, run_of, written

from meterlake import steps
from meterlake.errors import UsageError
from meterlake.settings import Settings
from meterlake.sources.nem12 import NEM12
from meterlake.sources.source import Columns, Losses
from meterlake.vee.policy import RuleConf, Vee
from meterlake.vee.undo import undo

PLACED = Columns(meter_id="meter", timestamp="at", value="kwh", transformer="station")
MAINS = VILLAGE.model_copy(update={"name": "mains", "interval_minutes": 60, "columns": PLACED})
SUPPLIED = VILLAGE.model_copy(update={"columns": PLACED, "losses": Losses(supply_source="mains")})
STEPS = ("ingest", "stage", "vee")
MONDAY = datetime(2024, 1, 1)
HOLES = ("2024-01-01 10:00", "2024-01-01 10:30")
# A value of 9 kWh among those below 1.2 is a spike, and this source replaces it.
EDITING = VILLAGE.model_copy(update={"vee": Vee(rules={"spike": RuleConf(severity="edit")})})


def without(lines: list[str], *stamps: str) -> list[str]:
    return [line for line in lines if not any(stamp in line for stamp in stamps)]


def qualities(spark: SparkSession, settings: Settings) -> dict[str, str]:
    """Time -> quality of the readings that are not measured."""
    readings = rows(spark, settings, "stg_meter_readings")
    return {f"{row.reading_timestamp:%d %H:%M}": row.quality for row in readings if row.quality != "measured"}


def contents(spark: SparkSession, settings: Settings, table: str) -> list[tuple[object, ...]]:
    """All rows without what belongs to a batch."""
    return [tuple(v for n, v in row.asDict().items() if n != "batch_id") for row in rows(spark, settings, table)]


def killed(*_: object, **__: object) -> None:
    """Instead of the write of silver, after that of the trail."""
    raise KeyboardInterrupt


def test_an_estimate_gives_way_to_the_reading_that_comes_late(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    lines = half_hours("a", MONDAY, 96)
    deliver(spark, settings, written(tmp_path / "1.csv", *without(lines, *HOLES)), *STEPS, "aggregate")
    assert qualities(spark, settings) == {"01 10:00": "estimated", "01 10:30": "estimated"}
    (day, _) = rows(spark, settings, "int_readings_daily")
    assert (day.reading_count, day.quality, day.estimated_share, day.edited_share) == (48, "estimated", 2 / 48, 0)
    (gap,) = [row for row in rows(spark, settings, "vee_findings") if row.rule == "gap"]
    assert (gap.rule_id, gap.interval_count, gap.details) == ("VEE-11", 2, "linear_interpolation")
    assert gap.to_timestamp - gap.from_timestamp == timedelta(hours=1)
    made = rows(spark, settings, "corrected_readings")
    assert [(row.before_kwh, row.before_quality, row.after_quality) for row in made] == [(None, None, "estimated")] * 2

    late = [line for line in lines if line not in without(lines, *HOLES)]
    deliver(spark, settings, written(tmp_path / "2.csv", *late), *STEPS)
    assert qualities(spark, settings) == {}
    entry = rows(spark, settings, "ledger")[-1]
    assert (entry.current, entry.replaced, entry.readings_after) == (2, 0, entry.readings_before + 2)
    superseded = [row for row in rows(spark, settings, "corrected_readings") if row.method == "superseded"]
    assert [row.before_quality for row in superseded] == ["estimated"] * 2
    assert [row.before_kwh for row in superseded] == [row.after_kwh for row in made]
    assert "gap" not in {row.rule for row in rows(spark, settings, "vee_findings")}


def test_bit_by_bit_or_killed_it_ends_as_at_once_and_an_undo_gives_back(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line.rpartition(",")[0] + ",9" if "04 12:00" in line else line for line in half_hours("a", MONDAY, 240)]
    lines = without(lines, *HOLES, "2024-01-03 23:", "2024-01-04 00:")
    parts = (lines[:140] + lines[190:], lines[140:190])  # the second comes late, and fills what was a gap
    for n, part in enumerate(parts):
        file = written(tmp_path / "in" / f"{n}.csv", *part)
        deliver(spark, settings, file, *STEPS, source=EDITING, run_id=f"run-{n}")

    at_once = settings.model_copy(update={"home": tmp_path / "at once"})
    with monkeypatch.context() as patch:
        patch.setattr("meterlake.vee.step.amend", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(spark, at_once, tmp_path / "in", *STEPS, source=EDITING, run_id="killed")
    assert {row.run_id for row in rows(spark, at_once, "corrected_readings")} == {"killed"}
    run_of(spark, at_once, EDITING, run_id="again").perform("vee", steps.vee)
    assert {row.run_id for row in rows(spark, at_once, "corrected_readings")} == {"again"}, "only what happened"

    for table in ("stg_meter_readings", "vee_findings"):
        assert contents(spark, settings, table) == contents(spark, at_once, table), table
    assert qualities(spark, settings)["04 12:00"] == "edited"
    (edited,) = [row for row in rows(spark, settings, "stg_meter_readings") if row.quality == "edited"]
    assert edited.delivered_kwh == 9.0
    assert edited.consumption_kwh < 2

    run = run_of(spark, at_once, EDITING, run_id="undoing")
    with pytest.raises(UsageError, match="No run nothing"):
        undo(run, "nothing")
    outcome = undo(run, "again")
    assert outcome.rows_out == outcome.rows_in > 0
    assert qualities(spark, at_once) == {}
    delivered = rows(spark, at_once, "stg_meter_readings")
    assert len(delivered) == len(lines)
    assert max(row.consumption_kwh for row in delivered) == 9.0
    assert run_of(spark, at_once, EDITING).perform("vee", steps.vee).nothing_new, "the undo is not undone by itself"


def test_who_is_silent_while_nothing_was_supplied_used_nothing(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    """Station T is dark on the 12th from 9 to 13 h; b and c are silent from 8:30 to 13 h, c at another station.

    The supply comes late, and is corrected later.
    """
    header = "meter,at,kwh,station"
    silent = [f"2024-01-12 {hour:02}:{minute}" for hour in range(9, 13) for minute in ("00", "30")]
    lines = [f"{line[:21]},0,T" if line[2:18] in silent else f"{line},T" for line in half_hours("a", MONDAY, 960)]
    for meter, station in (("b", "T"), ("c", "U")):
        lines += [f"{line},{station}" for line in without(half_hours(meter, MONDAY, 960), "2024-01-12 08:30", *silent)]
    used = written(tmp_path / "used.csv", *lines, header=header)
    hours = [MONDAY + timedelta(hours=n) for n in range(480)]
    dark = [datetime(2024, 1, 12, hour) for hour in range(9, 13)]
    supply = [
        f"s{at},{hour},{0.01 if (at, hour) in [('T', d) for d in dark] else 3.0},{at}" for at in "TU" for hour in hours
    ]
    mains = written(tmp_path / "mains.csv", *supply, header=header)

    def estimates() -> dict[str, dict[str, float]]:
        readings = [row for row in rows(spark, settings, "stg_meter_readings") if row.quality == "estimated"]
        return {
            m: {f"{r.reading_timestamp:%H:%M}": r.consumption_kwh for r in readings if r.meter_id == m} for m in "bc"
        }

    deliver(spark, settings, used, *STEPS, source=SUPPLIED)
    assert min(estimates()["b"].values()) > 0.1
    deliver(spark, settings, mains, *STEPS, source=MAINS)
    run_of(spark, settings, SUPPLIED).perform("vee", steps.vee)
    assert run_of(spark, settings, SUPPLIED).perform("vee", steps.vee).nothing_new
    made = estimates()
    assert {at for at, kwh in made["b"].items() if kwh == 0} == {stamp[-5:] for stamp in silent}
    assert made["b"]["08:30"] > 0.1
    assert min(made["c"].values()) > 0.1, "its own station was supplied"

    corrected = [line.replace(",0.01,", ",3.0,") for line in supply]
    deliver(spark, settings, written(tmp_path / "corrected.csv", *corrected, header=header), *STEPS, source=MAINS)
    run_of(spark, settings, SUPPLIED).perform("vee", steps.vee)
    assert min(estimates()["b"].values()) > 0.1, "it was supplied after all"


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
