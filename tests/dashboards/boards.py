"""Grafana's dashboards as the tests read them: what each panel asks, with Grafana's variables and macros filled in."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from meterlake.settings import PROJECT

FOLDER = PROJECT / "dashboards" / "grafana"
PROVISIONING = PROJECT / "conf" / "compose" / "grafana"
MACRO = re.compile(r"\$__timeFilter\(([^)]*)\)")
# `$name`, `${name}` and `${name:format}` that are left when ours are filled in.
LEFT = re.compile(r"\$\w+|\$\{[^}]*\}")


@dataclass(frozen=True)
class Question:
    """What one target of a panel, or a variable, asks of a data source."""

    board: str
    title: str
    source: str
    text: str
    target: dict[str, Any]
    panel: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.board}: {self.title} {self.target.get('refId', '')}".strip()


@cache
def boards() -> dict[str, dict[str, Any]]:
    """File -> dashboard."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}


def panels() -> list[tuple[str, dict[str, Any]]]:
    """(title of the dashboard, panel), of all dashboards."""
    return [(board["title"], panel) for board in boards().values() for panel in board["panels"]]


def questions() -> list[Question]:
    """Of all panels and variables."""
    asked = [
        Question(
            title, panel["title"], target["datasource"]["uid"], target.get("rawSql") or target["expr"], target, panel
        )
        for title, panel in panels()
        for target in panel["targets"]
    ]
    variables = [(board["title"], one) for board in boards().values() for one in board["templating"]["list"]]
    return asked + [
        Question(title, f"${one['name']}", one["datasource"]["uid"], one["query"], {}, {}) for title, one in variables
    ]


@cache
def data_sources() -> dict[str, dict[str, Any]]:
    """uid -> data source, as it is provisioned."""
    text = (PROVISIONING / "datasources" / "meterlake.yml").read_text()
    return {one["uid"]: one for one in yaml.safe_load(text)["datasources"]}


def sql(text: str, first: str, last: str, sources: list[str]) -> str:
    """What Grafana sends to PostgreSQL for this time and these sources."""
    quoted = ",".join(f"'{name}'" for name in sources)
    return _filled(MACRO.sub(rf"\1 BETWEEN '{first}' AND '{last}'", text.replace("${source:sqlstring}", quoted)))


def promql(text: str, window: str, sources: list[str]) -> str:
    """What Grafana sends to Prometheus for these sources, with rates over the window."""
    return _filled(text.replace("$__rate_interval", window).replace("${source:regex}", f"({'|'.join(sources)})"))


def _filled(text: str) -> str:
    assert LEFT.findall(text) == [], "Grafana would fill this in, the test does not know how"
    return text
