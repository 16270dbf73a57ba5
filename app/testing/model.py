"""Model: a language model that says what a test wants, asked and judged as a real one is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.interview import Interviewer
from agents.brains.model import CHOICE_FAILED, INTERNAL_ERROR, ModelBrain
from agents.brains.redaction import Redaction
from agents.brains.structured import parse_reply
from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.errors import DecisionFailed
from agents.model.history import History
from outbox.budget import Reservation
from outbox.journal import LlmCall, StoredReply

#: The model's name, and so the brain's in decisions.
MODEL: Final = "test-model"


@dataclass(frozen=True)
class _Says:
    """Gives the same answer whatever it is asked."""

    reply: str

    def check(self) -> None:
        """It is always there."""

    async def complete(self, prompt: Prompt, schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:  # noqa: ARG002
        """Answer at once."""
        return Reply(text=self.reply, model=MODEL, prompt_tokens=0, completion_tokens=0, latency_seconds=0)


class _Free:
    """A budget without a limit and a journal that keeps nothing."""

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        """Grant everything."""
        return Reservation(id="", agent=agent, tokens=tokens)

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        """Count nothing."""

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:  # noqa: ARG002
        """None was given before."""
        return {}

    async def record(self, call: LlmCall) -> None:
        """Keep nothing."""


def chosen(agent: Agent, history: History, reply: str) -> Verdict:
    """What is decided when a model replies so. An event loop may run meanwhile.

    Raises `DecisionFailed` where the agent's own function fails on the choice: a worker falls back to the rules.
    """
    free = _Free()
    interviewer = Interviewer(
        _Says(reply),
        model=MODEL,
        budget=free,
        journal=free,
        deadline_seconds=60,
        reply_tokens=0,
        now=lambda: history.at,
    )
    brain = ModelBrain(agent, interviewer, Redaction())
    with ThreadPoolExecutor(1) as thread:
        verdict = thread.submit(asyncio.run, brain.decide(history)).result()
    if verdict.fallback_reason == CHOICE_FAILED and agent.choosing is not None:
        # Once more, for its exception.
        agent.by_choice(parse_reply(reply, agent.choosing.form), history, agent.by_rules(history))
    if verdict.fallback_reason in {CHOICE_FAILED, INTERNAL_ERROR}:
        raise DecisionFailed(f"agent {agent.name} cannot ask a model: {verdict.fallback_reason}, see the log")
    return verdict
