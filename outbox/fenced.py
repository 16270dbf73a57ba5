"""Fenced publisher: one Kafka transaction per batch of a lane, so that `read_committed` readers see each message once.

Each lane has a transactional id. Taking a lane over initialises it, which fences the owner before: Kafka aborts its
open transaction or finishes the one it was committing. What cannot be known from Kafka's side alone is whether a batch
that is still in the outbox was committed before its owner died. So each batch has an id, written to its rows before and
committed *inside* the transaction as the metadata of an offset (group `…-lane-N`). Whoever takes the lane over reads
that id and deletes the rows that carry it before it publishes anything: they are in Kafka, all others are not.

An owner that slept through its lease may initialise after its successor. It cannot name a batch: only the epoch that
the lane has in PostgreSQL may, and who has it then is fenced by whoever comes later.

Fails like the plain publisher: what is not acknowledged is `NotPublished` and tried again under a new initialisation. A
topic that cannot be written aborts its transaction; the other messages are `Aborted`, and go at once without it.
Until then, or until Kafka gives the transaction up (`transaction_timeout_ms`), its readers wait at it. Readers that do
not use `read_committed` see aborted batches too. Kafka forgets the offsets of an idle group after
`offsets.retention.minutes` (7 days), or when the topic of the offset is deleted: a batch left half done may be
repeated then. Brokers before 4.0 complete offsets a moment after their transaction; only from 4.0 on is the id read
sure to be the last one.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from outbox.database import Database, queries
from outbox.errors import Transient
from outbox.outcomes import Aborted, NotPublished, Outcome, Refused, Unwritable, outcome_of
from outbox.parameters import DEAD_LETTERS
from outbox.publisher import PUBLISH_SECONDS, close, limits_of
from outbox.records import Message
from outbox.sending import ANY_PARTITIONS, Partitions, Sending

log = logging.getLogger(__name__)

_SQL: Final = queries("fenced.sql")

#: Any partition that always exists can carry the offset whose metadata is the batch id.
_MARKER: Final = TopicPartition(DEAD_LETTERS, 0)

#: What is known of a message until its transaction is.
_NOT_COMMITTED: Final = NotPublished("not committed")


@dataclass(slots=True)
class _Lane:
    """A lane this worker has initialised."""

    number: int
    epoch: int
    producer: AIOKafkaProducer
    #: The transactional id, and the group whose offset carries the id of the last committed batch.
    name: str


class FencedPublisher:
    """Publishes lanes in transactions.

    `client` are aiokafka's options of every client (brokers, security), `producer` those of producers besides,
    `partitions` those that topics must have to be written to.
    """

    def __init__(
        self,
        database: Database,
        *,
        client: Mapping[str, Any],
        producer: Mapping[str, Any],
        partitions: Partitions = ANY_PARTITIONS,
    ) -> None:
        self._database = database
        self._client_options = client
        self._producer_options = {**client, **producer}
        self._partitions = partitions
        self._limits = limits_of(self._producer_options)
        self._lanes: dict[int, _Lane] = {}
        #: Batches that were not published because their lane has another owner, since the start.
        self.fenced = 0

    async def publish_lane(self, number: int, epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        """Send a lane's batch in one transaction; see `outbox.relay.LanePublisher`."""
        outcomes: dict[int, Outcome] = dict.fromkeys(batch, _NOT_COMMITTED)
        lane = self._lanes.get(number)
        if lane is not None and lane.epoch != epoch:
            await self._give_up(number)
            lane = None
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                if lane is None:
                    lane = self._lanes[number] = await self._initialise(number, epoch)
                    published = await self._delete_published(lane)
                    outcomes.update(dict.fromkeys(published & batch.keys()))
                await self._publish(lane, batch, outcomes)
        except (TimeoutError, KafkaError, OSError, Transient) as error:
            self.fenced += isinstance(error, ProducerFenced)
            log.warning("lane %d could not be published: %r", number, error)
            failure = error if isinstance(error, NotPublished) else outcome_of(error)
            outcomes.update((seq, failure) for seq, outcome in outcomes.items() if outcome is _NOT_COMMITTED)
        finally:
            # What Kafka has, or in which order it counts, is certain only after a new initialisation.
            if any(outcomes.values()):
                await self._give_up(number)
        return outcomes

    async def stop(self) -> None:
        """Close every producer; a transaction under way is aborted when its lane is next taken over."""
        await asyncio.gather(*map(self._give_up, list(self._lanes)))

    async def _publish(self, lane: _Lane, batch: Mapping[int, Message], outcomes: dict[int, Outcome]) -> None:
        """Publish what is not in Kafka yet; a message is published only when the transaction is committed."""
        waiting = [seq for seq in batch if outcomes[seq] is not None]
        if not waiting:
            return
        batch_id = str(uuid.uuid4())
        named = await self._database.run(
            _SQL["name_batch"], {"lane": lane.number, "epoch": lane.epoch, "seqs": waiting, "batch_id": batch_id}
        )
        if len(named) != len(waiting):
            self.fenced += 1
            raise NotPublished(f"lane {lane.number} has another owner")
        producer = lane.producer
        await producer.begin_transaction()
        sending = Sending(producer, [batch[seq] for seq in waiting], self._limits, partitions=self._partitions)
        is_sent = False
        try:
            await sending.run()
            is_sent = not any(sending.outcomes)
        finally:
            if not is_sent:
                outcomes.update(zip(waiting, _uncommitted(sending), strict=True))
        if is_sent:
            await producer.send_offsets_to_transaction({_MARKER: OffsetAndMetadata(0, batch_id)}, lane.name)
            await producer.commit_transaction()
            outcomes.update(dict.fromkeys(waiting))

    async def _initialise(self, number: int, epoch: int) -> _Lane:
        """Fence the owner before and have Kafka settle its transaction."""
        [identity] = await self._database.run(_SQL["identity"])
        name = f"innervate-{identity.id}-lane-{number}"
        producer = AIOKafkaProducer(
            **self._producer_options, transactional_id=name, transaction_timeout_ms=int(2000 * PUBLISH_SECONDS)
        )
        try:
            await producer.start()
        except BaseException:
            await close(producer)
            raise
        return _Lane(number, epoch, producer, name)

    async def _delete_published(self, lane: _Lane) -> set[int]:
        """Delete what is left of the last batch that Kafka committed for this lane."""
        batch_id = await self._last_committed_batch(lane.name)
        if not batch_id:
            return set()
        rows = await self._database.run(_SQL["delete_batch"], {"lane": lane.number, "batch_id": batch_id})
        return {row.seq for row in rows}

    async def _last_committed_batch(self, group: str) -> str:
        """The id of that batch; empty when there was none."""
        admin = AIOKafkaAdminClient(**self._client_options)
        try:
            await admin.start()
            offsets = await admin.list_consumer_group_offsets(group, partitions=[_MARKER])
        finally:
            await admin.close()
        if _MARKER not in offsets:
            # aiokafka does not look at the error of the whole answer, as of a coordinator that is still loading.
            raise NotPublished(f"Kafka does not say which batch of {group} was the last")
        return str(offsets[_MARKER].metadata or "")

    async def _give_up(self, number: int) -> None:
        lane = self._lanes.pop(number, None)
        if lane is not None:
            await close(lane.producer)


def _uncommitted(sending: Sending) -> Sequence[Outcome]:
    """The outcomes of messages whose transaction is not committed: who is not to blame is tried again at once."""
    is_blamed = sending.may_go_on or any(isinstance(outcome, (Refused, Unwritable)) for outcome in sending.outcomes)
    return [
        Aborted("aborted with another message")
        if outcome is None or (is_blamed and type(outcome) is NotPublished)
        else outcome
        for outcome in sending.outcomes
    ]
