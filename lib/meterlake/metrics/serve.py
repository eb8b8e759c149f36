"""`meterlake metrics`: the page that Prometheus reads, until Ctrl-C, or once to the screen."""

import signal
from collections.abc import Callable
from threading import Event

from prometheus_client import generate_latest, start_http_server

from meterlake.errors import Unreachable
from meterlake.metrics.collector import registry
from meterlake.settings import Settings


def once(settings: Settings) -> str:
    """The page as it is now, in Prometheus's text format."""
    return generate_latest(registry(settings)).decode()


def serve(settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until SIGINT (Ctrl-C) or SIGTERM.

    Args:
        host: address to listen on; anything but loopback is for the inner network of containers.
        port: exactly this one, as Prometheus is told where to ask.
        ready: called with the address of the page.

    Raises:
        Unreachable: the port is taken.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server, thread = start_http_server(port, host, registry(settings))
    except OSError as error:
        raise Unreachable(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from None
    try:
        ready(f"http://{host}:{server.server_port}/metrics")
        Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        signal.signal(signal.SIGTERM, before)
