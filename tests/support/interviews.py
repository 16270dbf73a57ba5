"""Fakes around an interview: a model by a list of answers, a budget and a journal in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.interview import Interviewer
from agents.model.errors import BrainUnavailable
from outbox.budget import Reservation
from outbox.errors import DatabaseUnavailable
from outbox.journal import LlmCall, StoredReply

ASKED_AT = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
#: What each request reserves for the answer, beside its prompt.
REPLY_TOKENS = 100


@dataclass
class Client:
    """Gives the answers in turn: a text, a `Reply` or an error."""

    answers: list[str | Reply | BrainUnavailable]
    asked: list[tuple[Prompt, Mapping[str, Any]]] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    #: Raised before anything is asked.
    closed: BrainUnavailable | None = None

    def check(self) -> None:
        if self.closed:
            raise self.closed

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:
        self.asked.append((prompt, schema))
        self.deadlines.append(deadline_seconds)
        answer = self.answers.pop(0)
        if isinstance(answer, BrainUnavailable):
            raise answer
        return reply(answer) if isinstance(answer, str) else answer


def reply(text: str, *, tokens: tuple[int | None, int | None] = (40, 7), unanswered: int = 0) -> Reply:
    """A reply of the model `tiny-1`."""
    asked, answered = tokens
    return Reply(
        text=text,
        model="tiny-1",
        prompt_tokens=asked,
        completion_tokens=answered,
        latency_seconds=1.5,
        unanswered=unanswered,
    )


@dataclass
class Budget:
    """Grants what is left."""

    left: int = 1_000_000
    reserved: list[tuple[str, int]] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    #: Calls that find PostgreSQL away.
    outages: int = 0

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("away")
        if tokens > self.left:
            return None
        self.reserved.append((agent, tokens))
        return Reservation(id=str(len(self.reserved)), agent=agent, tokens=tokens)

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        self.settled.append((reservation.tokens, used_tokens))


@dataclass
class Journal:
    """Keeps every call."""

    calls: list[LlmCall] = field(default_factory=list)

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:
        asked = (agent, event_source, event_id)
        found = [call for call in self.calls if (call.agent, call.event_source, call.event_id) == asked and call.reply]
        return {
            call.prompt_sha256: StoredReply(prompt_sha256=call.prompt_sha256, model=call.model, reply=call.reply or "")
            for call in found
        }

    async def record(self, call: LlmCall) -> None:
        self.calls.append(call)


@dataclass
class Interview:
    """An interviewer of the model configured as `tiny`, and what is around it."""

    answers: Sequence[str | Reply | BrainUnavailable] = ()
    budget: Budget = field(default_factory=Budget)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.client = Client(list(self.answers))
        self.interviewer = self.interviewing(self.client)

    def interviewing(self, client: Client) -> Interviewer:
        """One that asks this client."""
        return Interviewer(
            client,
            model="tiny",
            budget=self.budget,
            journal=self.journal,
            deadline_seconds=20,
            reply_tokens=REPLY_TOKENS,
            now=lambda: ASKED_AT,
        )
