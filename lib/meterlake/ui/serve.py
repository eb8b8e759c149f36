"""`meterlake ui`: the pages on loopback until Ctrl-C, with the stores that it had to start."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from meterlake.errors import NothingYet
from meterlake.serving.embedded import never_started, stores
from meterlake.serving.endpoint import free_port
from meterlake.settings import Settings
from meterlake.tables.reader import Lake
from meterlake.ui import runs
from meterlake.ui.app import create_app
from meterlake.ui.guard import HOST, Guard


class Quiet(WSGIRequestHandler):
    """Writes no line per request: the first one has the token in its address. Nor does it tell its version."""

    server_version = "meterlake"
    sys_version = ""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(settings: Settings, port: int, ready: Callable[[str], None]) -> None:
    """Serve the pages until SIGINT (Ctrl-C) or SIGTERM; then the stores that were started for it are stopped.

    Args:
        port: wanted port; the next free one is taken where it is in use.
        ready: called with the address to open.

    Raises:
        NothingYet: nothing ever ran in this home.
        Unreachable: the lake cannot be read, or a store does not start.
    """
    if not runs.sources(Lake.of(settings)):
        raise NothingYet(
            f"{settings.home} holds no run yet, so there is nothing to browse; make one by `make pipeline` or "
            "`meterlake run --source NAME --input PATH`, or name another folder with --home."
        )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _stores(settings):
            guard = Guard(free_port(HOST, port))
            server = make_server(HOST, guard.port, create_app(settings, guard), True, request_handler=Quiet)
            ready(guard.address)
            server.serve_forever()
    except KeyboardInterrupt:
        pass  # while the stores were starting: they are stopped already
    finally:
        signal.signal(signal.SIGTERM, before)


def _stores(settings: Settings) -> AbstractContextManager[Any]:
    """Both stores up; a home whose stores were never started has no mart in them, and keeps as it is."""
    return nullcontext() if never_started(settings) else stores(settings)
