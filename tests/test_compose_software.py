"""What the same software says of the command lines and files of docker-compose.yml, where it can be had here.

No container runs: PostgreSQL and ClickHouse are the embedded ones of the same major version, Airflow and MLflow the
installed packages, Spark's classes those of the jars. docs/compose.md says for each service what was run and what not.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import clickhouse_connect
import psycopg2
import pyspark
import pytest
import yaml

from meterlake.serving import clickhouse_access, clickhouse_server, postgres_server, processes
from meterlake.serving import postgres as postgres_target
from meterlake.settings import PROJECT, Settings, load
from meterlake.tables.catalog import TABLES
from tests.compose_file import SERVICES, environment

COMPOSE = PROJECT / "conf" / "compose"
JARS = Path(pyspark.__file__).parent / "jars"


def after(command: list[str], flag: str) -> list[str]:
    """Every word that follows this flag."""
    return [command[number + 1] for number, word in enumerate(command) if word == flag]


@pytest.fixture
def postgres(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A new PostgreSQL, run with the settings of the service's command line, that knows its superuser alone."""
    given = dict(pair.split("=", 1) for pair in after(SERVICES["postgres"]["command"], "-c"))
    here = {"unix_socket_directories": "", "cluster_name": "compose"}
    monkeypatch.setattr(postgres_server, "TUNING", given | here)
    monkeypatch.setattr(postgres_server, "_prepare", lambda settings, port: None)
    monkeypatch.setenv("METERLAKE_SECRET_POSTGRES_ADMIN", environment()["POSTGRES_PASSWORD"])
    monkeypatch.setenv("METERLAKE_SECRET_POSTGRES_ETL", environment()["POSTGRES_ETL_PASSWORD"])
    settings.folder("logs")
    port = postgres_server.start(settings)
    yield settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"port": port})})
    postgres_server.stop(settings)


def refused(settings: Settings, user: str, database: str, statement: str = "SELECT 1") -> str:
    """Why the role, with its password of .env, may not log in or do this; "" when it may."""
    given = {"meterlake_etl": "POSTGRES_ETL", "meterlake_reader": "POSTGRES_READER"}
    own = f"POSTGRES_{user.upper()}" if user.startswith("meterlake_") else f"{user.upper()}_DB"
    secret = given.get(user, own)
    password = environment()[f"{secret}_PASSWORD"]
    at = {"host": "127.0.0.1", "port": settings.postgres.port, "dbname": database}
    try:
        with contextlib.closing(psycopg2.connect(user=user, password=password, **at)) as opened:
            opened.autocommit = True
            opened.cursor().execute(statement)
            return ""
    except psycopg2.Error as error:
        return str(error)


def publish_by_hand(settings: Settings) -> None:
    """An empty mart, as the writer publishes it, with what goes with it."""
    outside = settings.model_copy(update={"postgres": settings.postgres.model_copy(update={"embedded": False})})
    mart = TABLES["mart_load_profile"]
    staging = postgres_target.stage(mart, outside)
    postgres_target.swap(mart, staging, None, outside)


def test_postgres_takes_the_settings_and_the_roles(postgres: Settings) -> None:
    at = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres.postgres.port),
        "PGPASSWORD": environment()["POSTGRES_PASSWORD"],
    }
    psql = str(postgres_server.binaries(postgres_server.server_user()))
    path = {"PATH": f"{psql}{os.pathsep}{os.environ['PATH']}"}
    script = str(COMPOSE / "postgres" / "roles.sh")
    given = {name: environment()[name] for name in SERVICES["postgres"]["environment"] if name in environment()}
    done = subprocess.run([script], env=path | at | given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert refused(postgres, "meterlake_etl", "meterlake", "CREATE TABLE marts.kept AS SELECT 1 AS x") == ""
    assert refused(postgres, "meterlake_reader", "meterlake", "SELECT x FROM marts.kept") == "", (
        "also what is made later"
    )
    assert "permission denied" in refused(postgres, "meterlake_reader", "meterlake", "DELETE FROM marts.kept")
    assert "permission denied" in refused(postgres, "meterlake_reader", "meterlake", "CREATE TABLE marts.mine (x int)")
    publish_by_hand(postgres)
    for role in ("analyst", "data_scientist"):
        seen = f"SELECT * FROM {role}.mart_load_profile"
        assert refused(postgres, f"meterlake_{role}", "meterlake", seen) == ""
        assert "permission denied" in refused(
            postgres, f"meterlake_{role}", "meterlake", "SELECT * FROM marts.mart_load_profile"
        )
    assert "permission denied" in refused(postgres, "meterlake_auditor", "meterlake", "SELECT * FROM marts.kept")
    for owner in ("airflow", "mlflow", "superset"):
        assert refused(postgres, owner, owner, "CREATE TABLE own (x int)") == ""
        assert "permission denied" in refused(postgres, owner, "meterlake"), "a database is its owner's alone"
    log = (postgres.home / "logs" / "postgres.log").read_text()
    assert [name for name, value in given.items() if value in log] == [], "a password in the log"


@pytest.fixture
def clickhouse(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The HTTP port of a ClickHouse that reads server.xml and users.xml beside a file of its own.

    The library's start-up session must log in as `default`, so `<default remove>` is left out; it listens on loopback;
    and it does not open the port for Prometheus.
    """
    folder = settings.folder("clickhouse")
    port, native = settings.clickhouse.port, settings.clickhouse.native_port
    assert native is not None
    clickhouse_server.write_config(settings, port, native)
    config = (folder / "config.xml").read_text()
    (folder / "config.xml").write_text(re.sub(r"<(meterlake_\w+)>.*?</\1>", "", config, flags=re.DOTALL))
    (folder / "config.d").mkdir()
    server = (COMPOSE / "clickhouse" / "server.xml").read_text().replace("0.0.0.0", "127.0.0.1")
    (folder / "config.d" / "server.xml").write_text(server)
    users = ElementTree.parse(COMPOSE / "clickhouse" / "users.xml")
    found = users.find("users/default")
    assert found is not None
    users.find("users").remove(found)  # type: ignore[union-attr]
    users.write(folder / "config.d" / "users.xml")
    given = {name: environment().get(value, value) for name, value in SERVICES["clickhouse"]["environment"].items()}
    command = [sys.executable, "-m", clickhouse_server.MARKER, str(clickhouse_server.clickhouse_library())]
    search = {"PYTHONPATH": str(PROJECT / "lib")}
    log = settings.folder("logs") / "clickhouse.log"
    process = processes.spawn(command, folder, log, env=os.environ | given | search)
    monkeypatch.setenv("METERLAKE_SECRET_CLICKHOUSE_ETL", environment()["CLICKHOUSE_ETL_PASSWORD"])
    processes.wait_until(
        lambda: clickhouse_server._ask(settings, port, "SELECT 1") == b"1\n", process, "ClickHouse", log
    )
    yield port
    processes.stop(folder, clickhouse_server.MARKER, signal.SIGTERM)


def test_clickhouse_takes_the_files(clickhouse: int) -> None:
    at = {"host": "127.0.0.1", "port": clickhouse}
    etl = clickhouse_connect.get_client(
        username="meterlake_etl", password=environment()["CLICKHOUSE_ETL_PASSWORD"], **at
    )
    etl.command("CREATE DATABASE IF NOT EXISTS energy_analytics")
    etl.command("CREATE TABLE energy_analytics.kept (x Int64) ENGINE = MergeTree ORDER BY x")
    etl.command("INSERT INTO energy_analytics.kept VALUES (1)")
    reader = clickhouse_connect.get_client(
        username="meterlake_reader", password=environment()["CLICKHOUSE_READER_PASSWORD"], **at
    )
    assert reader.query("SELECT x FROM energy_analytics.kept").result_rows == [(1,)]
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="ACCESS_DENIED"):
        reader.command("INSERT INTO energy_analytics.kept VALUES (2)")
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match="AUTHENTICATION_FAILED"):
        clickhouse_connect.get_client(username="meterlake_reader", password="", **at)


def test_clickhouse_users_are_those_of_the_declarations() -> None:
    assert (COMPOSE / "clickhouse" / "users.xml").read_text() == clickhouse_access.file(load()), (
        "run `python -m meterlake.serving.clickhouse_access > conf/compose/clickhouse/users.xml`"
    )


@pytest.mark.parametrize("name", ["spark-master", "spark-worker", "spark-history"])
def test_spark_has_the_class(name: str) -> None:
    program, main, *_ = SERVICES[name]["command"]
    assert (Path(pyspark.__file__).parent / "bin" / program).is_file()
    (core,) = JARS.glob("spark-core_*.jar")
    assert f"{main.replace('.', '/')}.class" in zipfile.ZipFile(core).namelist()


def test_spark_has_the_classes_of_the_metrics() -> None:
    (core,) = JARS.glob("spark-core_*.jar")
    names = zipfile.ZipFile(core).namelist()
    classes = re.findall(r"^\S+\.class=(\S+)$", (COMPOSE / "spark" / "metrics.properties").read_text(), re.MULTILINE)
    assert classes
    assert [name for name in classes if f"{name.replace('.', '/')}.class" not in names] == []


def test_mlflow_knows_the_options() -> None:
    from mlflow.cli import cli

    program, command, *options = SERVICES["mlflow"]["command"]
    assert program == "mlflow"
    parsed = cli.commands[command].make_context(command, list(options), resilient_parsing=False).params
    assert parsed["host"] == "0.0.0.0"
    assert parsed["artifacts_destination"].startswith("s3://")
    from mlflow.server.security_utils import is_allowed_host_header

    allowed = parsed["allowed_hosts"].split(",")
    assert all(is_allowed_host_header(allowed, host) for host in ("mlflow:5000", "127.0.0.1:5000", "localhost:15000"))
    assert not is_allowed_host_header(allowed, "elsewhere.example:5000")


def test_the_drivers_of_the_databases_are_installed() -> None:
    """SQLAlchemy 2.1 takes another driver than psycopg2 where an address names none."""
    from sqlalchemy import make_url

    command = SERVICES["mlflow"]["command"]
    address = command[command.index("--backend-store-uri") + 1]
    for url in (address, SERVICES["airflow-api"]["environment"]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]):
        assert make_url(url).get_dialect().import_dbapi()
        assert make_url(url).password is None, "libpq takes it from PGPASSWORD"


@pytest.mark.parametrize("name", [name for name in SERVICES if name.startswith("airflow-")])
def test_airflow_knows_commands_and_options(name: str) -> None:
    pytest.importorskip("airflow.sdk", reason="Airflow is not installed")
    from airflow.cli.cli_parser import get_parser
    from airflow.configuration import conf

    words = " ".join(SERVICES[name]["command"])
    health = " ".join(SERVICES[name].get("healthcheck", {}).get("test", []))
    lines = re.findall(r"airflow ([\w -]+(?:\S+ ?)*)", words) + re.findall(r"airflow ([^;&|]+)", health)
    assert lines
    for line in lines:
        get_parser().parse_args(line.replace('"', "").split())
    for variable in SERVICES[name]["environment"]:
        if variable.startswith("AIRFLOW__"):
            _, section, option = variable.lower().split("__", 2)
            assert option in conf.configuration_description[section]["options"], variable


def test_prometheus_takes_its_file() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    command = [promtool, "check", "config", str(COMPOSE / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_asks_services_at_ports_that_they_have() -> None:
    jobs = yaml.safe_load((COMPOSE / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = [target for job in jobs for each in job.get("static_configs", []) for target in each["targets"]]
    targets += [
        f"{name}:{each['port']}" for job in jobs for each in job.get("dns_sd_configs", []) for name in each["names"]
    ]
    first = int(
        re.findall(r"^spark.ui.port\s+(\d+)$", (COMPOSE / "spark" / "spark-defaults.conf").read_text(), re.M)[0]
    )
    drivers = {f"meterlake:{first}", f"airflow-scheduler:{first}", f"airflow-scheduler:{first + 1}"}
    assert drivers <= set(targets)
    for host, port in (target.split(":") for target in set(targets) - drivers if not target.startswith("127.0.0.1")):
        command = " ".join(SERVICES[host].get("command", []))
        inside = [published.split(":")[2] for published in SERVICES[host].get("ports", [])]
        own = (COMPOSE / host / "server.xml").read_text() if host == "clickhouse" else ""
        assert port in inside or port in command or f"<port>{port}</port>" in own, f"{host}:{port}"


def test_grafana_asks_services_as_users_that_they_have() -> None:
    sources = yaml.safe_load((COMPOSE / "grafana" / "datasources" / "meterlake.yml").read_text())["datasources"]
    for source in sources:
        host, port = source["url"].removeprefix("http://").split(":")
        assert port in {published.split(":")[2] for published in SERVICES[host]["ports"]}
        for secret in (source.get("secureJsonData") or {}).values():
            assert secret.removeprefix("$") in SERVICES["grafana"]["environment"]


def test_the_object_store_knows_its_flags() -> None:
    weed = shutil.which("weed")
    if weed is None:
        pytest.skip("weed (SeaweedFS) is not installed")
    command, *flags = SERVICES["object-store"]["command"]
    done = subprocess.run([weed, "help", command], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^  -([\w.]+)", done.stdout + done.stderr, flags=re.MULTILINE))
    assert {flag.lstrip("-").partition("=")[0] for flag in flags} - known == set()
