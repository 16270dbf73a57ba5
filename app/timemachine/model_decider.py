"""Asking another language model in a replay: live calls, as many tokens as were permitted, nothing written anywhere.

When the tokens are used up the rules decide on the rest, with `budget_spent` as the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agents.brains.model import ModelBrain
from agents.brains.redaction import Redaction
from agents.engine.brain import Brain
from agents.model.agent import Agent
from agents.replay.deciders import BrainDecider
from app.settings import Settings
from app.worker.interviewing import client_of, interviewer_of, limits_of
from outbox.budget import Reservation
from outbox.journal import LlmCall, StoredReply


class TokenLimit:
    """A budget of so many tokens for all agents of a replay together."""

    def __init__(self, tokens: int) -> None:
        self._left = tokens
        #: Under way, by the ids of their reservations.
        self._reserved: dict[str, int] = {}

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        """Set tokens (more than 0) aside; None when there are not so many left."""
        if tokens <= 0:
            raise ValueError(f"a reservation must be of more than 0 tokens, got {tokens}")
        if tokens > self._left:
            return None
        self._left -= tokens
        reservation = Reservation(id=str(uuid.uuid4()), agent=agent, tokens=tokens)
        self._reserved[reservation.id] = tokens
        return reservation

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        """Give back what was not used (0 or more was); a second time changes nothing."""
        if used_tokens < 0:
            raise ValueError(f"a call cannot use {used_tokens} tokens")
        reserved = self._reserved.pop(reservation.id, None)
        if reserved is not None:
            self._left += reserved - used_tokens


class NoJournal:
    """Knows no reply and keeps none."""

    async def replies(self, agent: str, event_source: str, event_id: str) -> Mapping[str, StoredReply]:  # noqa: ARG002
        """None."""
        return {}

    async def record(self, call: LlmCall) -> None:
        """Keep nothing."""


@asynccontextmanager
async def model_decider(settings: Settings, model: str, *, max_tokens: int) -> AsyncIterator[BrainDecider]:
    """Decide by this model of the server at `LLM_URL`. Raises ValueError when it cannot be asked."""
    if not settings.llm_url:
        raise ValueError("deciding by a model needs LLM_URL")
    if not model:
        raise ValueError("deciding by a model needs --model or LLM_MODEL")
    limits = limits_of(settings, queue=settings.llm_concurrency)
    async with client_of(settings, model, limits) as client:
        interviewer = interviewer_of(
            settings, client, model, limits, budget=TokenLimit(max_tokens), journal=NoJournal()
        )
        redaction = Redaction(settings.llm_redact)

        def brain_of(agent: Agent) -> Brain:
            return ModelBrain(agent, interviewer, redaction)

        yield BrainDecider(brain_of)
