"""Probe: asks the broker how far each group is, past everything of Faust and of our own consumers.

Also whether timelines and changelogs still have their partitions: a worker whose windows lie elsewhere has to stop.

A worker can go silent while it lives, and then its own numbers stand still as well. Asked are the partitions of the
timelines that this worker has, and every partition of the domain topics for the router: its group is shared, and what
no worker reads must be seen by some worker.

Where a group stands before what is no record (the mark that ends a transaction, records of an aborted one), there is
nothing to read: one fetch from there tells. It also tells that a topic must not be read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, for_code

from app.kafka.partitions import TopicsUnusable, check_numbers
from app.worker.progress import Horizon, Lag, Place, Progress

log = logging.getLogger(__name__)

#: How often the broker is asked, in seconds.
INTERVAL_SECONDS: Final = 5.0
#: How long one round may take, in seconds.
ROUND_SECONDS: Final = 30.0
#: How long a fetch may take that looks for one record, in seconds.
FETCH_SECONDS: Final = 3.0

#: Position, end of what is decided about (the last stable offset), end of everything.
Standing = tuple[int, int, int]


#: Of nothing known.
NO_PARTITIONS: Final[Mapping[str, int]] = MappingProxyType({})


async def nothing(_error: TopicsUnusable) -> None:
    """Nobody listens."""


class ProgressProbe:
    """Keeps what is known of each partition up to date. `client` are aiokafka's options.

    `router` and `topics` are the router's group and what it reads; a worker that does not route has None and nothing.
    `partitions` says how many partitions topics must have, `on_unusable` is called when one has another number.
    `published_until` is up to when everything that was committed by then has left the outbox.
    """

    def __init__(
        self,
        *,
        group: str,
        router: str | None = None,
        topics: Sequence[str] = (),
        client: Mapping[str, Any],
        partitions: Mapping[str, int] = NO_PARTITIONS,
        on_unusable: Callable[[TopicsUnusable], Awaitable[None]] = nothing,
        published_until: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        self.agents = Progress()
        self.router = Progress()
        #: Of open transactions: the last stable offset has to reach the end.
        self.transactions = Progress()
        self.lag = Lag()
        #: Up to when everything that had been published by then is routed, and what was routed by then is decided.
        self.routed = Horizon()
        self.decided = Horizon()
        #: The domain topics that cannot be read, and why.
        self.unreadable: Mapping[str, str] = {}
        #: When the broker last answered, by the monotonic clock, and why it has not since.
        self.answered_at = time.monotonic()
        self.problem = ""
        self._group = group
        self._router = router
        self._topics = topics
        self._client = client
        self._partitions = partitions
        self._on_unusable = on_unusable
        self._published_until = published_until
        self._nothing_before: dict[Place, tuple[int, int]] = {}
        self._something_at: dict[Place, int] = {}

    async def run(self, assigned: Callable[[], Collection[Place]]) -> None:
        """Ask for ever; `assigned()` gives the partitions of timelines this worker has now."""
        while True:
            try:
                async with self._clients() as clients:
                    while True:
                        async with asyncio.timeout(ROUND_SECONDS):
                            await self._round(clients, sorted(assigned()))
                        await asyncio.sleep(INTERVAL_SECONDS)
            except (KafkaError, OSError) as error:
                # A broker that does not answer shows as one that has not answered for long.
                self.problem = repr(error)
                log.info("the offsets are not known: %s", self.problem)
            await asyncio.sleep(INTERVAL_SECONDS)

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[_Clients]:
        clients = _Clients(self._client)
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await clients.start()
            yield clients
        finally:
            await clients.close()

    async def _round(self, clients: _Clients, timelines: Sequence[Place]) -> None:
        await self._check_partitions(clients)
        unreadable: dict[str, str] = {}
        domain = await self._domain_places(clients, unreadable)
        here = {*timelines, *domain}
        for seen in (self.agents, self.router, self.transactions, self.lag, self.routed, self.decided):
            seen.forget_others(here)
        # Before the ends are asked for, of what comes after it.
        routed_until, published_until = self.routed.of(domain), self._published_until()
        for group, places, progress, horizon, whole_until in (
            (self._group, timelines, self.agents, self.decided, routed_until),
            (self._router, domain, self.router, self.routed, published_until),
        ):
            if group is None or not places:
                continue
            standings = await clients.standings(group, places)
            read = {place: await self._position(clients, place, standing) for place, standing in standings.items()}
            unreadable |= {topic: why for (topic, _), why in read.items() if isinstance(why, str)}
            now = time.monotonic()
            known = {place: at for place, at in read.items() if isinstance(at, int)}
            progress.observe({place: (at, standings[place][1]) for place, at in known.items()}, now)
            ends = {place: (at, standings[place][2]) for place, at in known.items()}
            self.lag.observe(ends, now)
            horizon.observe(ends, whole_until)
            self.transactions.observe({place: (stable, end) for place, (_, stable, end) in standings.items()}, now)
        self.unreadable = unreadable
        self.answered_at, self.problem = time.monotonic(), ""

    async def _check_partitions(self, clients: _Clients) -> None:
        if self._partitions:
            try:
                check_numbers(await clients.describe(list(self._partitions)), self._partitions)
            except TopicsUnusable as error:
                await self._on_unusable(error)

    async def _domain_places(self, clients: _Clients, unreadable: dict[str, str]) -> Sequence[Place]:
        if self._router is None:
            return ()
        places: list[Place] = []
        for topic in await clients.describe(self._topics):
            if topic["error_code"]:
                unreadable[topic["topic"]] = for_code(topic["error_code"]).__name__
            places += [(topic["topic"], partition["partition"]) for partition in topic["partitions"]]
        return sorted(places)

    async def _position(self, clients: _Clients, place: Place, standing: Standing) -> int | str:
        """The position, past what is no record; or why the topic cannot be read."""
        position, stable, _ = standing
        if position >= stable or self._something_at.get(place) == position:
            return position
        if self._nothing_before.get(place) == (position, stable):
            return stable
        try:
            found = await clients.has_record(place, position, stable)
        except TopicAuthorizationFailedError as error:
            return type(error).__name__
        except KafkaError as error:
            log.info("what is at %s[%d]@%d is not known: %r", *place, position, error)
            return position
        if found:
            self._something_at[place] = position
            return position
        self._nothing_before[place] = (position, stable)
        return stable


class _Clients:
    """What talks to the broker: an admin, and a consumer that sees only what is committed beside one that sees all."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._admin = AIOKafkaAdminClient(**options)
        self._stable = AIOKafkaConsumer(**options, isolation_level="read_committed", auto_offset_reset="none")
        self._all = AIOKafkaConsumer(**options)

    async def start(self) -> None:
        """Connect."""
        await self._admin.start()
        await self._stable.start()
        await self._all.start()

    async def close(self) -> None:
        """Disconnect."""
        await self._admin.close()
        await self._stable.stop()
        await self._all.stop()

    async def describe(self, topics: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """What the broker says of each topic."""
        described: Sequence[Mapping[str, Any]] = await self._admin.describe_topics(list(topics))
        return described

    async def standings(self, group: str, places: Sequence[Place]) -> Mapping[Place, Standing]:
        """Where the group stands; without a commit, at the first offset there is."""
        partitions = [TopicPartition(*place) for place in places]
        committed = await self._admin.list_consumer_group_offsets(group, partitions=partitions)
        begins = await self._stable.beginning_offsets(partitions)
        stable = await self._stable.end_offsets(partitions)
        ends = await self._all.end_offsets(partitions)
        # While the group's coordinator loads, after a restart of its broker, aiokafka leaves the offsets out.
        return {
            (tp.topic, tp.partition): (max(committed[tp].offset, begins[tp]), stable[tp], ends[tp])
            for tp in partitions
            if tp in committed
        }

    async def has_record(self, place: Place, position: int, end: int) -> bool:
        """Whether a record of a finished transaction, or of none, lies in between; a time-out counts as one."""
        partition = TopicPartition(*place)
        self._stable.assign([partition])
        self._stable.seek(partition, position)
        give_up_at = time.monotonic() + FETCH_SECONDS
        try:
            while time.monotonic() < give_up_at:
                found = await self._stable.getmany(partition, timeout_ms=200, max_records=1)
                if found.get(partition):
                    return bool(found[partition][0].offset < end)
                if await self._stable.position(partition) >= end:
                    return False
        finally:
            self._stable.unsubscribe()
        return True
