"""PostgreSQL as a target: a staging table beside the mart, then the changed slices replaced in one transaction.

The mart stays the same table for ever, so that whatever hangs on it stays too: grants, row policies, views, comments.
"""

import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.csv
from psycopg2.extensions import connection, cursor

from meterlake.errors import Unreachable
from meterlake.serving import ddl, postgres_access, totals
from meterlake.serving import postgres_mart as mart_table
from meterlake.serving.copy_binary import encoded
from meterlake.serving.endpoint import Endpoint, Login, endpoint
from meterlake.serving.outgoing import Outgoing, over_jdbc
from meterlake.serving.slices import Slice
from meterlake.settings import Settings
from meterlake.tables.arrow_writer import Batches, joined
from meterlake.tables.catalog import MARTS
from meterlake.tables.coded import as_texts
from meterlake.tables.table import Table

# Rows of a COPY, and from how many on it pays to load the compiled loop that encodes them.
COPIED_ROWS = 50_000
# psycopg2's own 8 KB make a call of Python's and one of the system's for each.
SENT_BYTES = 1 << 20


def connect(settings: Settings, login: Login = "etl") -> connection:
    """A connection of the writer, or of the reader.

    Raises:
        Unreachable: the server does not answer, or refuses the login.
    """
    return _connected(endpoint(settings, "postgres"), login, settings.secret(f"postgres_{login}"))


def _connected(known: Endpoint, login: Login, password: str) -> connection:
    tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": known.ca or "system"} if known.tls else {}
    try:
        return psycopg2.connect(
            host=known.host,
            port=known.port,
            dbname=known.database,
            user=known.login(login),
            password=password,
            connect_timeout=10,
            application_name="meterlake",
            **tls,
        )
    except psycopg2.OperationalError as error:
        # What follows after a tab is advice.
        reason = re.sub(r"\n\t.*", "", str(error).strip()).splitlines()[-1].rpartition(": ")[2]
        raise Unreachable(
            f"PostgreSQL at {known.host}:{known.port} cannot be used ({reason}); "
            "start it with `meterlake stores start`, or correct [postgres] and its password."
        ) from None


def needs_full(table: Table, settings: Settings) -> bool:
    """Whether the mart is missing or has other columns than declared, so that all of its rows have to be published."""
    with session(settings) as run:
        return mart_table.columns(run, table.name) != mart_table.declared(table)


def stage(table: Table, settings: Settings) -> str:
    """Make an empty staging table; those of killed runs are dropped. Returns its name."""
    name = f"{table.name}__staging_{secrets.token_hex(4)}"
    with session(settings) as run:
        postgres_access.ensure_schema(run, ddl.SCHEMA)
        run.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s)",
            (ddl.SCHEMA, f"{table.name}__staging_"),
        )
        for (left,) in run.fetchall():
            run.execute(f"DROP TABLE {mart_table.target(left)}")
        run.execute(ddl.postgres_table(table, name, unlogged=True))
    return name


def write(table: Table, rows: Outgoing, staging: str, settings: Settings) -> None:
    """Append the rows to the staging table by COPY, or through JDBC; a connection and a transaction per task."""
    known, password = endpoint(settings, "postgres"), settings.secret("postgres_etl")
    target = mart_table.target(staging)
    if settings.serving.loader == "jdbc":
        over_jdbc(rows.frame, target, known, password, batchsize="10000", reWriteBatchedInserts="true")
    else:
        into = f"COPY {target} ({ddl.columns(table.names)}) FROM STDIN"
        rows.hand(partial(_copied, known=known, password=password, into=into))


def staged(table: Table, staging: str, settings: Settings) -> totals.Totals:
    with session(settings) as run:
        run.execute(f"{totals.postgres_select(table)} FROM {mart_table.target(staging)}")
        return totals.named(table, run.fetchone())


def empty(table: Table, staging: str, settings: Settings) -> None:
    with session(settings) as run:
        run.execute(f"TRUNCATE {mart_table.target(staging)}")


def swap(table: Table, staging: str, slices: Collection[Slice] | None, settings: Settings) -> None:
    """Replace the slices (None: everything) by the staged rows, in one transaction, then drop the staging table."""
    mart, order = mart_table.target(table.name), ddl.columns(ddl.published(table).order_by)
    with session(settings) as run:
        mart_table.conform(run, table, slices)
        postgres_access.protect(run, table, settings)
        run.execute(f"SELECT EXISTS (SELECT FROM {mart})")
        if postgres_access.value(run):
            _delete(run, table, slices)
        else:  # nobody reads it: without a log, and with the indexes built after the rows
            mart_table.make_bare(run, table)
        names = ddl.columns(table.names)
        run.execute(f"INSERT INTO {mart} ({names}) SELECT {names} FROM {mart_table.target(staging)} ORDER BY {order}")
        mart_table.make_indexes(run, table)
        for statement in ddl.postgres_comments(table):
            run.execute(statement)
        run.execute(f"DROP TABLE {mart_table.target(staging)}")
    _vacuum(table, settings)


def discard(table: Table, staging: str, settings: Settings) -> None:
    with session(settings) as run:
        run.execute(f"DROP TABLE IF EXISTS {mart_table.target(staging)}")


def count(table: Table, settings: Settings, source: str | None = None) -> int | None:
    """Rows of the mart, of one source when named; None when it does not exist."""
    with session(settings) as run:
        if not mart_table.columns(run, table.name):
            return None
        run.execute(
            f"SELECT count(*) FROM {mart_table.target(table.name)} WHERE %s IS NULL OR source = %s", (source, source)
        )
        return int(postgres_access.value(run))


def protect(settings: Settings) -> None:
    """Grants, views and row policies of all marts and copies that are there, as declared and configured now."""
    with session(settings) as run:
        for table in MARTS:
            if mart_table.columns(run, table.name) == mart_table.declared(table):
                postgres_access.protect(run, table, settings)
        postgres_access.grant_ops(run, settings)


@contextmanager
def session(settings: Settings) -> Iterator[cursor]:
    """One transaction: committed at the end of the block, rolled back when it fails."""
    opened = connect(settings)
    try:
        with opened, opened.cursor() as run:
            yield run
    finally:
        opened.close()


def _copied(batches: Batches, known: Endpoint, password: str, into: str) -> None:
    """By COPY, few rows as text: what is null has no quotes there, a text has some, also an empty one."""
    opened = _connected(known, "etl", password)
    try:
        with opened, opened.cursor() as run:
            run.execute("SET TIME ZONE 'UTC'")
            for rows in joined(batches, COPIED_ROWS):
                few = rows.num_rows < COPIED_ROWS
                made = _as_text(rows) if few else encoded(rows)
                run.copy_expert(f"{into} (FORMAT {'csv' if few else 'binary'})", pa.BufferReader(made), SENT_BYTES)
    finally:
        opened.close()


def _as_text(rows: pa.Table) -> pa.Buffer:
    out = pa.BufferOutputStream()
    pa.csv.write_csv(as_texts(rows), out, pa.csv.WriteOptions(include_header=False))
    return out.getvalue()


def _delete(run: cursor, table: Table, slices: Collection[Slice] | None) -> None:
    mart = mart_table.target(table.name)
    if slices is None:
        run.execute(f"DELETE FROM {mart}")
        return
    sources, months = [each.source for each in slices], [each.month for each in slices]
    run.execute(
        f"DELETE FROM {mart} m USING unnest(%s::text[], %s::date[]) AS changed (source, month) "
        f"WHERE m.source = changed.source AND date_trunc('month', m.{ddl.quoted(ddl.day(table))}) = changed.month",
        (sources, months),
    )


def _vacuum(table: Table, settings: Settings) -> None:
    """Free the replaced rows and refresh the planner's statistics; outside of any transaction, as VACUUM wants it."""
    opened = connect(settings)
    opened.autocommit = True
    with opened.cursor() as run:
        run.execute(f"VACUUM (ANALYZE) {mart_table.target(table.name)}")
    opened.close()
