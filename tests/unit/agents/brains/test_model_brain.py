"""Language models as brains: they choose where the agent lets them, and whatever they do, there is a decision."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from fakes import PAYMENT, history_of, paid
from interviews import ASKED_AT, Budget, Client, Interview, Journal, reply
from undecided import BY_MODEL, BY_RULES, GO, NOTE, WAIT, WatcherChoice, watcher
from waiting import PATIENCE_SECONDS

from agents.brains.dialect import Prompt
from agents.brains.envelope import Reply
from agents.brains.model import ModelBrain, SecondOpinion
from agents.brains.prompt import prompt_for, sha256_of
from agents.brains.redaction import Redaction
from agents.brains.schema import strict_schema
from agents.model.agent import Agent
from agents.model.decision import Decision, Verdict
from agents.model.errors import BrainUnavailable, DecisionFailed, Unavailable
from agents.model.history import History
from agents.shop.events import PaymentFailed, PaymentSucceeded, RootCauseIdentified
from agents.shop.refunds import refund
from outbox.errors import StatementRejected
from outbox.journal import LlmCall

REDACTION = Redaction(("device_id",))
HISTORY = history_of(paid("now", device_id="secret-device"), paid("e0"))


async def decided(around: Interview, agent: Agent | None = None, history: History = HISTORY) -> Verdict:
    return await ModelBrain(agent or watcher(), around.interviewer, REDACTION).decide(history)


def fell_back(reason: str, model: str | None = None) -> Verdict:
    return Verdict(decision=BY_RULES, brain="rules", model=model, fallback_reason=reason)


async def test_the_model_chooses_and_code_decides() -> None:
    around = Interview([GO])
    assert await decided(around) == Verdict(decision=BY_MODEL, brain="tiny", model="tiny-1")
    [(prompt, schema)] = around.client.asked
    assert prompt == prompt_for(watcher(), HISTORY, REDACTION)
    assert schema == strict_schema(WatcherChoice)
    assert "secret-device" not in prompt.user


@pytest.mark.parametrize(
    "agent", [watcher(settled=["wait"]), watcher(on=[PaymentFailed])], ids=["settled by the rules", "another event"]
)
async def test_where_nothing_is_open_no_model_is_asked(agent: Agent) -> None:
    around = Interview()
    assert await decided(around, agent) == Verdict(decision=BY_RULES, brain="rules")
    assert around.client.asked == []


async def test_an_agent_that_leaves_nothing_to_a_model_decides_by_rules() -> None:
    agent = watcher()
    agent.choosing = None
    assert await decided(Interview(), agent) == Verdict(decision=BY_RULES, brain="rules")


@pytest.mark.parametrize("reason", list(Unavailable))
async def test_without_a_reply_the_rules_decide_and_the_reason_is_said(reason: Unavailable) -> None:
    assert await decided(Interview([BrainUnavailable(reason, "detail")])) == fell_back(reason.value)


async def test_a_reply_of_no_use_is_asked_for_once_more() -> None:
    around = Interview(["certainly!", GO])
    assert await decided(around) == Verdict(decision=BY_MODEL, brain="tiny", model="tiny-1")
    [(first, _), (second, _)] = around.client.asked
    assert second.user == first.user
    assert second.system.startswith(first.system)
    assert "there is no complete JSON object" in second.system
    assert [(call.attempt, call.error) for call in around.journal.calls] == [
        (1, "not_json: there is no complete JSON object"),
        (2, None),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("certainly!", "not_json"),
        ('{"rationale": "x", "what": "refund"}', "invalid"),
        ('{"rationale": "x", "what": "go", "amount": 5}', "invalid"),
        (f"{GO} or {WAIT}", "ambiguous"),
    ],
)
async def test_after_two_replies_of_no_use_the_rules_decide(text: str, reason: str) -> None:
    around = Interview([text, text])
    assert await decided(around) == fell_back(reason)
    assert len(around.client.asked) == 2


@pytest.mark.parametrize(("what", "reason"), [("forbidden", "not_permitted"), ("unknown", "unknown_event")])
async def test_a_choice_outside_policy_is_counted_and_the_rules_decide(what: str, reason: str) -> None:
    around = Interview([orjson.dumps({"rationale": "x", "what": what}).decode()])
    assert await decided(around) == fell_back(reason, model="tiny-1")
    assert len(around.client.asked) == 1


async def test_an_agent_that_fails_on_a_choice_decides_by_its_rules() -> None:
    around = Interview([orjson.dumps({"rationale": "x", "what": "bug"}).decode()])
    assert await decided(around) == fell_back("choice_failed", model="tiny-1")


async def test_an_error_nobody_thought_of_stops_no_worker() -> None:
    class Broken(Journal):
        async def record(self, _call: LlmCall) -> None:
            raise StatementRejected("no")

    assert await decided(Interview([GO], journal=Broken())) == fell_back("internal_error")


async def test_rules_that_fail_are_no_matter_of_the_model() -> None:
    agent = watcher()
    agent.rules(lambda *_: 1 / 0)  # type: ignore[type-var]
    with pytest.raises(DecisionFailed):
        await decided(Interview([GO]), agent)


async def test_every_exchange_is_in_the_journal_as_it_was_sent_redacted() -> None:
    around = Interview([GO])
    await decided(around)
    [call] = around.journal.calls
    prompt = prompt_for(watcher(), HISTORY, REDACTION)
    assert (call.agent, call.event_id, call.attempt, call.model) == ("watcher", "now", 1, "tiny-1")
    assert call.prompt == f"{prompt.system}\n\n{prompt.user}"
    assert call.prompt_sha256 == sha256_of(prompt, strict_schema(WatcherChoice))
    assert (call.reply, call.error, call.called_at) == (GO, None, ASKED_AT)
    assert (call.prompt_tokens, call.completion_tokens, call.latency_ms) == (40, 7, 1500)


async def test_a_call_without_a_reply_is_journaled_with_the_reason() -> None:
    around = Interview([BrainUnavailable(Unavailable.TIMEOUT, "detail")])
    await decided(around)
    [call] = around.journal.calls
    assert (call.reply, call.error, call.model) == (None, "timeout", "tiny")
    assert (call.prompt_tokens, call.completion_tokens) == (None, None)


@pytest.mark.parametrize("answers", [[GO], ["certainly!", GO], ["certainly!", "again"]])
async def test_an_event_that_comes_again_is_decided_by_the_journal_and_nobody_is_paid(answers: list[str]) -> None:
    around = Interview(answers)
    first = await decided(around)
    again = Interview(journal=around.journal)
    assert await decided(again) == first
    assert (again.client.asked, again.budget.reserved) == ([], [])


async def test_a_journaled_reply_decides_even_when_the_model_cannot_be_asked() -> None:
    around = Interview([GO])
    await decided(around)
    again = Interview(journal=around.journal, budget=Budget(limits={}))
    again.client.closed = BrainUnavailable(Unavailable.CIRCUIT_OPEN, "open")
    assert (await decided(again)).brain == "tiny"


async def test_a_reply_to_another_prompt_decides_nothing() -> None:
    around = Interview([GO])
    await decided(around)
    other = Interview([WAIT], journal=around.journal)
    assert (await decided(other, history=history_of(paid("now"), paid("e1")))).decision == BY_RULES
    assert len(other.client.asked) == 1


async def test_a_model_that_would_not_be_asked_reserves_nothing() -> None:
    around = Interview()
    around.client.closed = BrainUnavailable(Unavailable.BUSY, "full")
    assert await decided(around) == fell_back("busy")
    assert (around.budget.reserved, around.journal.calls) == ([], [])


def estimate(around: Interview) -> int:
    [(_, tokens), *_] = around.budget.reserved
    return tokens


async def test_what_is_reserved_covers_the_prompt_and_the_longest_reply() -> None:
    around = Interview([GO])
    await decided(around)
    [(prompt, schema)] = around.client.asked
    size = len(prompt.system.encode()) + len(prompt.user.encode()) + len(orjson.dumps(schema))
    assert size / 3 + 100 <= estimate(around) < size / 3 + 101
    assert around.budget.settled == [(estimate(around), 47)]


@pytest.mark.parametrize("tokens", [(None, 7), (40, None), (None, None)])
async def test_a_server_that_does_not_count_is_settled_by_the_reservation(
    tokens: tuple[int | None, int | None],
) -> None:
    around = Interview([reply(GO, tokens=tokens)])
    await decided(around)
    assert around.budget.settled == [(estimate(around), estimate(around))]


async def test_attempts_nobody_counted_are_settled_too() -> None:
    around = Interview([reply(GO, unanswered=2)])
    await decided(around)
    assert around.budget.settled == [(estimate(around), 47 + 2 * estimate(around))]


@pytest.mark.parametrize(("unanswered", "times"), [(0, 0), (3, 3)])
async def test_a_call_that_failed_costs_what_the_server_may_have_counted(unanswered: int, times: int) -> None:
    error = BrainUnavailable(Unavailable.TIMEOUT, "detail")
    error.unanswered = unanswered
    around = Interview([error])
    await decided(around)
    assert around.budget.settled == [(estimate(around), times * estimate(around))]


async def test_a_spent_budget_leaves_the_decision_to_the_rules_and_the_model_unasked() -> None:
    around = Interview([GO], budget=Budget(limits={"watcher": 10}))
    assert await decided(around) == fell_back("budget_spent")
    assert around.client.asked == []


async def test_while_postgresql_is_away_the_interview_waits() -> None:
    around = Interview([GO], budget=Budget(outages=2))
    assert (await decided(around)).brain == "tiny"


async def test_both_exchanges_share_one_deadline() -> None:
    around = Interview(["certainly!", GO])
    await decided(around)
    first, second = around.client.deadlines
    assert second < first <= 20


async def test_a_second_opinion_that_agrees_changes_nothing() -> None:
    around = Interview([WAIT])
    brain = SecondOpinion(watcher(), around.interviewer, REDACTION)
    assert await brain.decide(HISTORY) == Verdict(decision=BY_RULES, brain="rules", model="tiny-1")


async def test_a_second_opinion_that_differs_asks_for_a_person_and_says_why() -> None:
    around = Interview([GO])
    verdict = await SecondOpinion(watcher(), around.interviewer, REDACTION).decide(HISTORY)
    assert (verdict.brain, verdict.model, verdict.hold) == ("rules", "tiny-1", "second_opinion")
    assert (verdict.decision.outcome, verdict.decision.emit) == ("wait", ())
    assert verdict.decision.reason == "by rules; tiny-1 would decide go: it looks fine"


async def test_a_second_opinion_that_does_not_come_is_a_fallback() -> None:
    around = Interview([BrainUnavailable(Unavailable.CIRCUIT_OPEN, "open")])
    brain = SecondOpinion(watcher(), around.interviewer, REDACTION)
    assert await brain.decide(HISTORY) == fell_back("circuit_open")


@pytest.mark.parametrize("is_crowded_before", [True, False])
async def test_when_it_is_crowded_the_model_is_not_waited_for(is_crowded_before: bool) -> None:
    crowded, asked = asyncio.Event(), asyncio.Event()

    class Silent(Client):
        async def complete(self, _prompt: Prompt, _schema: Mapping[str, Any], *, deadline_seconds: float) -> Reply:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError(deadline_seconds)

    if is_crowded_before:
        crowded.set()
    around = Interview()
    around.interviewer = around.interviewing(Silent([]))
    deciding = asyncio.create_task(ModelBrain(watcher(), around.interviewer, REDACTION).decide(HISTORY, crowded))
    if not is_crowded_before:
        await asyncio.wait_for(asked.wait(), timeout=PATIENCE_SECONDS)
        crowded.set()
    assert await asyncio.wait_for(deciding, timeout=PATIENCE_SECONDS) == fell_back("busy")


async def test_a_reply_that_is_there_counts_however_crowded_it_becomes_then() -> None:
    crowded = asyncio.Event()
    verdict = await ModelBrain(watcher(), Interview([GO]).interviewer, REDACTION).decide(HISTORY, crowded)
    crowded.set()
    assert verdict.brain == "tiny"


CULPRIT = RootCauseIdentified(
    order_id="o-1",
    error_event_id="e-1",
    culprit_event_id="c-1",
    failure="label_failed",
    confidence=0.9,
    evidence=("e-1",),
    alternatives=(),
)
REFUND = refund(capture=PaymentSucceeded.model_validate(PAYMENT), amount_minor=100, cause="c", reason="r")
NAMED = Decision(outcome="named", reason="by rules", confidence=0.9, emit=(CULPRIT,), effects=(REFUND,))


@pytest.mark.parametrize(
    ("other", "is_agreed"),
    [
        (replace(NAMED, reason="in other words", confidence=0.2), True),
        (replace(NAMED, emit=(CULPRIT.model_copy(update={"confidence": 0.2}),)), True),
        (replace(NAMED, outcome="unknown"), False),
        (replace(NAMED, hold="doubtful"), False),
        (replace(NAMED, emit=(CULPRIT.model_copy(update={"culprit_event_id": "c-2"}),)), False),
        (replace(NAMED, emit=(CULPRIT, NOTE)), False),
        (replace(NAMED, effects=()), False),
    ],
)
async def test_a_second_opinion_agrees_when_the_same_would_be_done(other: Decision, is_agreed: bool) -> None:
    agent = watcher()
    agent.rules(lambda *_: NAMED)
    agent.model(WatcherChoice)(lambda *_: other)
    verdict = await SecondOpinion(agent, Interview([GO]).interviewer, REDACTION).decide(HISTORY)
    assert (verdict.hold is None) == is_agreed
    assert verdict.decision.effects == (REFUND,)
