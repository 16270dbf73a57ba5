"""Observation: plays a simulation against a running worker, and watches everything that follows from it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from agents.model.agent import Agent
from agents.model.catalogue import Catalogue
from agents.shop import shop
from app.demo.checker import EventKey
from app.demo.evidence import AGENTS_SOURCE, count_committed, is_decided
from app.demo.screen import Screen
from app.sandbox import Sandbox
from app.simulator import Produced
from app.simulator.sending import send_records
from tables.event import Event, InvalidEvent, parse

#: What the demo is about.
SHOP: Final = Catalogue([shop])
#: Give up when nothing has moved for this long, in seconds: much longer than a rebalance, on a busy machine as well.
STALLED_AFTER_SECONDS: Final = 180.0
#: Slow enough to read along.
RECORDS_PER_SECOND: Final = 100


@dataclass(slots=True)
class Observation:
    """What was seen to happen."""

    events_in: int = 0
    #: Every event of the domain topics once, by source and id, in the order seen.
    events: dict[EventKey, Event] = field(default_factory=dict)
    #: Events each agent has to decide on.
    due: dict[str, set[EventKey]] = field(default_factory=lambda: defaultdict(set))
    #: When each message of the agents was first seen (seconds since the epoch).
    seen_at: dict[EventKey, float] = field(default_factory=dict)
    last_news_at: float = field(default_factory=time.monotonic)

    @property
    def decisions_due(self) -> int:
        """How many decisions there will be, as far as is known."""
        return sum(map(len, self.due.values()))

    @property
    def is_stalled(self) -> bool:
        """Whether nothing has moved for too long."""
        return time.monotonic() - self.last_news_at > STALLED_AFTER_SECONDS

    @property
    def published(self) -> Sequence[Event]:
        """What the agents said."""
        return [self.events[message] for message in self.seen_at]

    def notice(self, record: ConsumerRecord) -> Event | None:
        """Take one record of a domain topic; returns the event unless it is broken or a copy."""
        try:
            event = parse(record.value, record.headers)
        except InvalidEvent:
            return None
        if event.key in self.events:
            return None
        self.events[event.key] = event
        self.last_news_at = time.monotonic()
        for agent in deciding(event):
            self.due[agent.name].add(event.key)
        if event.source.startswith(AGENTS_SOURCE) and is_decided(event.type):
            self.seen_at[event.key] = time.time()
        return event


def deciding(event: Event) -> Iterable[Agent]:
    """The agents that have to decide on an event, by what they declare."""
    return (
        agent for agent in SHOP.agents.values() if event.type in agent.reacts_to and event.data.get(agent.entity.field)
    )


async def observe(sandbox: Sandbox, records: Sequence[Produced], screen: Screen) -> Observation:
    """Send the records, show what comes of them, and return when all is decided and published or nothing moves."""
    observed = Observation()
    consumer = AIOKafkaConsumer(*SHOP.topics, bootstrap_servers=sandbox.kafka, auto_offset_reset="earliest")
    await consumer.start()

    def on_sent() -> None:
        observed.events_in += 1
        observed.last_news_at = time.monotonic()
        screen.sent()

    sending = asyncio.create_task(
        send_records({"bootstrap_servers": sandbox.kafka}, records, per_second=RECORDS_PER_SECOND, on_sent=on_sent)
    )
    try:
        while True:
            # Asked first: what is sent afterwards may be due as well.
            is_sent = sending.done()
            if (await _is_over(sandbox, observed, screen) or observed.is_stalled) and is_sent:
                break
            # By time, over all topics: what is owed at a moment depends on what came before.
            batches = (await consumer.getmany(timeout_ms=200)).values()
            for record in sorted(chain.from_iterable(batches), key=lambda record: record.timestamp):
                if (event := observed.notice(record)) is not None:
                    screen.heard(event)
        await sending
    finally:
        sending.cancel()
        await consumer.stop()
    return observed


async def _is_over(sandbox: Sandbox, observed: Observation, screen: Screen) -> bool:
    """Whether everything due is decided, and everything decided was seen; whoever decides more says more."""
    decisions, messages = await asyncio.to_thread(count_committed, sandbox.database_url)
    screen.decided(decisions, due=observed.decisions_due)
    return decisions >= observed.decisions_due and messages <= len(observed.seen_at)


def of_correlation(events: Mapping[EventKey, Event], correlationid: str) -> Sequence[Event]:
    """Everything that belongs to one story, by time."""
    found = (event for event in events.values() if event.correlationid == correlationid)
    return sorted(found, key=lambda event: event.time)
