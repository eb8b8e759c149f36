"""The two serving stores of a home: start what is missing, say where it listens, stop what we started."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from meterlake.errors import Unreachable
from meterlake.serving import clickhouse, clickhouse_server, postgres, postgres_server
from meterlake.serving.endpoint import STORES, TITLES, Endpoint, StoreName, endpoint, remember, remembered, section
from meterlake.settings import Settings

log = logging.getLogger("meterlake")

_SERVERS = {"postgres": postgres_server, "clickhouse": clickhouse_server}
_TARGETS = {"postgres": postgres, "clickhouse": clickhouse}


def start(settings: Settings) -> list[Endpoint]:
    """Start both stores and leave them up until `stop`. One that runs already stays as it is.

    Raises:
        Unreachable: a store cannot be started, or a server of the configuration does not answer.
    """
    with _locked(settings):
        _claim(settings)
        for name in STORES:
            _ensure(settings, name)
        remember(settings, keep=True)
    return status(settings)


def stop(settings: Settings) -> None:
    """Stop the embedded stores of this home; servers of the configuration are left alone."""
    with _locked(settings):
        remember(settings, keep=False)
        for name in STORES:
            _stop(settings, name)


def grant(settings: Settings) -> None:
    """Bring grants, views and row policies of the marts up to the declarations and the configuration, in both stores.

    Raises:
        Unreachable: a store does not answer.
    """
    for name in STORES:
        _TARGETS[name].protect(settings)
        log.info("%s: the marts that are there are granted as declared.", TITLES[name])


def status(settings: Settings) -> list[Endpoint]:
    """Both stores' addresses and whether they answer."""
    return [endpoint(settings, name) for name in STORES]


def never_started(settings: Settings) -> bool:
    """Whether an embedded store of this home has no data folder: it is new, or was removed, and holds no mart."""
    embedded = (name for name in STORES if section(settings, name).embedded)
    return any(not _SERVERS[name].data_folder(settings).is_dir() for name in embedded)


@contextmanager
def stores(settings: Settings) -> Iterator[list[Endpoint]]:
    """Both stores up, for as long as the block runs.

    At the end those are stopped that were started for it, unless `start` asked meanwhile to keep them.

    Raises:
        Unreachable: a store cannot be started, or a server of the configuration does not answer.
    """
    started: list[StoreName] = []
    try:
        with _locked(settings):
            _claim(settings)
            started.extend(name for name in STORES if _ensure(settings, name))
        yield status(settings)
    finally:
        with _locked(settings):
            for name in started if not remembered(settings).get("keep") else ():
                _stop(settings, name)


def _claim(settings: Settings) -> None:
    """What is started from now on is started for this process.

    Stores that run for a process that is gone, and that nobody asked to keep, are ended: it may have been killed before
    they had their roles and their database.
    """
    known = remembered(settings)
    if not known.get("keep") and "started_for" in known and not psutil.pid_exists(known["started_for"]):
        for name in STORES:
            _stop(settings, name)
    remember(settings, started_for=os.getpid())


def _ensure(settings: Settings, name: StoreName) -> bool:
    """Whether the store had to be started."""
    known = endpoint(settings, name)
    if not known.embedded:
        if not known.running:
            raise Unreachable(
                f"{known.title} at {known.host}:{known.port} does not answer; "
                f"start it, or correct [{name}] in the configuration."
            )
        return False
    if known.running:
        return False
    # What runs but does not listen (a half-finished start) is ended first.
    _SERVERS[name].stop(settings)
    try:
        remember(settings, **{name: _started(settings, name)})
        _TARGETS[name].protect(settings)  # logins and declarations may have changed since it ran last
    except BaseException:
        _stop(settings, name)  # half made: who finds it running would take it for ready
        raise
    return True


def _started(settings: Settings, name: StoreName) -> dict[str, int]:
    """Start the store at the port it had last time, so that saved connections keep working, or at the next free one."""
    last = remembered(settings).get(name, {})
    log.info("Starting %s.", name)
    if name == "postgres":
        return {"port": postgres_server.start(settings, last.get("port"))}
    port, native_port = clickhouse_server.start(settings, last.get("port"), last.get("native_port"))
    return {"port": port, "native_port": native_port}


def _stop(settings: Settings, name: StoreName) -> None:
    if section(settings, name).embedded:
        _SERVERS[name].stop(settings)


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One process at a time starts or stops the stores of a home. The lock ends with its process."""
    path = settings.folder("") / "stores.lock"
    try:
        lock = path.open("w")
    except OSError as error:
        raise Unreachable(f"{path} cannot be written ({error.strerror}); choose another folder with --home.") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
