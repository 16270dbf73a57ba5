"""Between Faust and the stream loop: an agent as a Faust agent, a Faust event as a delivery."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast

import faust

from agents.engine.loop import StreamLoop, Writer
from agents.engine.routing import timeline
from agents.model.agent import Agent
from app.kafka.topic_ids import KnownTopics
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.worker.brains import Brains
from app.worker.consumer import Consumer
from tables.lineage import Lineage
from tables.table import WindowTable


class FaustDelivery:
    """One event of a Faust stream, acknowledged by hand."""

    __slots__ = ("_app", "_event")

    def __init__(self, app: faust.App, event: faust.EventT[Any]) -> None:
        self._app = app
        self._event = event
        self._consumer.taken(event.message)

    @property
    def _consumer(self) -> Consumer:
        return cast("Consumer", self._app.consumer)

    @property
    def topic(self) -> str:
        """The timeline."""
        return self._event.message.topic

    @property
    def partition(self) -> int:
        """The partition of the timeline."""
        return self._event.message.partition

    @property
    def offset(self) -> int:
        """The offset in the partition."""
        return self._event.message.offset

    @property
    def stamp_ms(self) -> int | None:
        """The record's timestamp in milliseconds; Faust rounds what is beyond the year 285,000."""
        seconds = self._event.message.timestamp
        return None if seconds is None else round(seconds * 1000)

    @property
    def key(self) -> bytes | None:
        """The entity id as it was written."""
        return self._event.message.key

    @property
    def value(self) -> bytes | None:
        """The event as it was written."""
        return self._event.message.value

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Kafka headers; a header without value has none here either."""
        headers: Any = self._event.message.headers or ()
        return [(name, value or b"") for name, value in headers]

    @property
    def stale(self) -> bool:
        """Whether a rebalance began or ended since the event was read: a table must not be written for it."""
        return self._of_an_earlier_assignment or not self._app.flow_control.is_active()

    @property
    def _of_an_earlier_assignment(self) -> bool:
        return self._event.message.generation_id != self._app.consumer_generation_id

    def ack(self) -> None:
        """Acknowledge; for an earlier assignment only stop waiting for it, since it will be read again.

        Acknowledging such an offset would let Faust commit past it; leaving it would hang the shutdown for ever.
        """
        if self._of_an_earlier_assignment:
            self.discard()
        else:
            self._event.ack()
            self._consumer.ended(self._event.message)

    def discard(self) -> None:
        """Give the event up unacknowledged."""
        self._consumer.unacked.discard(self._event.message)
        self._consumer.ended(self._event.message)


class AgentStream:
    """One agent as Faust runs it: a stream of its entity's timeline and a table of its windows."""

    def __init__(self, app: faust.App, agent: Agent, *, settings: Settings, brains: Brains, writer: Writer) -> None:
        self.agent = agent
        spec = agent.window
        if settings.window_events is not None:
            spec = replace(spec, events=settings.window_events)
        self.windows: Final = WindowTable(app, f"{agent.name}-windows", spec, partitions=settings.topic_partitions)
        self.loop: StreamLoop | None = None
        self._app = app
        self._settings = settings
        self._brains = brains
        self._writer = writer
        topic = app.topic(
            timeline(agent.entity.name),
            key_type=bytes,
            value_type=bytes,
            # The types alone leave Faust reading JSON, and it ends the worker where there is none.
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
            partitions=settings.topic_partitions,
        )

        async def consume(stream: faust.StreamT[Any]) -> None:
            await self._consume(cast("faust.Stream[bytes]", stream))

        consume.__doc__ = f"Reacts to {', '.join(sorted(agent.reacts_to))} of a {agent.entity.name}."
        app.agent(topic, name=agent.name)(consume)

    @property
    def changelog(self) -> str:
        """The topic with every change of the windows."""
        return self.windows.table.changelog_topic_name

    def require(self, known: KnownTopics) -> None:
        """Use local windows only if they were filled from these topics."""
        name = timeline(self.agent.entity.name)
        has_exact_ends = TUNING[self._settings.kafka_profile].exact_ends
        self.windows.require(
            Lineage(known.cluster, known.ids[self.changelog], known.ids[name]),
            timeline=name if has_exact_ends else None,
        )

    @property
    def assigned(self) -> Collection[tuple[str, int]]:
        """The partitions of the timeline whose windows this worker has, as (topic, partition)."""
        actives = self._app.assignor.assigned_actives()
        return {(timeline(self.agent.entity.name), tp.partition) for tp in actives if tp.topic == self.changelog}

    async def stop(self) -> None:
        """Drop what is still in flight: unacknowledged, it comes again."""
        if self.loop is not None:
            await self.loop.stop()

    async def _consume(self, stream: faust.Stream[bytes]) -> None:
        self.loop = StreamLoop(
            self.agent,
            types=self._settings.catalogue.types,
            brain=self._brains.of(self.agent),
            windows=self.windows,
            writer=self._writer,
            now=lambda: datetime.now(UTC),
            crash=self._app.crash,
            hold_for=self._settings.hold_for,
        )
        # An exception that leaves this body would restart the agent with its event unacknowledged for ever.
        try:
            async for event in stream.noack().events():
                await self.loop.accept(FaustDelivery(self._app, event))
        except Exception as error:  # noqa: BLE001 - the worker stops, its events come again
            await self._app.crash(error)
