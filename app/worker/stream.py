"""Between Faust and the stream loop: an agent as a Faust agent, a Faust event as a batch."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final, cast

import faust

from agents.engine.inputs import Inputs, Readings
from agents.engine.loop import StreamLoop
from agents.engine.ports import Writer
from agents.engine.routing import timeline
from agents.engine.tracing import DecisionTracing
from agents.model.agent import Agent
from app.kafka.topic_ids import KnownTopics
from app.kafka.tuning import TUNING
from app.settings import Settings
from app.settings.judging import window_of
from app.worker.brains import Brains
from app.worker.consumer import Consumer
from app.worker.fetched import AsFetched, Fetched
from tables.lineage import Lineage
from tables.table import WindowTable


class FaustBatch:
    """What one event of a Faust stream holds: records of a partition, acknowledged by hand."""

    __slots__ = ("_agent", "_app", "_done", "_event", "_held", "_message", "partition", "records", "topic")

    def __init__(self, app: faust.App, event: faust.EventT[Any], agent: str) -> None:
        self._app = app
        self._event = event
        self._agent = agent
        message = cast("Fetched", event.message)
        self._message = message
        #: The timeline, the partition and the records of it.
        self.topic: str = message.topic
        self.partition: int = message.partition
        self.records = message.records
        self._held = 0
        self._done = 0
        self._consumer.taken(message)

    @property
    def _consumer(self) -> Consumer:
        return cast("Consumer", self._app.consumer)

    @property
    def stale(self) -> bool:
        """Whether a rebalance began or ended since the records were read: a table must not be written for them."""
        return self._of_an_earlier_assignment or not self._app.flow_control.is_active()

    @property
    def _of_an_earlier_assignment(self) -> bool:
        return self._message.generation_id != self._app.consumer_generation_id

    def hold(self) -> None:
        """Something of it is in flight."""
        self._held += 1

    def release(self) -> None:
        """Something of it is in flight no more; with the last of it the message is acknowledged, or given up.

        What is left of it will be read again. Leaving it would hang the shutdown for ever.
        """
        self._held -= 1
        if self._held:
            return
        if self._done > self._message.offset and not self._of_an_earlier_assignment:
            self._event.ack()
        else:
            self._consumer.discard(self._message)
        self._consumer.ended(self._message)

    def done(self, offset: int) -> None:
        """Everything before this offset is done; what is of an earlier assignment will be read again."""
        self._done = offset
        if not self._of_an_earlier_assignment:
            self._consumer.done(self._message, self._agent, offset)


class AgentStream:
    """One agent as Faust runs it: a stream of its entity's timeline and a table of its windows."""

    def __init__(
        self,
        app: faust.App,
        agent: Agent,
        *,
        settings: Settings,
        brains: Brains,
        writer: Writer,
        readings: Readings | None = None,
        tracing: DecisionTracing | None = None,
    ) -> None:
        self.agent = agent
        self._tracing = tracing
        spec = window_of(settings, agent)
        self.windows: Final = WindowTable(app, f"{agent.name}-windows", spec, partitions=settings.topic_partitions)
        self.loop: StreamLoop | None = None
        self._app = app
        self._settings = settings
        self._brains = brains
        self._writer = writer
        self._readings = readings
        topic = app.topic(
            timeline(agent.entity.name),
            schema=AsFetched(),
            allow_empty=True,
            partitions=settings.topic_partitions,
        )

        async def consume(stream: faust.StreamT[Any]) -> None:
            await self._consume(cast("faust.Stream[Any]", stream))

        consume.__doc__ = f"Reacts to {', '.join(sorted(agent.reacts_to))} of a {agent.entity.name}."
        app.agent(topic, name=agent.name)(consume)

    @property
    def name(self) -> str:
        """The agent's."""
        return self.agent.name

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

    async def _consume(self, stream: faust.Stream[Any]) -> None:
        self.loop = StreamLoop(
            self.agent,
            inputs=Inputs(self.agent, self._settings.catalogue.types, self._readings, self._tracing),
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
                await self.loop.accept(FaustBatch(self._app, event, self.agent.name))
        except Exception as error:  # noqa: BLE001 - the worker stops, its events come again
            await self._app.crash(error)
