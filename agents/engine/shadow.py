"""Shadows: a version of an agent beside the live one. It decides on the same events, and nothing comes of it.

What a shadow decides is kept under its own name, `agent@label`, with the status `shadow`: the messages it would have
sent are in the row, with the ids and the source they would have had, and neither they nor its effects leave it (the
writer publishes what is committed, and nothing else). What it asks of language models is journaled and paid for under
that name as well: a shadow never spends the tokens of the live agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agents.brains.interview import Budget, Journal
from agents.engine.ports import Writer
from outbox.budget import Reservation
from outbox.journal import LlmCall, StoredReply
from outbox.records import SHADOW_MARK, DeadLetter, DecisionRecord
from tables.errors import Permanent

#: Labels become parts of topic names; without a hyphen, so that no set of agents is called like a shadow.
_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,19}")


@dataclass(frozen=True, slots=True)
class Shadow:
    """Which version it is. Raises ValueError when the label cannot be part of a name."""

    label: str

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.label):
            raise ValueError(f"{self.label!r}: expected lower-case letters, digits and _, at most 20")

    def name_of(self, agent: str) -> str:
        """What a shadow of the agent is called where it is told from the live one."""
        return f"{agent}{SHADOW_MARK}{self.label}"


class ShadowWriter:
    """Writes what a shadow decides, and what it cannot decide on, as rows of which nothing follows."""

    def __init__(self, shadow: Shadow, writer: Writer) -> None:
        self._shadow = shadow
        self._writer = writer

    async def record(self, record: DecisionRecord) -> bool:
        """Commit the decision, whatever it asks for, as that of a shadow."""
        return await self._writer.record(self._of_shadow(record))

    async def record_all(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        """Commit the decisions, whatever they ask for, as those of a shadow."""
        return await self._writer.record_all(list(map(self._of_shadow, records)))

    async def bury(self, letter: DeadLetter) -> None:
        """Commit the dead letter without its copy in the topic: it tells of the shadow, not of the input."""
        name = self._shadow.name_of(letter.consumer)
        await self._writer.bury(replace(letter, consumer=name, is_published=False, tells=()))

    def _of_shadow(self, record: DecisionRecord) -> DecisionRecord:
        name = self._shadow.name_of(record.agent)
        return replace(record, agent=name, status="shadow", effects=(), hold=None, expected=())


class ShadowBudget:
    """Tokens of the shadow's own."""

    def __init__(self, shadow: Shadow, budget: Budget) -> None:
        self._shadow = shadow
        self._budget = budget

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        """Set tokens aside."""
        return await self._budget.reserve(self._shadow.name_of(agent), tokens)

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        """Count what was used."""
        await self._budget.settle(reservation, used_tokens)


class ShadowJournal:
    """What models were asked by the shadow, apart from what the live agent asked."""

    def __init__(self, shadow: Shadow, journal: Journal) -> None:
        self._shadow = shadow
        self._journal = journal

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:
        """Replies to the shadow by the hash of their prompt."""
        return await self._journal.replies(self._shadow.name_of(agent), event_source, event_id)

    async def record(self, call: LlmCall) -> None:
        """Keep a call."""
        await self._journal.record(replace(call, agent=self._shadow.name_of(call.agent)))
