"""The data dictionary: one Markdown page made from the table declarations and from nothing else.

`python -m meterlake.governance.dictionary > docs/data-dictionary.md` writes it; a test keeps the file current.
"""

import sys
from typing import get_args

from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Column, Layer, Published, Table

LAYERS: dict[str, str] = {
    "bronze": "What was delivered, unchanged. Append only.",
    "silver": "Clean readings and what is computed from them.",
    "gold": "What is published to PostgreSQL and ClickHouse.",
    "ops": "What ran, what it read, that nothing was lost, what failed.",
}

HEADING = """\
# Data dictionary

Generated from the declarations in `lib/meterlake/tables` by `python -m meterlake.governance.dictionary`. Do not edit.

A table is a Delta table at `<lake>/<layer>/<name>`. A gold table is also served as `marts.<name>` in PostgreSQL and
under a name of its own in the ClickHouse database `energy_analytics`. Time is UTC unless the column's name ends in
`_local`. A required column is never null.
"""


def render() -> str:
    """The whole page as Markdown, the same for the same declarations."""
    parts = [HEADING, "## Lineage\n", lineage()]
    for layer in get_args(Layer):
        parts.append(f"## {layer}\n\n{LAYERS[layer]}\n")
        parts.extend(section(table) for table in TABLES.values() if table.layer == layer)
    return "\n".join(parts)


def lineage() -> str:
    """Which table is made of which, as a Mermaid graph; an arrow points the way the data flow."""
    lines = ["```mermaid", "flowchart LR", "  files([files])"]
    for layer in get_args(Layer):
        lines.append(f"  subgraph {layer}")
        lines.extend(f"    {table.name}" for table in TABLES.values() if table.layer == layer)
        lines.append("  end")
    lines.extend(f"  {parent} --> {table.name}" for table in TABLES.values() for parent in table.derives_from)
    return "\n".join([*lines, "```", ""])


def section(table: Table) -> str:
    """One table: what it is, its facts, then every column."""
    facts = "\n".join(f"- {name}: {text}" for name, text in _facts(table).items())
    header = "| column | type | unit | required | description |\n|---|---|---|---|---|"
    return "\n".join([f"### {table.name}\n\n{table.description}\n", facts, "", header, *map(_row, table.columns), ""])


def _facts(table: Table) -> dict[str, str]:
    facts = {
        "Grain": table.grain,
        "Owner": table.owner,
        "Key": _code(table.key),
        "Day": _code([table.day] if table.day else []),
        "Clustered by": _code(table.cluster_by),
        "Retention": f"{table.retention_days} days" if table.retention_days else "for ever",
        "Derives from": _code(table.derives_from),
        "Change feed": "on" if table.change_feed else "",
        "Personal data": _personal(table),
        "Checks": ", ".join(f"{name}: `{condition}`" for name, condition in table.checks),
        "Published": _published(table, table.published) if table.published else "",
    }
    return {name: text for name, text in facts.items() if text}


def _personal(table: Table) -> str:
    """What of the table is personal."""
    named = _code([column.name for column in table.columns if column.personal])
    parts = [part for part in (named, f"rows where `{table.personal_rows}`" if table.personal_rows else "") if part]
    return f"yes: {', '.join(parts)}" if parts else "no"


def _published(table: Table, served: Published) -> str:
    return f"PostgreSQL `marts.{table.name}`, ClickHouse `energy_analytics.{served.clickhouse}`"


def _row(column: Column) -> str:
    required = "yes" if column.required else ""
    cells = (f"`{column.name}`", column.type, column.unit or "", required, column.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(render())
