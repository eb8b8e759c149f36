"""Grafana's dashboards: their JSON against Grafana's own types, and every SQL panel on a real PostgreSQL.

What is asked of Prometheus is in test_grafana_prometheus.py. Grafana itself does not run here.
"""

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import combinations
from typing import Any

import psycopg2
import pytest
import yaml
from psycopg2.extensions import connection
from psycopg2.extras import execute_values
from tests.compose_file import SERVICES
from tests.conftest import settings_for
from tests.dashboards import small_home
from tests.dashboards.boards import FOLDER, PROVISIONING, Question, boards, data_sources, panels, questions, sql
from tests.lake import whole

from meterlake.serving import ddl, postgres, postgres_mart, postgres_ops, postgres_server
from meterlake.serving.logins import secret_name
from meterlake.settings import PROJECT, Settings
from meterlake.tables.catalog import MARTS

SQL = [one for one in questions() if data_sources()[one.source]["type"] != "prometheus"]
# What the panels that show one figure must show for the rows of small_home.
FIGURES = {
    "Success rate": 0.5,
    "Gate pass rate": 0.5,
    "Corrupted lines": 0.02,
    "Duration of a run": 420.0,
    "Drift of the scores": 2.0,
    "Drift by column": 0.3,
    "Anomalies by day": 12.0,
    "Drift of the readings": 0.5,
}

Ask = Callable[[Question], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real PostgreSQL with its roles, its marts and the copies of the ops tables, all without a row."""
    settings = settings_for(tmp_path_factory.mktemp("grafana-home"))
    port = postgres_server.start(settings)
    settings = settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"port": port})})
    with postgres.session(settings) as run:
        for table in MARTS:
            run.execute(ddl.postgres_table(table, table.name))
    fill(settings, empty=True)
    postgres.protect(settings)
    yield settings
    postgres_server.stop(settings)


def fill(settings: Settings, *, empty: bool) -> None:
    for table in postgres_ops.OPS:
        rows = [] if empty else small_home.home().get(table, [])
        news = postgres_ops.News(whole(table, rows), postgres_ops.State("lake", 0), whole=True)
        postgres_ops.copy(table, news, settings)
    with postgres.session(settings) as run:
        for table, rows in small_home.home().items():
            if table in MARTS and not empty:
                values = [tuple(row.get(name) for name in table.names) for row in rows]
                execute_values(run, f"INSERT INTO {postgres_mart.target(table.name)} VALUES %s", values)


@pytest.fixture(scope="module")
def ask(served: Settings) -> Iterator[Ask]:
    """The rows that a panel is given, asked as the login of its data source."""
    opened: dict[str, connection] = {}

    def rows(question: Question) -> list[dict[str, Any]]:
        source = data_sources()[question.source]
        if question.source not in opened:
            opened[question.source] = psycopg2.connect(
                host=served.postgres.host,
                port=served.postgres.port,
                dbname=source["jsonData"]["database"],
                user=source["user"],
                password=served.secret(secret_name(served, "postgres", source["user"])),
            )
            opened[question.source].autocommit = True
        with opened[question.source].cursor() as run:
            run.execute(sql(question.text, small_home.FIRST, small_home.LAST, small_home.SOURCES))
            return [dict(zip([column.name for column in run.description], row, strict=True)) for row in run.fetchall()]

    yield rows
    for one in opened.values():
        one.close()


@pytest.mark.parametrize("question", SQL, ids=lambda one: one.id)
def test_before_the_first_publication_a_panel_shows_nothing(ask: Ask, question: Question) -> None:
    assert [value for row in ask(question) for value in row.values() if value is not None] == []


@pytest.fixture(scope="module")
def filled(served: Settings) -> None:
    """The same server with the rows of small_home."""
    fill(served, empty=False)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("question", SQL, ids=lambda one: one.id)
def test_a_panel_shows_what_it_says(ask: Ask, question: Question) -> None:
    rows = ask(question)
    assert rows
    if question.target.get("format") == "time_series":
        assert list(rows[0]) == ["time", "metric", "value"]
        assert {type(row["time"]) for row in rows} == {datetime}
        assert [row["time"] for row in rows] == sorted(row["time"] for row in rows), "Grafana wants them in order"
        assert all(isinstance(row["metric"], str) and row["value"] is not None for row in rows)
    for override in (question.panel.get("fieldConfig") or {"overrides": []})["overrides"]:
        named = {value for row in rows for value in (*row, row.get("metric"))}
        assert override["matcher"]["options"] in named | {"unfinished"}, "no other name is given a unit or colour"
    if question.title in FIGURES:
        shown = [list(row.values())[-1] for row in rows]
        assert FIGURES[question.title] == pytest.approx(float(shown[0]))


@pytest.mark.usefixtures("filled")
def test_runs_are_told_apart_by_how_they_ended(ask: Ask) -> None:
    (question,) = [one for one in SQL if one.title == "Runs per day"]
    assert {row["metric"]: row["value"] for row in ask(question)} == {"passed": 1, "gate failed": 1}


@pytest.mark.usefixtures("filled")
def test_the_drift_of_readings_and_of_days_is_shown(ask: Ask) -> None:
    (question,) = [one for one in SQL if one.title == "Drift by column"]
    assert {row["metric"]: row["value"] for row in ask(question)} == {"ami hour_of_day": 0.3, "ami surprise": 0.05}


def test_grafana_logs_in_as_roles_that_may_only_read() -> None:
    logins = {one["user"] for one in data_sources().values() if "user" in one}
    assert logins == {"meterlake_auditor", "meterlake_analyst"}
    for source in data_sources().values():
        for secret in (source.get("secureJsonData") or {}).values():
            assert secret.removeprefix("$") in SERVICES["grafana"]["environment"]


@pytest.fixture
def faults() -> Callable[[dict[str, Any]], list[str]]:
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk, which has Grafana's types, is absent")
    from tests.dashboards import grafana_types

    return grafana_types.faults


@pytest.mark.parametrize("name", boards())
def test_the_json_is_of_grafanas_own_types(faults: Callable[[dict[str, Any]], list[str]], name: str) -> None:
    assert faults(boards()[name]) == []


def test_a_mistake_in_the_json_is_found(faults: Callable[[dict[str, Any]], list[str]]) -> None:
    wrong = copy.deepcopy(boards()["infrastructure"]) | {"tittle": "a field that nobody knows"}
    panel = wrong["panels"][0]
    panel["gridPos"]["w"] = "wide"
    panel["options"]["colorMode"] = "rainbow"
    panel["fieldConfig"]["defaults"]["units"] = "bytes"
    inside = [".grid_pos.w", ".options.color_mode", ".fieldConfig.defaults.units"]
    assert sorted(faults(wrong)) == sorted([".tittle", *(f".panels.0{place}" for place in inside)])


@pytest.mark.parametrize("name", boards())
def test_panels_are_described_and_do_not_overlap(name: str) -> None:
    shown = boards()[name]["panels"]
    assert len({panel["id"] for panel in shown}) == len({panel["title"] for panel in shown}) == len(shown)
    assert [panel["title"] for panel in shown if not panel["description"].endswith(".")] == []
    places = {panel["id"]: panel["gridPos"] for panel in shown}
    assert [one for one in places.values() if one["x"] + one["w"] > 24] == []
    for one, other in combinations(places.values(), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_links_and_data_sources_resolve() -> None:
    for _, panel in panels():
        for asked in (panel, *panel["targets"]):
            source = data_sources()[asked["datasource"]["uid"]]
            assert asked["datasource"]["type"] == source["type"]
    assert len({board["uid"] for board in boards().values()}) == len(boards())
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "meterlake.yml").read_text())["providers"]
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in SERVICES["grafana"]["volumes"]}
    assert (PROJECT / mounted[provider["options"]["path"]]).resolve() == FOLDER


def test_the_guide_tells_of_every_panel() -> None:
    guide = (PROJECT / "docs" / "dashboards.md").read_text().splitlines()
    names = {"prometheus": "Prometheus", "postgres-ops": "`ops`", "postgres-sums": "`analyst`"}
    rows = [f"| {one['title']} | {names[one['datasource']['uid']]} | {one['description']} |" for _, one in panels()]
    assert [row for row in rows if row not in guide] == []
