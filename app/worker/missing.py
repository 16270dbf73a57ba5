"""Missing: what consumer groups have committed past and PostgreSQL has neither a decision nor a dead letter of.

There is nothing of the kind unless PostgreSQL was restored to an earlier time than Kafka is of. What is missing is
decided once more when the groups begin before it (`rewind`); what is there is recognised (`decisions` is the inbox).
The windows know the end of the log by then: they are built anew up to the new offsets (`app.worker.rebuild`), so that
whatever is decided again knows what it knew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.engine.router import ROUTER
from agents.engine.routing import route, timeline
from agents.model.agent import Agent
from agents.model.types import Received
from agents.replay.reading import read_record
from agents.replay.records import TimelineRecord
from app.kafka.credentials import client_options
from app.kafka.groups import committed, remaining_members
from app.kafka.timelines import TimelineReader
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.worker.runtime import ROUTER_GROUP
from outbox.database import Database
from outbox.missing import Identity, unanswered
from tables.errors import Fatal
from tables.event import InvalidEvent

#: Records that are looked up at once.
PAGE: Final = 500

#: What has to be answered of some records: the event at each offset, None where it is none.
Due = Callable[[Sequence[TimelineRecord]], Mapping[int, Identity]]


class CannotRewind(Fatal):
    """The groups are where they were; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """What one consumer lacks of a partition."""

    group: str
    #: The agent, or `router`.
    consumer: str
    topic: str
    partition: int
    #: The first offset of it, and how many records.
    first: int
    records: int


class Search:
    """Looks through what the agents of a set, whose group this is, and the router have to answer."""

    def __init__(self, settings: Settings, database: Database, *, group: str) -> None:
        self._settings = settings
        self._database = database
        self._group = group

    async def run(self, since: datetime | None) -> Sequence[Missing]:
        """What is missing of all that Kafka has, or of what was written to it since then.

        Raises `DatabaseUnavailable`, `TimelineUnreadable`, and aiokafka's errors.
        """
        settings = self._settings
        found: list[Missing] = []
        agents: dict[str, dict[str, Due]] = {}
        for agent in settings.running:
            agents.setdefault(timeline(agent.entity.name), {})[agent.name] = partial(self._due_of_agent, agent)
        for topic, due in agents.items():
            found += await self._topic(self._group, topic, due, since)
        if settings.shadowing is None:
            for topic in settings.event_topics:
                found += await self._topic(ROUTER_GROUP, topic, {ROUTER: self._due_of_router}, since)
        return found

    async def _topic(self, group: str, topic: str, due: Mapping[str, Due], since: datetime | None) -> Sequence[Missing]:
        options = client_options(self._settings)
        reader = TimelineReader(options, topic, exact_ends=TUNING[self._settings.kafka_profile].exact_ends)
        firsts = {partition: first for partition, (first, _) in (await reader.partitions()).items()}
        ends = await committed(options, group, topic, sorted(firsts))
        found: list[Missing] = []
        for partition, first in firsts.items():
            start = first if since is None else await reader.first_since(partition, since)
            if start is None:
                continue
            one: dict[str, Missing] = {}
            async for page in _pages(reader, partition, start, ends[partition]):
                for consumer, due_of in due.items():
                    offsets = await unanswered(
                        self._database, consumer=consumer, topic=topic, partition=partition, due=due_of(page)
                    )
                    if offsets:
                        before = one.get(consumer) or Missing(
                            group=group,
                            consumer=consumer,
                            topic=topic,
                            partition=partition,
                            first=offsets[0],
                            records=0,
                        )
                        one[consumer] = replace(before, records=before.records + len(offsets))
            found += one.values()
        return found

    def _due_of_agent(self, agent: Agent, records: Sequence[TimelineRecord]) -> Mapping[int, Identity]:
        due: dict[int, Identity] = {}
        for record in records:
            try:
                read = read_record(record, self._settings.catalogue.types)
            except InvalidEvent:
                due[record.offset] = None
                continue
            is_valid = isinstance(read.received, Received)
            if read.event.type in agent.reacts_to or (not is_valid and read.event.type in agent.remembers):
                due[record.offset] = (read.event.source, read.event.id) if is_valid else None
        return due

    def _due_of_router(self, records: Sequence[TimelineRecord]) -> Mapping[int, Identity]:
        settings = self._settings
        due: dict[int, Identity] = {}
        for record in records:
            try:
                route(
                    record.value,
                    record.headers,
                    catalogue=settings.catalogue,
                    max_bytes=settings.max_event_bytes,
                    latest=record.at,
                )
            except InvalidEvent:
                due[record.offset] = None
        return due


async def rewind(settings: Settings, missing: Sequence[Missing]) -> None:
    """Have the groups begin again before the first of what is missing, where they have gone past it.

    Raises `CannotRewind` while one of them has workers, and aiokafka's errors: then some partitions may be set and
    others not, and it can be done again.
    """
    options = client_options(settings)
    firsts: dict[str, dict[TopicPartition, int]] = {}
    for one in missing:
        places = firsts.setdefault(one.group, {})
        place = TopicPartition(one.topic, one.partition)
        places[place] = min(one.first, places.get(place, one.first))
    for group in firsts:
        if count := await remaining_members(options, group, settings.kafka_session_timeout_seconds):
            raise CannotRewind(f"Kafka says that {count} workers of {group} run: stop them first")
    for group, places in firsts.items():
        async with AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **options) as consumer:
            consumer.assign(list(places))
            await consumer.commit(places)


async def _pages(
    reader: TimelineReader, partition: int, start: int, end: int
) -> AsyncIterator[Sequence[TimelineRecord]]:
    page: list[TimelineRecord] = []
    async for record in reader.read(partition, start, end):
        page.append(record)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
