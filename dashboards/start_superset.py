"""`make superset`: Superset with our dashboards on 127.0.0.1, until Ctrl-C.

Runs in Superset's environment. ClickHouse is started through the `meterlake` command where it is down, and stopped at
the end where we started it.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TextIO
from urllib.error import URLError
from urllib.request import urlopen

from import_assets import Reader, import_assets

HERE = Path(__file__).parent
HOST = "127.0.0.1"
READY_S = 120


def main() -> int:
    parsed = _parser().parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a shell ignores the first for what it starts in the background
        signal.signal(ending, signal.default_int_handler)
    try:
        _port_is_free(parsed.port)
        with stores(parsed.meterlake, parsed.home, parsed.conf) as reader:
            prepare(parsed.home, reader)
            serve(parsed.home, parsed.port)
    except KeyboardInterrupt:
        return 0
    except Stopped as error:
        print(f"superset: {error}", file=sys.stderr)
        return 3
    return 0


class Stopped(Exception):
    """Something that we need is not there; the sentence says what to do."""


@contextmanager
def stores(meterlake: str, home: Path, conf: Path | None) -> Iterator[Reader]:
    """ClickHouse up, as its reader; what was down before is down again afterwards."""
    options = ["--home", str(home), *(["--conf", str(conf)] if conf else [])]

    def told(action: str) -> list[dict]:
        # In a session of its own: the terminal's Ctrl-C must not reach a store that is starting.
        done = subprocess.run(
            [meterlake, "stores", action, "--json", *options],
            stdout=subprocess.PIPE,
            start_new_session=True,
            check=False,
        )
        if done.returncode:
            raise Stopped("the stores cannot be started, see above.")
        return json.loads(done.stdout)

    ours = not any(store["running"] for store in told("status"))
    try:
        known = next(store for store in told("start") if store["name"] == "clickhouse")
        at = (known["host"], known["port"], known["database"], known["reader"])
        yield Reader(*at, _password(known), known["tls"], known["ca"])
    finally:
        if ours:
            told("stop")


def prepare(home: Path, reader: Reader) -> None:
    """Superset's own database and roles, an admin, and our dashboards as they are in the files."""
    _secret(superset_home(home) / "secret_key")
    os.environ |= environment(home)
    print("Superset starts ...", flush=True)
    with log_file(home).open("a") as log:
        _migrate(home, log)
        with redirect_stdout(log), redirect_stderr(log):
            from superset.app import create_app

            app = create_app()
        with app.app_context():
            _admin(home)
            started = time.monotonic()
            count = import_assets(reader)
    print(f"{count} files of dashboards/superset imported in {time.monotonic() - started:.1f} s", flush=True)


def serve(home: Path, port: int) -> None:
    """The web server, until it is interrupted."""
    log = log_file(home)
    # Two processes, eight threads each: a dashboard asks for a dozen charts at once, and they wait for ClickHouse.
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--workers", "2", "--threads", "8"]
    command += ["--worker-class", "gthread", "--timeout", "120", "--preload", "superset.app:create_app()"]
    with log.open("a") as out:
        # In a session of its own, so that Ctrl-C reaches only us and we end it in order.
        server = subprocess.Popen(
            command, env=os.environ | environment(home), stdout=out, stderr=out, start_new_session=True
        )
    try:
        _wait_until_up(server, port, log)
        print(f"http://{HOST}:{port}/superset/dashboard/meterlake-overview/ is up; log in as admin, Ctrl-C ends it.")
        print(f"password in {admin_file(home)}, log in {log}", flush=True)
        server.wait()
        raise Stopped(f"the web server ended; its log is {log}.")
    finally:
        server.terminate()
        server.wait(30)


def environment(home: Path) -> dict[str, str]:
    return {
        "SUPERSET_HOME": str(superset_home(home)),
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
        "FLASK_APP": "superset.app:create_app()",
        "PYTHONPATH": str(HERE),
    }


def superset_home(home: Path) -> Path:
    """`<home>/superset`, for us alone."""
    folder = home / "superset"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def log_file(home: Path) -> Path:
    (home / "logs").mkdir(parents=True, exist_ok=True)
    return home / "logs" / "superset.log"


def admin_file(home: Path) -> Path:
    return home / "secrets" / "superset_admin"


def _migrate(home: Path, log: TextIO) -> None:
    """Tables and roles of this version of Superset, once."""
    stamp, wanted = superset_home(home) / "prepared", version("apache-superset")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Superset's own database: about a minute, once ...", flush=True)
    command = str(Path(sys.executable).with_name("superset"))
    for action in (["db", "upgrade"], ["init"]):
        if subprocess.run([command, *action], stdout=log, stderr=log, check=False).returncode:
            raise Stopped(f"`superset {' '.join(action)}` failed; its log is {log.name}.")
    stamp.write_text(wanted)


def _admin(home: Path) -> None:
    """The user `admin`, with a random password that is shown once and kept in a file for us alone."""
    from superset import security_manager

    if security_manager.find_user("admin"):
        return
    admin_file(home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = _secret(admin_file(home))
    role = security_manager.find_role("Admin")
    security_manager.add_user("admin", "meterlake", "admin", "admin@localhost", role, password=password)
    print(f"user admin, password {password} (shown this once; kept in {admin_file(home)})", flush=True)


def _secret(file: Path) -> str:
    """The secret in the file, made at random when missing."""
    if not file.exists():
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(24))
        os.replace(scratch, file)
    return file.read_text().strip()


def _password(store: dict) -> str:
    """As meterlake itself finds it: from the environment, else from its file."""
    name = Path(store["password_file"]).name
    given = os.environ.get(f"METERLAKE_SECRET_{name.upper()}")
    return given or Path(store["password_file"]).read_text().strip()


def _port_is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Stopped(f"port {port} on {HOST} is taken; choose another: make superset SUPERSET_PORT=8089") from None


def _wait_until_up(server: subprocess.Popen, port: int, log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.3)
    raise Stopped(f"the web server does not answer; its log is {log}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Superset with meterlake's dashboards, until Ctrl-C.")
    parser.add_argument("--home", type=lambda text: Path(text).expanduser().resolve(), required=True)
    parser.add_argument("--conf", type=Path, help="settings file over conf/default.toml")
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument("--meterlake", required=True, help="the command that knows the stores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
