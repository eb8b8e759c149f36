"""House rules of the declarations, and the page that is generated from them."""

import pytest

from meterlake.governance import dictionary
from meterlake.settings import PROJECT
from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Table

PAGE = PROJECT / "docs" / "data-dictionary.md"

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == dictionary.render(), (
        "docs/data-dictionary.md is old; run `python -m meterlake.governance.dictionary > docs/data-dictionary.md`"
    )


@every_table
def test_a_table_is_described_and_owned(table: Table) -> None:
    assert table.description.endswith("."), "the description is a sentence"
    assert table.grain
    assert table.owner


@every_table
def test_a_table_is_keyed_by_required_columns_of_its_own(table: Table) -> None:
    required = {column.name for column in table.columns if column.required}
    assert table.key
    assert set(table.key) <= required


@every_table
def test_a_table_with_a_day_is_clustered_by_it(table: Table) -> None:
    assert set(table.cluster_by) <= set(table.names)
    if table.day is not None:
        assert table.day in table.cluster_by


@every_table
def test_a_published_table_is_served_by_columns_of_its_own(table: Table) -> None:
    if table.published is None:
        assert table.layer != "gold", "a gold table is published"
        return
    served = table.published
    named = {*served.order_by, *served.low_cardinality, *(name for index in served.indexes for name in index)}
    assert named <= set(table.names)


@every_table
def test_every_column_is_described_by_a_sentence(table: Table) -> None:
    without = [column.name for column in table.columns if not column.description.endswith(".")]
    assert without == []
    assert len(set(table.names)) == len(table.names), "a column is declared once"


@every_table
def test_a_quantity_names_its_unit(table: Table) -> None:
    """A name that ends in a unit declares that unit."""
    units = {"kwh": "kWh", "kw": "kW", "v": "V", "c": "C", "pct": "%", "kmh": "km/h", "minutes": "min"}
    wrong = [
        column.name
        for column in table.columns
        if (unit := units.get(column.name.rpartition("_")[2])) and column.unit != unit
    ]
    assert wrong == []


@every_table
def test_a_table_derives_from_declared_tables(table: Table) -> None:
    assert set(table.derives_from) <= {*TABLES, "files"}


def test_no_table_derives_from_itself_even_by_a_detour() -> None:
    def ancestors(name: str) -> set[str]:
        parents = set(TABLES[name].derives_from) - {"files"}
        return parents.union(*(ancestors(parent) for parent in parents)) if parents else parents

    assert [name for name in TABLES if name in ancestors(name)] == []


def test_the_page_names_every_table_and_column() -> None:
    page = dictionary.render()
    for table in TABLES.values():
        section = page.split(f"### {table.name}\n")[1].split("\n### ")[0]
        assert table.description in section
        assert [name for name in table.names if f"| `{name}` |" not in section] == []
