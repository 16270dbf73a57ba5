"""TLS in front of a PostgreSQL that is built without: what a server with `ssl = on` does before it says anything.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from types import TracebackType
from typing import Any, Final, Self

from authority import Authority

#: A request to begin TLS: its length, and a number that no version of the protocol has.
_SSL_REQUEST: Final = struct.pack(">II", 8, 80877103)
_LOOPBACK: Final = "127.0.0.1"


class TlsFront:
    """Ends TLS on loopback and hands on to the server at `port`; with `asks` clients show a certificate."""

    def __init__(self, port: int, authority: Authority, *, asks: bool = False, host: str = _LOOPBACK) -> None:
        issued = authority.issue(f"database-{host}-{asks}", host=host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certfile, issued.keyfile)
        if asks:
            context.load_verify_locations(authority.cafile)
            context.verify_mode = ssl.CERT_REQUIRED
        #: Versions of TLS, and names on certificates that were shown, one for each connection.
        self.seen: list[tuple[str | None, str | None]] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                plain: socket.socket = self.request
                if plain.recv(8, socket.MSG_WAITALL) != _SSL_REQUEST:
                    return  # As with `hostssl` alone: nobody talks in the clear.
                plain.sendall(b"S")
                with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
                    # A handshake of TLS 1.3 that fails for the client's certificate is seen with the first bytes.
                    first = client.recv(65536)
                    if not first:
                        return  # The client does not trust us.
                    outer.seen.append((client.version(), _name(client)))
                    with socket.create_connection((_LOOPBACK, port)) as server:
                        server.sendall(first)
                        answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
                        answers.start()
                        _pump(client, server)
                        answers.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server((_LOOPBACK, 0), Handler)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until either is closed; then neither says more."""
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _name(client: ssl.SSLSocket) -> str | None:
    shown = client.getpeercert() or {}
    subject: Any = shown.get("subject", ())
    return next((str(value) for ((kind, value),) in subject if kind == "commonName"), None)
