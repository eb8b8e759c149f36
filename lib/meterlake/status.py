"""What stands in a home: rows per table, last runs, ledger, gates and stores."""

from collections.abc import Callable
from typing import Any

from meterlake.serving import embedded
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.reader import Lake

COUNTS = ("lines", "loaded", "unparsable", "current", "exact_duplicates", "superseded", "quarantined", "replaced")

_LEDGER = f"""
    SELECT source, count(*) AS batches, {", ".join(f"sum({name}) AS {name}" for name in COUNTS)}
    FROM ledger GROUP BY source ORDER BY source
"""
_NEWEST_RUNS = """
    SELECT source, step, started_at, run_id, seconds, rows_in, rows_out
    FROM (SELECT *, row_number() OVER (PARTITION BY source, step ORDER BY started_at DESC) AS back FROM runs) AS marks
    WHERE back = 1
    ORDER BY started_at
"""
# Of the last time that each suite ran.
_LAST_VERDICTS = """
    SELECT source, suite, run_id, count(*) AS expectations,
           count(CASE WHEN NOT success AND severity = 'critical' THEN 1 END) AS failed,
           count(CASE WHEN NOT success AND severity = 'warning' THEN 1 END) AS warnings
    FROM (SELECT *, first_value(run_id) OVER (PARTITION BY source, suite ORDER BY checked_at DESC) AS newest
          FROM quality_results) AS verdicts
    WHERE run_id = newest
    GROUP BY source, suite, run_id
    ORDER BY source, suite
"""


def status(settings: Settings) -> dict[str, Any]:
    """Everything `meterlake status` tells, ready for JSON."""
    ask = _asked(settings)
    counted = {name: ask(f"SELECT count(*) AS counted FROM {name}") for name in TABLES}
    return {
        "home": str(settings.home),
        "lake": settings.lake_root,
        "tables": {name: rows[0]["counted"] for name, rows in counted.items() if rows},
        "runs": ask(_NEWEST_RUNS),
        "ledger": [entry | {"balances": _balances(entry)} for entry in ask(_LEDGER)],
        "gates": ask(_LAST_VERDICTS),
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


def _asked(settings: Settings) -> Callable[[str], list[dict[str, Any]]]:
    """How the lake is asked: without Spark, where that can be."""
    lake = Lake.of(settings)
    if lake.within_reach:
        return lake.rows
    from meterlake.session import spark_session
    from meterlake.tables.store import Store

    store = Store(spark_session(settings, "meterlake status"), settings)
    return lambda statement: [row.asDict() for row in store.ask(statement)]


def _balances(entry: dict[str, Any]) -> bool:
    accounted = sum(entry[name] for name in ("current", "exact_duplicates", "superseded", "quarantined"))
    return bool(entry["lines"] == entry["loaded"] + entry["unparsable"] and entry["loaded"] == accounted)


def told(found: dict[str, Any]) -> str:
    """`status` for a person."""
    lines = [f"home {found['home']}", "", "rows"]
    lines += [f"  {name:<26} {count:>14,}" for name, count in found["tables"].items()]
    lines += ["", "last runs (UTC)"]
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
