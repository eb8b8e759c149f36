"""What each login reads of a mart in PostgreSQL: grants, a view per role, and a row policy where logins have regions.

The writer owns all of it, so it also works on a server where somebody else made the logins (`meterlake stores grant`).
Views and policies are made again only when they change: that locks the mart, and somebody may be reading it.
"""

import io
from functools import partial
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from psycopg2.extensions import cursor

from meterlake.errors import UsageError
from meterlake.governance.access import (
    KEY,
    PSEUDONYM_DIGITS,
    ROLES,
    VIEW_ROLES,
    Role,
    of_regions,
    regions_of,
    select,
    shown,
    told_by,
)
from meterlake.serving import ddl
from meterlake.serving.logins import logins
from meterlake.settings import Login, Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.table import Table

POLICY = "regions"
OPS = "ops"
# The writer's alone. A pseudonym without its key cannot be found out by hashing every meter's name.
KEYS = "private.pseudonym_keys"


def protect(run: cursor, table: Table, settings: Settings) -> None:
    """Grants, views and row policy of a mart that is there, as declared and configured, in the caller's transaction;
    also the policies of the marts that look up their regions in it."""
    _keep_key(run, settings)
    for role in VIEW_ROLES:
        _view(run, table, role)
    _policy(run, table, settings)
    for other in told_by(table):
        if _is_there(run, other):
            _policy(run, other, settings)
    for name, login in _logins(run, settings).items():
        for role in ROLES:
            _grant(run, table, role, name, login.role == role)


def grant_ops(run: cursor, settings: Settings) -> None:
    """The operational tables that are there to the auditors, and to nobody else."""
    ensure_schema(run, OPS)
    for name, login in _logins(run, settings).items():
        verb, towards = ("GRANT", "TO") if login.role == "auditor" else ("REVOKE", "FROM")
        run.execute(f"{verb} USAGE ON SCHEMA {OPS} {towards} {ddl.quoted(name)}")
        run.execute(f"{verb} SELECT ON ALL TABLES IN SCHEMA {OPS} {towards} {ddl.quoted(name)}")


def let_go(run: cursor, table: Table) -> None:
    """Drop what hangs on the mart's columns, which are about to change: the views, and the policies that look up in it.

    `protect` makes them anew; until then no row of those marts is seen, as their row security stays on.
    """
    for role in VIEW_ROLES:
        _drop(run, relation(table, role))
    for other in told_by(table):
        if _is_there(run, other):
            run.execute(f"DROP POLICY IF EXISTS {POLICY} ON {relation(other, 'reader')}")


def ensure_schema(run: cursor, name: str) -> None:
    """Make the schema when it is missing; only then is the writer's right to do so asked for."""
    run.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (name,))
    if value(run):
        return
    try:
        run.execute(f"CREATE SCHEMA {ddl.quoted(name)}")
    except psycopg2.errors.InsufficientPrivilege:
        raise UsageError(
            f"The writer may not make the schema {name} in PostgreSQL; make it with the writer as its owner "
            f"(CREATE SCHEMA {name} AUTHORIZATION ...), then run again."
        ) from None


def detail(error: psycopg2.Error) -> str:
    """The first thing that PostgreSQL names as the reason."""
    return (error.diag.message_detail or "").partition("\n")[0]


def relation(table: Table, role: Role) -> str:
    """What a role reads the mart by, quoted."""
    schema = role if role in VIEW_ROLES else ddl.SCHEMA
    return f"{ddl.quoted(schema)}.{ddl.quoted(table.name)}"


def pseudonym(column: str) -> str:
    return f"left(encode(sha256(convert_to({KEY} || {column}, 'UTF8')), 'hex'), {PSEUDONYM_DIGITS})"


def _view(run: cursor, table: Table, role: Role) -> None:
    """The view itself; security_barrier, so that no function of the asker sees a row before the view's condition."""
    target = relation(table, role)
    ensure_schema(run, role)
    run.execute("SELECT obj_description(to_regclass(%s))", (target,))
    wanted = select(table, role, relation(table, "reader"), KEYS, pseudonym) if shown(table, role) else None
    if value(run) == wanted:
        return
    _drop(run, target)
    if wanted:
        run.execute(f"CREATE VIEW {target} WITH (security_barrier = true) AS {wanted}")
        run.execute(f"COMMENT ON VIEW {target} IS %s", (wanted,))


def _drop(run: cursor, view: str) -> None:
    try:
        run.execute(f"DROP VIEW IF EXISTS {view}")
    except psycopg2.errors.DependentObjectsStillExist as error:
        raise UsageError(
            f"{view} has to be made anew, but something depends on it ({detail(error)}); "
            "drop that, run again, and make it anew."
        ) from None


def _policy(run: cursor, table: Table, settings: Settings) -> None:
    """Row-level security where a login has regions.

    Forced, as the views ask in the name of the mart's owner; by session_user, who stays the same inside of a view.
    """
    target = relation(table, "reader")
    wanted = _scopes(run, table, settings)
    run.execute(
        "SELECT obj_description(oid, 'pg_policy') FROM pg_policy WHERE polname = %s AND polrelid = %s::regclass",
        (POLICY, target),
    )
    if value(run) == wanted:
        return
    run.execute(f"DROP POLICY IF EXISTS {POLICY} ON {target}")
    for what in ("ENABLE", "FORCE") if wanted else ("DISABLE", "NO FORCE"):
        run.execute(f"ALTER TABLE {target} {what} ROW LEVEL SECURITY")
    if wanted:
        run.execute(f"CREATE POLICY {POLICY} ON {target} USING ({wanted})")
        run.execute(f"COMMENT ON POLICY {POLICY} ON {target} IS %s", (wanted,))


def _scopes(run: cursor, table: Table, settings: Settings) -> str | None:
    """The condition of a row that a login may see; None when every login may see every row."""
    cases = []
    for name, login in sorted(logins(settings, "postgres").items()):
        if login.regions is not None:
            cases.append(f"WHEN '{name}' THEN {_scope(run, table, login)}")
    return f"CASE session_user {' '.join(cases)} ELSE true END" if cases else None


def _scope(run: cursor, table: Table, login: Login) -> str:
    """False also where the mart that tells the regions is not there yet."""
    if not login.regions or not all(_is_there(run, TABLES[each.mart]) for each in regions_of(table)):
        return "false"
    regions = sql.SQL(", ").join(map(sql.Literal, login.regions)).as_string(run)
    return of_regions(table, login.role, f'"region" IN ({regions})', partial(_looked_up, login.role)) or "false"


def _looked_up(role: Role, mart: Table) -> str:
    """What a policy reads a mart by: it judges rows with their own names. For the analyst that is what it sees, so that
    no feeder of few meters is told; in full, as the other logins may not read its view and all are in one policy."""
    itself = relation(mart, "reader")
    return f"({select(mart, role, itself, KEYS, pseudonym)}) AS seen" if role == "analyst" else itself


def _is_there(run: cursor, table: Table) -> bool:
    """Whether the mart is there and has the columns that are declared."""
    run.execute(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY(%s) AND NOT attisdropped",
        (relation(table, "reader"), table.names),
    )
    return bool(value(run) == len(table.names))


def _logins(run: cursor, settings: Settings) -> dict[str, Login]:
    """Those of the configuration that the server knows."""
    run.execute("SELECT rolname FROM pg_roles")
    there = {name for (name,) in run.fetchall()}
    return {name: login for name, login in logins(settings, "postgres").items() if name in there}


def _grant(run: cursor, table: Table, role: Role, login: str, wanted: bool) -> None:
    """The role's relation to the login, or away from it: its role may have been another one."""
    target = relation(table, role)
    if role == "auditor" or not shown(table, role):
        return
    if wanted:
        run.execute(f"GRANT USAGE ON SCHEMA {target.partition('.')[0]} TO {ddl.quoted(login)}")
    verb, towards = ("GRANT", "TO") if wanted else ("REVOKE", "FROM")
    run.execute(f"{verb} SELECT ON {target} {towards} {ddl.quoted(login)}")


def _keep_key(run: cursor, settings: Settings) -> None:
    """The key of the pseudonyms: once there it stays, as several homes may publish to one server.

    By COPY: a statement can get into the server's log.
    """
    ensure_schema(run, KEYS.partition(".")[0])
    run.execute(f"CREATE TABLE IF NOT EXISTS {KEYS} ({KEY} text NOT NULL)")
    run.execute(f"SELECT EXISTS (SELECT FROM {KEYS})")
    if not value(run):
        run.copy_expert(f"COPY {KEYS} FROM STDIN", io.StringIO(settings.secret("pseudonym_key") + "\n"))


def value(run: cursor) -> Any:
    """The first value of the first row; None when there is no row."""
    row = run.fetchone()
    return row[0] if row else None
