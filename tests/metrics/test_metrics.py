"""`meterlake metrics` on a home with nothing, with a few rows, and with a lake that cannot be read.

What Prometheus makes of the page is in tests/dashboards/test_grafana_prometheus.py.
"""

import socket
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.dashboards import small_home
from tests.lake import write

from meterlake.errors import Unreachable
from meterlake.metrics.families import QUERIES
from meterlake.metrics.serve import once, serve
from meterlake.settings import Settings
from meterlake.tables.ops import LEDGER, RUNS

Find = Callable[..., float | None]


def shown(settings: Settings) -> Find:
    """A measurement of the page by its name and labels; None where it is absent."""
    samples = [sample for family in text_string_to_metric_families(once(settings)) for sample in family.samples]
    found = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
    return lambda name, **labels: found.get((f"meterlake_{name}", frozenset(labels.items())))


@pytest.fixture
def filled(settings: Settings) -> Settings:
    for table, rows in small_home.home().items():
        write(settings, table, rows)
    return settings


def test_a_home_with_nothing_has_a_page(settings: Settings) -> None:
    find = shown(settings)
    assert (find("lake_readable"), find("store_up", store="postgres")) == (1, 0)
    assert find("memory_available_bytes") > 0
    assert not settings.home.exists(), "measuring makes nothing"


def test_each_measurement_is_there_once(filled: Settings) -> None:
    families = [family.name for family in text_string_to_metric_families(once(filled))]
    assert len(families) == len(set(families))
    declared = {f"meterlake_{name}".removesuffix("_total") for query in QUERIES for name in query.measures}
    assert declared <= set(families)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        pytest.param("step_last_success_timestamp_seconds", {"step": "ingest"}, 1706767260, id="end_of_the_step"),
        pytest.param("step_last_duration_seconds", {"step": "stage"}, 60, id="not_the_mark_of_a_restore"),
        pytest.param("step_successes_total", {"step": "stage"}, 1, id="nor_counted"),
        pytest.param("runs", {"state": "passed"}, 1, id="runs_that_passed"),
        pytest.param("ledger_quarantined", {}, 5, id="ledger"),
        pytest.param("ledger_balances", {}, 1, id="ledger_balances"),
        pytest.param("gate_warnings", {"suite": "marts_metrics"}, 1, id="warnings_of_the_last_run"),
        pytest.param("meters_of_newest_week", {}, 6, id="meters"),
        pytest.param("completeness_of_newest_week", {}, pytest.approx(6.5 / 7), id="completeness"),
        pytest.param("flagged_share", {}, 0.02, id="flagged_share"),
    ],
)
def test_a_measurement(filled: Settings, name: str, labels: dict[str, str], value: float) -> None:
    assert shown(filled)(name, source="ami", **labels) == value


def test_a_run_that_passed_when_it_was_tried_again_counts_as_passed(filled: Settings) -> None:
    write(filled, RUNS, [small_home.step("village", "run-2", "validate_marts", 40, figures=[])])
    find = shown(filled)
    assert find("runs", source="village", state="passed") == 1
    assert find("runs", source="village", state="gate_failed") is None


def test_a_lost_line_shows(filled: Settings) -> None:
    (entry, _) = small_home.ledger()
    write(filled, LEDGER, [entry | {"batch_id": "two", "current": 89}])
    assert shown(filled)("ledger_balances", source="ami") == 0


def test_a_lake_that_cannot_be_read_is_told_and_the_rest_stays(filled: Settings) -> None:
    for part in (filled.home / "lake" / "ops" / "runs" / "_delta_log").glob("*.json"):
        part.write_text("no log of Delta")
    find = shown(filled)
    assert find("lake_readable") == 0
    assert find("ledger_lines", source="ami") is None
    assert find("home_disk_free_bytes") > 0


def test_a_port_that_is_taken_is_one_sentence(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=rf"127.0.0.1:{port} cannot be listened on .*; choose another --port"):
            serve(settings, "127.0.0.1", port, print)
