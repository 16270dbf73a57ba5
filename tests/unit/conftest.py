"""A stream loop between fakes, ready to be driven by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from fake_writer import Writer
from fakes import NOON, Consumer, Delivery, Windows, event_of, idle, tell_the_history
from shop_catalogue import TYPES
from waiting import PATIENCE_SECONDS

from agents.engine.brain import Brain, RulesBrain
from agents.engine.inputs import Inputs
from agents.engine.loop import StreamLoop
from agents.model.agent import Agent
from agents.model.history import History
from agents.shop.entities import customer
from agents.shop.events import DomainEvent, PaymentFailed, PaymentSucceeded
from outbox.records import DecisionRecord
from tables.event import to_json
from tables.window import WindowSpec

DECIDED_AT = datetime.fromisoformat("2024-05-02T00:00:00+00:00")


@dataclass
class Rig:
    """One agent's loop; events of offset n are called `en` and happen n minutes after noon."""

    agent: Agent
    windows: Windows
    writer: Writer
    consumer: Consumer = field(default_factory=Consumer)
    crashes: list[BaseException] = field(default_factory=list)
    offered: list[asyncio.Task[None]] = field(default_factory=list)
    in_flight: int = 100
    #: The agent's rules unless told otherwise.
    brain: Brain | None = None

    def __post_init__(self) -> None:
        self.loop = self._new_loop()

    def _new_loop(self) -> StreamLoop:
        return StreamLoop(
            self.agent,
            brain=self.brain or RulesBrain(self.agent),
            windows=self.windows,
            writer=self.writer,
            now=lambda: DECIDED_AT,
            crash=self._crash,
            in_flight=self.in_flight,
            inputs=Inputs(self.agent, TYPES),
        )

    async def _crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    async def restart(self) -> None:
        """A new worker on the same windows and decisions."""
        await self.loop.stop()
        self.loop = self._new_loop()
        self.consumer = Consumer()

    def event(
        self,
        offset: int,
        entity: str = "ada",
        kind: type[DomainEvent] | str = PaymentSucceeded,
        *,
        partition: int = 0,
        event_id: str | None = None,
        minute: int | None = None,
        **changes: Any,
    ) -> Delivery:
        """A valid record of the timeline."""
        at = NOON + timedelta(minutes=offset if minute is None else minute)
        event = event_of(kind, event_id or f"e{offset}", at, customer_id=entity, **changes)
        return self.raw(offset, to_json(event), key=entity.encode(), partition=partition)

    def raw(self, offset: int, value: bytes | None, *, key: bytes | None = b"ada", partition: int = 0) -> Delivery:
        """Any record of the timeline."""
        return Delivery(self.consumer, offset, key, value, partition=partition)

    async def accept(self, *deliveries: Delivery) -> None:
        """Hand over in this order, then let everything go on that can; fails when the loop takes no more."""
        for delivery in deliveries:
            await asyncio.wait_for(self.loop.accept(delivery), timeout=PATIENCE_SECONDS)
        await idle()

    async def offer(self, delivery: Delivery) -> asyncio.Task[None]:
        """Hand over without waiting for the loop to take it."""
        task = asyncio.create_task(self.loop.accept(delivery))
        self.offered.append(task)
        await idle()
        return task

    @property
    def acknowledged(self) -> Sequence[int]:
        """Offsets acknowledged in partition 0."""
        return self.consumer.offsets()

    def decision(self, event_id: str) -> DecisionRecord:
        """The committed decision on an event."""
        [found] = [record for record in self.writer.decisions if record.event_id == event_id]
        return found

    def known(self, event_id: str) -> str:
        """What the rules knew when they decided on the event."""
        return self.decision(event_id).reason


@pytest.fixture
async def make_rig() -> AsyncIterator[Callable[..., Rig]]:
    """Build rigs; what they left in flight is dropped at the end."""
    rigs: list[Rig] = []

    def make(
        rules: Callable[[Any, History], Any] = tell_the_history,
        *,
        reacts_to: Sequence[type[DomainEvent]] = (PaymentSucceeded,),
        remembers: Sequence[type[DomainEvent]] = (PaymentSucceeded, PaymentFailed),
        events: int = 10,
        age: timedelta = timedelta(days=1),
        in_flight: int = 100,
        brain: Brain | None = None,
    ) -> Rig:
        spec = WindowSpec(events=events, age=age)
        agent = Agent(name="watcher", entity=customer, reacts_to=reacts_to, remembers=remembers, window=spec)
        agent.rules(rules)
        rigs.append(Rig(agent, Windows(spec), Writer(), in_flight=in_flight, brain=brain))
        return rigs[-1]

    yield make
    for rig in rigs:
        for task in rig.offered:
            task.cancel()
        await asyncio.gather(*rig.offered, return_exceptions=True)
        await rig.loop.stop()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """An agent that reacts to payments and remembers payments and failures."""
    return make_rig()
