"""The queries of Superset's charts as SQL of ClickHouse and of PostgreSQL, from the charts' own YAML.

ClickHouse's is what Superset asks: its time grains, limits and joins. PostgreSQL's is the same on its marts, with its
own words for the aggregates. Both end in a total order, so that a limit cuts the same rows.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import yaml
from dashboards.query_context import query_context
from tests.benchmarks.store_marts import DATABASE
from tests.benchmarks.workload import PROJECT

from meterlake.serving import ddl
from meterlake.tables.catalog import MARTS

ASSETS = PROJECT / "dashboards" / "superset"
Yaml = dict[str, Any]


@dataclass(frozen=True)
class View:
    """What somebody set in the dashboards' filters; a filter reaches the charts whose dataset has its column.

    Attributes:
        chosen: column -> value.
        period: first day, and the first one after it.
    """

    name: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    period: tuple[date, date] | None = None


@dataclass(frozen=True)
class Question:
    """One query of a chart in both dialects; its first `dimensions` columns tell its rows apart."""

    chart: str
    dataset: str
    dimensions: int
    clickhouse: str
    postgres: str


@dataclass(frozen=True)
class Dialect:
    """Attributes:
    grains: Superset's time grains.
    tables: name of a mart in a dataset -> where it stands.
    asked_of: dataset -> the mart that is asked in its place.
    said: an expression of a dataset in this dialect.
    """

    grains: Mapping[str, str]
    tables: Mapping[str, str]
    said: Callable[[str], str]
    asked_of: Mapping[str, str] = field(default_factory=dict)


def questions(view: View) -> Iterator[Question]:
    """The queries of all charts that a filter of the view reaches; of all charts when it has none."""
    for chart, params, dataset in _charts():
        reached = {name for name in view.chosen if name in _columns(dataset)}
        if view.chosen and not reached and not view.period:
            continue
        for number, query in enumerate(query_context(params)["queries"]):
            yield Question(
                chart=f"{chart} ({number + 1})" if number else chart,
                dataset=dataset["table_name"],
                dimensions=len(query["columns"]),
                clickhouse=_sql(query, dataset, view, CLICKHOUSE),
                postgres=_sql(query, dataset, view, POSTGRES),
            )


@cache
def _charts() -> list[tuple[str, Yaml, Yaml]]:
    """Name, settings and dataset of each chart."""
    datasets = {each["uuid"]: each for each in map(_yaml, (ASSETS / "datasets").glob("*.yaml"))}
    files = sorted((ASSETS / "charts").glob("*.yaml"))
    charts = [(file.stem, _yaml(file)) for file in files]
    return [(name, chart["params"], datasets[chart["dataset_uuid"]]) for name, chart in charts]


def _yaml(file: Any) -> Yaml:
    return dict(yaml.safe_load(file.read_text()))


def _sql(query: Yaml, dataset: Yaml, view: View, dialect: Dialect) -> str:
    metrics = {each["metric_name"]: dialect.said(each["expression"]) for each in dataset["metrics"]}
    dimensions = {_name(column): _dimension(column, dataset, dialect) for column in query["columns"]}
    selected = dimensions | {name: metrics[name] for name in query["metrics"] or ()}
    where = _conditions(query, dataset, view)
    source = _source(dataset, dialect)
    top = _top(query, dimensions, metrics, f"{source}{_where(where)}")
    places = list(selected)

    def place(name: str) -> str:
        return str(places.index(name) + 1) if name in selected else metrics[name]

    order = [f"{place(name)} {'ASC' if ascending else 'DESC'} NULLS LAST" for name, ascending in query["orderby"]]
    by = _numbers(dimensions)
    grouped = f" GROUP BY {by}" if query["metrics"] else ""
    return (
        f"SELECT {_listed(selected)} FROM {source}{top}{_where(where)}{grouped} "
        f"ORDER BY {', '.join([*order, by])} LIMIT {query['row_limit']}"
    )


def _top(query: Yaml, dimensions: Mapping[str, str], metrics: Mapping[str, str], rows: str) -> str:
    """The join that leaves the largest series."""
    if not query.get("series_limit"):
        return ""
    (series,) = query["series_columns"]
    ranked = metrics[query["series_limit_metric"]]
    return (
        f" JOIN (SELECT {dimensions[series]} AS series, {ranked} AS ranked FROM {rows} GROUP BY 1 "
        f"ORDER BY 2 DESC NULLS LAST, 1 LIMIT {query['series_limit']}) AS top ON {dimensions[series]} = series"
    )


def _conditions(query: Yaml, dataset: Yaml, view: View) -> list[str]:
    made = [f"{name} = '{value}'" for name, value in view.chosen.items() if name in _columns(dataset)]
    for each in query["filters"]:
        if each["op"] == "TEMPORAL_RANGE":
            made += _period(each["col"], view)
        elif each["op"] == "IS NOT NULL":
            made.append(f"{each['col']} IS NOT NULL")
        else:
            value = each["val"]
            made.append(f"{each['col']} {each['op'].replace('==', '=')} {value if value == 0 else ddl.literal(value)}")
    return made


def _period(column: str, view: View) -> list[str]:
    if view.period is None:
        return []
    return [f"{column} {sign} CAST('{day}' AS date)" for sign, day in zip((">=", "<"), view.period, strict=True)]


def _source(dataset: Yaml, dialect: Dialect) -> str:
    name = dataset["table_name"]
    if name in dialect.asked_of or not dataset["sql"]:
        return dialect.tables[dialect.asked_of.get(name, name)]
    placed = re.sub(r"\b(FROM|JOIN) (\w+)", lambda found: f"{found[1]} {dialect.tables[found[2]]}", dataset["sql"])
    return f"({placed}) AS virtual_table"


def _dimension(column: Any, dataset: Yaml, dialect: Dialect) -> str:
    name = _name(column)
    expression = dialect.said(_columns(dataset)[name]["expression"] or name)
    grain = column.get("timeGrain") if isinstance(column, dict) else None
    return dialect.grains[grain].format(expression) if grain else expression


def _name(column: Any) -> str:
    return str(column["label"] if isinstance(column, dict) else column)


def _columns(dataset: Yaml) -> dict[str, Yaml]:
    return {each["column_name"]: each for each in dataset["columns"]}


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _listed(selected: Mapping[str, str]) -> str:
    """Not under the columns' own names: ClickHouse would take these for the expressions in WHERE."""
    return ", ".join(f"{expression} AS value_{number}" for number, expression in enumerate(selected.values(), 1))


def _numbers(dimensions: Mapping[str, str]) -> str:
    return ", ".join(str(number) for number in range(1, len(dimensions) + 1))


# ClickHouse's words in the datasets -> PostgreSQL's. A count as a double, so that a share is no whole number.
WORDS = (
    (r"\bcount\(\)", "count(*)"),
    (r"\buniqExactIf\((\w+), ([^()]+)\)", r"count(DISTINCT \1) FILTER (WHERE \2)"),
    (r"\buniqExact\(", "count(DISTINCT "),
    (r"\bcountIf\(([^()]+)\)", r"float8(count(*) FILTER (WHERE \1))"),
    (r"\bavgIf\((.+), ([^,()]+)\)", r"avg(\1) FILTER (WHERE \2)"),
    (r"\bsumIf\((.+?), (status = 'balanced')\)", r"sum(\1) FILTER (WHERE \2)"),
    (r"\btoFloat64\(", "float8("),
    (r"\bformatDateTime\((\w+), '%Y-%m'\)", r"to_char(\1, 'YYYY-MM')"),
)


def _in_postgres(expression: str) -> str:
    for theirs, ours in WORDS:
        expression = re.sub(theirs, ours, expression)
    return expression


CLICKHOUSE = Dialect(
    grains={
        "PT1H": "toStartOfHour(toDateTime({}))",
        "P1D": "toStartOfDay(toDateTime({}))",
        "P1M": "toStartOfMonth(toDateTime({}))",
    },
    tables={ddl.published(table).clickhouse: f"{DATABASE}.{ddl.published(table).clickhouse}" for table in MARTS},
    said=str,
)
POSTGRES = Dialect(
    grains={"PT1H": "date_trunc('hour', {})", "P1D": "date_trunc('day', {})", "P1M": "date_trunc('month', {})"},
    tables={ddl.published(table).clickhouse: f"{ddl.SCHEMA}.{table.name}" for table in MARTS},
    said=_in_postgres,
    # It keeps no sums: all meters would be added up twice before the largest feeders are joined.
    asked_of={"feeder_load_profile": "load_profile"},
)
