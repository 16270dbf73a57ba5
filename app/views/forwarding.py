"""Forwarding: what another worker knows is asked of that worker, once, as whoever asked this one.

Workers are told apart by the addresses they say of themselves in PostgreSQL and in their consumer group; nothing that
comes with a request chooses one.
"""

from __future__ import annotations

from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

#: Says that a worker asks: whoever is asked like this answers by itself.
FORWARDED: Final = "Innervate-Forwarded"
#: Headers that say who asks.
_CREDENTIALS: Final = ("Authorization", "Cookie")
#: How long another worker may take, in seconds: less than whoever asked this one has (`app.web.connections.Limits`).
SECONDS: Final = 20.0


def is_forwarded(request: web.Request) -> bool:
    """Whether another worker asks."""
    return FORWARDED in request.headers


async def forwarded(request: web.Request, worker: URL) -> web.Response:
    """What the worker at this address answers to the same request. Raises 502 when it does not."""
    address = worker.with_path(request.rel_url.raw_path, encoded=True).with_query(request.rel_url.query)
    headers = {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}
    headers[FORWARDED] = "1"
    try:
        # Proxies of the environment are for what is outside.
        async with (
            ClientSession(timeout=ClientTimeout(total=SECONDS), trust_env=False) as client,
            client.get(address, headers=headers, allow_redirects=False) as answer,
        ):
            body = await answer.read()
    except (ClientError, TimeoutError) as error:
        raise web.HTTPBadGateway(reason=f"the worker that has it does not answer: {type(error).__name__}") from error
    kept = {name: answer.headers[name] for name in ("Content-Type", "Cache-Control") if name in answer.headers}
    return web.Response(body=body, status=answer.status, headers=kept)
