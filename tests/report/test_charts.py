"""Bars, flows and words of the report, without Spark."""

import pandas as pd
import pytest

from meterlake.report.look import figures, number, percent, short, shown
from meterlake.report.plots import completeness
from meterlake.report.sankey import ledger_picture, reason_sets
from meterlake.report.sections import balance, steps
from meterlake.report.spread import _step, bars_of, quantiles


def counted(bins: dict[int, int], step: float = 0.5) -> pd.DataFrame:
    rows = [("voltage_v", step, fine, readings) for fine, readings in bins.items()]
    return pd.DataFrame([*rows, ("voltage_v", step, None, 3)], columns=["measure", "step", "bin", "readings"])


def test_bars_hold_every_reading() -> None:
    bins = {460 + place: 1 + place for place in range(200)}
    bars = bars_of(counted(bins), "voltage_v")
    assert sum(bars.readings.values()) == sum(bins.values())
    assert len(bars.readings) <= 60
    assert (min(bars.readings), bars.width, bars.below, bars.beyond) == (230.0, 2.0, False, False)


def test_long_tails_are_gathered_in_the_outer_bars() -> None:
    bars = bars_of(counted({0: 4, **dict.fromkeys(range(500, 540), 1000), 900: 2, 999: 1}), "voltage_v")
    assert (bars.below, bars.beyond) == (True, True)
    readings = list(bars.readings.values())
    assert (readings[0], readings[-1], sum(readings)) == (4, 3, 40_007)


def test_negative_values_have_their_bars() -> None:
    bars = bars_of(counted({-3: 5, 0: 7, 4: 1}), "voltage_v").readings
    assert min(bars) == -1.5
    assert sum(bars.values()) == 13


def test_quantiles_are_bins() -> None:
    found = quantiles(counted({1: 98, 2: 1, 9: 1}), "voltage_v")
    assert found == {"step": 0.5, "low": 0.5, "median": 0.5, "p99": 1.0, "high": 4.5}
    assert quantiles(counted({}), "voltage_v") is None


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [
        pytest.param(184, 276, 0.05, id="volts: a twentieth"),
        pytest.param(0, 4, 0.001, id="exactly as many bins"),
        pytest.param(5, 5, 1.0, id="no range"),
        pytest.param(0, float("inf"), 1.0, id="no bound"),
    ],
)
def test_fine_bins_are_round(low: float, high: float, step: float) -> None:
    assert _step(low, high) == pytest.approx(step)


def test_completeness_is_drawn_by_bars_then_by_a_calendar() -> None:
    dates = pd.date_range("2024-01-01", periods=140).date
    days = pd.DataFrame({"reading_date_local": dates, "expected_count": 48, "reading_count": 47})
    quarter, longer = completeness(days.head(92)), completeness(days)
    assert quarter is not None
    assert longer is not None
    assert [trace.name for trace in quarter.data] == ["missing"]  # 2 % of each day: known bars would hide them
    assert [trace.type for trace in longer.data] == ["heatmap"]
    assert list(longer.data[0].y) == ["Jan 2024", "Feb 2024", "Mar 2024", "Apr 2024", "May 2024"]


def test_days_that_lack_much_are_drawn_whole() -> None:
    days = pd.DataFrame({"reading_date_local": ["2024-01-01"], "expected_count": [48], "reading_count": [12]})
    drawn = completeness(days)
    assert drawn is not None
    assert {trace.name: trace.y[0] for trace in drawn.data} == {"known": 25.0, "missing": 75.0}


def test_bars_are_as_wide_as_round_numbers() -> None:
    tenths = counted({4400 + 2 * place: 10 for place in range(120)}, step=0.05)
    bars = bars_of(tenths, "voltage_v")
    assert bars.width == pytest.approx(0.2)
    assert set(bars.readings.values()) == {20}  # 0.25 would hold two tenths here and three there


LEDGER = {"lines": 1000, "loaded": 990, "unparsable": 10, "current": 900, "exact_duplicates": 50, "superseded": 10}


def test_flows_leave_a_node_as_wide_as_they_enter_it() -> None:
    reasons = pd.DataFrame({"reasons": [["negative_energy"], ["unknown_label", "future_timestamp"]], "lines": [25, 4]})
    drawn = ledger_picture(LEDGER | {"quarantined": 30}, reasons)
    assert drawn is not None
    link, labels = drawn.data[0].link, drawn.data[0].node.label
    for node in set(link.source) - {0}:
        entering = sum(value for target, value in zip(link.target, link.value, strict=True) if target == node)
        leaving = sum(value for source, value in zip(link.source, link.value, strict=True) if source == node)
        assert entering == pytest.approx(leaving)
    assert "Quarantined<br>30" in labels
    assert "other reasons<br>1" in labels  # the parts add up


def test_an_empty_ledger_has_no_picture() -> None:
    assert ledger_picture({}, pd.DataFrame({"reasons": [], "lines": []})) is None


def test_reason_sets_add_up() -> None:
    reasons = pd.DataFrame({"reasons": [[f"r{n}"] for n in range(9)], "lines": range(9, 0, -1)})
    assert sum(lines for _, lines in reason_sets(reasons, 45)) == 45


def test_a_ledger_that_does_not_balance_is_told() -> None:
    assert balance(LEDGER | {"quarantined": 30})[0]
    assert not balance(LEDGER | {"quarantined": 29})[0]


def test_a_step_of_no_time_has_a_finite_rate() -> None:
    told = [{"step": "ingest", "seconds": 0.0, "rows_in": 10, "rows_out": 0}]
    assert list(steps(None, {"steps": told})["rate"]) == [10_000.0]  # type: ignore[arg-type]


def test_numbers_as_words() -> None:
    assert [percent(1.0), percent(0.99999), percent(0.00001), percent(None)] == ["100 %", "> 99.9 %", "< 0.1 %", "–"]
    assert [figures(0.012345), figures(4.5678), figures(1234.5), figures(0.0)] == ["0.0123", "4.57", "1,234", "0"]
    assert number(float("nan")) == "–"
    assert short("a" * 50, 11) == "aaaaa…aaaaa"
    assert shown("<b>") == "&lt;b&gt;"
