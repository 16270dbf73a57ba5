"""Misses: calls expectations missed, and removes those that were met, for the partitions this worker has.

An expectation is judged when everything that had been published a while after it was due is routed and decided here:
whoever is behind, or was down, must not take that for something that did not happen. It is judged by what the agent
remembers of the entity (`agents.engine.expectations`). Workers that judge the same one, around a rebalance, come to the
same message, and one of them to the row (`outbox.expectations`).

What comes after a miss is looked for as well, for some days, so that people see what is still stuck.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

from agents.engine.expectations import UNKNOWN, Begun, Outcome, outcome_of, told_of
from agents.model.agent import Agent
from agents.model.expectation import Expectation
from agents.model.types import Types
from app.worker.progress import Place
from outbox.errors import DatabaseUnavailable
from outbox.expectations import Expectations, Kept, Settled
from outbox.records import Message
from tables.errors import Permanent
from tables.window import Entry

log = logging.getLogger(__name__)

#: How often expectations are looked for that are due, in seconds.
ROUND_SECONDS: Final = 5.0
#: So much later than it was due an expectation is judged: clocks differ, and events come late (own choice).
PATIENCE: Final = timedelta(minutes=1)
#: For how long after a miss it is looked whether it was met after all (own choice: a person has seen it by then).
LATE: Final = timedelta(days=7)
#: Of the rounds, one in so many looks for that.
LATE_ROUNDS: Final = 12


class Windows(Protocol):
    """The windows of an agent (`tables.table.WindowTable`)."""

    def read(self, partition: int, entity: str) -> Sequence[Entry]:
        """What is remembered of an entity."""


class Watched(Protocol):
    """An agent's windows, and the partitions of its timeline that this worker has."""

    @property
    def agent(self) -> Agent:
        """The agent."""

    @property
    def windows(self) -> Windows:
        """Its windows."""

    @property
    def assigned(self) -> Collection[Place]:
        """The partitions, as (timeline, partition)."""


class Misses:
    """Judges the expectations of one worker's agents.

    `assignment` gives a number that is another one after each rebalance, None while the windows are not read back;
    `decided_until` up to when everything that was published by then is decided in these partitions.
    """

    def __init__(
        self,
        watched: Sequence[Watched],
        expectations: Expectations,
        *,
        types: Types,
        assignment: Callable[[], int | None],
        decided_until: Callable[[Collection[Place]], datetime | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._watched = watched
        self._expectations = expectations
        self._types = types
        self._assignment = assignment
        self._decided_until = decided_until
        self._now = now
        self._rounds = 0

    async def round(self) -> None:
        """Judge what is due; while PostgreSQL is away it waits."""
        looks_for_late = self._rounds % LATE_ROUNDS == 0
        self._rounds += 1
        try:
            for watched in self._watched:
                if watched.agent.expects:
                    for topic, partition in sorted(watched.assigned):
                        await self._partition(watched, (topic, partition), looks_for_late=looks_for_late)
        except DatabaseUnavailable as error:
            log.warning("expectations that are due wait for PostgreSQL: %s", error)

    async def _partition(self, watched: Watched, place: Place, *, looks_for_late: bool) -> None:
        assignment = self._assignment()
        # Of every partition here: what one agent is to bring about for another may be held up in any of them.
        reached = self._decided_until([place for one in self._watched for place in one.assigned])
        if assignment is None or reached is None:
            return

        def is_owned() -> bool:
            return self._assignment() == assignment and place in watched.assigned

        for one in watched.agent.expects:
            of_one = (watched.agent.name, one.name, place[1])
            async for page in self._expectations.due(*of_one, until=reached - PATIENCE):
                outcomes = await self._outcomes(watched, one, page, is_owned)
                await self._expectations.met([each.id for each, now in outcomes if now.state == "met"])
                await self._settle(watched.agent, one, outcomes, was="open")
            if looks_for_late:
                async for page in self._expectations.missed(*of_one, since=self._now() - LATE):
                    outcomes = await self._outcomes(watched, one, page, is_owned)
                    await self._settle(watched.agent, one, outcomes, was="missed")

    async def _outcomes(
        self, watched: Watched, expectation: Expectation, page: Sequence[Kept], is_owned: Callable[[], bool]
    ) -> Sequence[tuple[Kept, Outcome]]:
        """What became of each, as long as the windows are those of this worker."""
        judged: list[tuple[Kept, Outcome]] = []
        for kept in page:
            if not is_owned():
                break
            try:
                entries = watched.windows.read(kept.partition, kept.entity_id)
                outcome = outcome_of(expectation, begun_of(kept), entries, self._types)
            except Permanent as error:
                log.warning("what became of %s of %s is not known: %s", kept.name, kept.event_id, error)
                outcome = UNKNOWN
            judged.append((kept, outcome))
            await asyncio.sleep(0)
        return judged

    async def _settle(
        self,
        agent: Agent,
        expectation: Expectation,
        outcomes: Sequence[tuple[Kept, Outcome]],
        *,
        was: Literal["open", "missed"],
    ) -> None:
        """Write down what was not met in time, and tell of each miss once."""
        settled = [
            one for kept, outcome in outcomes if (one := self._settled(agent, expectation, kept, outcome, was=was))
        ]
        written = await self._expectations.settle(agent.name, expectation.name, settled, was=was)
        states = {one.id: one.state for one in settled}
        for kept, _ in outcomes:
            if kept.id in written:
                log.warning(
                    "%s of %s %s, due at %s: %s",
                    kept.name,
                    kept.entity,
                    kept.entity_id,
                    kept.due_at.isoformat(),
                    states[kept.id],
                    extra={"agent": kept.agent, "event_id": kept.event_id, "decision_id": kept.decision_id},
                )

    def _settled(
        self, agent: Agent, expectation: Expectation, kept: Kept, outcome: Outcome, *, was: Literal["open", "missed"]
    ) -> Settled | None:
        state, ended_by = outcome.state, outcome.ended_by
        if was == "missed":
            # Whatever ended it came after the miss was told, also what says that it happened before.
            if ended_by is None:
                return None
            is_awaited = isinstance(ended_by.data, tuple(expectation.until))
            state = "met_late" if is_awaited else "void_late"
        if state == "met":
            return None
        return Settled(
            id=kept.id,
            state=state,
            ended_at=None if ended_by is None else ended_by.at,
            ended_by=None if ended_by is None else ended_by.id,
            tells=self._told(agent, expectation, kept, outcome) if was == "open" else None,
        )

    def _told(self, agent: Agent, expectation: Expectation, kept: Kept, outcome: Outcome) -> Message | None:
        if outcome.begun_by is None:
            return None
        try:
            return told_of(agent, expectation, begun_of(kept), outcome.begun_by, self._types)
        except Permanent as error:
            log.warning("the miss of %s of %s cannot be told: %s", kept.name, kept.event_id, error)
            return None


def begun_of(kept: Kept) -> Begun:
    """An expectation as it is judged."""
    return Begun(
        entity_id=kept.entity_id,
        event_source=kept.event_source,
        event_id=kept.event_id,
        event_at=kept.event_at,
        due_at=kept.due_at,
    )
