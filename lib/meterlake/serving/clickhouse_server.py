"""A real ClickHouse server in the home folder, from the shared library libchdb.so.

The library exports clickhouse-local. With a configuration that has users, and a query that opens the listeners and then
sleeps for ever, it serves HTTP and native clients until it is ended. Run as a program, this module is that server.
"""

import ctypes
import hashlib
import os
import signal
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

from meterlake.bootstrap import clickhouse_library
from meterlake.serving import clickhouse_access, clickhouse_log, processes
from meterlake.serving.endpoint import MARKERS, endpoint, free_port
from meterlake.serving.logins import secret_name
from meterlake.settings import Settings

MARKER = MARKERS["clickhouse"]
START_UP = (
    "SYSTEM START LISTEN HTTP",
    "SYSTEM START LISTEN TCP",
    "SELECT sleepEachRow(1) FROM numbers(1000000000000) "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0 FORMAT Null",
)
CONFIG = """<clickhouse>
  <path>{folder}/</path><tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/user_files/</user_files_path>
  <backups><allowed_path>{folder}/backups/</allowed_path></backups>
  <listen_host>{host}</listen_host><http_port>{http_port}</http_port><tcp_port>{native_port}</tcp_port>
  <logger><log>{logs}/clickhouse.log</log><errorlog>{logs}/clickhouse.error.log</errorlog></logger>
  <query_log><database>system</database><table>query_log</table>
    <flush_interval_milliseconds>2000</flush_interval_milliseconds></query_log>
  <timezone>UTC</timezone><max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <users>
    <!-- The start-up session logs in as `default` without a password, from loopback: this cannot be changed. So the
         quota of `default` is exactly the start-up statements, and its one privilege is to open the listeners. -->
    <default><password></password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>start_up</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants></default>
    {users}
  </users>
  <user_directories><users_xml><path>{folder}/config.xml</path></users_xml></user_directories>
  <profiles>
    <default/>
    <!-- Half of the cores to a question: several people look at dashboards at once, and threads cost a small
         question more than they bring. -->
    <readers><max_threads>{threads}</max_threads></readers>
  </profiles>
  <quotas><default/><start_up><interval><duration>315360000</duration><queries>{statements}</queries></interval></start_up></quotas>
</clickhouse>
"""


def start(settings: Settings, port: int | None = None, native_port: int | None = None) -> tuple[int, int]:
    """Start the server of this home. Returns its HTTP and native ports.

    Raises:
        Unreachable: the library is missing, or the server does not come up; the sentence says where its log is.
    """
    store, folder, logs = settings.clickhouse, data_folder(settings), settings.folder("logs")
    library = clickhouse_library()
    folder.mkdir(mode=0o700, exist_ok=True)
    processes.clear(folder, MARKER)
    clickhouse_log.forget_kept(folder)
    port = free_port(store.host, port or store.port)
    native_port = free_port(store.host, native_port or store.native_port or 19000, taken=(port,))
    write_config(settings, port, native_port)
    # lib/, or the zip that spark-submit was given, before what stands there already.
    search = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH"))))
    log_file = logs / "clickhouse.start.log"
    command = [sys.executable, "-m", MARKER, str(library)]
    process = processes.spawn(command, folder, log_file, env=os.environ | {"PYTHONPATH": search})
    processes.wait_until(lambda: _ask(settings, port, "SELECT 1") == b"1\n", process, "ClickHouse", log_file)
    # There before the first mart, as clients name it when they log in.
    _ask(settings, port, f"CREATE DATABASE IF NOT EXISTS {store.database}")
    for statement in clickhouse_log.statements(settings):
        _ask(settings, port, statement)
    return port, native_port


def stop(settings: Settings) -> None:
    """End the server; the last lines of the access log are written first."""
    known = endpoint(settings, "clickhouse")
    if known.running:
        _ask(settings, known.port, "SYSTEM FLUSH LOGS")
    processes.stop(data_folder(settings), MARKER, signal.SIGTERM)


def data_folder(settings: Settings) -> Path:
    return settings.home / "clickhouse"


def write_config(settings: Settings, http_port: int, native_port: int) -> None:
    """The server's configuration: passwords as hashes, and readable by us alone all the same."""
    store, folder = settings.clickhouse, data_folder(settings)
    text = CONFIG.format(
        folder=escape(str(folder)),
        logs=escape(str(settings.folder("logs"))),
        host=escape(store.host),
        http_port=http_port,
        native_port=native_port,
        users=clickhouse_access.users(
            settings,
            network="127.0.0.1",
            log=clickhouse_log.relation(settings),
            writer_grants=(*clickhouse_access.WRITER_GRANTS, *clickhouse_log.WRITER_GRANTS),
            password=lambda name: _password(settings, name),
            readers="readers",
        ),
        threads=max(1, (os.cpu_count() or 1) // 2),
        statements=len(START_UP),
    )
    descriptor = os.open(folder / "config.xml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)


def _password(settings: Settings, name: str) -> str:
    writer = name == settings.clickhouse.user
    secret = settings.secret("clickhouse_etl" if writer else secret_name(settings, "clickhouse", name))
    return f"<password_sha256_hex>{hashlib.sha256(secret.encode()).hexdigest()}</password_sha256_hex>"


def _ask(settings: Settings, port: int, statement: str) -> bytes | None:
    """The server's answer to our writer; None while it does not take the login."""
    login = {"X-ClickHouse-User": settings.clickhouse.user, "X-ClickHouse-Key": settings.secret("clickhouse_etl")}
    request = Request(f"http://{settings.clickhouse.host}:{port}/", data=statement.encode(), headers=login)
    try:
        with urlopen(request, timeout=5) as answer:
            return bytes(answer.read())
    except (URLError, OSError):
        return None


def serve(library: str, folder: Path) -> None:
    """Run the server in this process until it is ended."""
    words = ["clickhouse", "--multiquery", "--output-format=TabSeparated", "--log-level=warning"]
    words += [f"--config-file={folder / 'config.xml'}", f"--path={folder}", f"--query={';'.join(START_UP)}"]
    # RTLD_DEEPBIND: its own symbols first, not those of the interpreter's libraries.
    query = ctypes.CDLL(library, mode=os.RTLD_NOW | os.RTLD_DEEPBIND).query_stable
    query.restype = ctypes.c_void_p
    query(len(words), (ctypes.c_char_p * len(words))(*(word.encode() for word in words)))


if __name__ == "__main__":
    serve(sys.argv[1], Path.cwd())
    sys.exit("ClickHouse ended by itself.")
