"""Who may read what, as far as declarations tell it; tests/serving/test_access.py asks the stores."""

from pathlib import Path

import pytest

from meterlake import generated_block
from meterlake.errors import UsageError
from meterlake.governance import access
from meterlake.settings import PROJECT, load
from meterlake.tables.catalog import MARTS, TABLES
from meterlake.tables.table import Table
from meterlake.text_tables import as_markdown

every_mart = pytest.mark.parametrize("table", MARTS, ids=lambda table: table.name)


def test_the_page_in_docs_is_current() -> None:
    page = (PROJECT / "docs" / "governance.md").read_text(encoding="utf-8")
    told = "\n\n".join(map(as_markdown, (access.roles(), access.marts())))
    assert generated_block.block(page, "roles") == told, "run `meterlake stores roles --page docs/governance.md`"


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_what_names_a_meter_a_customer_or_a_file_is_personal(table: Table) -> None:
    named = {"reading_id", "meter_id", "customer_id", "source_file", "raw_line"}
    assert {column.name for column in table.columns if column.personal} == named & set(table.names)


@every_mart
def test_the_analyst_is_shown_no_personal_column(table: Table) -> None:
    personal = {column.name for column in table.columns if column.personal}
    assert personal.isdisjoint(access.shown(table, "analyst"))


@every_mart
def test_the_auditor_is_shown_no_mart(table: Table) -> None:
    assert access.shown(table, "auditor") == []


@every_mart
def test_a_mart_tells_the_region_of_its_rows_or_where_it_is_found(table: Table) -> None:
    looked_up = access.regions_of(table)
    assert ("region" in table.names) != bool(looked_up)
    for each in looked_up:
        there = TABLES[each.mart]
        assert there in MARTS
        assert {"region", *(column for _, column in each.matching)} <= set(there.names)
        assert MARTS.index(there) < MARTS.index(table), "it is published before, so that it is there when asked"


@every_mart
def test_sums_are_of_numbers(table: Table) -> None:
    added = {column.type for column in table.columns if column.adds_up}
    assert added <= {"bigint", "double", "decimal(18,4)"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        pytest.param('postgres = { role = "analyst" }', "should match pattern", id="a_name_of_the_server"),
        pytest.param('"meterlake_x; --" = { role = "analyst" }', "should match pattern", id="no_plain_name"),
        pytest.param('meterlake_etl = { role = "reader" }', "name of a store's writer or reader", id="the_writer"),
        pytest.param('meterlake_reader = { role = "analyst" }', "name of a store's writer or reader", id="the_reader"),
        pytest.param('meterlake_x = { role = "owner" }', "should be 'reader'", id="no_such_role"),
        pytest.param('meterlake_x = { role = "auditor", regions = ["n"] }', "auditor has no regions", id="no_regions"),
        pytest.param('meterlake_x = { role = "analyst", region = "n" }', "unknown name", id="a_typing_error"),
    ],
)
def test_a_login_that_cannot_be_is_said_in_one_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    conf = tmp_path / "conf.toml"
    conf.write_text(f"[serving.logins]\n{line}\n")
    with pytest.raises(UsageError, match=sentence) as caught:
        load(conf=conf, home=tmp_path)
    assert "\n" not in str(caught.value)
