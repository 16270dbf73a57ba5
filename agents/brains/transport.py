"""Transport: many connections at a time to one server, in several small pools.

httpcore looks through all connections and all waiting requests of a pool with every request and every answer, so one
pool of 256 connections spends its time on that alone (measured in `benchmarks/brains.py`). Each request goes to the
pool with the fewest under way. httpcore also asks `sniffio`, if it is installed, which event loop it runs in; where it
is not, each request looks for it in vain several times, so it is among the requirements. Errors are those of httpx.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx

#: Connections of one pool.
POOL_SIZE: Final = 8


class PooledTransport(httpx.AsyncBaseTransport):
    """At most `connections` requests at a time, when nobody sends more."""

    def __init__(self, connections: int) -> None:
        verified = httpx.create_ssl_context()
        limits = httpx.Limits(max_connections=POOL_SIZE, max_keepalive_connections=POOL_SIZE)
        self._pools = [
            httpx.AsyncHTTPTransport(verify=verified, limits=limits) for _ in range(-(-connections // POOL_SIZE))
        ]
        self._under_way = [0] * len(self._pools)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send by the pool with the fewest requests under way; one ends when its answer is closed."""
        pool = min(range(len(self._pools)), key=self._under_way.__getitem__)
        self._under_way[pool] += 1
        try:
            response = await self._pools[pool].handle_async_request(request)
        except BaseException:
            self._under_way[pool] -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Counted(response.stream, self._under_way, pool)
        return response

    async def aclose(self) -> None:
        """Drop every connection."""
        for pool in self._pools:
            await pool.aclose()


class _Counted(httpx.AsyncByteStream):
    """The body of an answer, which gives its pool back when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, under_way: list[int], pool: int) -> None:
        self._stream = stream
        self._under_way = under_way
        self._pool = pool
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._under_way[self._pool] -= 1
        await self._stream.aclose()
