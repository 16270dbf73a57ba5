"""Command that serves the reads to an assistant: `mcp`. It needs PostgreSQL and Kafka, and no worker."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import click
from faust.cli import option

from app.assistant.tools import tools_of
from app.commands.terminal import Terminal, command
from app.settings import Settings
from app.web.tokens import find_token
from app.worker.application import Innervate

#: Beside the port of the worker's interface.
PORT: Final = 6067


@command(
    option("--http", "by_http", is_flag=True, help="Serve by HTTP, at /mcp, in place of stdin and stdout."),
    option("--bind", default="127.0.0.1", help="The address to listen on; a token is needed where it is not loopback."),
    option("--port", default=PORT, type=click.IntRange(1, 65535), help="The port to listen on."),
)
async def mcp(_terminal: Terminal, app: Innervate, *, by_http: bool, bind: str, port: int) -> None:
    """Serve what can be read to an assistant, over the Model Context Protocol."""
    if any(find_spec(name) is None for name in ("mcp", "uvicorn")):
        raise SystemExit("innervate: mcp needs its SDK: pip install 'innervate[mcp]'")
    from app.assistant.server import server_of  # noqa: PLC0415 - no worker has the SDK
    from app.assistant.serving import serve_http, serve_stdio  # noqa: PLC0415

    settings = app.settings
    server = server_of(tools_of(app), settings.llm_redact)
    try:
        if by_http:
            await serve_http(server, bind, port, _knows(settings))
        else:
            await serve_stdio(server)
    finally:
        await app.runtime.database.close()


def _knows(settings: Settings) -> Callable[[str], bool] | None:
    """Whether a token is somebody's: every role may read. None where nobody has one."""
    tokens = settings.access.tokens
    return (lambda secret: find_token(secret, tokens) is not None) if tokens else None
