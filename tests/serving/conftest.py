"""Both real servers, started once for the tests of this folder, and the builders of a small mart."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection
from pyspark.sql import DataFrame, SparkSession

from meterlake.serving import clickhouse, embedded, postgres
from meterlake.serving.endpoint import endpoint
from meterlake.session import SMALL_BYTES, size_to
from meterlake.settings import PROJECT, Settings, load
from meterlake.tables.table import Column, Published, Sums, Table

MART = Table(
    name="mart_of_tests",
    layer="gold",
    description="A mart with every type that is served; it isn't real.",
    grain="one interval of one meter",
    owner="tests",
    columns=(
        Column("source", "string", "The source.", required=True),
        Column("meter_id", "string", "The meter.", required=True),
        Column("reading_timestamp", "timestamp", "Start of the interval.", required=True),
        Column("reading_date_local", "date", "Local day.", required=True),
        Column("consumption_kwh", "decimal(18,4)", "Energy.", "kWh"),
        Column("score", "double", "Score."),
        Column("rank", "int", "Rank."),
        Column("reading_count", "bigint", "Readings."),
        Column("is_anomaly", "boolean", "Flag.", required=True),
        Column("reasons", "string", "Reasons."),
    ),
    key=("source", "meter_id", "reading_timestamp"),
    day="reading_date_local",
    derives_from=("files",),
    published=Published(
        clickhouse="of_tests",
        order_by=("source", "meter_id", "reading_timestamp"),
        indexes=(("source", "is_anomaly", "reading_timestamp"),),
        low_cardinality=("source", "reasons"),
        sums=Sums(by=("source", "reading_date_local"), of=("sum(consumption_kwh)", "count()")),
    ),
)

Rows = Callable[..., DataFrame]
Fetch = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose two stores run."""
    settings = with_free_ports(load(conf=PROJECT / "conf" / "test.toml", home=tmp_path_factory.mktemp("serving-home")))
    with embedded.stores(settings):
        yield settings


@pytest.fixture(params=["native, by tasks", "native, here", "jdbc"])
def loading(request: pytest.FixtureRequest, serving: Settings, spark: SparkSession) -> Iterator[Settings]:
    """The settings of `serving` with each way of rows into the stores in turn."""
    loader, _, where = request.param.partition(", ")
    size_to(spark, 2 * SMALL_BYTES if where == "by tasks" else 0, serving)
    yield serving.model_copy(update={"serving": serving.serving.model_copy(update={"loader": loader})})
    size_to(spark, 0, serving)


def with_free_ports(settings: Settings) -> Settings:
    ports = []
    with contextlib.ExitStack() as held:
        for _ in range(3):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    store, analytics = settings.postgres, settings.clickhouse
    return settings.model_copy(
        update={
            "postgres": store.model_copy(update={"port": ports[0]}),
            "clickhouse": analytics.model_copy(update={"port": ports[1], "native_port": ports[2]}),
        }
    )


@pytest.fixture
def mart(serving: Settings, request: pytest.FixtureRequest) -> Iterator[Table]:
    """The mart of tests under a name of its own; gone after the test."""
    number = abs(hash(request.node.nodeid)) % 10**8
    published = replace(MART.published, clickhouse=f"of_tests_{number}") if MART.published else None
    table = replace(MART, name=f"mart_of_tests_{number}", published=published)
    yield table
    with postgres.connect(serving) as opened, opened.cursor() as run:
        run.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'marts' AND starts_with(tablename, %s)", (table.name,)
        )
        for (name,) in run.fetchall():
            run.execute(f"DROP TABLE marts.{name} CASCADE")
    opened.close()
    client = clickhouse.connect(serving)
    for (name,) in client.query("SELECT name FROM system.tables WHERE database = 'energy_analytics'").result_rows:
        if name.startswith(f"of_tests_{number}"):
            client.command(f"DROP TABLE energy_analytics.{name} SYNC")
    client.close()


@pytest.fixture
def rows(spark: SparkSession) -> Rows:
    """Build rows: `rows(days=3, start=date(2024, 1, 30), score=0.5)` is one reading a day, with any column replaced."""

    def build(days: int = 1, start: date = date(2024, 1, 30), meter_id: str = "m1", **columns: Any) -> DataFrame:
        made = []
        for offset in range(days):
            day = start + timedelta(days=offset)
            values: dict[str, Any] = {
                "source": "smart_meter",
                "meter_id": meter_id,
                "reading_timestamp": datetime(day.year, day.month, day.day, 12, 30),
                "reading_date_local": day,
                "consumption_kwh": Decimal("0.1234"),
                "score": 0.1,
                "rank": offset,
                "reading_count": 48,
                "is_anomaly": False,
                "reasons": None,
            }
            made.append(tuple((values | columns)[name] for name in MART.names))
        return spark.createDataFrame(made, MART.schema)

    return build


@pytest.fixture
def reader(serving: Settings) -> Iterator[connection]:
    """The read-only login of PostgreSQL."""
    known = endpoint(serving, "postgres")
    opened = psycopg2.connect(
        host=known.host,
        port=known.port,
        dbname=known.database,
        user=known.reader,
        password=serving.secret("postgres_reader"),
    )
    opened.autocommit = True
    yield opened
    opened.close()


@pytest.fixture
def in_postgres(serving: Settings) -> Fetch:
    def fetch(statement: str) -> list[tuple[Any, ...]]:
        opened = postgres.connect(serving)
        with opened, opened.cursor() as run:
            run.execute(statement)
            found = run.fetchall() if run.description else []
        opened.close()
        return found

    return fetch


@pytest.fixture
def in_clickhouse(serving: Settings) -> Fetch:
    def fetch(statement: str) -> list[tuple[Any, ...]]:
        client = clickhouse.connect(serving)
        found = client.query(statement).result_rows
        client.close()
        return [tuple(row) for row in found]

    return fetch
