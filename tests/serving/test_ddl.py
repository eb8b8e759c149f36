"""DDL from declarations: every published mart can be made in both stores, and a strange name goes nowhere."""

from dataclasses import replace

import pytest

from meterlake.serving import clickhouse, ddl, postgres, postgres_mart, publish
from meterlake.settings import Settings
from meterlake.tables.catalog import MARTS
from meterlake.tables.table import Table, comment


@pytest.mark.parametrize("name", ['a"; DROP TABLE x; --', "Upper", "", "a b", "1a", "a" * 64, "é", 'quo"te'])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name"):
        ddl.quoted(name)


@pytest.mark.parametrize("text", ["it's", "back\\slash", "a '' b", "'; DROP TABLE marts.x; --"])
def test_a_comment_stays_one_literal(text: str) -> None:
    inner = ddl.literal(text)[1:-1]
    assert "'" not in inner.replace("''", "")
    assert "\\" not in inner


@pytest.mark.parametrize("table", MARTS, ids=lambda table: table.name)
def test_a_declared_mart_can_be_made_in_both_stores(serving: Settings, table: Table) -> None:
    """The servers themselves judge the statements; a copy under another name, so that no mart is touched."""
    published = ddl.published(table)
    copy = replace(
        table, name=f"{table.name}_ddl", published=replace(published, clickhouse=f"{published.clickhouse}_ddl")
    )
    try:
        with postgres.connect(serving) as opened, opened.cursor() as run:
            for statement in [ddl.postgres_table(copy, copy.name), *ddl.postgres_indexes(copy).values()]:
                run.execute(statement)
            for statement in ddl.postgres_comments(copy):
                run.execute(statement)
            run.execute(
                "SELECT col_description(attrelid, attnum) FROM pg_attribute "
                "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                (f"marts.{copy.name}",),
            )
            described = [text for (text,) in run.fetchall()]
            run.execute("SELECT indexname FROM pg_indexes WHERE tablename = %s", (copy.name,))
            indexes = {name for (name,) in run.fetchall()}
        client = clickhouse.connect(serving)
        client.command(ddl.clickhouse_table(copy, "energy_analytics", f"{published.clickhouse}_ddl"))
        assert described == [comment(column) for column in table.columns]
        assert indexes == set(ddl.postgres_indexes(copy))
        assert not publish.needs_full(copy, serving)
    finally:
        with postgres.connect(serving) as opened, opened.cursor() as run:
            run.execute(f"DROP TABLE IF EXISTS {postgres_mart.target(copy.name)}")
        clickhouse.connect(serving).command(f"DROP TABLE IF EXISTS energy_analytics.{published.clickhouse}_ddl SYNC")


@pytest.mark.parametrize("table", MARTS, ids=lambda table: table.name)
def test_a_declared_mart_has_a_day_and_its_keys_among_its_columns(table: Table) -> None:
    published = ddl.published(table)
    named = {*table.key, *published.order_by, *published.low_cardinality, ddl.day(table), "source"}
    summed = published.sums.by if published.sums else ()
    assert named.union(summed, *published.indexes) <= set(table.names)
    required = {column.name for column in table.columns if column.required}
    assert {*table.key, *published.order_by, ddl.day(table)} <= required, "a key column may be null"


def test_a_boolean_in_an_index_is_its_condition(mart: Table) -> None:
    (index,) = [sql for name, sql in ddl.postgres_indexes(mart).items() if name.endswith("_idx")]
    assert index.endswith('("source", "reading_timestamp") WHERE "is_anomaly"')
