"""The queries of all charts say the same in both real stores, on a few meters; and a difference is found."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.benchmarks import store_rows, stores
from tests.benchmarks.charts import Question, View, questions
from tests.conftest import settings_for

from meterlake.serving import clickhouse, ddl, embedded, postgres
from meterlake.settings import Settings
from meterlake.tables.catalog import MARTS

# As few as still give every chart a row: twenty feeders have meters, a month is whole, a Saturday is in it.
WORKLOAD = store_rows.Hourly(meters=40, days=65)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = settings_for(tmp_path_factory.mktemp("stores"))
    with embedded.stores(settings):
        store_rows.fill(WORKLOAD, settings)
        yield settings


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "REPEATS", 0)


@pytest.mark.usefixtures("untimed")
@pytest.mark.parametrize("view", stores.VIEWS, ids=lambda view: view.name)
def test_both_stores_answer_every_chart_alike(filled: Settings, view: View) -> None:
    found = stores.compare(view, filled)
    assert {each.chart for each in questions(view)} == set(found)
    empty = {chart for chart, one in found.items() if not one["rows"]}
    # One meter has no suspect month and no day to inspect, and the newest forecast is of none of the months before.
    assert empty <= (set() if view is stores.OPENED else {"inspection_list", "days_to_inspect", "load_forecast"})


def test_all_users_get_all_answers(filled: Settings) -> None:
    found = stores.together(2, filled)
    assert found["answers"] == 2 * len(list(questions(stores.OPENED)))
    assert 0 < found["p50"] <= found["p95"] <= found["max"]


def test_charts_of_many_meters_read_the_kept_sums(filled: Settings) -> None:
    """A chart whose aggregate is not among a mart's declared sums would read all rows again, ten times as slow."""
    client = clickhouse.connect(filled, "reader")
    plans = {
        each.chart: str(client.query(f"EXPLAIN {each.clickhouse}").result_rows) for each in questions(stores.OPENED)
    }
    client.close()
    kept = [name for table in MARTS for name in ddl.clickhouse_sums(table)]
    reads = {chart for chart, plan in plans.items() if any(name in plan for name in kept)}
    assert reads >= {
        *("completeness_by_region", "consumption_by_region", "peak_by_region", "seasonality"),
        *("kpi_completeness", "kpi_consumption", "kpi_estimated", "kpi_meters", "kpi_peak", "regions"),
        *("heat_month", "profile_by_day_type", "profile_by_region", "profile_by_season"),
        *("score_and_consumption", "score_and_consumption (2)"),
    }


@pytest.mark.usefixtures("untimed")
def test_a_difference_ends_the_comparison(filled: Settings) -> None:
    change = "UPDATE marts.mart_region_kpis SET delivered_kwh = delivered_kwh {} WHERE region = 'region-1'"
    with postgres.session(filled) as run:
        run.execute(change.format("+ 0.0001"))
    try:
        with pytest.raises(stores.AnswersDiffer, match=r"region_months: .*region-1"):
            stores.compare(stores.OPENED, filled)
    finally:
        with postgres.session(filled) as run:
            run.execute(change.format("- 0.0001"))


QUESTION = Question("chart", "dataset", 1, "", "")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param([("a", 1.0)], [], id="a row is missing"),
        pytest.param([("a", 1.0)], [("b", 1.0)], id="another row"),
        pytest.param([("a", 1.0)], [("a", 1.0 + 1e-8)], id="another number"),
        pytest.param([("a", None)], [("a", 0)], id="null is not 0"),
    ],
)
def test_answers_that_differ(left: list[Any], right: list[Any]) -> None:
    with pytest.raises(stores.AnswersDiffer):
        stores.same(QUESTION, left, right)
    stores.same(QUESTION, left, [*left])


def taken(clickhouse: float, postgres: float) -> dict[str, Any]:
    return {"dataset": "d", "clickhouse": [clickhouse, 9.0], "all rows": [2 * clickhouse], "postgres": [9.0, postgres]}


@pytest.mark.parametrize(
    ("seconds", "longest", "said"),
    [
        pytest.param(1.0, 1.9, ["10.0 times as fast as PostgreSQL; the target of 10 is met", "2 s is met"], id="met"),
        pytest.param(
            0.9, 2.1, ["9.0 times as fast as PostgreSQL; the target of 10 is missed", "2 s is missed"], id="not"
        ),
    ],
)
def test_the_page_tells_ratios_of_the_fastest_answers(seconds: float, longest: float, said: list[str]) -> None:
    views = {
        view.name: {"a": taken(0.1, seconds), "b": taken(0.2, 1000.0), "c": taken(0.2, 0.0)} for view in stores.VIEWS
    }
    users = {"users": 5, "answers": 15, "p50": 0.1, "p95": 0.2, "max": longest, "slowest": "a"}
    found = {"views": views, "users": users, "load": 1.0, "sizes": {"m": {"rows": 1, "clickhouse": 1, "postgres": 1}}}
    told = " ".join(str(part) for part in stores.page(found, WORKLOAD))
    assert [words for words in said if words not in told] == []


def test_filled_again_only_when_rows_or_tables_are_others(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "stage", None)
    store_rows.fill(WORKLOAD, filled)
    with pytest.raises(TypeError):
        store_rows.fill(replace(WORKLOAD, days=66), filled)
