"""A model brain on a real PostgreSQL and real HTTP: nothing is paid twice, no kill frees a budget, every event ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from scripted_model import HASTY, Misbehave, one_after_another
from undecided import GO, payment, watcher

from agents.brains.client import ChatClient, Server
from agents.brains.interview import Interviewer
from agents.brains.model import ModelBrain
from agents.brains.redaction import Redaction
from agents.model.decision import Verdict
from agents.model.errors import RejectedReply, Unavailable, Violation
from app.scripted_model.server import Answer, Ask, Script, ScriptedModel, by_seed
from outbox.budget import Budget
from outbox.database import Database
from outbox.journal import Journal

HISTORY = payment("now")


@asynccontextmanager
async def worker(
    database: Database, model: ScriptedModel, *, tokens: int = 10**9, deadline_seconds: float = 30, **limits: Any
) -> AsyncIterator[ModelBrain]:
    """The brain of a worker that asks `model`, with a budget and a journal of its own."""
    budget, journal = Budget(database, {"watcher": tokens}), Journal(database)
    server = Server(url=model.url, model="tiny")
    try:
        async with ChatClient(server, replace(HASTY, **limits)) as client:
            interviewer = Interviewer(
                client,
                model="tiny",
                budget=budget,
                journal=journal,
                deadline_seconds=deadline_seconds,
                reply_tokens=100,
                now=lambda: datetime.now(UTC),
            )
            yield ModelBrain(watcher(), interviewer, Redaction(()))
    finally:
        await budget.stop()
        await journal.stop()


def always(answer: Answer) -> Script:
    return lambda _: answer


async def test_a_decision_that_was_lost_in_a_crash_is_made_again_from_the_journal(database: Database) -> None:
    async with ScriptedModel(always(GO)) as model:
        async with worker(database, model) as brain:
            first = await brain.decide(HISTORY)
        async with worker(database, model) as brain:
            assert await brain.decide(HISTORY) == first
        assert (first.brain, len(model.asked)) == ("tiny", 1)


async def test_what_a_killed_worker_reserved_stays_reserved(database: Database, query: Callable[..., Any]) -> None:
    async with ScriptedModel(one_after_another(Misbehave(how="never_answers"), GO)) as model:
        async with worker(database, model, tokens=1000) as brain:
            call = asyncio.create_task(brain.decide(HISTORY))
            await model.arrived(1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        [(reserved,)] = query("SELECT sum(tokens) FROM llm_reservations WHERE expires_at > now()")
        assert 500 < reserved <= 1000
        async with worker(database, model, tokens=1000) as brain:
            assert (await brain.decide(payment("later"))).fallback_reason == "budget_spent"
        assert len(model.asked) == 1


async def test_what_was_used_is_counted_and_nothing_stays_reserved(
    database: Database, query: Callable[..., Any]
) -> None:
    async with ScriptedModel(always(GO)) as model, worker(database, model) as brain:
        await brain.decide(HISTORY)
    [(prompt_tokens, completion_tokens)] = query("SELECT prompt_tokens, completion_tokens FROM llm_calls")
    assert query("SELECT agent, used_tokens FROM llm_budgets") == [("watcher", prompt_tokens + completion_tokens)]
    assert query("SELECT count(*) FROM llm_reservations") == [(0,)]


#: Every word a fallback may be explained with.
REASONS = {str(reason) for kind in (Unavailable, RejectedReply, Violation) for reason in kind}


async def test_with_a_server_that_misbehaves_in_every_way_every_event_is_decided_and_every_fallback_explained(
    database: Database, query: Callable[..., Any]
) -> None:
    drawn = by_seed(1, misbehave=0.6)

    def script(ask: Ask) -> Answer:
        answer = drawn(ask)
        return answer if isinstance(answer, Misbehave) else GO

    limits: dict[str, Any] = {"attempts": 2, "attempt_seconds": 2, "circuit_failures": 4, "circuit_open_seconds": 0.05}
    at_a_time = asyncio.Semaphore(8)
    async with ScriptedModel(script) as model, worker(database, model, deadline_seconds=30, **limits) as brain:

        async def decide(number: int) -> Verdict:
            async with at_a_time:
                return await brain.decide(payment(f"p{number}"))

        verdicts = await asyncio.gather(*map(decide, range(120)))
    brains = Counter(verdict.brain for verdict in verdicts)
    fallbacks = Counter(verdict.fallback_reason for verdict in verdicts if verdict.fallback_reason)
    assert brains["tiny"] > 0
    assert fallbacks.keys() <= REASONS
    assert {"timeout", "refused", "circuit_open"} <= fallbacks.keys()
    # Where nobody fell back the model decided, or agreed with the rules.
    assert brains["tiny"] + fallbacks.total() == 120
    # Whatever was asked is in the journal, with a reply or the reason why there is none.
    unexplained = "SELECT count(*) FROM llm_calls WHERE reply IS NULL AND error IS NULL"
    assert query(unexplained) == [(0,)]
    asked = {verdict.fallback_reason for verdict in verdicts} - {"circuit_open", "busy", None}
    [(events,)] = query("SELECT count(DISTINCT event_id) FROM llm_calls")
    assert events >= sum(fallbacks[reason] for reason in asked if reason is not None) + brains["tiny"]
    assert query("SELECT count(*) FROM llm_reservations") == [(0,)]
