"""The marts of so many hourly meters, filled into both stores: made by ClickHouse, copied to PostgreSQL, compared.

Staging, indexes, grants and views are the product's own (`stage` and `swap`); only the
way of the rows is another: INSERT SELECT inside of ClickHouse, and COPY of its CSV.
"""

import hashlib
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client
from tests.benchmarks.agreement import Disagreement
from tests.benchmarks.store_marts import DATABASE, selects
from tests.benchmarks.workload import Workload

from meterlake.serving import clickhouse, ddl, postgres, totals
from meterlake.settings import Settings
from meterlake.tables.catalog import MARTS, TABLES
from meterlake.tables.table import Table

# What PostgreSQL gets here over the product's own indexes: all that the charts of many meters read, in an index alone.
COVERING = (
    "CREATE INDEX IF NOT EXISTS bench_metrics ON marts.mart_consumption_metrics (period, period_start_local, region) "
    "INCLUDE (consumption_kwh, reading_count, expected_count, estimated_share, peak_power_kw, load_factor)",
    "CREATE INDEX IF NOT EXISTS bench_scores ON marts.mart_anomaly_scores (reading_timestamp) INCLUDE "
    "(consumption_kwh, expected_kwh, anomaly_score)",
    "CREATE INDEX IF NOT EXISTS bench_profile ON marts.mart_load_profile (hour_of_day, day_type) INCLUDE "
    "(region, feeder, season, month_local, energy_kwh, hours)",
    "CREATE INDEX IF NOT EXISTS bench_flags ON marts.mart_anomaly_flags (reading_date_local, region) INCLUDE "
    "(meter_id, feeder, main_type, flagged_count, worst_score, scored_kwh, energy_at_stake_kwh)",
)
SIZES = {"full": "meters=1000,days=417", "quick": "meters=200,days=60"}


@dataclass(frozen=True)
class Hourly(Workload):
    """Meters at an hour over some days."""

    @property
    def name(self) -> str:
        return f"hourly-{self.meters}x{self.days}"

    @property
    def readings(self) -> int:
        return self.meters * self.days * 24


def hourly(size: str) -> Hourly:
    """full (10,008,000 hours), quick or `meters=N,days=M`."""
    named = Workload.named(SIZES.get(size, size))
    return Hourly(named.meters, named.days)


def fill(workload: Hourly, settings: Settings) -> None:
    """All marts into both stores, which run; nothing to do where they hold these rows in these tables.

    Raises:
        Disagreement: a mart in PostgreSQL is not the one in ClickHouse.
    """
    done = settings.home / "filled"
    if done.exists() and done.read_text() == _fingerprint(workload):
        return
    done.unlink(missing_ok=True)
    client = clickhouse.connect(settings)
    for name, select in selects(workload.meters, workload.days).items():
        print(f"filling {name} ...", flush=True)
        _clickhouse(TABLES[name], select, client, settings)
        _postgres(TABLES[name], client, settings)
    client.close()
    with postgres.session(settings) as run:
        for statement in COVERING:
            run.execute(statement)
    done.write_text(_fingerprint(workload))


def sizes(settings: Settings) -> dict[str, dict[str, int]]:
    """Rows, and bytes in each store with indexes, of each mart."""
    client = clickhouse.connect(settings)
    found = {}
    with postgres.session(settings) as run:
        for table in MARTS:
            run.execute("SELECT pg_total_relation_size(%s::regclass)", (f"{ddl.SCHEMA}.{table.name}",))
            (in_postgres,) = run.fetchone() or (0,)
            name = ddl.published(table).clickhouse
            asked = (
                f"SELECT total_rows, total_bytes FROM system.tables WHERE database = '{DATABASE}' AND name = '{name}'"
            )
            rows, in_clickhouse = client.query(asked).result_rows[0]
            found[table.name] = {"rows": rows, "clickhouse": in_clickhouse, "postgres": in_postgres}
    client.close()
    return found


def _clickhouse(table: Table, select: str, client: Client, settings: Settings) -> None:
    staging = clickhouse.stage(table, settings)
    names = ddl.columns(table.names)
    client.command(
        f"INSERT INTO {DATABASE}.{staging} ({names}) SELECT {names} FROM ({select})",
        settings={"max_partitions_per_insert_block": 0},
    )
    # What background merges come to within minutes; PostgreSQL's counterpart, VACUUM, is a part of its swap.
    client.command(f"OPTIMIZE TABLE {DATABASE}.{staging} FINAL")
    clickhouse.swap(table, staging, None, settings)


def _postgres(table: Table, client: Client, settings: Settings) -> None:
    names, mart = ddl.columns(table.names), f"{DATABASE}.{ddl.published(table).clickhouse}"
    with postgres.session(settings) as run:
        # Whole rows that take the place of whole rows leave a table that is half empty, and slower.
        run.execute(f"DROP TABLE IF EXISTS {ddl.SCHEMA}.{ddl.quoted(table.name)} CASCADE")
    staging = postgres.stage(table, settings)
    csv = client.raw_stream(f"SELECT {names} FROM {mart}", fmt="CSV")
    with postgres.session(settings) as run:
        run.copy_expert(rf"COPY {ddl.SCHEMA}.{staging} ({names}) FROM STDIN (FORMAT csv, NULL '\N')", csv)
    made = client.query(f"{totals.clickhouse_select(table)} FROM {mart}").result_rows[0]
    expected, found = totals.named(table, made), postgres.staged(table, staging, settings)
    for what, (left, right) in totals.differences(expected, found).items():
        raise Disagreement(table.name, what, ("ClickHouse", float(left)), ("PostgreSQL", float(right)))
    postgres.swap(table, staging, None, settings)


def _fingerprint(workload: Hourly) -> str:
    """Of the rows and of the tables they stand in."""
    made: list[object] = [COVERING, selects(workload.meters, workload.days)]
    for table in MARTS:
        made.append(ddl.clickhouse_table(table, DATABASE, table.name))
        made += [ddl.postgres_table(table, table.name), ddl.postgres_indexes(table)]
    return hashlib.sha256(repr(made).encode()).hexdigest()
