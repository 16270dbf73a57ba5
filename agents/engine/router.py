"""Router: reads the domain topics and writes every event to the timeline of each entity it belongs to.

Offsets are committed only after the timelines (and the dead letters) have what was read, so a crash repeats events in a
timeline and loses none; windows and decisions recognise the copies by their id. What is no valid event becomes a dead
letter, whatever it is, and the good events around it go on. A timeline that Kafka takes nothing for holds up the
partitions its events were read from, and no others (`agents.engine.timelines`). An event of no entity stays where it
is. What is in a Kafka transaction is routed when that is committed.

An event that says it happened after its record was written happened when the record was written
(`agents.engine.stamps`). This is settled here, once: everybody reads the same time in the timeline, whenever and
however often.

A plain consumer in a group of its own, shared by the workers of every agent set: whichever sets run, each event is
routed once. The partitions a worker has are merged by the time of their records, under backlog too, so that events of
one entity in several topics keep their order. That is no promise: a partition that does not deliver is waited for only
so long, and one that was read to its end may get an older record later.

Partitions are assigned by range: the same partition of all domain topics, where producers put what has the same key,
goes to the same worker (given topics with equally many partitions), and only what one worker has is merged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
)

from agents.engine.fetching import COMMITTED_ONLY
from agents.engine.intake import Intake
from agents.engine.ports import Writer
from agents.engine.record import STRUCTURED
from agents.engine.routing import EntityRef, route, timeline
from agents.engine.routing import Routed as RoutedEvent
from agents.engine.stamps import instant, latest, remark
from agents.engine.timelines import Refusals, Routed, Timelines
from agents.model.catalogue import Catalogue
from outbox.backoff import Backoff
from outbox.errors import Permanent
from outbox.pauses import Waiting
from outbox.publisher import Publisher
from outbox.records import DeadLetter, Message, Origin
from tables.event import InvalidEvent

log = logging.getLogger(__name__)

#: Consumer name in dead letters, and the name of the consumer group.
ROUTER: Final = "router"

#: How often the consumer looks for topics that were not there, or that it had no right to, in milliseconds.
METADATA_MS: Final = 10_000
#: Bytes of one fetch over all partitions, if more than one batch has them.
FETCH_BYTES: Final = 16 * 1024 * 1024


class Router:
    """Routes until it is cancelled. `options` are aiokafka's (brokers, security, time-outs)."""

    def __init__(
        self,
        topics: Sequence[str],
        *,
        catalogue: Catalogue,
        group: str,
        options: Mapping[str, Any],
        publisher: Publisher,
        writer: Writer,
        max_event_bytes: int,
    ) -> None:
        self._topics = topics
        self._catalogue = catalogue
        self._group = group
        self._options = options
        self._timelines = Timelines(publisher)
        self._writer = writer
        self._max_event_bytes = max_event_bytes
        #: Events routed and dead letters written since the start.
        self.routed = 0
        self.dead = 0
        #: The last reason for starting again that was logged.
        self._told = ""

    async def run(self) -> None:
        """Route for ever; a broker that is away is waited for. Raises only what is a bug."""
        backoff = Backoff()
        while True:
            try:
                await self._consume(backoff)
            except (KafkaError, OSError) as error:
                self._tell(error)
                await backoff.wait()

    def _tell(self, error: Exception) -> None:
        """Say why the router starts again, once for each reason: what lasts is seen in readiness."""
        if repr(error) != self._told:
            self._told = repr(error)
            log.warning("the router starts again, until this is over: %r", error)

    async def _consume(self, backoff: Backoff) -> None:
        consumer = AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            metadata_max_age_ms=METADATA_MS,
            fetch_max_bytes=FETCH_BYTES,
            **COMMITTED_ONLY,
            **self._options,
        )
        intake = Intake(consumer)
        try:
            # Subscribed before, it would wait for every topic, and fail for all when one is missing or denied.
            await consumer.start()
            consumer.subscribe(self._topics, listener=intake)
            while True:
                records, offsets = await intake.read()
                self._timelines.keep_only(intake.held)
                if records:
                    await self._route(records)
                    held_up = self._timelines.held_up
                    # In the order of a partition the last one counts.
                    read_to = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
                    intake.hold({tp: offset for tp, offset in read_to.items() if tp in held_up})
                    await _commit(consumer, {tp: at for tp, at in offsets.items() if tp not in held_up})
                    backoff.reset()
                    self._told = ""
                await self._bury_refused(await self._timelines.write_kept())
                await _commit(consumer, intake.release(intake.held.keys() - self._timelines.held_up))
        finally:
            await consumer.stop()

    async def _route(self, records: Sequence[ConsumerRecord]) -> None:
        messages: list[Routed] = []
        letters: list[DeadLetter] = []
        for record in records:
            routed = self._routed(record)
            if isinstance(routed, DeadLetter):
                letters.append(routed)
            else:
                messages += [Routed(record, _message(record, routed, entity)) for entity in routed.entities]
        refused = await self._timelines.write(messages)
        for letter in letters:
            await self._bury(letter)
        await self._bury_refused(refused)
        self.routed += len(messages)

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """The timelines that Kafka does not take events for now, and why."""
        return self._timelines.waiting

    def _routed(self, record: ConsumerRecord) -> RoutedEvent | DeadLetter:
        bound = latest(record.timestamp, now=datetime.now(UTC))
        try:
            return route(
                record.value,
                record.headers,
                catalogue=self._catalogue,
                max_bytes=self._max_event_bytes,
                latest=bound,
            )
        except InvalidEvent as error:
            return _dead_letter(record, error.reason, str(error))
        except Exception as error:
            # It would end the worker at every start.
            log.exception("%s cannot be routed", _place(record))
            return _dead_letter(record, "unprocessable", type(error).__name__)

    async def _bury_refused(self, refusals: Refusals) -> None:
        for routed, refusal in refusals:
            await self._bury(_dead_letter(routed.record, refusal.reason, str(refusal)))

    async def _bury(self, letter: DeadLetter) -> None:
        self.dead += 1
        log.warning("dead letter %s: %s: %s", letter.origin, letter.reason, letter.detail)
        try:
            await self._writer.bury(letter)
        except Permanent as error:
            log.warning("dead letter %s is kept without its content: %s", letter.origin, error)
            detail = f"{letter.detail} (without its content, which PostgreSQL refuses)"
            await self._writer.bury(replace(letter, detail=detail, key=None, value=None, headers=()))


async def _commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    if not offsets:
        return
    try:
        await consumer.commit(offsets)
    except (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError) as error:
        # The partitions have a new owner, who reads these records again; their copies are recognised by id.
        log.info("offsets not committed, the records are routed again: %r", error)
    except TopicAuthorizationFailedError as error:
        # The other topics' offsets are committed all the same.
        log.info("offsets of a topic that cannot be read any more are not committed: %r", error)


def _message(record: ConsumerRecord, routed: RoutedEvent, entity: EntityRef) -> Message:
    return Message(
        id=routed.event.id,
        topic=timeline(entity.entity),
        key=entity.id.encode(),
        value=routed.payload,
        headers=(*STRUCTURED, ("innervate_origin", _place(record).encode())),
    )


def _dead_letter(record: ConsumerRecord, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(
        consumer=ROUTER,
        reason=reason,
        detail=detail + remark(record.timestamp),
        origin=Origin(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            at=instant(record.timestamp),
        ),
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )


def _place(record: ConsumerRecord) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
