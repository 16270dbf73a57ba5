"""Brains: rules decide at once; a policy may ask for a person, whoever decided."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from fakes import charged_back, history_of, paid

from agents.engine.brain import HoldingBrain, RulesBrain
from agents.model.decision import Decision, Verdict
from agents.model.history import History
from agents.model.holding import HoldPolicy
from agents.shop.fraud.rules import fraud

HISTORY = history_of(paid("now"), charged_back("c"))


@dataclass
class Fixed:
    """Always says the same."""

    verdict: Verdict
    is_ready: bool = True

    def decide_now(self, _history: History) -> Verdict | None:
        return self.verdict if self.is_ready else None

    async def decide(self, _history: History, _crowded: asyncio.Event | None = None) -> Verdict:
        return self.verdict


async def test_rules_are_a_brain() -> None:
    assert await RulesBrain(fraud).decide(HISTORY) == Verdict(decision=fraud.by_rules(HISTORY), brain="rules")


async def test_a_decision_the_policy_has_nothing_against_passes_as_it_is() -> None:
    verdict = Verdict(decision=Decision(outcome="go", reason="because"), brain="tiny", model="tiny-1")
    assert await HoldingBrain(Fixed(verdict), HoldPolicy()).decide(HISTORY) == verdict


@pytest.mark.parametrize(
    ("own", "asked", "reason"),
    [(None, None, "outcome"), ("doubtful", None, "doubtful"), ("doubtful", "second_opinion", "second_opinion")],
)
async def test_a_person_is_asked_for_the_first_reason_there_is(own: str | None, asked: str | None, reason: str) -> None:
    decision = Decision(outcome="go", reason="because", hold=own)
    verdict = Verdict(decision=decision, brain="tiny", fallback_reason=None, hold=asked)
    policy = HoldPolicy(outcomes={"go"})
    held = await HoldingBrain(Fixed(verdict), policy).decide(HISTORY)
    assert (held.hold, held.decision, held.brain) == (reason, decision, "tiny")
    assert HoldingBrain(Fixed(verdict), policy).decide_now(HISTORY) == held


def test_what_has_to_be_waited_for_is_waited_for_behind_a_policy_as_well() -> None:
    verdict = Verdict(decision=Decision(outcome="go", reason="because"), brain="tiny")
    assert HoldingBrain(Fixed(verdict, is_ready=False), HoldPolicy()).decide_now(HISTORY) is None
