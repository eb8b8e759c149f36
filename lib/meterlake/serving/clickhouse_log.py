"""The access log of the embedded ClickHouse, which keeps it over a restart.

Its own `system.query_log` lies in a database that forgets its tables when the server ends, and finds the folder of the
last one in its way at the next start. So a materialized view copies each line to a table that stays.
"""

import shutil
from pathlib import Path

from meterlake.settings import Settings

# Who asked for what, when, from where, and whether it was refused. Of the log no more: it also has settings.
LOG_COLUMNS = (
    "event_time",
    "type",
    "user",
    "address",
    "query_kind",
    "query",
    "tables",
    "columns",
    "result_rows",
    "exception_code",
    "exception",
)
WRITER_GRANTS = (
    "GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, INSERT, SELECT ON {database}_log.*",
    "GRANT SELECT ON system.query_log",
    "GRANT SYSTEM FLUSH LOGS ON *.*",
)


def relation(settings: Settings) -> str:
    """The table that stays."""
    return f"{settings.clickhouse.database}_log.access_log"


def statements(settings: Settings) -> tuple[str, ...]:
    """What makes the log stay, in order; as often as wanted. Lines are kept for a year."""
    target, lines = relation(settings), f"SELECT {', '.join(LOG_COLUMNS)} FROM system.query_log"
    return (
        f"CREATE DATABASE IF NOT EXISTS {settings.clickhouse.database}_log",
        "SYSTEM FLUSH LOGS",  # makes system.query_log
        f"CREATE TABLE IF NOT EXISTS {target} ENGINE = MergeTree PARTITION BY toYYYYMM(event_time) ORDER BY event_time "
        f"TTL event_time + INTERVAL 1 YEAR EMPTY AS {lines}",
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {target}_lines TO {target} AS {lines}",
    )


def forget_kept(folder: Path) -> None:
    """Remove the last server's own log from its data folder: its lines were copied."""
    shutil.rmtree(folder / "data" / "system" / "query_log", ignore_errors=True)
