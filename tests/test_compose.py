"""docker-compose.yml without an engine: the file itself, and that it agrees with .env.example and conf/compose.toml.

What the same software says of its command lines and files, where it can be had here, is in test_compose_software.py.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from meterlake.settings import PROJECT, load, read_toml
from tests.compose_file import EXAMPLE, FILE, ONE_SHOT, SERVICES, VARIABLE, filled_example, loaded

SECRETS = [line.partition("=")[0] for line in EXAMPLE.splitlines() if re.fullmatch(r"\w+=", line)]


def test_it_agrees_with_the_schema_of_the_specification() -> None:
    package = find_spec("check_jsonschema")
    if package is None or package.origin is None:
        pytest.skip("check-jsonschema, which carries the schema of compose files, is not installed")
    import jsonschema

    schema = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = jsonschema.validators.validator_for(json.loads(schema.read_text()))(json.loads(schema.read_text()))
    assert [error.message for error in validator.iter_errors(loaded())] == []
    assert [error.message for error in validator.iter_errors(loaded() | {"services": {"x": {"imagee": "y"}}})] != []


@pytest.fixture
def config(tmp_path: Path) -> Any:
    """`docker compose config` on a copy of the file, with this .env; needs no engine."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("`docker compose` is not installed")
    shutil.copy(PROJECT / FILE, tmp_path)
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}

    def run(env: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / ".env").write_text(env)
        command = [docker, "compose", "--profile", "run", "config", "--format", "json"]
        return subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, check=False)

    return run


def test_docker_compose_takes_it(config: Any) -> None:
    done = config(filled_example())
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)["services"]) == set(SERVICES)


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "SPARK_SECRET"])
def test_a_missing_secret_is_one_sentence(config: Any, name: str) -> None:
    done = config(re.sub(rf"^{name}=.*$", f"{name}=", filled_example(), flags=re.MULTILINE))
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"{name} is missing a value: run make compose-env" in done.stderr


def test_every_secret_is_required_once_and_none_has_a_default() -> None:
    """Once: Compose says one sentence for every place that a missing one is required in."""
    text = (PROJECT / FILE).read_text()
    assert re.findall(r"\$\{(\w+):\?", text) == SECRETS
    used = set(re.findall(r"\$\{(\w+)-\}", text))
    assert used == set(SECRETS)


def test_every_variable_is_in_the_example_with_the_same_default() -> None:
    example = dict(line.split("=", 1) for line in EXAMPLE.splitlines() if re.match(r"\w+=", line))
    used = {found[1]: found[3] for found in VARIABLE.finditer((PROJECT / FILE).read_text())}
    assert set(used) == set(example)
    assert {name: used[name] for name in used if name not in SECRETS} == {
        name: value for name, value in example.items() if value
    }


def test_the_example_holds_no_usable_secret() -> None:
    lines = [line for line in EXAMPLE.splitlines() if re.match(r"\w*(PASSWORD|SECRET|KEY|TOKEN)\w*=", line)]
    assert [line for line in lines if not line.endswith("=")] == []
    assert len(lines) == len(SECRETS)


def test_no_secret_is_written_in_the_file() -> None:
    """Whatever is called a password, secret or key is taken from .env, or is the path of a file."""
    for name, service in yaml.safe_load((PROJECT / FILE).read_text())["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|_KEY", variable):
                assert re.fullmatch(r"\$\{\w+-\}|/\S+", value) or variable == "CLICKHOUSE_SKIP_USER_SETUP", name
        words = json.dumps([service.get("command"), service.get("entrypoint")])
        assert "${" not in words or not any(secret in words for secret in SECRETS), f"{name}: a secret would be in ps"


def test_a_new_env_has_every_secret_once_and_is_ours_alone(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text(EXAMPLE)
    command = [sys.executable, str(PROJECT / "conf" / "compose" / "new_env.py")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = tmp_path / ".env"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in made.read_text().splitlines() if re.match(r"\w+=", line))
    assert len({values[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(values[name]) >= 32 for name in SECRETS)
    before = made.read_text()
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 2
    assert made.read_text() == before


def test_no_secret_reaches_an_image() -> None:
    """.dockerignore lets in what it names and nothing else; git ignores .env."""
    let_in = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (PROJECT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert [name for name in let_in if not (PROJECT / name).exists()] == []
    assert not {".env", ".meterlake", ".git", "."} & set(let_in)
    ignored = subprocess.run(["git", "check-ignore", ".env"], cwd=PROJECT, capture_output=True, check=False)
    assert ignored.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_limited_watched_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", service["image"]), "a full version as tag"
    limits = service["deploy"]["resources"]["limits"]
    assert re.fullmatch(r"\d+[gm]", limits["memory"])
    assert float(limits["cpus"]) > 0
    assert service["networks"] == ["meterlake"]
    assert "no-new-privileges:true" in service["security_opt"]
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    if name in ONE_SHOT:
        assert service["restart"] == "no", "done or failed, but not again"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_no_two_services_publish_the_same_port() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_exists(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith(("./conf/", "./dashboards/")):
            assert (PROJECT / source).exists()
            assert mode == ["ro"]
        elif source.startswith("."):
            assert (source, mode) == ("./.meterlake/deliveries", ["ro"])
        else:
            assert source in loaded()["volumes"], "a named volume"
    assert set(loaded()["volumes"]) == {
        mount.split(":")[0]
        for service in SERVICES.values()
        for mount in service.get("volumes", [])
        if not mount.startswith(".")
    }


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_exists_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how["condition"] == wanted, other


def test_what_an_image_is_built_from_exists() -> None:
    for service in SERVICES.values():
        if "build" in service:
            folder = PROJECT / service["build"]["context"]
            dockerfile = folder / service["build"].get("dockerfile", "Dockerfile")
            text = dockerfile.read_text()
            assert f"AS {service['build'].get('target', '')}".strip() in text
            for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, flags=re.MULTILINE):
                assert [name for name in line.split() if not (folder / name).exists()] == []
            for image in re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE):
                assert image == "meterlake" or re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", image)


def test_the_settings_lead_to_the_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """conf/compose.toml read by the real loader: names, ports and users are those of the compose file."""
    for name in [name for name in os.environ if name.startswith("METERLAKE_")]:
        monkeypatch.delenv(name)
    settings = load(conf=PROJECT / "conf" / "compose.toml", home=tmp_path)
    assert (settings.postgres.embedded, settings.clickhouse.embedded) == (False, False)
    inside = {name: {port.split(":")[2] for port in one.get("ports", [])} for name, one in SERVICES.items()}
    assert str(settings.postgres.port) in inside[settings.postgres.host]
    assert {str(settings.clickhouse.port), str(settings.clickhouse.native_port)} <= inside[settings.clickhouse.host]
    known = re.fullmatch(r"http://([\w-]+):(\d+)", settings.tracking_uri)
    assert known
    assert known[2] in inside[known[1]]
    master = SERVICES["spark-master"]["command"]
    port = master[master.index("--port") + 1]
    assert settings.spark.master == f"spark://{master[master.index('--host') + 1]}:{port}"
    assert settings.spark.master in SERVICES["spark-worker"]["command"]
    assert settings.spark.master in SERVICES["airflow-scheduler"]["environment"]["AIRFLOW_CONN_SPARK_DEFAULT"]
    roles = (PROJECT / "conf" / "compose" / "postgres" / "roles.sh").read_text()
    assert {f"CREATE ROLE {one} " in roles for one in (settings.postgres.user, settings.postgres.reader)} == {True}
    assert f"CREATE DATABASE {settings.postgres.database} OWNER {settings.postgres.user};" in roles
    clickhouse = SERVICES["clickhouse"]["environment"]
    assert (clickhouse["CLICKHOUSE_USER"], clickhouse["CLICKHOUSE_DB"]) == (
        settings.clickhouse.user,
        settings.clickhouse.database,
    )
    assert settings.lake_root == str(tmp_path / "lake"), "on the volume of the home folder"


@pytest.mark.parametrize("name", ["meterlake", "airflow-scheduler"])
def test_a_driver_finds_its_files_where_the_workers_find_them(name: str) -> None:
    driver, worker = SERVICES[name], SERVICES["spark-worker"]
    assert set(worker["volumes"]) <= set(driver["volumes"])
    dockerfile = (PROJECT / "conf" / "compose" / "Dockerfile").read_text()
    home = re.findall(r"METERLAKE_HOME=(\S+)", dockerfile)
    assert f"home:{home[0]}" in worker["volumes"]
    assert driver["environment"]["METERLAKE_CONF"] == "/opt/meterlake/conf/compose.toml"
    for secret in ("POSTGRES_ETL", "CLICKHOUSE_ETL"):  # Settings.secret("postgres_etl")
        assert driver["environment"][f"METERLAKE_SECRET_{secret}"]
    (region,) = read_toml(PROJECT / "conf" / "compose" / "regions.toml")["regions"]
    assert (region["home"], region["conf"]) == (home[0], "conf/compose.toml")
    assert any(mount.split(":")[1] == region["input"] for mount in driver["volumes"])
    events = "file:" + home[0] + "/logs/spark-events"
    assert events in (PROJECT / "conf" / "compose" / "spark" / "spark-defaults.conf").read_text()
    assert events.removeprefix("file:") in dockerfile, "the history server wants its folder to exist"


def test_a_worker_holds_its_executor() -> None:
    """Executor memory fits into what the worker offers; that, Python and the worker's own JVM into the limit."""
    lines = (PROJECT / "conf" / "compose" / "spark" / "spark-defaults.conf").read_text().splitlines()
    given = dict(line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
    command = SERVICES["spark-worker"]["command"]
    offered = int(command[command.index("--memory") + 1].removesuffix("g"))
    limit = int(SERVICES["spark-worker"]["deploy"]["resources"]["limits"]["memory"].removesuffix("g"))
    assert int(given["spark.executor.memory"].strip().removesuffix("g")) <= offered
    assert int(given["spark.executor.cores"]) <= int(command[command.index("--cores") + 1])
    assert limit - offered >= 2, "two Python workers and a JVM of 1 g beside the heap"
    driver = load(conf=PROJECT / "conf" / "compose.toml").spark.driver_memory
    assert given["spark.driver.memory"].strip() == driver
    parallel = int(SERVICES["airflow-scheduler"]["environment"]["AIRFLOW__CORE__PARALLELISM"])
    scheduler = int(SERVICES["airflow-scheduler"]["deploy"]["resources"]["limits"]["memory"].removesuffix("g"))
    assert parallel * int(driver.removesuffix("g")) <= scheduler - 2


def test_the_guide_tells_of_every_service_and_port() -> None:
    guide = (PROJECT / "docs" / "compose.md").read_text()
    assert [name for name in SERVICES if f"`{name}`" not in guide] == []
    assert [name for name in loaded()["volumes"] if f"`{name}`" not in guide] == []
    for service in SERVICES.values():
        assert [port for port in service.get("ports", []) if port.split(":")[1] not in guide] == []
    images = {service["image"] for service in SERVICES.values() if not service["image"].startswith("meterlake")}
    assert [image for image in images if image not in guide] == []
