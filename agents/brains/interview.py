"""Interview: has a language model fill an agent's form, twice at most; every exchange is budgeted and journaled.

Tokens are reserved before a request and settled after it, and what came back is in the journal before anybody decides
by it. An event that comes again finds the replies there and asks nobody. While PostgreSQL is away the interview waits:
no decision could be committed either, and nothing is asked without a reservation. It fails with `BrainUnavailable`
(no reply) or `Rejected` (no reply of use).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, Self, TypeVar

import orjson

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.prompt import sha256_of
from agents.brains.schema import strict_schema
from agents.brains.structured import parse_reply, repair_prompt
from agents.model.choice import Choice
from agents.model.errors import BrainUnavailable, Rejected, Unavailable
from outbox.backoff import Backoff
from outbox.budget import Reservation
from outbox.errors import DatabaseUnavailable
from outbox.journal import LlmCall, StoredReply, storable

C = TypeVar("C", bound=Choice)
T = TypeVar("T")

#: Bytes of a prompt for each token that is reserved. Tokenizers make some four bytes of English prose one token, and
#: fewer of ids and numbers, so this reserves rather too much. Settled by what the server counted.
_BYTES_PER_TOKEN: Final = 3


class Client(Protocol):
    """Asks one model (`agents.brains.client.ChatClient`)."""

    def check(self) -> None:
        """Raise `BrainUnavailable` when nothing would be asked now."""

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:
        """Ask. Raises `BrainUnavailable`."""


class Budget(Protocol):
    """Tokens of the day (`outbox.budget.Budget`)."""

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        """Set tokens aside."""

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        """Count what was used."""


class Journal(Protocol):
    """What models were asked and said (`outbox.journal.Journal`)."""

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:
        """Replies by the hash of their prompt."""

    async def record(self, call: LlmCall) -> None:
        """Keep a call."""


@dataclass(frozen=True, slots=True)
class Filled(Generic[C]):
    """A form, and who filled it in."""

    choice: C
    #: The model, by its own name.
    model: str


@dataclass(frozen=True, slots=True)
class _Question(Generic[C]):
    """What one exchange is about."""

    agent: str
    #: Source and id of the event.
    event: tuple[str, str]
    attempt: int
    prompt: Prompt
    form: type[C]

    schema: Mapping[str, Any]
    sha256: str

    @classmethod
    def about(cls, agent: str, event: tuple[str, str], attempt: int, prompt: Prompt, form: type[C]) -> Self:
        schema = _schema(form)
        return cls(agent, event, attempt, prompt, form, schema, sha256_of(prompt, schema))

    @property
    def prompt_tokens(self) -> int:
        """About how many the prompt and its schema are, rather too many."""
        size = len(self.prompt.system.encode()) + len(self.prompt.user.encode()) + _schema_bytes(self.form)
        return -(-size // _BYTES_PER_TOKEN)


class Interviewer:
    """Interviews one model. `model` is the name it is asked by; `now` is the wall clock (UTC)."""

    def __init__(
        self,
        client: Client,
        *,
        model: str,
        budget: Budget,
        journal: Journal,
        deadline_seconds: float,
        reply_tokens: int,
        now: Callable[[], datetime],
    ) -> None:
        self.model = model
        self._client = client
        self._budget = budget
        self._journal = journal
        self._deadline_seconds = deadline_seconds
        self._reply_tokens = reply_tokens
        self._now = now

    async def fill(self, agent: str, event: tuple[str, str], prompt: Prompt, form: type[C]) -> Filled[C]:
        """Have the form filled in about the event with this source and id. Raises `BrainUnavailable` or `Rejected`."""
        deadline = time.monotonic() + self._deadline_seconds
        replies = await _persistently(lambda: self._journal.replies(agent, *event))
        try:
            return await self._exchange(_Question.about(agent, event, 1, prompt, form), replies, deadline)
        except Rejected as rejected:
            repair = _Question.about(agent, event, 2, repair_prompt(prompt, rejected), form)
        return await self._exchange(repair, replies, deadline)

    async def _exchange(self, question: _Question[C], replies: Mapping[str, StoredReply], deadline: float) -> Filled[C]:
        stored = replies.get(question.sha256)
        if stored is not None:
            return Filled(parse_reply(stored.reply, question.form), stored.model)
        self._client.check()
        return await self._ask(question, deadline)

    async def _ask(self, question: _Question[C], deadline: float) -> Filled[C]:
        tokens = question.prompt_tokens + self._reply_tokens
        reservation = await _persistently(lambda: self._budget.reserve(question.agent, tokens))
        if reservation is None:
            raise BrainUnavailable(Unavailable.BUDGET_SPENT, "no tokens are left for today")
        called_at, asked_at = self._now(), time.monotonic()
        try:
            reply = await self._client.complete(question.prompt, question.schema, deadline_seconds=deadline - asked_at)
        except BrainUnavailable as error:
            seconds = time.monotonic() - asked_at
            await self._settle(reservation, error.unanswered * tokens)
            await self._record(self._call(question, called_at, seconds, error=str(error.reason)))
            raise
        await self._settle(reservation, _used(reply, tokens))
        return await self._judge(question, reply, called_at)

    async def _judge(self, question: _Question[C], reply: Reply, called_at: datetime) -> Filled[C]:
        """Read the reply, and journal it with what is wrong with it before anybody decides by it."""
        text, rejected = storable(reply.text), None
        try:
            choice = parse_reply(text, question.form)
        except Rejected as error:
            rejected = error
        await self._record(
            self._call(question, called_at, reply.latency_seconds, reply=reply, text=text, error=_words(rejected))
        )
        if rejected is not None:
            raise rejected
        return Filled(choice, reply.model)

    def _call(
        self,
        question: _Question[C],
        called_at: datetime,
        seconds: float,
        *,
        reply: Reply | None = None,
        text: str | None = None,
        error: str | None = None,
    ) -> LlmCall:
        return LlmCall(
            agent=question.agent,
            event_source=question.event[0],
            event_id=question.event[1],
            attempt=question.attempt,
            model=reply.model if reply else self.model,
            prompt_sha256=question.sha256,
            prompt=f"{question.prompt.system}\n\n{question.prompt.user}",
            reply=text,
            prompt_tokens=reply.prompt_tokens if reply else None,
            completion_tokens=reply.completion_tokens if reply else None,
            latency_ms=round(seconds * 1000),
            error=error,
            called_at=called_at,
        )

    async def _settle(self, reservation: Reservation, used_tokens: int) -> None:
        await _persistently(lambda: self._budget.settle(reservation, used_tokens))

    async def _record(self, call: LlmCall) -> None:
        await _persistently(lambda: self._journal.record(call))


@lru_cache(maxsize=64)
def _schema(form: type[Choice]) -> Mapping[str, Any]:
    return strict_schema(form)


@lru_cache(maxsize=64)
def _schema_bytes(form: type[Choice]) -> int:
    return len(orjson.dumps(_schema(form)))


def _used(reply: Reply, estimate: int) -> int:
    """What the reply cost with all its attempts; an attempt nobody counted costs the estimate."""
    counted = (
        estimate
        if reply.prompt_tokens is None or reply.completion_tokens is None
        else reply.prompt_tokens + reply.completion_tokens
    )
    return counted + reply.unanswered * estimate


def _words(rejected: Rejected | None) -> str | None:
    return None if rejected is None else str(rejected)


async def _persistently(work: Callable[[], Awaitable[T]]) -> T:
    """Do it, again while PostgreSQL is away."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except DatabaseUnavailable:
            await backoff.wait()
