"""A mart in PostgreSQL as a table: its columns, key and indexes, from the declaration."""

from collections.abc import Collection

import psycopg2.errors
from psycopg2.extensions import cursor

from meterlake.errors import UsageError
from meterlake.serving import ddl, postgres_access
from meterlake.serving.slices import Slice
from meterlake.tables.table import Table


def conform(run: cursor, table: Table, slices: Collection[Slice] | None) -> None:
    """Make the mart's columns those of the declaration: a new table, or the old one emptied and altered."""
    mart, found, wanted = target(table.name), columns(run, table.name), declared(table)
    if found == wanted:
        return
    if slices is not None:
        raise ValueError(f"{table.name} has other columns than declared: publish all of it")
    if not found:
        run.execute(ddl.postgres_table(table, table.name))
        return
    make_bare(run, table)
    postgres_access.let_go(run, table)
    try:
        for name in found:
            if wanted.get(name) != found[name]:
                run.execute(f"ALTER TABLE {mart} DROP COLUMN {_any_quoted(name)}")
    except psycopg2.errors.DependentObjectsStillExist as error:
        raise UsageError(
            f"{mart} has new columns, but something depends on the old ones ({postgres_access.detail(error)}); "
            "drop that, publish again, and make it anew."
        ) from None
    for name, kind in wanted.items():
        if found.get(name) != kind:
            run.execute(f"ALTER TABLE {mart} ADD COLUMN {ddl.quoted(name)} {kind}")


def make_bare(run: cursor, table: Table) -> None:
    """Take all rows and the declared indexes from the mart; readers wait until the transaction ends."""
    run.execute(f"TRUNCATE {target(table.name)}")
    for name in ddl.postgres_indexes(table):
        run.execute(f"ALTER TABLE {target(table.name)} DROP CONSTRAINT IF EXISTS {ddl.quoted(name)}")
        run.execute(f"DROP INDEX IF EXISTS {target(name)}")


def make_indexes(run: cursor, table: Table) -> None:
    """Make the declared indexes that are missing."""
    run.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = %s", (ddl.SCHEMA, table.name))
    there = {name for (name,) in run.fetchall()}
    for name, statement in ddl.postgres_indexes(table).items():
        if name not in there:
            run.execute(statement)


def columns(run: cursor, name: str, schema: str = ddl.SCHEMA) -> dict[str, str]:
    """Columns of a table of the schema: name -> type with NOT NULL. Empty when there is no such table."""
    run.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (schema, name),
    )
    return dict(run.fetchall())


def declared(table: Table) -> dict[str, str]:
    return {column.name: ddl.postgres_type(column) for column in table.columns}


def target(name: str) -> str:
    return f"{ddl.SCHEMA}.{ddl.quoted(name)}"


def _any_quoted(name: str) -> str:
    """A column that somebody else named: any name, quoted."""
    return '"' + name.replace('"', '""') + '"'
