"""Brains of a worker: who decides for each of its agents, by the settings.

Clients, places, budget and journal are shared by all agents of the worker; without `LLM_URL` there are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.brains import interview
from agents.brains.interview import Interviewer
from agents.brains.model import ModelBrain, SecondOpinion
from agents.brains.places import Places
from agents.brains.redaction import Redaction
from agents.engine.brain import Brain, HoldingBrain, RulesBrain
from agents.engine.shadow import ShadowBudget, ShadowJournal
from agents.model.agent import Agent
from app.settings import Settings
from app.worker.interviewing import client_of, interviewer_of, limits_of
from outbox.budget import Budget
from outbox.database import Database
from outbox.journal import Journal, LlmCall

if TYPE_CHECKING:
    from agents.brains.client import ChatClient
    from app.telemetry.traces.followers import Followers


class Brains:
    """Makes the brains of one worker, and ends what they share. `on_call` is told of each call of a model."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        on_call: Callable[[LlmCall], None] | None = None,
        followers: Followers | None = None,
    ) -> None:
        self._settings = settings
        self._followers = followers
        shadow, limits = settings.shadowing, settings.daily_tokens()
        if shadow is not None:
            limits = {shadow.name_of(agent): tokens for agent, tokens in limits.items()}
        self._budget = Budget(database, limits)
        self._journal = Journal(database, on_call=on_call)
        #: As the agents of this worker see them.
        self._their_budget: interview.Budget = self._budget
        self._their_journal: interview.Journal = self._journal
        if shadow is not None:
            self._their_budget = ShadowBudget(shadow, self._budget)
            self._their_journal = ShadowJournal(shadow, self._journal)
        self._limits = limits_of(settings, queue=settings.llm_queue)
        self._places = Places(concurrency=self._limits.concurrency, queue=self._limits.queue)
        self._clients: dict[str, ChatClient] = {}

    def of(self, agent: Agent) -> Brain:
        """The brain of an agent, which asks for a person where the operator wants one."""
        return HoldingBrain(self._deciding(agent), self._settings.hold_policy_of(agent.name))

    async def stop(self) -> None:
        """Drop every connection to a model; decisions under way are given up (their events come again)."""
        await asyncio.gather(*(client.close() for client in self._clients.values()))
        await self._budget.stop()
        await self._journal.stop()

    def _deciding(self, agent: Agent) -> Brain:
        kind = self._settings.brain_of(agent.name)
        if kind == "rules" or agent.choosing is None:
            return RulesBrain(agent)
        brain = SecondOpinion if kind == "second_opinion" else ModelBrain
        return brain(
            agent, self._interviewer(self._settings.model_of(agent.name)), Redaction(self._settings.llm_redact)
        )

    def _interviewer(self, model: str) -> Interviewer:
        return interviewer_of(
            self._settings,
            self._followed(self._client(model), model),
            model,
            self._limits,
            budget=self._their_budget,
            journal=self._their_journal,
        )

    def _followed(self, client: interview.Client, model: str) -> interview.Client:
        if self._followers is None:
            return client
        return self._followers.client(client, model=model, url=self._settings.llm_url)

    def _client(self, model: str) -> ChatClient:
        if model not in self._clients:
            self._clients[model] = client_of(self._settings, model, self._limits, self._places)
        return self._clients[model]
