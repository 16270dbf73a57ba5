"""Fakes around an interview: a model by a list of answers, a budget and a journal in memory.

Each is held to the suite of the real thing (`tests/contract`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.interview import Budget as BudgetPort
from agents.brains.interview import Client as ClientPort
from agents.brains.interview import Interviewer
from agents.brains.interview import Journal as JournalPort
from agents.model.errors import BrainUnavailable, Unavailable
from outbox.budget import Reservation
from outbox.errors import DatabaseUnavailable, StatementRejected
from outbox.journal import LlmCall, StoredReply, storable

ASKED_AT = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
#: What each request reserves for the answer, beside its prompt.
REPLY_TOKENS = 100


@dataclass
class Client(ClientPort):
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
        self.check()
        self.deadlines.append(deadline_seconds)
        if deadline_seconds <= 0:
            raise BrainUnavailable(Unavailable.TIMEOUT, "no time is left")
        self.asked.append((Prompt(system=_in_utf8(prompt.system), user=_in_utf8(prompt.user)), schema))
        answer = self.answers.pop(0)
        if isinstance(answer, BrainUnavailable):
            raise answer
        return reply(answer) if isinstance(answer, str) else answer


def _in_utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


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
class Budget(BudgetPort):
    """Grants what is left to each agent: of `limits`, or as much as it wants where there are none."""

    limits: Mapping[str, int] | None = None
    reserved: list[tuple[str, int]] = field(default_factory=list)
    settled: list[tuple[int, int]] = field(default_factory=list)
    #: Calls that find PostgreSQL away.
    outages: int = 0
    #: Used, and reserved by the ids of the reservations.
    _used: Counter[str] = field(default_factory=Counter)
    _open: dict[str, Reservation] = field(default_factory=dict)

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        if tokens <= 0:
            raise ValueError(f"a reservation of {tokens} tokens")
        limit = tokens if self.limits is None else self.limits.get(agent, 0)
        if tokens > limit:
            return None
        self._meet_outage()
        reserved = sum(each.tokens for each in self._open.values() if each.agent == agent)
        if self.limits is not None and self._used[agent] + reserved + tokens > limit:
            return None
        self.reserved.append((agent, tokens))
        reservation = Reservation(id=str(len(self.reserved)), agent=agent, tokens=tokens)
        self._open[reservation.id] = reservation
        return reservation

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        if used_tokens < 0:
            raise ValueError(f"a call that used {used_tokens} tokens")
        self._meet_outage()
        if self._open.pop(reservation.id, None) is not None:
            self.settled.append((reservation.tokens, used_tokens))
            self._used[reservation.agent] += used_tokens

    def _meet_outage(self) -> None:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable("away")


@dataclass
class Journal(JournalPort):
    """Keeps every call, as PostgreSQL would."""

    calls: list[LlmCall] = field(default_factory=list)

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:
        asked = (agent, event_source, event_id)
        found = [call for call in self.calls if (call.agent, call.event_source, call.event_id) == asked]
        return {
            call.prompt_sha256: StoredReply(prompt_sha256=call.prompt_sha256, model=call.model, reply=call.reply)
            for call in sorted(found, key=lambda call: (call.called_at, call.id))
            if call.reply is not None
        }

    async def record(self, call: LlmCall) -> None:
        numbers = (call.prompt_tokens, call.completion_tokens, call.latency_ms)
        if call.attempt < 1 or any(number is not None and number < 0 for number in numbers):
            raise StatementRejected("a number that the table forbids")
        if not (call.agent and call.event_id and call.model) or not re.fullmatch("[0-9a-f]{64}", call.prompt_sha256):
            raise StatementRejected("a name that the table forbids")
        if call.error == "" or (call.reply is None and call.error is None):
            raise StatementRejected("a call that ended in nothing")
        if call.id not in {each.id for each in self.calls}:
            self.calls.append(
                replace(call, prompt=storable(call.prompt), reply=_kept(call.reply), error=_kept(call.error))
            )


def _kept(text: str | None) -> str | None:
    return None if text is None else storable(text)


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
