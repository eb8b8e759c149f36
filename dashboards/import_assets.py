"""Bring dashboards/superset into Superset: what stands there under the same uuid is replaced.

The one thing that YAML does not hold is the reader's password. It goes from its file into the address of the database,
in this process only, and lies encrypted in Superset's own database.

Runs in Superset's environment, which has no meterlake.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from query_context import query_context
from sqlalchemy.engine.url import URL

ASSETS = Path(__file__).parent / "superset"
# One colour for a region, a type, a season, ... on every dashboard.
COLOURS = Path(__file__).parent / "label_colors.yaml"


@dataclass(frozen=True)
class Reader:
    """The ClickHouse that the charts ask, and as whom."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    tls: bool = False
    ca: str = ""

    @property
    def uri(self) -> str:
        secure = {"secure": "true"} | ({"ca_cert": self.ca} if self.ca else {}) if self.tls else {}
        address = URL.create("clickhousedb", self.user, self.password, self.host, self.port, self.database, secure)
        return address.render_as_string(hide_password=False)


def bundle(reader: Reader, folder: Path = ASSETS) -> dict[str, str]:
    """Text by name inside the bundle, ready for the import: with the reader's address and the charts' queries."""
    filled = {"databases": _database, "datasets": _dataset, "charts": _chart, "dashboards": _dashboard}
    made = {}
    for file in sorted(folder.rglob("*.yaml")):
        name = file.relative_to(folder).as_posix()
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        fill = filled.get(name.partition("/")[0])
        made[name] = yaml.safe_dump(fill(content, reader) if fill else content, sort_keys=False)
    return made


def import_assets(reader: Reader) -> int:
    """Import all of it as the admin. Returns the number of files; needs an application context of Superset."""
    from flask import g
    from superset import security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    contents = bundle(reader)
    g.user = security_manager.find_user("admin")
    ImportAssetsCommand(contents).run()
    return len(contents)


def _database(content: dict[str, Any], reader: Reader) -> dict[str, Any]:
    return content | {"sqlalchemy_uri": reader.uri}


def _dataset(content: dict[str, Any], reader: Reader) -> dict[str, Any]:
    return content | {"schema": reader.database}


def _chart(content: dict[str, Any], reader: Reader) -> dict[str, Any]:
    return content | {"query_context": json.dumps(query_context(content["params"]))}


def _dashboard(content: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """Each chart gets a number, which the import asks for and replaces, and each dashboard the same colours."""
    charts = [part for part in content["position"].values() if isinstance(part, dict) and part["type"] == "CHART"]
    for number, part in enumerate(charts, start=1):
        part["meta"]["chartId"] = number
    colours = yaml.safe_load(COLOURS.read_text(encoding="utf-8"))
    return content | {"metadata": content["metadata"] | {"label_colors": colours}}
