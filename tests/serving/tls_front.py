"""TLS in front of a store that has none: it ends here, and plain bytes go on to the store, as behind a load balancer.

The embedded servers speak no TLS. What a driver does with a certificate shows all the same: it is this side that proves
who it is.
"""

import contextlib
import datetime
import ipaddress
import socket
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

    Args:
        asked_first: whether the client asks for TLS in PostgreSQL's way before the handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.with_suffix(".key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener was closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_serve, args=(client, context, port, asked_first), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, context: ssl.SSLContext, port: int, asked_first: bool) -> None:
    with contextlib.suppress(OSError), client:  # ssl.SSLError is one: the client does not trust us
        if asked_first:
            if client.recv(8) != ASKS_FOR_TLS:
                return
            client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as safe, socket.create_connection(("127.0.0.1", port)) as to:
            back = threading.Thread(target=_pump, args=(to, safe), daemon=True)
            back.start()
            _pump(safe, to)
            to.shutdown(socket.SHUT_RDWR)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
