"""The operational tables in PostgreSQL, for the auditor: copies as of the last publication, in the schema `ops`.

`ops.copies` says which version of which table of a lake each copy holds, so that a publication adds the rows that are
new. It is written with them, in one transaction. The lake's tables are the ones that count.
"""

from typing import Any, NamedTuple

import pyarrow as pa
from psycopg2.extensions import cursor
from psycopg2.extras import Json, execute_values

from meterlake.serving import ddl, postgres, postgres_access, postgres_mart
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Table

SCHEMA = postgres_access.OPS
OPS: tuple[Table, ...] = tuple(table for table in TABLES.values() if table.layer == "ops")
COPIES = f"{SCHEMA}.copies"


class State(NamedTuple):
    """A table of a lake at a point of its history: Delta's id of the table, and a version of it."""

    identity: str
    version: int


class News(NamedTuple):
    """What makes a copy that of a state.

    Attributes:
        rows: as Spark gives them (`toArrow`): times with their zone, a map as pairs.
        whole: whether the rows are all there are; else they are added to what is held.
    """

    rows: pa.Table
    state: State
    whole: bool


def held(settings: Settings) -> dict[str, State]:
    """What each copy is a copy of, by table.

    Left out is what cannot be added to: a copy that is not there, has other columns than declared, or another number of
    rows than were put there, as somebody emptied it.
    """
    with postgres.session(settings) as run:
        _ensure_copies(run)
        found = {table.name: _held(run, table) for table in OPS if _as_declared(run, table)}
    return {name: state for name, state in found.items() if state}


def copy(table: Table, news: News, settings: Settings) -> None:
    """Make the copy that of the news' state, in one transaction; made anew where other columns are declared."""
    with postgres.session(settings) as run:
        _ensure_copies(run)
        if news.whole:
            _empty(run, table)
        _insert(run, table, news.rows)
        run.execute(
            f"INSERT INTO {COPIES} SELECT %s, %s, %s, count(*), now() FROM {_target(table)} "
            "ON CONFLICT (table_name) DO UPDATE SET identity = excluded.identity, version = excluded.version, "
            "row_count = excluded.row_count, copied_at = excluded.copied_at",
            (table.name, *news.state),
        )
        postgres_access.grant_ops(run, settings)


def _ensure_copies(run: cursor) -> None:
    postgres_access.ensure_schema(run, SCHEMA)
    run.execute(
        f"CREATE TABLE IF NOT EXISTS {COPIES} (table_name text PRIMARY KEY, identity text NOT NULL, "
        "version bigint NOT NULL, row_count bigint NOT NULL, copied_at timestamp with time zone NOT NULL)"
    )


def _held(run: cursor, table: Table) -> State | None:
    run.execute(
        f"SELECT identity, version FROM {COPIES} "
        f"WHERE table_name = %s AND row_count = (SELECT count(*) FROM {_target(table)})",
        (table.name,),
    )
    found = run.fetchone()
    return State(*found) if found else None


def _as_declared(run: cursor, table: Table) -> bool:
    return postgres_mart.columns(run, table.name, SCHEMA) == postgres_mart.declared(table)


def _empty(run: cursor, table: Table) -> None:
    if not _as_declared(run, table):
        run.execute(f"DROP TABLE IF EXISTS {_target(table)}")
        run.execute(ddl.postgres_table(table, table.name, schema=SCHEMA))
        for statement in ddl.postgres_comments(table, SCHEMA):
            run.execute(statement)
    run.execute(f"DELETE FROM {_target(table)}")


def _insert(run: cursor, table: Table, rows: pa.Table) -> None:
    maps = {column.name for column in table.columns if column.type.startswith("map<")}
    values = (
        tuple(_as_json(row[name]) if name in maps else row[name] for name in table.names)
        for batch in rows.to_batches(max_chunksize=10_000)
        for row in batch.to_pylist()
    )
    statement = f"INSERT INTO {_target(table)} ({ddl.columns(table.names)}) VALUES %s"
    execute_values(run, statement, values, page_size=1000)


def _target(table: Table) -> str:
    return f"{SCHEMA}.{ddl.quoted(table.name)}"


def _as_json(pairs: list[tuple[str, Any]] | None) -> Json | None:
    return None if pairs is None else Json(dict(pairs))
