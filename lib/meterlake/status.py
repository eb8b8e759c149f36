"""What stands in a home: rows per table, last runs, ledger, gates and stores."""

from typing import Any

from pyspark.sql import functions as F

from meterlake.serving import embedded
from meterlake.session import spark_session
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.ops import LEDGER, QUALITY_RESULTS, RUNS
from meterlake.tables.store import Store

COUNTS = ("lines", "loaded", "unparsable", "current", "exact_duplicates", "superseded", "quarantined", "replaced")


def status(settings: Settings) -> dict[str, Any]:
    """Everything `meterlake status` tells, ready for JSON."""
    store = Store(spark_session(settings, "meterlake status"), settings)
    sums = [F.sum(name).alias(name) for name in COUNTS]
    ledger = store.read(LEDGER).groupBy("source").agg(F.count("*").alias("batches"), *sums)
    newest = F.max(F.struct("started_at", "run_id", "seconds", "rows_in", "rows_out")).alias("last")
    runs = store.read(RUNS).groupBy("source", "step").agg(newest).select("source", "step", "last.*")
    return {
        "home": str(settings.home),
        "lake": settings.lake_root,
        "tables": {name: store.read(table).count() for name, table in TABLES.items() if store.exists(table)},
        "runs": [row.asDict() for row in runs.orderBy("started_at").collect()],
        "ledger": [row.asDict() | {"balances": _balances(row)} for row in ledger.orderBy("source").collect()],
        "gates": _gates(store),
        "stores": [
            {
                "name": endpoint.name,
                "running": endpoint.running,
                "host": endpoint.host,
                "port": endpoint.port,
                "database": endpoint.database,
                "reader": endpoint.reader,
                "jdbc": endpoint.jdbc_url,
            }
            for endpoint in embedded.status(settings)
        ],
    }


def _balances(row: Any) -> bool:
    accounted = row.current + row.exact_duplicates + row.superseded + row.quarantined
    return bool(row.lines == row.loaded + row.unparsable and row.loaded == accounted)


def _gates(store: Store) -> list[dict[str, Any]]:
    """The verdicts of the last time that each suite ran, counted."""
    results = store.read(QUALITY_RESULTS)
    last = results.groupBy("source", "suite").agg(F.max_by("run_id", "checked_at").alias("run_id"))
    counted = results.join(last, on=["source", "suite", "run_id"], how="left_semi").groupBy("source", "suite", "run_id")
    failed = F.count_if(~F.col("success") & (F.col("severity") == "critical")).alias("failed")
    warned = F.count_if(~F.col("success") & (F.col("severity") == "warning")).alias("warnings")
    return [row.asDict() for row in counted.agg(F.count("*").alias("expectations"), failed, warned).collect()]


def told(found: dict[str, Any]) -> str:
    """`status` for a person."""
    lines = [f"home {found['home']}", "", "rows"]
    lines += [f"  {name:<26} {count:>14,}" for name, count in found["tables"].items()]
    lines += ["", "last runs"]
    lines += [
        f"  {run['source']:<16} {run['step']:<18} {run['started_at']:%Y-%m-%d %H:%M}  {run['seconds']:>7.1f} s"
        f"  {run['rows_in']:>12,} in {run['rows_out']:>12,} out"
        for run in found["runs"]
    ]
    lines += ["", "ledger"]
    for entry in found["ledger"]:
        parts = ", ".join(f"{entry[name]:,} {name.replace('_', ' ')}" for name in COUNTS)
        lines.append(f"  {entry['source']:<16} {'balances' if entry['balances'] else 'DOES NOT BALANCE'}: {parts}")
    lines += ["", "gates"]
    lines += [
        f"  {gate['source']:<16} {gate['suite']:<18} {gate['expectations']} expectations, {gate['failed']} failed, "
        f"{gate['warnings']} warnings"
        for gate in found["gates"]
    ]
    lines += ["", "stores"]
    lines += [
        f"  {store['name']:<12} {'up  ' if store['running'] else 'down'} {store['jdbc']} (reader {store['reader']})"
        for store in found["stores"]
    ]
    return "\n".join(lines)
