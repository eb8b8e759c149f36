"""TLS in front of a store that has none: it ends here, and plain bytes go on to the store, as behind a load balancer.

The embedded servers speak no TLS. What a driver does with a certificate shows all the same: it is this side that proves
who it is.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# PostgreSQL's client asks for TLS in eight bytes, and the server says S before the handshake.
ASKS_FOR_TLS = bytes.fromhex("0000000804d2162f")


def certificate(folder: Path, name: str) -> Path:
    """The PEM file of a certificate for this name of the host; its own key signed it, and is in the file beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        known_as: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        known_as = x509.DNSName(name)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.with_suffix(".key").write_bytes(private)
    return file


@contextlib.contextmanager
def tls_front(port: int, pem: Path, asked_first: bool) -> Iterator[int]:
    """The port on 127.0.0.1 that speaks TLS for `port`.

    By asyncio, as OpenSSL does not let one thread read a connection while another writes to it: answers got lost.

    Args:
        asked_first: whether the client asks for TLS in PostgreSQL's way before the handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))

    async def serve(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):  # ssl.SSLError is an OSError: the client does not trust us
            if asked_first:
                if await client.readexactly(len(ASKS_FOR_TLS)) != ASKS_FOR_TLS:
                    return
                back.write(b"S")
                await back.start_tls(context)
            store, to = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pump(client, to), _pump(store, back))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = asyncio.start_server(serve, "127.0.0.1", 0, ssl=None if asked_first else context)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
