"""Deciders: a replay asks nobody, and decides by what was said then as it was decided by it then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest
from fakes import NOON, history_of, paid
from interviews import Interview
from replaying import recorded

from agents.brains.model import ModelBrain, SecondOpinion
from agents.brains.redaction import Redaction
from agents.engine.brain import RULES
from agents.engine.record import decision_record
from agents.model.agent import Agent
from agents.model.choice import Choice
from agents.model.decision import Decision, Verdict
from agents.model.errors import BrainUnavailable, OutsidePolicy, Unavailable, Violation
from agents.model.history import History
from agents.replay.deciders import NOT_RECORDED, RecordedDecider, RulesDecider
from agents.replay.records import RecordedDecision
from agents.shop.entities import customer
from agents.shop.events import PaymentSucceeded
from outbox.journal import StoredReply
from outbox.records import Origin
from tables.window import WindowSpec

HISTORY = history_of(paid("e1"), paid("e0", timedelta(hours=1)))
REDACTION = Redaction()

YES = '{"rationale": "fine", "verdict": "yes"}'
NO = '{"rationale": "odd", "verdict": "no"}'
FORBIDDEN = '{"rationale": "odd", "verdict": "never"}'
BROKEN = '{"rationale": "odd"}'


class Answer(Choice):
    """Say yes or no."""

    verdict: Literal["yes", "no", "never"]


class LaterAnswer(Choice):
    """Say yes or no, and think twice."""

    verdict: Literal["yes", "no", "never"]


def agent_with(form: type[Choice] | None) -> Agent:
    agent = Agent(
        name="fraud",
        entity=customer,
        reacts_to=(PaymentSucceeded,),
        remembers=(PaymentSucceeded,),
        window=WindowSpec(events=5, age=timedelta(days=1)),
    )
    agent.rules(lambda _payment, _history: Decision(outcome="yes", reason="by rules"))
    if form is not None:
        agent.model(form)(choose)
    return agent


def choose(choice: Any, _payment: PaymentSucceeded, _history: History, _by_rules: Decision) -> Decision:
    if choice.verdict == "never":
        raise OutsidePolicy(Violation.NOT_PERMITTED, "never is too long")
    return Decision(outcome=choice.verdict, reason=f"model: {choice.rationale}")


AGENT = agent_with(Answer)


async def live(brain: type[ModelBrain], *answers: str | BrainUnavailable) -> tuple[Verdict, RecordedDecision]:
    """What a worker decided, and what it recorded."""
    interview = Interview(answers)
    verdict = await brain(AGENT, interview.interviewer, REDACTION).decide(HISTORY)
    replies = [
        StoredReply(prompt_sha256=call.prompt_sha256, model=call.model, reply=call.reply)
        for call in interview.journal.calls
        if call.reply is not None
    ]
    return verdict, row(verdict, replies)


def row(verdict: Verdict, replies: Sequence[StoredReply] = ()) -> RecordedDecision:
    record = decision_record(
        AGENT,
        HISTORY,
        verdict,
        origin=Origin(topic="timeline-customer", partition=0, offset=1, at=NOON),
        entity_id="ada",
        decided_at=NOON,
    )
    return recorded(record, replies=replies)


async def again(recorded_then: RecordedDecision | None, agent: Agent = AGENT) -> Verdict:
    return await RecordedDecider(REDACTION).decide(agent, HISTORY, recorded_then)


TIMEOUT = BrainUnavailable(Unavailable.TIMEOUT, "too slow")


@pytest.mark.parametrize("brain", [ModelBrain, SecondOpinion])
@pytest.mark.parametrize(
    ("answers", "fallback"),
    [
        ([YES], None),
        ([NO], None),
        ([BROKEN, NO], None),
        ([FORBIDDEN], "not_permitted"),
        ([BROKEN, BROKEN], "invalid"),
        ([BROKEN, TIMEOUT], "timeout"),
        ([TIMEOUT], "timeout"),
    ],
)
async def test_it_decides_as_the_model_did(brain: type[ModelBrain], answers: list[Any], fallback: str | None) -> None:
    verdict, then = await live(brain, *answers)

    now = await again(then)

    assert (now.decision.outcome, now.hold) == (verdict.decision.outcome, verdict.hold)
    assert (now.brain, now.model, now.fallback_reason) == (verdict.brain, verdict.model, fallback)
    if brain is ModelBrain:
        assert now.decision == verdict.decision


async def test_where_rules_decided_they_do_although_a_reply_is_there() -> None:
    """It was paid for by a worker that was killed; the next one had no model."""
    _, then = await live(ModelBrain, NO)

    now = await again(replace(then, brain=RULES, model=None, outcome="yes"))

    assert (now.decision.outcome, now.brain, now.fallback_reason) == ("yes", RULES, None)


async def test_what_nobody_decided_then_the_rules_decide() -> None:
    assert (await again(None)).brain == RULES


async def test_a_reply_to_another_prompt_is_used_when_it_fills_the_form_of_today() -> None:
    _, then = await live(ModelBrain, NO)

    now = await again(then, agent_with(LaterAnswer))

    assert (now.decision.outcome, now.fallback_reason) == ("no", None)


async def test_the_newest_reply_to_another_prompt_comes_first() -> None:
    verdict = Verdict(decision=AGENT.by_rules(HISTORY), brain="tiny")
    replies = [StoredReply(prompt_sha256=sha * 64, model="tiny-1", reply=text) for sha, text in (("a", YES), ("b", NO))]

    assert (await again(row(verdict, replies))).decision.outcome == "no"


async def test_without_a_reply_that_fits_the_rules_decide_and_it_says_so() -> None:
    class Other(Choice):
        """Something else."""

        colour: Literal["red"]

    _, then = await live(ModelBrain, NO)

    now = await again(then, agent_with(Other))

    assert (now.decision.outcome, now.brain, now.fallback_reason) == ("yes", RULES, NOT_RECORDED)


async def test_a_fallback_without_a_reply_stays_one_whatever_replies_there_are() -> None:
    verdict = Verdict(decision=AGENT.by_rules(HISTORY), brain=RULES, fallback_reason="budget_spent")
    replies = [StoredReply(prompt_sha256="a" * 64, model="tiny-1", reply=NO)]

    now = await again(row(verdict, replies))

    assert (now.decision.outcome, now.fallback_reason) == ("yes", "budget_spent")


async def test_an_agent_that_leaves_nothing_to_a_model_any_more_decides_by_rules() -> None:
    _, then = await live(ModelBrain, NO)

    now = await again(then, agent_with(None))

    assert (now.decision.outcome, now.brain, now.fallback_reason) == ("yes", RULES, None)


async def test_rules_decide_whatever_a_model_said() -> None:
    _, then = await live(ModelBrain, NO)

    assert (await RulesDecider().decide(AGENT, HISTORY, then)).decision.outcome == "yes"
