"""What a chart asks its dataset, from the settings that its YAML holds: the `query_context` that Superset's own editor
would store beside them. Derived, so that a chart is written down once.

Superset's pages derive the same in the browser; the stored one serves `GET /api/v1/chart/ID/data` and reports.
"""

import json
from typing import Any

Params = dict[str, Any]

MIXED = "mixed_timeseries"
# What the editor puts behind a setting of the second query of a mixed chart.
SECOND = "_b"


def query_context(params: Params) -> dict[str, Any]:
    """The context of a chart; the importer fills in the dataset's number.

    Args:
        params: the chart's settings, with `viz_type`.

    Raises:
        ValueError: a type of chart that nobody taught this module.
    """
    kind = params["viz_type"]
    if kind == MIXED:
        queries = [_series(params), _series(_second(params))]
    elif kind == "big_number":
        queries = [_series(params | {"metrics": [params["metric"]]})]
    elif kind.startswith("echarts_"):
        queries = [_series(params)]
    elif kind in _GROUPED:
        queries = [_GROUPED[kind](params)]
    else:
        raise ValueError(f"chart type {kind!r}: add it to dashboards/query_context.py")
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": queries,
        "form_data": params,
        "result_format": "json",
        "result_type": "full",
    }


def _series(params: Params) -> dict[str, Any]:
    """A line, bar or area chart: one value of each metric per step of the x axis and series."""
    series = params.get("groupby", [])
    axis = {
        "timeGrain": params.get("time_grain_sqla"),
        "columnType": "BASE_AXIS",
        "sqlExpression": params["x_axis"],
        "label": params["x_axis"],
        "expressionType": "SQL",
    }
    ranked = params.get("timeseries_limit_metric") or params["metrics"][0]
    return _query(params, [axis, *series], params["metrics"], [[ranked, False]]) | {
        "series_columns": series,
        "series_limit": params.get("limit", 0),
        "series_limit_metric": params.get("timeseries_limit_metric"),
        "post_processing": _pivoted(params, series),
    }


def _pivoted(params: Params, series: list[str]) -> list[dict[str, Any]]:
    """Long rows to one column per series, and the rolling window that a big number may have."""
    steps: list[dict[str, Any]] = [
        {
            "operation": "pivot",
            "options": {
                "index": [params["x_axis"]],
                "columns": series,
                "aggregates": {metric: {"operator": "mean"} for metric in params["metrics"]},
                "drop_missing_columns": False,
            },
        }
    ]
    if params.get("rolling_type"):
        steps.append(
            {
                "operation": "rolling",
                "options": {
                    "rolling_type": params["rolling_type"],
                    "window": params["rolling_periods"],
                    "min_periods": params["min_periods"],
                    "columns": {metric: metric for metric in params["metrics"]},
                },
            }
        )
    return [*steps, {"operation": "flatten"}]


def _second(params: Params) -> Params:
    """The settings of a mixed chart's second query, under the names of the first."""
    return params | {
        name.removesuffix(SECOND): value
        for name, value in params.items()
        if name.endswith(SECOND) and name.removesuffix(SECOND) in ("metrics", "groupby", "adhoc_filters", "row_limit")
    }


def _table(params: Params) -> dict[str, Any]:
    """A table of groups, or of the dataset's rows as they are (`query_mode` raw)."""
    if params["query_mode"] == "raw":
        # No list of metrics: with an empty one Superset groups by the columns.
        return _query(params, params["all_columns"], None, [json.loads(each) for each in params["order_by_cols"]])
    ranked = params.get("timeseries_limit_metric") or params["metrics"][0]
    return _query(params, params["groupby"], params["metrics"], [[ranked, False]])


def _heat(params: Params) -> dict[str, Any]:
    orders = {name: params[f"sort_{axis}_axis"] for axis, name in (("x", params["x_axis"]), ("y", params["groupby"]))}
    by = [[name, order.endswith("_asc")] for name, order in orders.items()]
    return _query(params, [params["x_axis"], params["groupby"]], [params["metric"]], by)


def _pie(params: Params) -> dict[str, Any]:
    return _query(params, params["groupby"], [params["metric"]], [[params["metric"], False]])


def _bubbles(params: Params) -> dict[str, Any]:
    metrics = [params["x"], params["y"], params["size"]]
    return _query(params, [params["entity"], params["series"]], metrics, [])


_GROUPED = {"table": _table, "heatmap_v2": _heat, "pie": _pie, "bubble_v2": _bubbles}


def _query(params: Params, columns: list[Any], metrics: list[str] | None, orderby: list[Any]) -> dict[str, Any]:
    return {
        "columns": columns,
        "metrics": metrics,
        "orderby": orderby,
        "filters": [
            {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
            for each in params["adhoc_filters"]
        ],
        "extras": {"having": "", "where": ""},
        "row_limit": params.get("row_limit", 50000),
        "order_desc": True,
        "annotation_layers": [],
        "applied_time_extras": {},
        "url_params": {},
        "custom_params": {},
        "custom_form_data": {},
        "time_range": "No filter",
        "post_processing": [],
    }
