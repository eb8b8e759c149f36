"""Dumps of both stores, by the commands of docs/runbook.md, bring their marts back after both are lost."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from tests.serving.test_access import LOGINS, METRICS, SCORES, publish

from meterlake.serving import clickhouse, embedded
from meterlake.serving.endpoint import endpoint
from meterlake.serving.postgres_binaries import binaries
from meterlake.settings import Serving, Settings

DATABASES = "DATABASE energy_analytics, DATABASE energy_analytics_private"


@pytest.fixture
def home(settings: Settings) -> Iterator[Settings]:
    """A home with two marts in both stores. Logins have regions, hence row policies that bind the owner, too."""
    settings = settings.model_copy(update={"serving": Serving(loader="native", logins=LOGINS)})
    embedded.start(settings)
    for table in (METRICS, SCORES):
        publish(table, settings)
    yield settings
    embedded.stop(settings)


def test_dumps_bring_both_stores_back(home: Settings, tmp_path: Path) -> None:
    before = seen(home)
    _program(home, "pg_dump", "--format=custom", f"--file={tmp_path / 'meterlake.dump'}")
    clickhouse.connect(home).command(f"BACKUP {DATABASES} TO File('today')")
    shutil.move(home.home / "clickhouse" / "backups", tmp_path)
    embedded.stop(home)
    for store in ("postgres", "clickhouse"):
        shutil.rmtree(home.home / store)

    embedded.start(home)
    _program(home, "pg_restore", "--clean", "--if-exists", tmp_path / "meterlake.dump")
    shutil.move(tmp_path / "backups", home.home / "clickhouse")
    clickhouse.connect(home).command(f"RESTORE {DATABASES} FROM File('today')")
    embedded.grant(home)
    assert seen(home) == before


def seen(settings: Settings) -> dict[str, list[Any]]:
    """What logins see: all rows, those of a region, sums, and pseudonyms."""
    known = endpoint(settings, "postgres")
    found: dict[str, list[Any]] = {}
    for role, suffix in (("reader", ""), ("reader", "_north"), ("analyst", ""), ("data_scientist", "")):
        login, schema = f"meterlake_{role}{suffix}", "marts" if role == "reader" else role
        opened = psycopg2.connect(
            host=known.host,
            port=known.port,
            dbname=known.database,
            user=login,
            password=settings.secret("postgres_reader" if login == known.reader else f"postgres_{login}"),
        )
        with opened, opened.cursor() as run:
            run.execute(f"SELECT * FROM {schema}.mart_anomaly_scores")
            found[f"{login} in PostgreSQL"] = sorted(map(str, run.fetchall()))
        opened.close()
    client = clickhouse.connect(settings)
    for database in ("energy_analytics", "energy_analytics_analyst", "energy_analytics_data_scientist"):
        rows = client.query(f"SELECT * FROM {database}.anomaly_scores").result_rows
        found[f"{database} in ClickHouse"] = sorted(map(str, rows))
    assert all(found.values())
    return found


def _program(settings: Settings, name: str, *options: str | Path) -> None:
    """A program of PostgreSQL on the marts' database, as the superuser: the writer is bound by row policies."""
    known = endpoint(settings, "postgres")
    address = ("--host", known.host, "--port", str(known.port), "--username", "postgres", "--dbname", known.database)
    password = {"PGPASSWORD": settings.secret("postgres_admin")}
    subprocess.run([binaries(None) / name, *address, *options], env=os.environ | password, check=True)
