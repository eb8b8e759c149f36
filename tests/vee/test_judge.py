"""What should stand in silver, from readings as arrays: estimates, edits, rejections, and their withdrawal."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from tests.lake import VILLAGE
from tests.vee.test_rules import DAY, household

from meterlake.sources.source import Source
from meterlake.vee.judge import ABSENT, EDITED, ESTIMATED, MEASURED, MISSING, judged
from meterlake.vee.policy import RuleConf, Vee

FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
HALF_HOUR = 1_800_000_000


def table(delivered: np.ndarray, stands: np.ndarray | None = None, code: np.ndarray | None = None) -> pa.Table:
    """Half-hours of meter a from 1 January; rows with neither a delivered nor a standing energy are absent."""
    stands = delivered if stands is None else stands
    code = np.full(len(delivered), MEASURED) if code is None else code
    there = ~np.isnan(delivered) | ~np.isnan(stands) | (code == MISSING)
    stamps = pa.array(FIRST + np.flatnonzero(there) * HALF_HOUR).cast(pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "meter_id": ["a"] * int(there.sum()),
            "reading_timestamp": stamps,
            "delivered": pa.array(delivered[there], from_pandas=True),
            "consumption_kwh": pa.array(stands[there], from_pandas=True),
            "code": pa.array(code[there].astype(np.int8)),
        }
    )


def changes(readings: pa.Table, source: Source = VILLAGE) -> list[dict[str, object]]:
    return [row for row in judged(readings, source).to_pylist() if row["rule"] is None]


def with_rule(name: str, severity: str) -> Source:
    return VILLAGE.model_copy(update={"vee": Vee(rules={name: RuleConf(severity=severity)})})


def spiked() -> np.ndarray:
    kwh = household(8)
    kwh[100] = 9.0
    return kwh


def test_a_gap_is_estimated_and_the_second_time_nothing_changes() -> None:
    kwh = household(4)
    kwh[70:73] = np.nan
    first = changes(table(kwh))
    assert [row["after_quality"] for row in first] == ["estimated"] * 3
    assert {row["before_quality"] for row in first} == {None}
    stands, code = kwh.copy(), np.full(len(kwh), MEASURED)
    stands[70:73], code[70:73] = [row["after_kwh"] for row in first], ABSENT
    assert changes(table(kwh, stands, code)) == []


def test_what_is_missing_while_nothing_was_supplied_is_zero() -> None:
    kwh = household(20)
    kwh[300:312] = np.nan
    begin, end = (FIRST // 60_000_000 + 30 * n for n in (303, 310))
    given = judged(table(kwh), VILLAGE, {"a": np.array([[begin + 10, end]]), "b": np.array([[begin, end + 60]])})
    made = [row for row in given.to_pylist() if row["rule"] is None]
    assert [row["method"] for row in made] == ["like_day_bridge"] * 4 + ["no_supply"] * 6 + ["like_day_bridge"] * 2
    assert [row["after_kwh"] == 0.0 for row in made] == [row["method"] == "no_supply" for row in made]
    stands, code = kwh.copy(), np.full(len(kwh), MEASURED)
    stands[300:312], code[300:312] = [row["after_kwh"] for row in made], ABSENT
    restored = changes(table(kwh, stands, code))
    assert [row["method"] for row in restored if row["before_kwh"] == 0.0] == ["like_day_bridge"] * 6


def test_a_declared_gap_keeps_its_row() -> None:
    kwh, code = household(4), np.full(4 * DAY, MEASURED)
    kwh[70], code[70] = np.nan, MISSING
    (row,) = changes(table(kwh, kwh, code))
    assert (row["before_quality"], row["after_quality"], row["before_kwh"]) == ("missing", "estimated", None)


def test_without_estimation_an_estimate_is_withdrawn() -> None:
    kwh, code = household(4), np.full(4 * DAY, MEASURED)
    kwh[70] = np.nan
    stands = kwh.copy()
    stands[70], code[70] = 0.4, ABSENT
    off = VILLAGE.model_copy(update={"vee": Vee(estimate=False)})
    (row,) = changes(table(kwh, stands, code), off)
    assert (row["before_quality"], row["before_kwh"], row["after_quality"]) == ("estimated", 0.4, None)
    kwh[70], code[70], stands[70] = np.nan, ESTIMATED, 0.4  # the same of a line that declared its gap
    (row,) = changes(table(kwh, stands, code), off)
    assert (row["after_quality"], row["after_kwh"]) == ("missing", None)


def test_by_default_nothing_that_was_measured_changes() -> None:
    told = judged(table(spiked()), VILLAGE).to_pylist()
    assert "spike" in {row["rule"] for row in told}
    assert [row for row in told if row["rule"] is None] == []


@pytest.mark.parametrize(("severity", "quality"), [("edit", "edited"), ("reject", "estimated")])
def test_a_spike_is_replaced_where_the_source_says_so(severity: str, quality: str) -> None:
    source, kwh = with_rule("spike", severity), spiked()
    (row,) = changes(table(kwh), source)
    assert (row["before_kwh"], row["before_quality"], row["after_quality"]) == (9.0, "measured", quality)
    assert row["delivered_kwh"] == 9.0
    assert isinstance(row["after_kwh"], float)
    assert row["after_kwh"] < 2
    stands, code = kwh.copy(), np.full(len(kwh), MEASURED)
    stands[100], code[100] = row["after_kwh"], EDITED if severity == "edit" else ESTIMATED
    assert changes(table(kwh, stands, code), source) == [], "the rule judges what was delivered"
    (back,) = changes(table(kwh, stands, code))
    assert (back["after_kwh"], back["after_quality"], back["method"]) == (9.0, "measured", "not_estimated")


def test_what_was_rejected_and_cannot_be_estimated_is_missing() -> None:
    kwh = np.full(DAY, 0.5)
    kwh[0] = 9.0  # no neighbour before it, no other day
    (row,) = changes(table(kwh), with_rule("spike", "reject"))
    assert (row["after_kwh"], row["after_quality"], row["delivered_kwh"]) == (None, "missing", 9.0)
    assert changes(table(kwh), with_rule("spike", "edit")) == []


def test_a_gap_says_how_it_was_dealt_with() -> None:
    kwh = household(40)
    kwh[70:72] = np.nan
    kwh[20 * DAY : 32 * DAY] = np.nan
    gaps = [row for row in judged(table(kwh), VILLAGE).to_pylist() if row["rule"] == "gap"]
    assert [row["details"] for row in gaps][:2] == ["linear_interpolation", "left_missing_too_long"]
    assert sum(row["interval_count"] for row in gaps) == 2 + 12 * DAY


def test_no_readings() -> None:
    assert judged(table(household(1)).slice(0, 0), VILLAGE).num_rows == 0
