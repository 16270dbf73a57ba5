"""A decision writer in memory, by the rules of the one on PostgreSQL.

Both are held to one suite, `tests/contract/test_writers.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import orjson

from agents.engine.ports import Writer as WriterPort
from outbox.chains import ChainLimits
from outbox.errors import Echo, Permanent, StatementRejected
from outbox.records import DeadLetter, DecisionRecord, Message

#: What the table `decisions` knows.
STATUSES = {"committed", "held", "rejected", "refused", "shadow"}
#: What it takes only with something in it.
NEVER_EMPTY = ("agent", "event_id", "brain", "outcome")


class Writer(WriterPort):
    """Commits in memory. What was asked for is in `asked`, what was committed in `decisions` and `letters`."""

    def __init__(self, limits: ChainLimits = ChainLimits()) -> None:  # noqa: B008 - immutable
        self.asked: list[str] = []
        #: What was asked for together.
        self.calls: list[list[str]] = []
        self.decisions: list[DecisionRecord] = []
        self.letters: list[DeadLetter] = []
        #: What comes of asking for the decision on an event, by its id; a `StatementRejected` is one of its effects.
        self.refusals: dict[str, BaseException] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.bury_error: Exception | None = None
        self.burying = asyncio.Event()
        self.burying.set()
        self._limits = limits
        self._told: dict[str, int] = {}

    def hold(self, event_id: str) -> asyncio.Event:
        """Keep the decision on this event from being committed until the test sets the answer."""
        self.held[event_id] = asyncio.Event()
        return self.held[event_id]

    async def record(self, record: DecisionRecord) -> bool:
        [outcome] = await self.record_all([record])
        if isinstance(outcome, Permanent):
            raise outcome
        return outcome

    async def record_all(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        self.calls.append([record.event_id for record in records])
        outcomes: dict[int, bool | Permanent] = {}
        waiting: dict[tuple[str, str, str], list[int]] = {}
        for position, record in enumerate(records):
            self.asked.append(record.event_id)
            answer = self.held.get(record.event_id)
            follows = (record.agent, record.entity, record.entity_id)
            if follows in waiting or (answer is not None and not answer.is_set()):
                waiting.setdefault(follows, []).append(position)
            else:
                outcomes[position] = self._commit(record)

        async def wait(positions: Sequence[int]) -> None:
            for position in positions:
                if records[position].event_id in self.held:
                    await self.held[records[position].event_id].wait()
                outcomes[position] = self._commit(records[position])

        await asyncio.gather(*map(wait, waiting.values()))
        return [outcomes[position] for position in range(len(records))]

    def _commit(self, record: DecisionRecord) -> bool | Permanent:
        """What comes of it; raises what is no outcome of a decision."""
        record = self._limits.applied_to(record)
        refusal = self.refusals.get(record.event_id)
        if isinstance(refusal, StatementRejected) and record.status == "committed" and record.otherwise:
            record = record.refused(str(refusal))
        elif isinstance(refusal, Permanent):
            return refusal
        elif refusal is not None:
            raise refusal
        try:
            _require_storable(record)
        except StatementRejected as error:
            return error
        found = next((each for each in self.decisions if each.id == record.id), None)
        if found is None:
            self.decisions.append(self._counted(record))
        if (found or self.decisions[-1]).status == "refused":
            return Echo(record.correlation_id, self._limits.refusal(record, self._told.get(_story(record))))
        return found is None

    async def bury(self, letter: DeadLetter) -> None:
        await self.burying.wait()
        if self.bury_error is not None:
            raise self.bury_error
        if letter.id not in {each.id for each in self.letters}:
            self.letters.append(letter)

    def _counted(self, record: DecisionRecord) -> DecisionRecord:
        """The decision, refused when its story has too many messages with it."""
        if not record.chain_depth or not record.messages or record.status not in {"committed", "held", "refused"}:
            return record
        told = self._told[_story(record)] = self._told.get(_story(record), 0) + len(record.messages)
        if told <= self._limits.messages:
            return record
        return replace(record, status="refused", effects=(), hold=None, otherwise=())


def _story(record: DecisionRecord) -> str:
    return record.correlation_id or record.event_id


def _require_storable(record: DecisionRecord) -> None:
    """Raise `StatementRejected` where PostgreSQL does: for text it does not hold, and what its table forbids."""
    for field in fields(record):
        if not _is_storable(getattr(record, field.name)):
            raise StatementRejected(f"{field.name} is no text of PostgreSQL")
    if not 0 <= record.confidence <= 1:
        raise StatementRejected("confidence")
    if record.status not in STATUSES or not all(getattr(record, name) for name in NEVER_EMPTY):
        raise StatementRejected("a value that the table forbids")
    for message in record.messages:
        _require_message(message)


def _require_message(message: Message) -> None:
    try:
        message.key.decode()
        value = None if message.value is None else orjson.loads(message.value)
    except ValueError as error:
        raise StatementRejected("a message that cannot be kept") from error
    if not message.topic or not _is_storable(value):
        raise StatementRejected("a message that cannot be kept")


def _is_storable(value: Any) -> bool:
    """Whether PostgreSQL holds all text in it: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        return "\0" not in value and value == value.encode(errors="ignore").decode()
    if isinstance(value, Mapping):
        return all(map(_is_storable, [*value, *value.values()]))
    if isinstance(value, (list, tuple)):
        return all(map(_is_storable, value))
    return True
