"""Connections of the HTTP interface: how many there may be, for how long, and which one goes first.

A connection either waits for its client (for a request to be whole, for a response to be taken) or is at work. One that
waits may be closed at any time: after a while, and at once where there is no place for another. So whoever is silent or
slow takes nothing from a client that sends its request; what is at work is bounded by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What clients together may take of a worker."""

    #: Connections. A process often has 1,024 files, and RocksDB, Kafka and PostgreSQL need some hundreds of them.
    connections: int = 256
    #: Requests at work, health not counted: beyond, 503 at once. More than the page of a few people and their probes.
    requests: int = 64
    #: Streams, which last as long as somebody looks and count as no request: beyond, 503 at once.
    streams: int = 64
    #: For a request to be whole, since the connection was opened or the response before was written, in seconds.
    waiting_seconds: float = 10.0
    #: For a response to be taken by its client, in seconds.
    taking_seconds: float = 60.0
    #: For a request at work, in seconds: a look into Kafka may take 30.
    work_seconds: float = 60.0


@dataclass(slots=True)
class _Connection:
    transport: asyncio.Transport
    #: The other end's address, without its port.
    client: object
    since: float
    is_at_work: bool = False


class Connections:
    """The open connections, and whether the sockets they came in by can be reached from this machine alone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        #: None until it is known what is listened on.
        self.is_private: bool | None = None
        self._open: dict[object, _Connection] = {}
        self._at_work = 0
        self._streams = 0

    def __len__(self) -> int:
        self._open = {each: it for each, it in self._open.items() if not it.transport.is_closing()}
        return len(self._open)

    @property
    def are_at_limit(self) -> bool:
        """Whether there is no place for another unless one goes."""
        return len(self) >= self.limits.connections

    def add(self, protocol: object, transport: asyncio.Transport) -> None:
        """Take a connection that was accepted."""
        peer = transport.get_extra_info("peername")
        client = peer[0] if isinstance(peer, tuple) else peer
        self._open[protocol] = _Connection(transport, client, time.monotonic())

    def make_room(self) -> bool:
        """Close what has waited longest, of the client that has most who wait; False when all are at work."""
        waiting = self._waiting()
        if not waiting:
            return False
        held = Counter(each.client for each in waiting)
        max(waiting, key=lambda each: (held[each.client], -each.since)).transport.abort()
        return True

    def close_overdue(self) -> None:
        """Close what has waited too long."""
        now = time.monotonic()
        for each in self._waiting():
            is_taking = each.transport.get_write_buffer_size() > 0
            if now - each.since > (self.limits.taking_seconds if is_taking else self.limits.waiting_seconds):
                each.transport.abort()

    @property
    def is_full(self) -> bool:
        """Whether as many requests are at work as may be."""
        return self._at_work >= self.limits.requests

    @contextmanager
    def at_work(self, protocol: Any, *, counted: bool) -> Iterator[None]:
        """While a request of this connection is at work."""
        # A connection that another server accepted, in tests, is not known.
        connection = self._open.get(protocol)
        if connection is not None:
            connection.is_at_work = True
        self._at_work += counted
        try:
            yield
        finally:
            self._at_work -= counted
            if connection is not None:
                connection.is_at_work, connection.since = False, time.monotonic()

    @property
    def has_place_for_a_stream(self) -> bool:
        """Whether one more may begin."""
        return self._streams < self.limits.streams

    @contextmanager
    def streaming(self, protocol: Any) -> Iterator[None]:
        """While a stream of this connection lasts; it is at work, so it is never closed for another."""
        self._streams += 1
        try:
            with self.at_work(protocol, counted=False):
                yield
        finally:
            self._streams -= 1

    def _waiting(self) -> Sequence[_Connection]:
        return [each for each in self._open.values() if not each.is_at_work and not each.transport.is_closing()]
