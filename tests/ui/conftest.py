"""A home as a run leaves it, made by hand: both real stores with small marts, and a lake that no Spark wrote."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg2.extras import execute_values
from tests.conftest import settings_for
from tests.lake import write
from werkzeug.test import TestResponse

from meterlake.serving import clickhouse, ddl, embedded, postgres
from meterlake.serving import postgres_mart as mart
from meterlake.settings import Settings
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.mart_suspects import MART_SUSPECTS
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER, LOADED_FILES, QUALITY_RESULTS, RUNS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.table import Table
from meterlake.ui.app import create_app
from meterlake.ui.guard import Guard

SOURCE, RUN = "ami", "run-20240201T060000Z-ab12"
# What a file may bring as a name: markup, and everything that ends a text in some language.
HOSTILE = """<script>alert("1")</script>' OR '1'='1 -- \\ %s {meter:String} :source"""
FIRST, DAYS = date(2024, 1, 1), 10
BEGAN = datetime(2024, 2, 1, 6, tzinfo=UTC)
OF_SOURCE = {"source": SOURCE}

Row = dict[str, Any]


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The home, with its stores up."""
    settings = settings_for(tmp_path_factory.mktemp("ui-home"))
    fill_lake(settings)
    embedded.start(settings)
    for table, rows in marts().items():
        publish(settings, table, rows)
    yield settings
    embedded.stop(settings)


@pytest.fixture
def browser(home: Settings) -> FlaskClient:
    """A client that has been let in."""
    return let_in(home)


@pytest.fixture
def page(browser: FlaskClient) -> Callable[[str], str]:
    """The text of a page that must be there: `page("/meters?search=m")`."""

    def text(address: str) -> str:
        answer = browser.get(address)
        assert answer.status_code == 200, answer.text
        return answer.text

    return text


class Browser(FlaskClient):
    """Names the server as a real browser would."""

    def open(self, *args: Any, **asked: Any) -> TestResponse:
        return super().open(*args, **{"base_url": "http://127.0.0.1:8090"} | asked)


def let_in(settings: Settings) -> FlaskClient:
    guard = Guard(8090)
    app = create_app(settings, guard)
    app.test_client_class = Browser
    client = app.test_client()
    assert client.get(guard.address.removeprefix("http://127.0.0.1:8090")).status_code == 200
    return client


def fill_lake(settings: Settings) -> None:
    """One run that loaded two files: 1,000 lines, of which 2 do not parse, 3 are rejected and 1 is repeated."""
    step = OF_SOURCE | {"run_id": RUN, "rows_in": 1000, "rows_out": 994, "seconds": 2.5, "code_version": "0.1.0"}
    versions = {"inputs": [("meter_readings", 0)], "outputs": [("stg_meter_readings", 1)], "figures": []}
    write(settings, RUNS, [step | versions | {"step": name, "started_at": BEGAN} for name in ("ingest", "stage")])
    counts = {"lines": 1000, "loaded": 998, "unparsable": 2, "current": 994, "exact_duplicates": 1, "superseded": 0}
    counts |= {"quarantined": 3, "other_quantity": 0, "replaced": 0, "readings_before": 0, "readings_after": 994}
    write(settings, LEDGER, [OF_SOURCE | counts | {"batch_id": "one", "run_id": RUN, "files": 2}])
    file = OF_SOURCE | {"bytes": 9000, "lines": 500, "loaded": 499, "unparsable": 1, "batch_id": "one"}
    file |= {"ingested_at": BEGAN, "sha256": "ab" * 32}
    write(settings, LOADED_FILES, [file | {"file_id": n, "source_file": f"/data/{n} & co.csv"} for n in (1, 2)])
    judged = OF_SOURCE | {"run_id": RUN, "suite": "raw_readings", "severity": "warning", "checked_at": BEGAN}
    verdicts = (("Lines parse", False), ("There are lines", True))
    write(settings, QUALITY_RESULTS, [judged | {"expectation": what, "success": met} for what, met in verdicts])
    write(settings, QUARANTINED_READINGS, rejected())
    line = OF_SOURCE | {"source_file": "/data/1 & co.csv", "file_id": 1, "batch_id": "one", "ingested_at": BEGAN}
    raw = {"raw_line": "m1,customer 4711,?", "parse_error": "no number: ?", "line_order": 7}
    write(settings, METER_READINGS, [line | raw, line | {"line_order": 8, "meter_id": "m1", "customer_id": "4711"}])
    write(settings, STG_METER_READINGS, readings("m1") + readings(HOSTILE))


def rejected() -> list[Row]:
    line = OF_SOURCE | {"source_file": "/data/1 & co.csv", "file_id": 1, "batch_id": "one", "meter_id": "m1"}
    reasons = (["negative_energy"], ["negative_energy", "future_timestamp"], ["missing_meter"], ["exact_duplicate"])
    made = [line | {"reasons": names, "line_order": order} for order, names in enumerate(reasons)]
    made[2] |= {"meter_id": HOSTILE}
    return made


def readings(meter: str) -> list[Row]:
    """Hours of `DAYS` days; on the last day the third is estimated, the fourth missing."""
    made = []
    for hour in range(24 * DAYS):
        start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        quality = {24 * DAYS - 22: "estimated", 24 * DAYS - 21: "missing"}.get(hour, "measured")
        kwh = None if quality == "missing" else 0.5
        made.append(
            OF_SOURCE
            | {"reading_id": f"{meter}:{hour}", "meter_id": meter, "reading_timestamp": start, "interval_minutes": 60}
            | {"consumption_kwh": kwh, "active_power_kw": kwh, "reading_date_local": start.date(), "quality": quality}
            | {"hour_of_day": start.hour, "day_of_week": start.isoweekday(), "batch_id": "one"}
        )
    return made


def marts() -> dict[Table, list[Row]]:
    meters = [*(f"m{number}" for number in range(1, 60)), HOSTILE]
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    consumption = {"reading_count": 24, "expected_count": 24, "completeness": 1.0, "quality": "measured"}
    consumption |= OF_SOURCE | {"consumption_kwh": Decimal("12.5"), "estimated_share": 0.0, "edited_share": 0.0}
    place = {"region": "north", "feeder": "F1"}
    score = OF_SOURCE | {"reading_timestamp": datetime(2024, 1, 10, 5, tzinfo=UTC), "reading_date_local": days[-1]}
    score |= {"consumption_kwh": Decimal("0.5"), "expected_kwh": Decimal("2"), "active_power_kw": 0.5}
    score |= {"raw_score": 0.7, "model_version": "m/1", "scored_at": BEGAN, "is_anomaly": True, "anomaly_score": 0.9}
    score |= {"anomaly_type": "low_consumption", "reasons": "0.5 kWh where 2 <b>kWh</b> are usual"}
    flag = OF_SOURCE | {"reading_date_local": days[-1], "reading_count": 24, "flagged_count": 1, "worst_score": 0.9}
    flag |= {"worst_reading_timestamp": score["reading_timestamp"], "main_type": "low_consumption"}
    flag |= {"evidence": "reading", "confidence": 0.009}
    inspection = OF_SOURCE | {"day_score": 0.8, "surprise": 40.0, "model_version": "m/1", "usual_kwh": Decimal(12)}
    inspection |= {"consumption_kwh": Decimal(0), "reasons": "read nothing for 24 h in a row"}
    suspect = OF_SOURCE | {"month_local": FIRST, "since_local": days[3], "consumption_kwh": Decimal(100)}
    suspect |= {"reference_kwh": Decimal(150), "shortfall_kwh": Decimal(50), "standard_errors": 4.0}
    suspect |= {"probability": 0.8, "recoverable_kwh": Decimal(40), "reason": "reads a third less than usual"}
    flagged = ("m1", HOSTILE)
    return {
        MART_CONSUMPTION_METRICS: [
            consumption | place | {"meter_id": meter, "period": period, "period_start_local": start}
            for meter in meters
            for period, start in (*(("day", day) for day in days), ("month", FIRST))
        ],
        MART_ANOMALY_SCORES: [score | {"meter_id": meter, "reading_id": meter} for meter in flagged],
        MART_ANOMALY_FLAGS: [flag | place | {"meter_id": meter, "why": score["reasons"]} for meter in flagged],
        MART_INSPECTIONS: [
            inspection | place | {"meter_id": meter, "reading_date_local": day}
            for meter in flagged
            for day in days[-2:]
        ],
        MART_SUSPECTS: [suspect | place | {"meter_id": meter} for meter in flagged],
    }


def publish(settings: Settings, table: Table, rows: list[Row]) -> None:
    """Make the mart in both stores and fill it."""
    whole = [tuple(row.get(name) for name in table.names) for row in rows]
    with postgres.connect(settings) as opened, opened.cursor() as run:
        run.execute(ddl.postgres_table(table, table.name))
        execute_values(run, f"INSERT INTO {mart.target(table.name)} VALUES %s", whole)
    opened.close()
    client = clickhouse.connect(settings)
    name = ddl.published(table).clickhouse
    client.command(ddl.clickhouse_table(table, settings.clickhouse.database, name))
    client.insert(name, whole, column_names=table.names, database=settings.clickhouse.database)
    client.close()
