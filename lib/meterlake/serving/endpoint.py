"""Where the two serving stores listen: from the configuration, or remembered in <home>/stores.json when embedded."""

import json
import os
import socket
from dataclasses import dataclass
from typing import Any, Literal

from meterlake.errors import Unreachable
from meterlake.serving import processes
from meterlake.settings import Settings, Store

StoreName = Literal["postgres", "clickhouse"]
# As whom a client logs in: the writer of the marts, or the reader who may only read them.
Login = Literal["etl", "reader"]
STORES: tuple[StoreName, ...] = ("postgres", "clickhouse")
# A word of the server's command line, by which its process is known.
MARKERS: dict[StoreName, str] = {"postgres": "postgres", "clickhouse": "meterlake.serving.clickhouse_server"}
TITLES: dict[StoreName, str] = {"postgres": "PostgreSQL", "clickhouse": "ClickHouse"}


@dataclass(frozen=True)
class Endpoint:
    """One store as a client sees it. Passwords are not part of it: `settings.secret(f"{name}_reader")` has them."""

    name: StoreName
    running: bool
    embedded: bool
    host: str
    port: int
    database: str
    user: str
    reader: str
    tls: bool = False
    ca: str = ""

    def login(self, as_whom: Login) -> str:
        """The user of that login; its password is `settings.secret(f"{name}_{as_whom}")`."""
        return self.user if as_whom == "etl" else self.reader

    @property
    def title(self) -> str:
        return TITLES[self.name]

    @property
    def jdbc_url(self) -> str:
        """The JDBC address, without user and password."""
        driver = {"postgres": "postgresql", "clickhouse": "clickhouse"}[self.name]
        return f"jdbc:{driver}://{self.host}:{self.port}/{self.database}"

    @property
    def jdbc_tls(self) -> dict[str, str]:
        """What the JDBC driver must be told for TLS; nothing without."""
        if not self.tls:
            return {}
        if self.name == "clickhouse":
            return {"ssl": "true"} | ({"sslrootcert": self.ca} if self.ca else {})
        java_trusts = {"sslfactory": "org.postgresql.ssl.DefaultJavaSSLFactory"}
        return {"sslmode": "verify-full"} | ({"sslrootcert": self.ca} if self.ca else java_trusts)


def endpoint(settings: Settings, name: StoreName) -> Endpoint:
    """The store's address; `running` means that it listens, and of an embedded one that the listener is ours."""
    store = section(settings, name)
    last = remembered(settings).get(name, {}) if store.embedded else {}
    port = int(last.get("port", store.port))
    ours = not store.embedded or processes.running(settings.home / name, MARKERS[name]) is not None
    return Endpoint(
        name=name,
        running=ours and listens(store.host, port),
        embedded=store.embedded,
        host=store.host,
        port=port,
        database=store.database,
        user=store.user,
        reader=store.reader,
        tls=store.tls,
        ca=store.ca,
    )


def reader_of(known: Endpoint, settings: Settings) -> dict[str, Any]:
    """What a program needs to read from the store as its reader; the password stays in its file."""
    return {
        "name": known.name,
        "running": known.running,
        "host": known.host,
        "port": known.port,
        "database": known.database,
        "reader": known.reader,
        "tls": known.tls,
        "ca": known.ca,
        "password_file": str(settings.home / "secrets" / f"{known.name}_reader"),
    }


def section(settings: Settings, name: StoreName) -> Store:
    return settings.postgres if name == "postgres" else settings.clickhouse


def listens(host: str, port: int, timeout_s: float = 1.0) -> bool:
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def free_port(host: str, wanted: int, taken: tuple[int, ...] = ()) -> int:
    """The wanted port or the next free one.

    Raises:
        Unreachable: a hundred ports from the wanted one on are taken.
    """
    for port in range(wanted, min(wanted + 100, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is not in use
            try:
                probe.bind((host, port))
            except OSError:
                continue
        if port not in taken:
            return port
    raise Unreachable(f"No free port on {host} from {wanted} to {wanted + 99}; set another one in the configuration.")


def remembered(settings: Settings) -> dict[str, Any]:
    """What the last start chose: ports by store, and whether the stores were asked to stay up. Empty when unknown."""
    try:
        return dict(json.loads((settings.home / "stores.json").read_text()))
    except (OSError, ValueError):
        return {}


def remember(settings: Settings, **changes: Any) -> None:
    """Merge `changes` into <home>/stores.json in one rename."""
    target = settings.home / "stores.json"
    scratch = target.with_suffix(".tmp")
    scratch.write_text(json.dumps(remembered(settings) | changes, indent=2))
    os.replace(scratch, target)
