"""Journal of language models: every attempt to ask one, with what was sent, what came back and what it took.

A call is recorded before its decision is, so an event that comes again finds the reply that was paid for. What a crash
leaves between reply and record is paid twice. Text is kept as it is but for what PostgreSQL cannot hold (NUL, lone
surrogates), which is replaced; whoever records bounds the sizes and has redacted the prompt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

from outbox.batching import Batcher
from outbox.database import Database, Row, queries
from outbox.errors import StatementRejected
from outbox.records import decision_id

_SQL: Final = queries("journal.sql")

#: What is counted and journaled about calls goes in batches this far apart, in seconds: nobody notices it beside a
#: model's answer, and a busy worker runs 50 statements of a kind in a second in place of hundreds.
PACE_SECONDS: Final = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class LlmCall:
    """One attempt to ask a language model."""

    agent: str
    event_source: str
    event_id: str
    #: Counts the attempts for this event, from 1.
    attempt: int
    model: str
    #: Of the prompt as it was sent and the schema asked for, in lower-case hex.
    prompt_sha256: str
    prompt: str
    #: What came back, as far as it was read.
    reply: str | None
    #: As the server counted; None when it did not say.
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: int
    #: Why nobody can decide by the reply; None means that it is valid.
    error: str | None
    called_at: datetime
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredReply:
    """What a model said to a prompt, valid or not: it was paid for."""

    #: The prompt it answers.
    prompt_sha256: str
    #: The model, by its own name.
    model: str
    reply: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """The reply in a row of `replies`."""
        return cls(prompt_sha256=row.prompt_sha256, model=row.model, reply=row.reply)


class Journal:
    """Writes and reads `llm_calls`; one per worker. Calls that end together share a statement.

    `on_call` is told of each call that was written.
    """

    def __init__(
        self, database: Database, *, batch_size: int = 100, on_call: Callable[[LlmCall], None] | None = None
    ) -> None:
        self._database = database
        self._on_call = on_call
        self._calls = Batcher(self._record, limit=batch_size, name="journal", pace_seconds=PACE_SECONDS)
        self._lookups = Batcher(self._look_up, limit=batch_size, name="journal lookups", pace_seconds=PACE_SECONDS)

    async def stop(self) -> None:
        """Stop writing and reading; whoever waits here is cancelled."""
        await self._calls.stop()
        await self._lookups.stop()

    async def record(self, call: LlmCall) -> None:
        """Write the call and wait for the commit; a second time changes nothing.

        Raises `DatabaseUnavailable`, or `StatementRejected` for a call that breaks the rules of the table.
        """
        await self._calls.submit(call)
        if self._on_call is not None:
            self._on_call(call)

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:
        """What was said about this event, by the hash of the prompt; the newest reply to each, whatever model gave it.

        Raises `DatabaseUnavailable`.
        """
        return await self._lookups.submit((agent, event_source, event_id))

    async def _look_up(self, events: Sequence[tuple[str, str, str]]) -> Sequence[Mapping[str, StoredReply]]:
        found: dict[tuple[str, str, str], dict[str, StoredReply]] = {event: {} for event in events}
        agents, sources, ids = (list(column) for column in zip(*found, strict=True))
        parameters = {"agents": agents, "event_sources": sources, "event_ids": ids}
        for row in await self._database.run(_SQL["replies"], parameters):
            found[row.agent, row.event_source, row.event_id][row.prompt_sha256] = StoredReply.of(row)
        return [found[event] for event in events]

    async def _record(self, calls: Sequence[LlmCall]) -> Sequence[StatementRejected | None]:
        try:
            await self._write(calls)
        except StatementRejected as error:
            if len(calls) == 1:
                return [error]
            middle = len(calls) // 2
            return [*await self._record(calls[:middle]), *await self._record(calls[middle:])]
        return [None] * len(calls)

    async def _write(self, calls: Sequence[LlmCall]) -> None:
        await self._database.run(
            _SQL["record_calls"],
            {
                "ids": [str(c.id) for c in calls],
                "agents": [c.agent for c in calls],
                "event_sources": [c.event_source for c in calls],
                "event_ids": [c.event_id for c in calls],
                "decision_ids": [str(decision_id(c.agent, c.event_source, c.event_id)) for c in calls],
                "attempts": [c.attempt for c in calls],
                "models": [c.model for c in calls],
                "prompt_sha256s": [c.prompt_sha256 for c in calls],
                "prompts": [storable(c.prompt) for c in calls],
                "replies": [None if c.reply is None else storable(c.reply) for c in calls],
                "prompt_tokens": [c.prompt_tokens for c in calls],
                "completion_tokens": [c.completion_tokens for c in calls],
                "latencies_ms": [c.latency_ms for c in calls],
                "errors": [None if c.error is None else storable(c.error) for c in calls],
                "called_ats": [c.called_at for c in calls],
            },
        )


def storable(text: str) -> str:
    """The text as the journal keeps it: judge this one, and what comes back is judged in the same way."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
