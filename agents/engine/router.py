"""Router: reads the domain topics and writes events to the timelines of the entities they belong to.

Where no agent wants the type of an event, and no setting asks for it, none is written (`agents.engine.wanted`); it is
checked all the same.

Offsets are committed only after the timelines (and the dead letters) have what was read (`agents.engine.commits`), so a
crash repeats events in a timeline and loses none; windows and decisions recognise the copies by their id. What is no
valid event becomes a dead letter, whatever it is, and the good events around it go on. A timeline that Kafka takes
nothing for holds up the partitions its events were read from, and no others (`agents.engine.timelines`). An event of no
entity stays where it is. What is in a Kafka transaction is routed when that is committed.

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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from agents.engine.commits import Commits
from agents.engine.fetching import COMMITTED_ONLY
from agents.engine.gathering import Gathering
from agents.engine.intake import Intake
from agents.engine.ports import Writer
from agents.engine.record import STRUCTURED
from agents.engine.routing import EntityRef, route, timeline
from agents.engine.routing import Routed as RoutedEvent
from agents.engine.stamps import instant, latest, remark
from agents.engine.timelines import Refusals, Routed, Timelines
from agents.engine.tracing import Carried, RouterTracing, Routing
from agents.engine.wanted import ALL, Wanted
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
        wanted: Wanted | None = None,
        tracing: RouterTracing | None = None,
    ) -> None:
        """Take what to read and where to write; without `wanted` every event goes to the timelines of its entities."""
        self._tracing = tracing
        self._topics = topics
        self._catalogue = catalogue
        self._group = group
        self._options = options
        self._timelines = Timelines(publisher)
        self._writer = writer
        self._max_event_bytes = max_event_bytes
        self._wanted = wanted or Wanted(catalogue, [ALL])
        self._consumer: AIOKafkaConsumer | None = None
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
        intake, commits = Intake(consumer, on_fetched=Gathering(consumer).fetched), Commits(consumer)
        try:
            # Subscribed before, it would wait for every topic, and fail for all when one is missing or denied.
            await consumer.start()
            consumer.subscribe(self._topics, listener=_Listener(intake, commits))
            self._consumer = consumer
            while True:
                records, offsets = await intake.read(within_seconds=commits.wait_seconds)
                self._timelines.keep_only(intake.held)
                if records:
                    await self._route(records)
                    held_up = self._timelines.held_up
                    # In the order of a partition the last one counts.
                    read_to = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
                    intake.hold({tp: offset for tp, offset in read_to.items() if tp in held_up})
                    commits.note({tp: at for tp, at in offsets.items() if tp not in held_up})
                    backoff.reset()
                    self._told = ""
                await self._bury_refused(await self._timelines.write_kept())
                commits.note(intake.release(intake.held.keys() - self._timelines.held_up))
                await commits.commit_due()
        finally:
            self._consumer = None
            await commits.give_up()
            await consumer.stop()

    async def _route(self, records: Sequence[ConsumerRecord]) -> None:
        messages: list[Routed] = []
        letters: list[DeadLetter] = []
        traces: list[Routing] = []
        now = datetime.now(UTC)
        for record in records:
            routed = self._routed(record, now)
            if isinstance(routed, DeadLetter):
                letters.append(routed)
                continue
            entities = [one for one in routed.entities if self._wanted.has(one.entity, routed.event.type)]
            if entities:
                headers: Carried = (*STRUCTURED, ("innervate_origin", _place(record).encode()))
                if self._tracing is not None:
                    traces.append(self._tracing.routing(record, routed.event))
                    headers += traces[-1].carried
                messages += [Routed(record, _message(routed, entity, headers)) for entity in entities]
        refused = await self._timelines.write(messages)
        if self._tracing is not None:
            self._tracing.routed(traces)
        for letter in letters:
            await self._bury(letter)
        await self._bury_refused(refused)
        self.routed += len(messages)

    @property
    def assigned(self) -> Collection[tuple[str, int]]:
        """The partitions of domain topics that this worker routes from now, as (topic, partition)."""
        return set() if self._consumer is None else {(tp.topic, tp.partition) for tp in self._consumer.assignment()}

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """The timelines that Kafka does not take events for now, and why."""
        return self._timelines.waiting

    def _routed(self, record: ConsumerRecord, now: datetime) -> RoutedEvent | DeadLetter:
        bound = latest(record.timestamp, now=now)
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
            log.exception("%s cannot be routed", _place(record), extra=_origin(record).log_fields(ROUTER))
            return _dead_letter(record, "unprocessable", type(error).__name__)

    async def _bury_refused(self, refusals: Refusals) -> None:
        for routed, refusal in refusals:
            await self._bury(_dead_letter(routed.record, refusal.reason, str(refusal)))

    async def _bury(self, letter: DeadLetter) -> None:
        self.dead += 1
        fields = {**letter.origin.log_fields(ROUTER), "reason": letter.reason}
        log.warning("dead letter %s: %s: %s", letter.origin, letter.reason, letter.detail, extra=fields)
        try:
            await self._writer.bury(letter)
        except Permanent as error:
            log.warning("dead letter %s is kept without its content: %s", letter.origin, error, extra=fields)
            detail = f"{letter.detail} (without its content, which PostgreSQL refuses)"
            await self._writer.bury(replace(letter, detail=detail, key=None, value=None, headers=()))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Gives up what is not routed, and commits what is, before partitions go to others."""

    def __init__(self, intake: Intake, commits: Commits) -> None:
        self._intake = intake
        self._commits = commits

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._intake.on_partitions_revoked(revoked)
        await self._commits.give_up()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._intake.on_partitions_assigned(assigned)


def _message(routed: RoutedEvent, entity: EntityRef, headers: tuple[tuple[str, bytes], ...]) -> Message:
    return Message(
        id=routed.event.id,
        topic=timeline(entity.entity),
        key=entity.id.encode(),
        value=routed.payload,
        headers=headers,
    )


def _dead_letter(record: ConsumerRecord, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(
        consumer=ROUTER,
        reason=reason,
        detail=detail + remark(record.timestamp),
        origin=_origin(record),
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )


def _origin(record: ConsumerRecord) -> Origin:
    return Origin(topic=record.topic, partition=record.partition, offset=record.offset, at=instant(record.timestamp))


def _place(record: ConsumerRecord) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
