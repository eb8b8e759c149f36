"""The operational tables in PostgreSQL, for the auditor: copies as of the last publication, in the schema `ops`.

They are copied whole: some rows for each step of each run. The lake's are the ones that count.
"""

from typing import Any

import pyarrow as pa
from psycopg2.extensions import cursor
from psycopg2.extras import Json, execute_values

from meterlake.serving import ddl, postgres, postgres_access, postgres_mart
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Table

SCHEMA = postgres_access.OPS
OPS: tuple[Table, ...] = tuple(table for table in TABLES.values() if table.layer == "ops")


def copy(table: Table, rows: pa.Table, settings: Settings) -> None:
    """Replace the copy of the table by these rows, in one transaction; made anew where other columns are declared.

    Args:
        rows: as Spark gives them (`toArrow`): times with their zone, a map as pairs.
    """
    target = f"{SCHEMA}.{ddl.quoted(table.name)}"
    with postgres.session(settings) as run:
        postgres_access.ensure_schema(run, SCHEMA)
        if postgres_mart.columns(run, table.name, SCHEMA) != postgres_mart.declared(table):
            run.execute(f"DROP TABLE IF EXISTS {target}")
            run.execute(ddl.postgres_table(table, table.name, schema=SCHEMA))
            for statement in ddl.postgres_comments(table, SCHEMA):
                run.execute(statement)
        run.execute(f"DELETE FROM {target}")
        _insert(run, table, target, rows)
        postgres_access.grant_ops(run, settings)


def _insert(run: cursor, table: Table, target: str, rows: pa.Table) -> None:
    maps = {column.name for column in table.columns if column.type.startswith("map<")}
    values = (
        tuple(_as_json(row[name]) if name in maps else row[name] for name in table.names)
        for batch in rows.to_batches(max_chunksize=10_000)
        for row in batch.to_pylist()
    )
    execute_values(run, f"INSERT INTO {target} ({ddl.columns(table.names)}) VALUES %s", values, page_size=1000)


def _as_json(pairs: list[tuple[str, Any]] | None) -> Json | None:
    return None if pairs is None else Json(dict(pairs))
