"""Serving: over stdin and stdout to whoever started the process, or by HTTP to whoever may read.

By HTTP the rules are those of the worker's own interface: what only this machine can reach is open under its own names,
what more can reach asks for a token, and the sockets that are listened on decide. Each request stands for itself: no
session is kept. Imported only where the SDK is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings

from app.web.addresses import close, is_private, listen

#: Longest body of a request, in bytes: a call has some hundred.
MOST_REQUEST_BYTES: Final = 64 * 1024
#: Connections and requests at a time; beyond, 503.
CONCURRENCY: Final = 32
#: How long a connection may be silent between two requests, in seconds.
SILENT_SECONDS: Final = 10
#: For what is under way when the server stops, in seconds.
SHUTDOWN_SECONDS: Final = 5
#: This machine's own names, with any port.
_OWN: Final = ("127.0.0.1", "localhost", "[::1]")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Whether this is the token of somebody who may read.
Knows = Callable[[str], bool]


async def serve_stdio(server: Server[Any]) -> None:
    """Serve the process at the other end of stdin and stdout until it closes them."""
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def serve_http(server: Server[Any], host: str, port: int, knows: Knows | None) -> None:
    """Serve `/mcp` until the process is told to stop; `knows` is None where nobody has a token.

    Raises `SystemExit` with one line where that is not safe.
    """
    try:
        sockets = await listen(host, port)
    except (OSError, UnicodeError) as error:
        raise SystemExit(f"innervate: mcp cannot listen on {host}:{port}: {error}") from error
    is_open = all(is_private(each.getsockname()) for each in sockets)
    if not is_open and knows is None:
        close(sockets)
        raise SystemExit(f"innervate: mcp would listen on {host}, which is not loopback: set API_TOKENS or API_TOKEN")
    app = guarded(application(server, is_open=is_open), knows, is_open=is_open)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        limit_concurrency=CONCURRENCY,
        timeout_keep_alive=SILENT_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    await uvicorn.Server(config).serve(sockets=list(sockets))


def application(server: Server[Any], *, is_open: bool) -> Application:
    """The SDK's application. Where it is open, it is open under this machine's own names (DNS rebinding)."""
    return server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_REQUEST_BYTES,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=is_open,
            allowed_hosts=[*_OWN, *(f"{name}:*" for name in _OWN)],
            allowed_origins=[f"http://{name}:*" for name in _OWN],
        ),
    )


def guarded(app: Application, knows: Knows | None, *, is_open: bool) -> Application:
    """Let through who may read: whoever shows a token, and everybody who shows nothing where it is open."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _may_read(scope, knows, is_open=is_open):
            await app(scope, receive, send)
        else:
            await _refuse(send)

    return guard


def _may_read(scope: Scope, knows: Knows | None, *, is_open: bool) -> bool:
    shown = [value for name, value in scope["headers"] if name == b"authorization"]
    if not shown:
        return is_open
    scheme, _, secret = shown[0].decode("utf-8", "surrogateescape").partition(" ")
    return len(shown) == 1 and scheme.lower() == "bearer" and knows is not None and knows(secret)


async def _refuse(send: Send) -> None:
    headers = [(b"www-authenticate", b"Bearer"), (b"content-type", b"application/problem+json")]
    body = b'{"type":"about:blank","title":"Unauthorized","status":401,"detail":"a token that may read is needed"}'
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
