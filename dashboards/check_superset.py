"""`make superset-check`: are the charts right, and how long do they take? Against a Superset and ClickHouse that run.

Imports the assets twice and counts that nothing doubled; asks each chart's data over Superset's API and compares it
with ClickHouse's own answer to the SQL that Superset shows; compares the big numbers with SQL written here, apart from
the datasets' metrics. Prints seconds per chart. Exit code 1 when something differs.
"""

import argparse
import calendar
import json
import math
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import clickhouse_connect
import requests
import yaml
from clickhouse_connect.driver.client import Client
from import_assets import ASSETS, Reader, import_assets
from start_superset import HOST, admin_file, environment, stores

# Each big number, written down once more: the last seven days in the data (or the last one), all sources and regions.
LAST = "(SELECT max(period_start_local) FROM consumption_metrics WHERE period = 'day')"
DAYS = "period = 'day' AND period_start_local > " + LAST + " - {}"
MEAN_OF_DAYS = "SELECT avg(v) FROM (SELECT period_start_local, {} AS v FROM consumption_metrics WHERE " + DAYS.format(7)
FLAGGED = "FROM anomaly_flags WHERE reading_date_local > " + LAST + " - {}"
BIG_NUMBERS = {
    "kpi_consumption": f"SELECT sum(consumption_kwh) FROM consumption_metrics WHERE {DAYS.format(7)}",
    "kpi_peak": MEAN_OF_DAYS.format("avg(peak_power_kw)") + " GROUP BY period_start_local)",
    "kpi_meters": f"SELECT count(DISTINCT source, meter_id) FROM consumption_metrics WHERE {DAYS.format(1)}",
    "kpi_completeness": MEAN_OF_DAYS.format("sum(reading_count) / sum(expected_count) * 100")
    + " GROUP BY period_start_local)",
    "kpi_estimated": MEAN_OF_DAYS.format("sum(estimated_share * reading_count) / sum(reading_count) * 100")
    + " GROUP BY period_start_local)",
    "kpi_loss": "SELECT avg(v) FROM (SELECT reading_date_local, sum(technical_loss_kwh + non_technical_loss_kwh) "
    "/ toFloat64(sum(supplied_kwh)) * 100 AS v FROM energy_balance WHERE level = 'region' AND status = 'balanced' "
    "GROUP BY reading_date_local ORDER BY reading_date_local DESC LIMIT 7)",
    "kpi_flagged": f"SELECT sum(flagged_count) {FLAGGED.format(7)}",
    "kpi_flag_rate": "SELECT avg(flagged / readings) * 100 FROM "
    "(SELECT period_start_local AS day, sum(reading_count) AS readings "
    f"FROM consumption_metrics WHERE {DAYS.format(7)} GROUP BY day) AS a LEFT JOIN (SELECT reading_date_local AS day, "
    f"sum(flagged_count) AS flagged {FLAGGED.format(7)} GROUP BY day) AS b USING (day)",
    "kpi_flagged_meters": f"SELECT count(DISTINCT source, meter_id) {FLAGGED.format(1)} AND flagged_count > 0",
    "kpi_at_stake": f"SELECT sum(energy_at_stake_kwh) {FLAGGED.format(7)}",
}


def main() -> int:
    parsed = _parser().parse_args()
    with stores(parsed.meterlake, parsed.home, parsed.conf) as reader:
        problems = _imported_twice(parsed.home, reader)
        session = _session(parsed.port, admin_file(parsed.home).read_text().strip())
        direct = clickhouse_connect.get_client(
            host=reader.host,
            port=reader.port,
            username=reader.user,
            password=reader.password,
            database=reader.database,
            secure=reader.tls,
            ca_cert=reader.ca or None,
        )
        charts = _charts(session, parsed.port)
        for name, number in charts.items():
            problems += _check(session, parsed.port, direct, name, number)
        if parsed.users:
            _together(session, parsed.port, charts, parsed.users)
    print(f"{len(charts)} charts, {len(problems)} problems", *problems, sep="\n")
    return 1 if problems else 0


def _imported_twice(home: Path, reader: Reader) -> list[str]:
    os.environ |= environment(home)
    from superset.app import create_app

    with create_app().app_context():
        from superset import db
        from superset.connectors.sqla.models import SqlaTable
        from superset.models.core import Database
        from superset.models.dashboard import Dashboard
        from superset.models.slice import Slice

        def counts() -> dict[str, int]:
            return {kind.__name__: db.session.query(kind).count() for kind in (Database, SqlaTable, Slice, Dashboard)}

        import_assets(reader)
        first = counts()
        import_assets(reader)
        second = counts()
    print(f"imported twice: {second}")
    return [] if first == second else [f"the second import left {second}, the first {first}"]


def _check(session: requests.Session, port: int, direct: Client, name: str, number: int) -> list[str]:
    """Ask one chart, and ClickHouse the same SQL. Returns what is wrong."""
    started = time.monotonic()
    answer = session.get(f"http://{HOST}:{port}/api/v1/chart/{number}/data/?force=true", timeout=300)
    seconds = time.monotonic() - started
    if answer.status_code != 200:
        return [f"{name}: {answer.status_code} {answer.text[:300]}"]
    shown = answer.json()["result"]
    problems, rows = [], 0
    context = json.loads(
        session.get(f"http://{HOST}:{port}/api/v1/chart/{number}", timeout=60).json()["result"]["query_context"]
    )
    for query in context["queries"]:
        query["post_processing"] = []
    plain = session.post(f"http://{HOST}:{port}/api/v1/chart/data", json=context | {"force": True}, timeout=300).json()
    for result in plain["result"]:
        found = direct.query(result["query"].rstrip().rstrip(";"))
        expected = [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]
        rows += len(expected)
        if not expected:
            problems.append(f"{name}: no row")
        elif not _same(result["data"], expected, result["colnames"], found.column_names):
            problems.append(f"{name}: Superset and ClickHouse differ: {result['data'][:1]} and {expected[:1]}")
    if name in BIG_NUMBERS:
        problems += _big_number(name, shown[0], direct)
    print(f"{name:<26} {seconds:6.2f} s  {rows:>7,} rows  {'ok' if not problems else 'WRONG'}", flush=True)
    return problems


def _big_number(name: str, shown: dict[str, Any], direct: Client) -> list[str]:
    """The number on the page is the last value of the series that Superset returns."""
    label = next(column for column in shown["colnames"] if not column.startswith(("period_start", "reading_date")))
    last = max(shown["data"], key=lambda row: next(value for column, value in row.items() if column != label))[label]
    wanted = direct.query(BIG_NUMBERS[name]).result_rows[0][0]
    return [] if _close(last, wanted) else [f"{name}: Superset shows {last}, SQL of our own says {wanted}"]


def _same(shown: list[dict[str, Any]], direct: list[dict[str, Any]], names: list[str], columns: Iterable[str]) -> bool:
    """Row by row in any order; Superset's SQL gives an alias in ClickHouse a suffix, its answer does not."""
    pairs = list(zip(names, columns, strict=True))
    left = sorted(tuple(_plain(row[name]) for name, _ in pairs) for row in shown)
    right = sorted(tuple(_plain(row[column]) for _, column in pairs) for row in direct)
    return left == right


def _plain(value: Any) -> str:
    """A value as text that both sides agree on: ten digits of a number, a time in seconds."""
    if hasattr(value, "timetuple"):
        return str(calendar.timegm(value.timetuple()))
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float, Decimal)):
        if isinstance(value, float) and math.isnan(value):
            return "None"
        number = float(value)
        if number > 1e11:  # Superset gives times as milliseconds
            number /= 1000
        return f"{number:.10g}"
    return str(value)


def _close(left: Any, right: Any) -> bool:
    """To a millionth: losses are rounded to 1e-4 kWh in the mart, and our SQL adds up other columns of it."""
    return math.isclose(float(left), float(right), rel_tol=1e-6, abs_tol=1e-9)


def _together(session: requests.Session, port: int, charts: dict[str, int], users: int) -> None:
    """So many users open all charts at once: seconds of the median and of the slowest answer."""

    def timed(number: int) -> float:
        started = time.monotonic()
        session.get(f"http://{HOST}:{port}/api/v1/chart/{number}/data/?force=true", timeout=300).raise_for_status()
        return time.monotonic() - started

    with ThreadPoolExecutor(users) as pool:
        taken = sorted(pool.map(timed, [*charts.values()] * users))
    print(
        f"{users} users at once: {len(taken)} answers, median {taken[len(taken) // 2]:.2f} s, slowest {taken[-1]:.2f} s"
    )


def _charts(session: requests.Session, port: int) -> dict[str, int]:
    """Superset's number of each chart file."""
    found = session.get(
        f"http://{HOST}:{port}/api/v1/chart/", params={"q": "(page_size:200,columns:!(id,uuid))"}, timeout=60
    )
    numbers = {each["uuid"]: each["id"] for each in found.json()["result"]}
    files = sorted((ASSETS / "charts").glob("*.yaml"))
    return {file.stem: numbers[yaml.safe_load(file.read_text())["uuid"]] for file in files}


def _session(port: int, password: str) -> requests.Session:
    session = requests.Session()
    login = {"username": "admin", "password": password, "provider": "db"}
    token = session.post(f"http://{HOST}:{port}/api/v1/security/login", json=login, timeout=60).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    csrf = session.get(f"http://{HOST}:{port}/api/v1/security/csrf_token/", timeout=60).json()["result"]
    session.headers.update({"X-CSRFToken": csrf, "Referer": f"http://{HOST}:{port}/"})
    return session


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare each chart of a running Superset with ClickHouse.")
    parser.add_argument("--home", type=lambda text: Path(text).expanduser().resolve(), required=True)
    parser.add_argument("--conf", type=Path)
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--meterlake", required=True, help="the command that knows the stores")
    parser.add_argument("--users", type=int, default=0, help="then ask all charts as so many users at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
