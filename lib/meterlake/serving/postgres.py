"""PostgreSQL as a target: a staging table beside the mart, then the changed slices replaced in one transaction.

The mart stays the same table for ever, so that whatever hangs on it stays too: grants, row policies, views, comments.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2.extensions import connection, cursor
from pyspark.sql import DataFrame

from meterlake.errors import Unreachable, UsageError
from meterlake.serving import ddl, totals
from meterlake.serving.endpoint import endpoint
from meterlake.serving.slices import Slice
from meterlake.settings import Settings
from meterlake.tables.table import Table


def connect(settings: Settings) -> connection:
    """A connection of the writer.

    Raises:
        Unreachable: the server does not answer, or refuses the login.
    """
    known = endpoint(settings, "postgres")
    try:
        return psycopg2.connect(
            host=known.host,
            port=known.port,
            dbname=known.database,
            user=known.user,
            password=settings.secret("postgres_etl"),
            connect_timeout=10,
            application_name="meterlake",
        )
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[-1].rpartition(": ")[2]
        raise Unreachable(
            f"PostgreSQL at {known.host}:{known.port} cannot be used ({reason}); "
            "start it with `meterlake stores start`, or correct [postgres] and its password."
        ) from None


def needs_full(table: Table, settings: Settings) -> bool:
    """Whether the mart is missing or has other columns than declared, so that all of its rows have to be published."""
    with _session(settings) as run:
        return _columns(run, table.name) != _declared(table)


def stage(table: Table, settings: Settings) -> str:
    """Make an empty staging table; those of killed runs are dropped. Returns its name."""
    name = f"{table.name}__staging_{secrets.token_hex(4)}"
    with _session(settings) as run:
        _ensure_schema(run)
        run.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
            (ddl.SCHEMA, f"{table.name}__staging_"),
        )
        for (left,) in run.fetchall():
            run.execute(f"DROP TABLE {_target(left)}")
        run.execute(ddl.postgres_table(table, name))
    return name


def write(table: Table, rows: DataFrame, staging: str, settings: Settings) -> None:
    """Append the rows to the staging table through JDBC, a connection per task."""
    known = endpoint(settings, "postgres")
    rows.write.format("jdbc").mode("append").options(
        driver="org.postgresql.Driver",
        url=known.jdbc_url,
        dbtable=_target(staging),
        user=known.user,
        password=settings.secret("postgres_etl"),
        batchsize=10000,
        reWriteBatchedInserts="true",
    ).save()


def staged(table: Table, staging: str, settings: Settings) -> totals.Totals:
    with _session(settings) as run:
        run.execute(f"{totals.postgres_select(table)} FROM {_target(staging)}")
        return totals.named(table, run.fetchone())


def empty(table: Table, staging: str, settings: Settings) -> None:
    with _session(settings) as run:
        run.execute(f"TRUNCATE {_target(staging)}")


def swap(table: Table, staging: str, slices: Collection[Slice] | None, settings: Settings) -> None:
    """Replace the slices (None: everything) by the staged rows, in one transaction, then drop the staging table."""
    mart, order = _target(table.name), ddl.columns(ddl.published(table).order_by)
    with _session(settings) as run:
        _conform(run, table, slices, settings)
        run.execute(f"SELECT EXISTS (SELECT FROM {mart})")
        if _one(run):
            _delete(run, table, slices)
        else:  # nobody reads it: the indexes are built in one go after the rows, three times as quick
            _drop_indexes(run, table)
        names = ddl.columns(table.names)
        run.execute(f"INSERT INTO {mart} ({names}) SELECT {names} FROM {_target(staging)} ORDER BY {order}")
        _make_indexes(run, table)
        for statement in ddl.postgres_comments(table):
            run.execute(statement)
        run.execute(f"DROP TABLE {_target(staging)}")
    _vacuum(table, settings)


def discard(table: Table, staging: str, settings: Settings) -> None:
    with _session(settings) as run:
        run.execute(f"DROP TABLE IF EXISTS {_target(staging)}")


def count(table: Table, settings: Settings) -> int | None:
    """Rows of the mart; None when it does not exist."""
    with _session(settings) as run:
        if not _columns(run, table.name):
            return None
        run.execute(f"SELECT count(*) FROM {_target(table.name)}")
        return int(_one(run))


@contextmanager
def _session(settings: Settings) -> Iterator[cursor]:
    """One transaction: committed at the end of the block, rolled back when it fails."""
    opened = connect(settings)
    try:
        with opened, opened.cursor() as run:
            yield run
    finally:
        opened.close()


def _ensure_schema(run: cursor) -> None:
    run.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (ddl.SCHEMA,))
    if not _one(run):
        run.execute(f"CREATE SCHEMA {ddl.SCHEMA}")


def _conform(run: cursor, table: Table, slices: Collection[Slice] | None, settings: Settings) -> None:
    """Make the mart's columns those of the declaration: a new table, or the old one emptied and altered."""
    mart, found, declared = _target(table.name), _columns(run, table.name), _declared(table)
    if found == declared:
        return
    if slices is not None:
        raise ValueError(f"{table.name} has other columns than declared: publish all of it")
    if not found:
        run.execute(ddl.postgres_table(table, table.name))
        _grant(run, table, settings.postgres.reader)
        return
    run.execute(f"TRUNCATE {mart}")
    _drop_indexes(run, table)
    try:
        for name in found:
            if declared.get(name) != found[name]:
                run.execute(f"ALTER TABLE {mart} DROP COLUMN {_any_quoted(name)}")
    except psycopg2.errors.DependentObjectsStillExist as error:
        raise UsageError(
            f"{mart} has new columns, but something depends on the old ones ({_detail(error)}); "
            "drop that, publish again, and make it anew."
        ) from None
    for name, kind in declared.items():
        if found.get(name) != kind:
            run.execute(f"ALTER TABLE {mart} ADD COLUMN {ddl.quoted(name)} {kind}")


def _grant(run: cursor, table: Table, reader: str) -> None:
    """Let the reader read a new mart, where there is such a role."""
    run.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", (reader,))
    if _one(run):
        run.execute(f"GRANT USAGE ON SCHEMA {ddl.SCHEMA} TO {ddl.quoted(reader)}")
        run.execute(f"GRANT SELECT ON {_target(table.name)} TO {ddl.quoted(reader)}")


def _delete(run: cursor, table: Table, slices: Collection[Slice] | None) -> None:
    mart = _target(table.name)
    if slices is None:
        run.execute(f"DELETE FROM {mart}")
        return
    sources, months = [each.source for each in slices], [each.month for each in slices]
    run.execute(
        f"DELETE FROM {mart} m USING unnest(%s::text[], %s::date[]) AS changed (source, month) "
        f"WHERE m.source = changed.source AND date_trunc('month', m.{ddl.quoted(ddl.day(table))}) = changed.month",
        (sources, months),
    )


def _drop_indexes(run: cursor, table: Table) -> None:
    for name in ddl.postgres_indexes(table):
        run.execute(f"ALTER TABLE {_target(table.name)} DROP CONSTRAINT IF EXISTS {ddl.quoted(name)}")
        run.execute(f"DROP INDEX IF EXISTS {_target(name)}")


def _make_indexes(run: cursor, table: Table) -> None:
    """Make the declared indexes that are missing."""
    run.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = %s", (ddl.SCHEMA, table.name))
    there = {name for (name,) in run.fetchall()}
    for name, statement in ddl.postgres_indexes(table).items():
        if name not in there:
            run.execute(statement)


def _vacuum(table: Table, settings: Settings) -> None:
    """Free the replaced rows and refresh the planner's statistics; outside of any transaction, as VACUUM wants it."""
    opened = connect(settings)
    opened.autocommit = True
    with opened.cursor() as run:
        run.execute(f"VACUUM (ANALYZE) {_target(table.name)}")
    opened.close()


def _columns(run: cursor, name: str) -> dict[str, str]:
    """Columns of a table of the schema: name -> type with NOT NULL. Empty when there is no such table."""
    run.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (ddl.SCHEMA, name),
    )
    return dict(run.fetchall())


def _declared(table: Table) -> dict[str, str]:
    return {column.name: ddl.postgres_type(column) for column in table.columns}


def _target(name: str) -> str:
    return f"{ddl.SCHEMA}.{ddl.quoted(name)}"


def _any_quoted(name: str) -> str:
    """A column that somebody else named: any name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def _detail(error: psycopg2.Error) -> str:
    return (error.diag.message_detail or "").partition("\n")[0]


def _one(run: cursor) -> Any:
    row = run.fetchone()
    return row[0] if row else None
