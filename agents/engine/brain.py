"""Brain: what makes an agent's decision out of a history. Rules are one; a language model is another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final, Protocol

from agents.model.agent import Agent
from agents.model.decision import Verdict
from agents.model.history import History
from agents.model.holding import HoldPolicy

#: The name of every agent's rules among the brains.
RULES: Final = "rules"


class Brain(Protocol):
    """Decides for one agent."""

    def decide_now(self, history: History) -> Verdict | None:
        """Decide on `history.event` without waiting for anything; None when there is something to wait for.

        Raises as `decide`.
        """

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:
        """Decide on `history.event`; at once when `crowded` is set, for then too many events of its entity wait.

        Raises `DecisionFailed`, or `InvalidEvent` when the event's data is not of its type; nothing else.
        """


class RulesBrain:
    """Decides by the agent's own rules."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def decide_now(self, history: History) -> Verdict:
        """Decide."""
        return Verdict(decision=self._agent.by_rules(history), brain=RULES)

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:  # noqa: ARG002
        """Decide at once."""
        return self.decide_now(history)


class HoldingBrain:
    """Decides as another brain does, and asks for a person where a policy wants one."""

    def __init__(self, brain: Brain, policy: HoldPolicy) -> None:
        self._brain = brain
        self._policy = policy

    def decide_now(self, history: History) -> Verdict | None:
        """Decide, if the other brain does; raises as it does."""
        verdict = self._brain.decide_now(history)
        return None if verdict is None else held(verdict, self._policy)

    async def decide(self, history: History, crowded: asyncio.Event | None = None) -> Verdict:
        """Decide; raises as the other brain does."""
        return held(await self._brain.decide(history, crowded), self._policy)


def held(verdict: Verdict, policy: HoldPolicy) -> Verdict:
    """The verdict, waiting for a person where its brain, its agent or the policy wants one."""
    return replace(verdict, hold=verdict.hold or policy.reason(verdict.decision))
