"""Who may read what, asked of both real stores: for every role what it sees, and attempts that must fail."""

import contextlib
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import psycopg2
import psycopg2.errors
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from psycopg2.extras import execute_values
from pyspark.sql.pandas.types import to_arrow_schema
from tests.conftest import settings_for

from meterlake.errors import UsageError
from meterlake.governance import access
from meterlake.governance.access import ROLES, VIEW_ROLES, Role
from meterlake.serving import clickhouse, clickhouse_access, ddl, embedded, postgres, postgres_access, postgres_mart
from meterlake.serving.endpoint import STORES, StoreName, endpoint
from meterlake.serving.logins import logins, secret_name
from meterlake.serving.postgres_ops import OPS, News, State, copy, held
from meterlake.settings import Login, Serving, Settings
from meterlake.tables.catalog import MARTS, TABLES
from meterlake.tables.ops import RUNS
from meterlake.tables.table import SMALLEST_GROUP, Column, Table

METRICS, SCORES, BALANCE, FORECAST, *GROUPS = (
    TABLES[f"mart_{name}"]
    for name in (
        "consumption_metrics",
        "anomaly_scores",
        "energy_balance",
        "load_forecast",
        "region_kpis",
        "load_factors",
        "weekly_load_profile",
        "feeder_outages",
        "reliability",
    )
)
# A login for each role, and one of each role that sees the region `north` only.
LOGINS: dict[str, Login] = {
    f"meterlake_{role}{suffix}": Login(role=role, regions=regions)
    for role in ROLES
    for suffix, regions in (("", None), ("_north", ("north",)))
    if (role, regions) not in (("reader", None), ("auditor", ("north",)))
}
NOWHERE = {"meterlake_nowhere": Login(role="reader", regions=())}
# Seven meters in the north, of which two have a feeder of their own, and five in the south, one without a region.
METERS = [(f"n{number}", "north", "F1" if number < 5 else "F2") for number in range(7)]
METERS += [(f"s{number}", "south", "F3") for number in range(5)] + [("lost", None, None)]
# The meter n0 moves south.
MOVED = {"meter_id": "n0", "region": "south", "feeder": "F3", "period": "month"}
MOVED |= {name: date(2024, 2, 1) for name in ("period_start_local", "reading_date_local")}
MOVED |= {"reading_timestamp": datetime(2024, 2, 1, tzinfo=UTC)}
ELEMENTS = [("source", "x"), ("region", "north"), ("region", "south"), ("feeder", "F1"), ("feeder", "F2")]
ELEMENTS += [("feeder", "F3"), ("meter", "n1"), ("meter", "s0"), ("meter", "lost")]
VALUES: dict[str, Any] = {
    "string": "x",
    "int": 1,
    "bigint": 48,
    "double": 0.5,
    "boolean": True,
    "date": date(2024, 1, 1),
    "timestamp": datetime(2024, 1, 1, tzinfo=UTC),
    "decimal(18,4)": Decimal("1.5"),
}


def row(table: Table, **columns: Any) -> tuple[Any, ...]:
    """A row of a mart, with any column replaced."""
    return tuple(columns.get(column.name, VALUES[column.type]) for column in table.columns)


def rows(table: Table) -> list[tuple[Any, ...]]:
    if table in GROUPS:
        meters = {"north": SMALLEST_GROUP, "islet": SMALLEST_GROUP - 1}
        return [row(table, region=region, element=region, meters=count) for region, count in meters.items()]
    if table is FORECAST:
        return [row(table, level=level, element=element) for level, element in ELEMENTS]
    if table is BALANCE:
        small = {
            "customers": SMALLEST_GROUP - 1,
            "meters": SMALLEST_GROUP - 1,
            "level": "meter",
            "element": "n0",
            "region": "north",
        }
        large = {
            "customers": SMALLEST_GROUP,
            "meters": SMALLEST_GROUP,
            "level": "feeder",
            "region": "north",
            "element": "F1",
        }
        return [row(table, **small), row(table, **large)]
    made = [
        row(table, meter_id=meter, region=region, feeder=feeder, period="month") for meter, region, feeder in METERS
    ]
    return [*made, row(table, **MOVED)] if table in (METRICS, SCORES) else made


def publish(table: Table, settings: Settings) -> None:
    """As `publish.publish` does, with the rows of this page in the place of Spark's."""
    publish_in_postgres(table, settings)
    staging = clickhouse.stage(table, settings)
    client = clickhouse.connect(settings)
    client.insert(staging, rows(table), column_names=table.names, database=settings.clickhouse.database)
    clickhouse.swap(table, staging, None, settings)


def publish_in_postgres(table: Table, settings: Settings) -> None:
    staging = postgres.stage(table, settings)
    with postgres.connect(settings) as opened, opened.cursor() as run:
        execute_values(run, f"INSERT INTO {postgres_mart.target(staging)} VALUES %s", rows(table))
    postgres.swap(table, staging, None, settings)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Both stores with every mart, published twice: what a login may do must outlive the swap. At first a mart is there
    before the one that tells its regions."""
    settings = settings_for(tmp_path_factory.mktemp("access"))
    settings = settings.model_copy(update={"serving": Serving(loader="native", logins=LOGINS | NOWHERE)})
    with embedded.stores(settings):
        for table in (*reversed(MARTS), *MARTS):
            publish(table, settings)
        yield settings


Ask = Callable[[StoreName, str, str], list[tuple[Any, ...]]]


@pytest.fixture
def ask(served: Settings) -> Iterator[Ask]:
    """Rows of a query by a login: `ask("postgres", "meterlake_analyst", "SELECT 1")`."""
    with contextlib.ExitStack() as opened:

        def fetch(store: StoreName, login: str, query: str) -> list[tuple[Any, ...]]:
            known, password = endpoint(served, store), served.secret(secret_name(served, store, login))
            if store == "clickhouse":
                client = clickhouse_connect.get_client(
                    host=known.host, port=known.port, username=login, password=password, autogenerate_session_id=False
                )
                opened.callback(client.close)
                return [tuple(found) for found in client.query(query).result_rows]
            connection = psycopg2.connect(
                host=known.host, port=known.port, dbname=known.database, user=login, password=password
            )
            opened.callback(connection.close)
            with connection, connection.cursor() as run:
                run.execute(query)
                return run.fetchall()

        yield fetch


def relation(store: StoreName, table: Table, role: Role) -> str:
    if store == "postgres":
        return postgres_access.relation(table, role)
    return clickhouse_access.relation(table, role, "energy_analytics")


both_stores = pytest.mark.parametrize("store", STORES)


@both_stores
@pytest.mark.parametrize("role", [role for role in ROLES if role != "auditor"])
def test_a_role_sees_what_is_declared_for_it(ask: Ask, store: StoreName, role: Role) -> None:
    for table in MARTS:
        names = access.shown(table, role)
        found = ask(store, f"meterlake_{role}", f"SELECT {ddl.columns(names)} FROM {relation(store, table, role)}")
        assert found, f"{table.name} is empty"


@both_stores
def test_the_analyst_sees_sums_and_no_small_group(ask: Ask, store: StoreName) -> None:
    """F2 has two meters and no region one: neither is shown."""
    target = relation(store, METRICS, "analyst")
    query = f"SELECT region, feeder, meters, consumption_kwh, reading_count FROM {target} ORDER BY feeder"
    assert ask(store, "meterlake_analyst", query) == [
        ("north", "F1", 5, Decimal("7.5"), 240),
        ("south", "F3", 5, Decimal("7.5"), 240),
    ]
    assert ask(store, "meterlake_analyst", f"SELECT customers FROM {relation(store, BALANCE, 'analyst')}") == [
        (SMALLEST_GROUP,)
    ]
    for table in GROUPS:
        assert ask(store, "meterlake_analyst", f"SELECT meters FROM {relation(store, table, 'analyst')}") == [
            (SMALLEST_GROUP,)
        ]
    levels = ask(store, "meterlake_analyst", f"SELECT DISTINCT level FROM {relation(store, FORECAST, 'analyst')}")
    assert sorted(levels) == [("feeder",), ("region",), ("source",)]


def test_the_data_scientist_sees_pseudonyms_the_same_in_both_stores(ask: Ask) -> None:
    found = {}
    for store in STORES:
        for name in ("mart_consumption_metrics", "mart_load_profile"):
            target = relation(store, TABLES[name], "data_scientist")
            query = f"SELECT DISTINCT meter_id FROM {target} ORDER BY meter_id"
            found[store, name] = [meter for (meter,) in ask(store, "meterlake_data_scientist", query)]
    first, *others = found.values()
    assert all(each == first for each in others), "a meter has one pseudonym"
    assert len(set(first)) == len(METERS)
    assert {len(meter) for meter in first} == {access.PSEUDONYM_DIGITS}


def test_an_explained_view_does_not_show_the_key(ask: Ask, served: Settings) -> None:
    """ClickHouse's plan has the values of constants in it, and a scalar subquery is one."""
    key = served.secret("pseudonym_key")
    for store, explain in (("postgres", "EXPLAIN (ANALYZE, VERBOSE)"), ("clickhouse", "EXPLAIN actions = 1")):
        target = relation(store, METRICS, "data_scientist")
        plan = ask(store, "meterlake_data_scientist", f"{explain} SELECT meter_id FROM {target} WHERE meter_id = 'x'")
        assert access.KEY in str(plan)
        assert key not in str(plan)


def test_another_home_changes_no_pseudonym(served: Settings, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where somebody took the key away, the writer makes it anew: other pseudonyms, the same in both stores."""
    queries = {
        store: f"SELECT max(meter_id) FROM {relation(store, METRICS, 'data_scientist')} WHERE feeder = 'F3'"
        for store in STORES
    }

    def pseudonyms() -> set[Any]:
        return {ask(store, "meterlake_data_scientist", query)[0][0] for store, query in queries.items()}

    before = pseudonyms()
    monkeypatch.setenv("METERLAKE_SECRET_PSEUDONYM_KEY", "the key of another home")
    embedded.grant(served)
    assert pseudonyms() == before
    with postgres.connect(served) as opened, opened.cursor() as run:
        run.execute("TRUNCATE private.pseudonym_keys")
    clickhouse.connect(served).command("TRUNCATE TABLE energy_analytics_private.pseudonym_keys")
    embedded.grant(served)
    assert len(before) == len(pseudonyms()) == 1
    assert pseudonyms() != before


SCOPED = [role for role in ROLES if role != "auditor"]


@both_stores
@pytest.mark.parametrize("role", SCOPED)
def test_a_login_of_a_region_sees_its_rows_only(ask: Ask, store: StoreName, role: Role) -> None:
    login = f"meterlake_{role}_north"
    for table in MARTS:
        target = relation(store, table, role)
        if "region" in access.shown(table, role):
            found = ask(store, login, f"SELECT DISTINCT region FROM {target}")
            assert found == [("north",)], table.name
    everywhere = relation(store, METRICS, role)
    assert len(ask(store, f"meterlake_{role}", f"SELECT DISTINCT region FROM {everywhere}")) > 1


@both_stores
def test_a_login_of_a_region_sees_the_scores_of_its_meters(ask: Ask, store: StoreName) -> None:
    """Of the months in which they were its meters. Sums over all meters are of no region: the analyst sees none."""

    def seen(role: Role, columns: str, table: Table, where: str = "true") -> list[Any]:
        query = f"SELECT {columns} FROM {relation(store, table, role)} WHERE {where} ORDER BY 1"
        return ask(store, f"meterlake_{role}_north", query)

    january = date(2024, 1, 1)
    assert seen("reader", "meter_id, reading_date_local", SCORES) == [(f"n{n}", january) for n in range(7)]
    assert seen("reader", "meter_id", SCORES, "meter_id = 's0' OR is_anomaly AND meter_id = 'lost'") == []
    pseudonyms = seen("data_scientist", "meter_id", SCORES)
    assert pseudonyms == seen("data_scientist", "meter_id", METRICS)
    assert len(pseudonyms) == 7
    assert seen("analyst", "meters", SCORES) == []
    for role in SCOPED:
        everywhere = f"SELECT count(*) FROM {relation(store, SCORES, role)}"
        assert ask(store, f"meterlake_{role}", everywhere) == [(1 if role == "analyst" else len(METERS) + 1,)]


@both_stores
@pytest.mark.parametrize(
    ("role", "elements"),
    [
        ("reader", {("region", "north"), ("feeder", "F1"), ("feeder", "F2"), ("meter", "n1")}),
        ("data_scientist", {("region", "north"), ("feeder", "F1"), ("feeder", "F2")}),
        # F2 has two meters: it may not see any sum of them, so not that they are there either.
        ("analyst", {("region", "north"), ("feeder", "F1")}),
    ],
)
def test_a_login_of_a_region_sees_the_forecasts_of_its_elements(
    ask: Ask, store: StoreName, role: Role, elements: set[tuple[str, str]]
) -> None:
    found = ask(store, f"meterlake_{role}_north", f"SELECT level, element FROM {relation(store, FORECAST, role)}")
    assert set(found) == elements


def test_scores_find_their_regions_again_after_a_new_column_of_the_metrics(served: Settings, ask: Ask) -> None:
    """PostgreSQL's policies hang on the columns that they look up: they are dropped and made anew."""
    other = tuple(
        replace(each, required=each.required and each.name != "period_start_local") for each in METRICS.columns
    )
    query = f"SELECT count(*) FROM {relation('postgres', SCORES, 'reader')}"
    for table in (replace(METRICS, columns=other), METRICS):
        publish_in_postgres(table, served)
        assert ask("postgres", "meterlake_reader_north", query) == [(7,)]


@both_stores
def test_kept_sums_pass_no_row_filter(ask: Ask, store: StoreName) -> None:
    """ClickHouse answers both from sums that it keeps of all regions."""
    target = relation(store, METRICS, "reader")
    by_day = f"SELECT period_start_local, sum(consumption_kwh) FROM {target} GROUP BY period_start_local"
    assert ask(store, "meterlake_reader_north", by_day) == [(date(2024, 1, 1), Decimal("10.5"))]
    assert ask(store, "meterlake_nowhere", f"SELECT coalesce(sum(consumption_kwh), 0) FROM {target}") == [(0,)]


@both_stores
def test_a_login_of_no_region_sees_no_row(ask: Ask, store: StoreName) -> None:
    for table in MARTS:
        assert ask(store, "meterlake_nowhere", f"SELECT count(*) FROM {relation(store, table, 'reader')}") == [(0,)]


def attempts(role: Role) -> dict[str, tuple[str, str]]:
    """What a role must not be let do: in words, in PostgreSQL, in ClickHouse."""
    own = role if role != "auditor" else "reader"
    mart, column = "marts.mart_consumption_metrics", "energy_analytics.consumption_metrics"
    view = relation("clickhouse", METRICS, own)
    tried = {
        "read_the_pseudonyms_key": (
            "SELECT * FROM private.pseudonym_keys",
            "SELECT * FROM energy_analytics_private.pseudonym_keys",
        ),
        "insert": (f"INSERT INTO {mart} (source) VALUES ('x')", f"INSERT INTO {view} SELECT * FROM {view}"),
        "delete": (f"DELETE FROM {mart}", f"ALTER TABLE {column} DELETE WHERE 1"),
        "drop": (f"DROP TABLE {mart}", f"DROP TABLE {column}"),
        "make_a_view": (
            "CREATE VIEW marts.mine AS SELECT 1 AS x",
            "CREATE VIEW energy_analytics.mine AS SELECT 1 AS x",
        ),
        "read_a_file": (
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        ),
        "become_the_writer": ("SET ROLE meterlake_etl", f"CREATE OR REPLACE VIEW {view} AS SELECT 1 AS x"),
        "lift_the_row_policy": (
            f"ALTER TABLE {mart} NO FORCE ROW LEVEL SECURITY",
            f"CREATE ROW POLICY mine ON {column} USING 1 TO ALL",
        ),
        "lift_the_row_policy_of_scores": (
            "DROP POLICY regions ON marts.mart_anomaly_scores",
            "CREATE ROW POLICY mine ON energy_analytics.anomaly_scores USING 1 TO ALL",
        ),
        "move_a_meter_into_its_region": (
            f"UPDATE {mart} SET region = 'north'",
            f"ALTER TABLE {column} UPDATE region = 'north' WHERE 1",
        ),
    }
    for other in ("reader", *VIEW_ROLES):
        if other != role:
            tried[f"read_what_the_{other}_reads"] = (
                f"SELECT * FROM {relation('postgres', METRICS, other)}",
                f"SELECT * FROM {relation('clickhouse', METRICS, other)}",
            )
    if role != "auditor":
        tried["read_what_the_auditor_reads"] = (
            "SELECT * FROM ops.runs",
            "SELECT query FROM energy_analytics_log.access_log",
        )
    return tried


@pytest.mark.parametrize(
    ("login", "tried"),
    [
        pytest.param(name, tried, id=f"{name.removeprefix('meterlake_')}-{tried}")
        for name, login in ({"meterlake_reader": Login(role="reader")} | LOGINS).items()
        for tried in attempts(login.role)
    ],
)
def test_an_attempt_that_must_fail(ask: Ask, login: str, tried: str) -> None:
    role = LOGINS[login].role if login in LOGINS else "reader"
    in_postgres, in_clickhouse = attempts(role)[tried]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask("postgres", login, in_postgres)
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
        ask("clickhouse", login, in_clickhouse)


def logged(ask: Ask, query: str, lines: int = 1) -> list[tuple[Any, ...]]:
    """What the auditor finds in ClickHouse's access log, as soon as it is so many lines: they are written every 2 s."""
    until = time.monotonic() + 10
    while len(found := ask("clickhouse", "meterlake_auditor", query)) < lines and time.monotonic() < until:
        time.sleep(0.2)
    return found


def test_the_auditor_sees_who_asked_for_what(ask: Ask, served: Settings) -> None:
    """Also what was refused; and nothing of the log but its own columns."""
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
        ask("clickhouse", "meterlake_analyst", "SELECT meter_id FROM energy_analytics.consumption_metrics")
    query = (
        "SELECT type, exception_code FROM energy_analytics_log.access_log "
        "WHERE user = 'meterlake_analyst' AND query LIKE 'SELECT meter_id FROM energy_analytics.consumption_metrics%'"
    )
    assert logged(ask, query)[0] == ("ExceptionBeforeStart", 497)
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
        ask("clickhouse", "meterlake_auditor", "SELECT Settings FROM system.query_log")
    ask("postgres", "meterlake_analyst", "SELECT count(*) AS audited FROM analyst.mart_consumption_metrics")
    log = (served.home / "logs" / "postgres.log").read_text()
    assert "meterlake_analyst LOG:  statement: SELECT count(*) AS audited" in log
    assert "meterlake_etl LOG:  statement" not in log, "the writer's statements are many"


def ran(*run_ids: str) -> pa.Table:
    """Rows of ops.runs as Spark gives them."""
    figures = {"inputs": [("meter_readings", 3)], "outputs": None, "figures": [("flagged", 0.5)]}
    row = {column.name: figures.get(column.name, VALUES.get(column.type)) for column in RUNS.columns}
    return pa.Table.from_pylist(
        [row | {"run_id": name} for name in run_ids], to_arrow_schema(RUNS.schema, timezone="UTC")
    )


def test_the_auditor_sees_what_ran(served: Settings, ask: Ask) -> None:
    """Times with their zone, maps as JSON; rows that are added, and a copy that is made again."""

    def seen() -> list[Any]:
        return [name for (name,) in ask("postgres", "meterlake_auditor", "SELECT run_id FROM ops.runs ORDER BY run_id")]

    assert held(served) == {}
    copy(RUNS, News(ran("first"), State("lake", 1), whole=True), served)
    copy(RUNS, News(ran("second"), State("lake", 3), whole=False), served)
    assert seen() == ["first", "second"]
    assert held(served) == {"runs": State("lake", 3)}
    copy(RUNS, News(ran("third"), State("another lake", 2), whole=True), served)
    assert seen() == ["third"]
    assert held(served) == {"runs": State("another lake", 2)}
    query = "SELECT started_at, inputs, outputs, figures ->> 'flagged' FROM ops.runs"
    values = (VALUES["timestamp"], {"meter_readings": 3}, None, "0.5")
    assert ask("postgres", "meterlake_auditor", query) == [values]
    query = "SELECT table_name, identity, version, row_count FROM ops.copies"
    assert ask("postgres", "meterlake_auditor", query) == [("runs", "another lake", 2, 1)]
    for table in OPS:
        nothing = to_arrow_schema(table.schema, timezone="UTC").empty_table()
        copy(table, News(nothing, State("lake", 4), whole=True), served)
        assert ask("postgres", "meterlake_auditor", f"SELECT * FROM ops.{table.name}") == []
    assert held(served) == {table.name: State("lake", 4) for table in OPS}


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param("DELETE FROM ops.runs", id="emptied"),
        pytest.param("DROP TABLE ops.runs", id="dropped"),
        pytest.param("ALTER TABLE ops.runs DROP COLUMN figures", id="other_columns"),
        pytest.param("DROP SCHEMA ops CASCADE", id="another_database"),
    ],
)
def test_a_copy_that_was_harmed_is_not_added_to(served: Settings, ask: Ask, harm: str) -> None:
    copy(RUNS, News(ran("first"), State("lake", 1), whole=True), served)
    with postgres.session(served) as run:
        run.execute(harm)
    assert "runs" not in held(served)
    copy(RUNS, News(ran("first", "second"), State("lake", 2), whole=True), served)
    assert held(served)["runs"] == State("lake", 2)
    assert ask("postgres", "meterlake_auditor", "SELECT count(*) FROM ops.runs") == [(2,)]


def test_views_follow_the_columns_of_the_mart(served: Settings, ask: Ask) -> None:
    """And where somebody's own view hangs on one, it is named and nothing is changed."""
    profile = TABLES["mart_load_profile"]
    wider = replace(profile, columns=(*profile.columns, Column("peak_kwh", "double", "Peak.", "kWh", adds_up=True)))
    seen = relation("postgres", profile, "analyst")
    with postgres.connect(served) as opened, opened.cursor() as run:
        run.execute(f"CREATE VIEW marts.mine AS SELECT hours FROM {seen}")
    with pytest.raises(UsageError, match=r"has to be made anew, but something depends on it \(view marts\.mine"):
        publish(wider, served)
    with postgres.connect(served) as opened, opened.cursor() as run:
        run.execute("DROP VIEW marts.mine")
    publish(wider, served)
    for store in STORES:
        query = f"SELECT peak_kwh FROM {relation(store, profile, 'analyst')}"
        assert ask(store, "meterlake_analyst", query) == [(2.5,), (2.5,)]
        assert ask(store, "meterlake_analyst_north", query) == [(2.5,)]
    publish(profile, served)
    for store in STORES:
        query = f"SELECT hours FROM {relation(store, profile, 'analyst')}"
        assert ask(store, "meterlake_analyst", query) == [(2.5,), (2.5,)]


def test_a_writer_that_may_not_make_the_views_is_told_what_to_do(
    served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader in its place."""
    reader = served.clickhouse.model_copy(update={"user": served.clickhouse.reader})
    monkeypatch.setenv("METERLAKE_SECRET_CLICKHOUSE_ETL", served.secret("clickhouse_reader"))
    with pytest.raises(UsageError, match="give it the grants that"):
        clickhouse.protect(served.model_copy(update={"clickhouse": reader}))
    owner = served.postgres.model_copy(update={"user": served.postgres.reader})
    monkeypatch.setenv("METERLAKE_SECRET_POSTGRES_ETL", served.secret("postgres_reader"))
    with (
        postgres.session(served.model_copy(update={"postgres": owner})) as run,
        pytest.raises(UsageError, match="may not make the schema mine"),
    ):
        postgres_access.ensure_schema(run, "mine")


def test_the_writer_sees_and_writes_all_rows(served: Settings) -> None:
    """Row policies are forced on the owner, too; it is in none of them."""
    for table in MARTS:
        assert postgres.count(table, served) == clickhouse.count(table, served) == len(rows(table))


def test_no_password_and_no_key_in_a_log_a_command_line_or_a_readable_file(served: Settings) -> None:
    names = [secret_name(served, store, name) for store in STORES for name in logins(served, store)]
    names.append("pseudonym_key")
    secrets = [served.secret(name) for name in names]
    client = clickhouse.connect(served)
    for name in names:
        assert stat.S_IMODE((served.home / "secrets" / name).stat().st_mode) == 0o600
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    files = [file for file in served.folder("logs").rglob("*") if file.is_file()]
    files += [served.home / "stores.json", served.home / "clickhouse" / "config.xml"]
    said = [listed, served.model_dump_json(), *(file.read_text(errors="replace") for file in files)]
    said.append(str([endpoint(served, store) for store in STORES]))
    auditor = clickhouse_connect.get_client(
        host=served.clickhouse.host,
        port=endpoint(served, "clickhouse").port,
        username="meterlake_auditor",
        password=served.secret("clickhouse_meterlake_auditor"),
    )
    said.append(str(auditor.query("SELECT query, exception FROM energy_analytics_log.access_log").result_rows))
    client.close()
    assert "statement: SELECT" in "".join(said)
    assert "pseudonym_key" in said[-1]
    assert [secret for secret in secrets if any(secret in text for text in said)] == []


def test_a_new_password_a_new_role_and_a_login_that_is_gone(
    served: Settings, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last, as it starts the stores again: the analyst's password is made anew, a reader becomes an
    auditor, and the data scientist is taken out. The access log goes on."""
    ask("clickhouse", "meterlake_analyst", "SELECT 'the last words' AS said")
    old = {store: served.secret(f"{store}_meterlake_analyst") for store in STORES}
    gone, errors = "meterlake_data_scientist", (psycopg2.OperationalError, ClickHouseError)
    kept = {name: login for name, login in LOGINS.items() if name != gone}
    kept["meterlake_reader_north"] = Login(role="auditor")
    changed = served.model_copy(update={"serving": Serving(loader="native", logins=kept)})
    for store in STORES:
        (served.home / "secrets" / f"{store}_meterlake_analyst").unlink()
    embedded.stop(served)
    with embedded.stores(changed):
        for store in STORES:
            query = f"SELECT count(*) FROM {relation(store, METRICS, 'analyst')}"
            assert ask(store, "meterlake_analyst", query) == [(2,)]
            with pytest.raises(errors, match=r"not permitted|AUTHENTICATION_FAILED"):
                ask(store, gone, "SELECT 1")
            refused = pytest.raises(errors, match=r"password authentication failed|AUTHENTICATION_FAILED")
            with monkeypatch.context() as patch, refused:
                patch.setenv(f"METERLAKE_SECRET_{store.upper()}_METERLAKE_ANALYST", old[store])
                ask(store, "meterlake_analyst", query)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask("postgres", "meterlake_reader_north", "SELECT source FROM marts.mart_consumption_metrics")
        with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
            ask("clickhouse", "meterlake_reader_north", "SELECT source FROM energy_analytics.consumption_metrics")
        ask("clickhouse", "meterlake_analyst", "SELECT 'the first words' AS said")
        query = (
            "SELECT DISTINCT extract(query, 'the (first|last) words') FROM energy_analytics_log.access_log "
            "WHERE user = 'meterlake_analyst' AND query LIKE '%words% AS said%' ORDER BY 1"
        )
        assert logged(ask, query, lines=2) == [("first",), ("last",)]
