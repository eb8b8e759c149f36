"""Superset's assets against the table declarations: no Superset needed. `make superset-check` asks the real one."""

import importlib.util
import json
import re
import sys
from types import ModuleType
from typing import Any

import pytest
import yaml

from meterlake.settings import PROJECT
from meterlake.tables.catalog import MARTS

DASHBOARDS = PROJECT / "dashboards"
ASSETS = DASHBOARDS / "superset"
DECLARED = {table.published.clickhouse: set(table.names) for table in MARTS if table.published}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Words of SQL that stand where a column may stand.
SQL_WORDS = {
    *("select", "from", "as", "left", "join", "on", "and", "or", "where", "is", "not", "null", "in"),
    *(
        "count",
        "sum",
        "avg",
        "max",
        "min",
        "sumIf",
        "countIf",
        "avgIf",
        "uniqExact",
        "uniqExactIf",
        "toFloat64",
        "nullIf",
    ),
    *("floor", "formatDateTime", "CASE", "WHEN", "THEN", "ELSE", "END"),
}


def assets(kind: str) -> dict[str, dict[str, Any]]:
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted((ASSETS / kind).glob("*.yaml"))}


DATASETS, CHARTS, BOARDS = assets("datasets"), assets("charts"), assets("dashboards")
(DATABASE,) = assets("databases").values()
BY_UUID = {dataset["uuid"]: name for name, dataset in DATASETS.items()}


def module(name: str) -> ModuleType:
    """A module of dashboards/, which is no package: Superset's environment runs its files."""
    spec = importlib.util.spec_from_file_location(name, DASHBOARDS / f"{name}.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def words(sql: str) -> set[str]:
    """Names in an expression: no string, number, function or keyword."""
    bare = re.sub(r"'[^']*'", "", sql)
    return {word for word in re.findall(r"[A-Za-z_][A-Za-z_0-9]*", bare) if word not in SQL_WORDS}


def columns_shown(params: dict[str, Any]) -> set[str]:
    """Columns of the dataset that a chart groups by, or lists."""
    named = [params.get(name) for name in ("x_axis", "series", "entity", "groupby", "groupby_b", "all_columns")]
    return {name for value in named for name in (value if isinstance(value, list) else [value]) if name}


def columns_asked(params: dict[str, Any]) -> set[str]:
    filters = params["adhoc_filters"] + params.get("adhoc_filters_b", [])
    return columns_shown(params) | {each["subject"] for each in filters}


def metrics_asked(params: dict[str, Any]) -> set[str]:
    single = [params.get(name) for name in ("metric", "timeseries_limit_metric")]
    if params["viz_type"] == "bubble_v2":
        single += [params[name] for name in ("x", "y", "size")]
    return {name for name in [*params.get("metrics", []), *params.get("metrics_b", []), *single] if name}


def charts_of(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for part in board["position"].values() if isinstance(part, dict) and part["type"] == "CHART"]


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_reads_declared_columns(name: str) -> None:
    dataset = DATASETS[name]
    if dataset["sql"]:
        aliases = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) AS (\w+)", dataset["sql"])}
        read = re.findall(r"\b(\w+)\.(\w+)", dataset["sql"])
        assert aliases
        assert [pair for pair in read if pair[1] not in DECLARED[aliases[pair[0]]]] == []
        columns = set(re.findall(r"\.\w+\)? AS (\w+)", dataset["sql"]))
    else:
        columns = DECLARED[name]
    physical = {column["column_name"] for column in dataset["columns"] if not column["expression"]}
    assert physical - columns == set()
    expressions = [each["expression"] for each in dataset["columns"] + dataset["metrics"] if each["expression"]]
    assert {word for sql in expressions for word in words(sql)} - physical == set()


def test_every_published_mart_is_shown() -> None:
    sql = " ".join(dataset["sql"] or "" for dataset in DATASETS.values())
    assert {name for name in DECLARED if name not in DATASETS and name not in sql} == set()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_asks_what_its_dataset_has(name: str) -> None:
    chart = CHARTS[name]
    dataset, params = DATASETS[BY_UUID[chart["dataset_uuid"]]], chart["params"]
    assert columns_asked(params) - {column["column_name"] for column in dataset["columns"]} == set()
    assert metrics_asked(params) - {metric["metric_name"] for metric in dataset["metrics"]} == set()
    assert chart["viz_type"] == params["viz_type"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_can_be_read(name: str) -> None:
    """A title of its own, a description, and the period filter's hook, without which it shows all time for ever."""
    chart = CHARTS[name]
    assert chart["slice_name"].strip()
    assert chart["description"].strip().endswith(".")
    assert [each["subject"] for each in chart["params"]["adhoc_filters"] if each["operator"] == "TEMPORAL_RANGE"] == [
        DATASETS[BY_UUID[chart["dataset_uuid"]]]["main_dttm_col"]
    ]


def test_titles_differ() -> None:
    titles = [chart["slice_name"] for chart in CHARTS.values()]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize(
    "name", [name for name in CHARTS if BY_UUID[CHARTS[name]["dataset_uuid"]] == "consumption_metrics"]
)
def test_a_chart_of_metrics_chooses_one_kind_of_period(name: str) -> None:
    """The mart has days, weeks and months: a sum over all of them counts each kWh three times."""
    chosen = [each for each in CHARTS[name]["params"]["adhoc_filters"] if each["subject"] == "period"]
    assert [each["operator"] for each in chosen] == ["=="]


@pytest.mark.parametrize("name", DATASETS)
def test_metrics_are_named_and_described(name: str) -> None:
    """Not like a column: ClickHouse would put the metric in the column's place in WHERE."""
    metrics = DATASETS[name]["metrics"]
    assert [each["metric_name"] for each in metrics if not (each["verbose_name"] and each["description"])] == []
    columns = {column["column_name"] for column in DATASETS[name]["columns"]}
    assert {each["metric_name"] for each in metrics} & columns == set()


def test_links_lead_somewhere() -> None:
    everything = [DATABASE, *DATASETS.values(), *CHARTS.values(), *BOARDS.values()]
    own = [each["uuid"] for each in everything]
    assert len(own) == len(set(own))
    named = {found for file in ASSETS.rglob("*.yaml") for found in UUID.findall(file.read_text())}
    assert named - set(own) == set()
    assert {dataset["database_uuid"] for dataset in DATASETS.values()} == {DATABASE["uuid"]}


def test_every_chart_is_on_a_dashboard() -> None:
    shown = {part["meta"]["uuid"] for board in BOARDS.values() for part in charts_of(board)}
    assert {name for name, chart in CHARTS.items() if chart["uuid"] not in shown} == set()


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_whole(name: str) -> None:
    board = BOARDS[name]
    position = {key: part for key, part in board["position"].items() if isinstance(part, dict)}
    assert {child for part in position.values() for child in part.get("children", [])} - set(position) == set()
    rows = [part["children"] for part in position.values() if part["type"] == "ROW"]
    assert [sum(position[child]["meta"]["width"] for child in row) for row in rows] == [12] * len(rows)
    titles = {chart["uuid"]: chart["slice_name"] for chart in CHARTS.values()}
    assert [part["meta"]["sliceName"] for part in charts_of(board)] == [
        titles[part["meta"]["uuid"]] for part in charts_of(board)
    ]
    assert board["description"]
    assert board["metadata"]["cross_filters_enabled"]


@pytest.mark.parametrize("name", BOARDS)
def test_filters_are_the_same_on_every_dashboard(name: str) -> None:
    filters = BOARDS[name]["metadata"]["native_filter_configuration"]
    assert [each["name"] for each in filters] == ["Period", "Source", "Region", "Feeder", "Meter"]
    for each in filters[1:]:
        (target,) = each["targets"]
        dataset = DATASETS[BY_UUID[target["datasetUuid"]]]
        assert target["column"]["name"] in {column["column_name"] for column in dataset["columns"]}
    assert {parent for each in filters for parent in each["cascadeParentIds"]} <= {each["id"] for each in filters}


def test_colours_are_declared_once() -> None:
    """The importer gives them to every dashboard."""
    colours = yaml.safe_load((DASHBOARDS / "label_colors.yaml").read_text())
    assert [label for label, colour in colours.items() if not re.fullmatch(r"#[0-9A-Fa-f]{6}", colour)] == []
    assert [name for name, board in BOARDS.items() if "label_colors" in board["metadata"]] == []


def test_no_secret_in_yaml() -> None:
    assert re.fullmatch(r"clickhousedb://\w+@127\.0\.0\.1:\d+/\w+", DATABASE["sqlalchemy_uri"])
    text = "\n".join(file.read_text() for file in ASSETS.rglob("*.yaml"))
    assert re.findall(r"(?i)\b(password|secret|token|private_key)\b", text) == []


@pytest.mark.parametrize("name", CHARTS)
def test_the_stored_query_follows_from_the_settings(name: str) -> None:
    params = CHARTS[name]["params"]
    context = module("query_context").query_context(params)
    columns = [column for query in context["queries"] for column in query["columns"]]
    assert {each if isinstance(each, str) else each["sqlExpression"] for each in columns} == columns_shown(params)
    assert {metric for query in context["queries"] for metric in query["metrics"] or ()} <= metrics_asked(params)
    assert context["queries"][0]["metrics"] or params["query_mode"] == "raw"
    json.dumps(context)


def test_an_unknown_type_of_chart_is_told() -> None:
    with pytest.raises(ValueError, match="gauge_chart"):
        module("query_context").query_context({"viz_type": "gauge_chart"})


def test_tls_is_asked_for_in_the_address() -> None:
    pytest.importorskip("sqlalchemy")
    module("query_context")
    importer = module("import_assets")
    at = ("store.example", 8443, "energy_analytics", "meterlake_reader", "p")
    assert importer.Reader(*at).uri == "clickhousedb://meterlake_reader:p@store.example:8443/energy_analytics"
    assert importer.Reader(*at, tls=True, ca="ca.pem").uri.endswith("/energy_analytics?ca_cert=ca.pem&secure=true")


def test_the_password_is_filled_in_memory_only() -> None:
    pytest.importorskip("sqlalchemy")
    module("query_context")
    importer = module("import_assets")
    reader = importer.Reader("127.0.0.1", 18123, "energy_analytics", "meterlake_reader", "p@ss/word")
    made = importer.bundle(reader)
    assert [name for name, text in made.items() if "p%40ss" in text] == ["databases/meterlake.yaml"]
    assert set(made) == {file.relative_to(ASSETS).as_posix() for file in ASSETS.rglob("*.yaml")}
    assert "p@ss/word" not in repr(reader)
    charts = [yaml.safe_load(text) for name, text in made.items() if name.startswith("charts/")]
    assert [chart["slice_name"] for chart in charts if "queries" not in json.loads(chart["query_context"])] == []
    boards = [yaml.safe_load(text) for name, text in made.items() if name.startswith("dashboards/")]
    assert len({json.dumps(board["metadata"]["label_colors"]) for board in boards}) == 1
