"""Relay: moves committed messages from the outbox to Kafka.

A message is published at least once. A crash between publish and delete publishes it again, with the same id.
Messages of one key share a lane and one lane has one owner, so they are published in the order they were committed.
What was published is deleted by the next look, in the statement that reads what comes next; until then its lane is not
read and not given back. Lanes do not wait for each other, nor topics within a lane: what Kafka does not take is tried
again later, for ever, while the others go on (`outbox.pauses`). What Kafka refuses for good goes to `outbox_dead` with
the reason; the rest of its lane goes on. What is read at once and what is on its way is bounded in messages and bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Protocol

import orjson

from outbox.backoff import Backoff
from outbox.database import Database, Row, queries
from outbox.errors import DatabaseUnavailable
from outbox.leases import LEASE_SECONDS, RENEW_SECONDS, LaneLeases
from outbox.outcomes import Aborted, NotPublished, Outcome, Refused
from outbox.parameters import headers_from
from outbox.pauses import Pauses, Waiting
from outbox.publisher import PUBLISH_SECONDS
from outbox.records import LANES, Message
from outbox.supervision import Supervisor, is_being_cancelled
from outbox.troubles import Troubles

log = logging.getLogger(__name__)

_SQL: Final = queries("relay.sql")

#: Messages of one lane in one batch: the most that one crash can repeat.
LANE_BATCH: Final = 200
#: Bytes after which a batch takes no further message, whatever their number.
LANE_BATCH_BYTES: Final = 1024 * 1024
#: The same for all batches of this worker that are under way at a time.
WORKER_BYTES: Final = 16 * 1024 * 1024
#: A lane is published only while its lease outlasts a batch.
ROOM_SECONDS: Final = PUBLISH_SECONDS + 1.0
if ROOM_SECONDS >= LEASE_SECONDS - RENEW_SECONDS:
    raise ValueError("a batch may take longer than a lease is sure to last")

#: Looks for pending messages are at least this far apart, in seconds, and after one that found many so much more for
#: each, up to the most: a lone commit is published at once, and a busy relay makes fewer and fuller looks. Own choice.
PACE_SECONDS: Final = 0.005
PACE_SECONDS_PER_MESSAGE: Final = 0.0001
MOST_PACE_SECONDS: Final = 0.05

#: How soon what was published is deleted when no other look comes along, in seconds.
DELETE_SECONDS: Final = 0.05

#: How often there is a look for what no kick announced, in seconds.
LOOK_SECONDS: Final = 1.0

#: How long a stopping worker tries to publish what is pending, in seconds.
STOP_SECONDS: Final = 10.0


class LanePublisher(Protocol):
    """Sends batches (`outbox.publisher.Publisher`, `outbox.fenced.FencedPublisher`)."""

    async def publish_lane(self, lane: int, epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        """Send the messages of one lane in order, by seq; one outcome each, within `PUBLISH_SECONDS`."""


class Publishing(Protocol):
    """A batch of a lane on its way to Kafka."""

    def ended(self, outcomes: Mapping[int, Outcome]) -> None:
        """What became of each of its messages, by seq."""


class PublishTracing(Protocol):
    """Follows messages to Kafka."""

    def publishing(self, lane: int, batch: Mapping[int, Message]) -> Publishing:
        """The messages, by seq, are sent now."""


class Relay:
    """Publishes what is pending in the lanes this worker holds.

    A commit kicks it; so do a notification of another worker and a timer, as the safety net.
    """

    def __init__(
        self, database: Database, publisher: LanePublisher, *, owner: str, tracing: PublishTracing | None = None
    ) -> None:
        self._tracing = tracing
        self._database = database
        self._publisher = publisher
        self._leases = LaneLeases(database, owner)
        self._kicked = asyncio.Event()
        self._looking = asyncio.Lock()
        self._publishing: dict[int, asyncio.Task[int]] = {}
        #: What Kafka has and the outbox still holds, by lane: the next look deletes it.
        self._published: dict[int, Sequence[int]] = {}
        self._deletion: asyncio.TimerHandle | None = None
        self._missed_a_look = False
        self._pauses = Pauses()
        #: Bytes of the batch of each lane that is being published.
        self._bytes: dict[int, int] = {}
        #: The lane that is looked at first, so that each has its turn where bytes are short.
        self._first = 0
        #: What runs in the background, for readiness.
        self.background = Supervisor()
        #: What waits for PostgreSQL, for readiness.
        self.troubles = Troubles()
        #: Messages that Kafka acknowledged, and that it refused for good, since the start.
        self.acknowledged = 0
        self.buried = 0

    def start(self) -> None:
        """Begin to lease lanes and to listen for kicks. The event loop must be running."""
        self.background.start("outbox leases", self._lease_for_ever)
        self.background.start("outbox relay", self._look_when_kicked)
        self.background.every(LOOK_SECONDS, "outbox timer", self._look_again)

    async def stop(self) -> None:
        """Publish what is pending once more, then hand the lanes over; nothing to do before `start`."""
        if not self.background.is_running:
            return
        await self.background.stop()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.drain()
        except TimeoutError:
            log.warning("messages are still pending, another worker publishes them")
        try:
            await self._leases.release()
        except DatabaseUnavailable as error:
            log.warning("the lanes are not handed over, their lease will run out: %s", error)

    def kick(self) -> None:
        """Say that something was committed. Cheap: many kicks are one look."""
        self._kicked.set()

    @property
    def lanes(self) -> Sequence[int]:
        """The lanes this worker holds."""
        return sorted(self._leases.held(0))

    @property
    def lost_leases(self) -> int:
        """Leases that another worker took over before this one renewed them, since the start."""
        return self._leases.lost

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """The topics that Kafka does not take messages for now, and why."""
        return self._pauses.waiting

    async def drain(self) -> int:
        """Publish until nothing is pending but what waits for Kafka; returns how many messages Kafka acknowledged.

        Never raises for a database or a broker that is away: it logs, and a later look tries again.
        """
        if not self._leases.held(ROOM_SECONDS):
            await self._renew()
        published = 0
        backoff = Backoff()
        while True:
            has_begun = await self._look()
            if self._publishing:
                published += sum(await asyncio.gather(*self._publishing.values()))
            elif self._published:
                # However long PostgreSQL is away: publishing it again would repeat it.
                await backoff.wait()
            elif not has_begun:
                return published

    async def _lease_for_ever(self) -> None:
        while True:
            await self._renew()
            self.kick()
            await asyncio.sleep(RENEW_SECONDS)

    async def _look_again(self) -> None:
        self.kick()

    async def _renew(self) -> None:
        try:
            await self._leases.renew({*self._publishing, *self._published})
            self.troubles.clear("leases")
        except DatabaseUnavailable as error:
            self.troubles.note("leases", error)
            log.warning("the leases of the lanes wait for PostgreSQL: %s", error)

    async def _look_when_kicked(self) -> None:
        not_before = 0.0
        while True:
            await self._kicked.wait()
            early_seconds = not_before - time.monotonic()
            if early_seconds > 0:
                await asyncio.sleep(early_seconds)
            self._kicked.clear()
            began_at = time.monotonic()
            found = await self._look()
            not_before = began_at + min(PACE_SECONDS + PACE_SECONDS_PER_MESSAGE * found, MOST_PACE_SECONDS)

    async def _look(self) -> int:
        """Delete what was published, and begin to publish every idle lane with something pending.

        Returns how many messages it found.
        """
        # One at a time: rows that another look has meanwhile published and deleted would be published again.
        async with self._looking:
            return await self._begin_idle_lanes()

    async def _begin_idle_lanes(self) -> int:
        held = self._leases.held(ROOM_SECONDS)
        self._missed_a_look = bool(self._publishing)
        room = WORKER_BYTES - sum(self._bytes.values())
        idle = sorted(held.keys() - self._publishing.keys(), key=lambda lane: (lane - self._first) % LANES)
        if room <= 0:
            idle = []
        published = dict(self._published)
        if not idle and not published:
            return 0
        held_up = self._pauses.held_up(held)
        try:
            rows = await self._database.run(_SQL["next_messages"], _parameters(idle, held_up, room, published))
        except DatabaseUnavailable as error:
            self.troubles.note("outbox", error)
            log.warning("the outbox waits for PostgreSQL: %s", error)
            return 0
        self._deleted(published)
        self._missed_a_look |= sum(row.bytes for row in rows) >= room
        by_lane = {lane: list(group) for lane, group in itertools.groupby(rows, key=attrgetter("lane"))}
        if not self._missed_a_look and not any(map(_is_full, by_lane.values())):
            # This is everything: a topic that waited and of which nothing is left waits no more.
            self._pauses.forget({(lane, row.topic) for lane, group in by_lane.items() for row in group}.union(held_up))
        for lane, group in by_lane.items():
            # While this look was reading, the lane's lease may have grown too old.
            if lane in self._leases.held(PUBLISH_SECONDS):
                self._begin(lane, held[lane], group)
        return len(rows)

    def _begin(self, lane: int, epoch: int, rows: Sequence[Row]) -> None:
        batch = {row.seq: _message(row) for row in rows}
        self._first = (lane + 1) % LANES
        self._bytes[lane] = sum(row.bytes for row in rows)
        self._publishing[lane] = asyncio.create_task(self._publish(lane, epoch, batch), name=f"outbox lane {lane}")

    async def _publish(self, lane: int, epoch: int, batch: Mapping[int, Message]) -> int:
        """Publish one batch of a lane and delete what Kafka has; returns how many that was, and never raises."""
        published: list[int] = []
        trace = None if self._tracing is None else self._tracing.publishing(lane, batch)
        try:
            outcomes = await self._publisher.publish_lane(lane, epoch, batch)
            if trace is not None:
                trace.ended(outcomes)
            published = [seq for seq, outcome in outcomes.items() if outcome is None]
            if published:
                self._published[lane] = published
                self.acknowledged += len(published)
                self._delete_soon()
            for seq, outcome in outcomes.items():
                if isinstance(outcome, Refused):
                    await self._bury(seq, outcome)
            self._pause(lane, batch, outcomes)
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            # aiokafka lets out cancellations of its own.
            self._pause(lane, batch, dict.fromkeys(batch, NotPublished(repr(error))))
        except Exception as error:
            log.exception("lane %d failed", lane, extra={"lane": lane})
            self._pause(lane, batch, dict.fromkeys(batch, NotPublished(repr(error))))
        finally:
            del self._publishing[lane]
            is_full = self._bytes.pop(lane) >= LANE_BATCH_BYTES or len(batch) == LANE_BATCH
            if is_full or self._missed_a_look:
                self.kick()
        return len(published)

    def _pause(self, lane: int, batch: Mapping[int, Message], outcomes: Mapping[int, Outcome]) -> None:
        """Let the topics that failed wait longer each time; forget past failures of those that did not."""
        seconds = self._pauses.note(lane, [(batch[seq].topic, outcome) for seq, outcome in outcomes.items()])
        if seconds is None:
            return
        asyncio.get_running_loop().call_later(seconds, self.kick)
        failures = {str(outcome): batch[seq].topic for seq, outcome in outcomes.items() if _is_to_wait(outcome)}
        for reason, topic in failures.items():
            log.warning("lane %d: %s waits for Kafka: %s", lane, topic, reason, extra={"lane": lane, "topic": topic})

    def _delete_soon(self) -> None:
        """Let a look delete what was published, if none comes along by itself."""
        if self._deletion is None:
            self._deletion = asyncio.get_running_loop().call_later(DELETE_SECONDS, self._delete_now)

    def _delete_now(self) -> None:
        self._deletion = None
        self.kick()

    def _deleted(self, lanes: Collection[int]) -> None:
        """Forget what was published in these lanes: the outbox does not hold it any more."""
        for lane in lanes:
            del self._published[lane]
        if self._deletion is not None and not self._published:
            self._deletion.cancel()
            self._deletion = None

    async def _bury(self, seq: int, refusal: Refused) -> None:
        log.error("message %d is buried: %s", seq, refusal, extra={"seq": seq, "reason": refusal.reason})
        await self._database.run(_SQL["bury"], {"seq": seq, "reason": str(refusal)})
        self.buried += 1


def _parameters(
    lanes: Sequence[int], held_up: Sequence[tuple[int, str]], room: int, published: Mapping[int, Sequence[int]]
) -> Mapping[str, Any]:
    return {
        "published": [seq for seqs in published.values() for seq in seqs],
        "lanes": lanes,
        "held_up_lanes": [lane for lane, _ in held_up],
        "held_up_topics": [topic for _, topic in held_up],
        "limit": LANE_BATCH,
        "lane_bytes": LANE_BATCH_BYTES,
        "bytes": room,
    }


def _is_full(rows: Sequence[Row]) -> bool:
    """Whether the lane may hold more than what was read of it."""
    return len(rows) >= LANE_BATCH or sum(row.bytes for row in rows) >= LANE_BATCH_BYTES


def _is_to_wait(outcome: Outcome) -> bool:
    return isinstance(outcome, NotPublished) and not isinstance(outcome, Aborted)


def _message(row: Row) -> Message:
    return Message(
        id=row.message_id,
        topic=row.topic,
        key=bytes(row.key),
        value=None if row.value is None else bytes(row.value),
        headers=_headers(row.headers),
    )


@lru_cache(maxsize=64)
def _headers(stored: str) -> tuple[tuple[str, bytes], ...]:
    """Headers from their stored form as JSON; those of nearly all messages are the same."""
    return tuple(headers_from(orjson.loads(stored)))
