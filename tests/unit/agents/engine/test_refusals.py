"""Whatever nothing comes of is escalated: on the timeline it belongs to, once, in the form that a domain gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fakes import NOON, event_of, history_of, paid
from refunding import refund
from shop_catalogue import CATALOGUE, TYPES

from agents.engine.record import decision_record, escalations
from agents.engine.shadow import Shadow, ShadowWriter
from agents.model.agent import Agent
from agents.model.decision import Decision, Verdict
from agents.model.domain import Domain, DomainInvalid
from agents.model.refusal import Refusal
from agents.model.types import Types
from agents.platform.incident.rules import incident
from agents.shop.events import EscalationRequested, FraudScored
from agents.shop.recovery.rules import recovery
from outbox.errors import Echo, StatementRejected
from outbox.records import DecisionRecord, Message, Origin
from tables.event import Event, parse

MakeRig = Callable[..., Any]
SCORED = FraudScored(payment_id="p-1", order_id="o-1", customer_id="ada", score=45, verdict="review", reasons=())


def read(messages: Sequence[Message]) -> list[Event]:
    return [parse(message.value, message.headers) for message in messages]


def raises(*_: Any) -> Decision:
    raise ValueError("a refund must be within 1..5, got 6")


def emits_what_cannot_be_written(*_: Any) -> Decision:
    return Decision(outcome="approve", reason="none", emit=[SCORED.model_copy(update={"reasons": ("\0",)})])


@pytest.mark.parametrize(
    ("rules", "refusal", "failure", "why"),
    [
        (raises, None, "decision_failed", "ValueError while deciding"),
        (emits_what_cannot_be_written, None, "invalid_data", ""),
        (None, StatementRejected("a message cannot be kept"), "decision_refused", "a message cannot be kept"),
        (None, Echo("story", "correlation story: too long"), "echo", "correlation story: too long"),
    ],
    ids=["rules-raise", "unwritable", "refused", "echo"],
)
async def test_a_decision_that_ends_as_a_dead_letter_is_told_on_the_timeline_of_its_order(
    make_rig: MakeRig, rules: Any, refusal: Exception | None, failure: str, why: str
) -> None:
    rig = make_rig(rules) if rules else make_rig()
    if refusal is not None:
        rig.writer.refusals["e0"] = refusal

    await rig.accept(rig.event(0))

    [letter] = rig.writer.letters
    [told] = read(letter.tells)
    assert (told.type, told.source, told.causationid) == ("EscalationRequested", "urn:innervate:agent:watcher", "e0")
    assert (told.data["order_id"], told.data["failure"], told.data["evidence"]) == ("o-1", failure, ["e0"])
    assert told.data["reason"].startswith("watcher on PaymentSucceeded e0 of customer ada: ")
    assert why in told.data["reason"]
    assert (letter.tells[0].topic, letter.tells[0].key) == ("recovery", b"o-1")


async def test_what_cannot_be_decided_about_an_escalation_is_not_escalated_again(make_rig: MakeRig) -> None:
    rig = make_rig(raises, reacts_to=(EscalationRequested,), remembers=())

    await rig.accept(rig.event(0, kind=EscalationRequested, failure="x", reason="y", evidence=[]))

    [letter] = rig.writer.letters
    assert letter.tells == ()


async def test_a_record_that_is_no_event_tells_nobody(make_rig: MakeRig) -> None:
    rig = make_rig()

    await rig.accept(rig.raw(0, b"{"))

    assert [letter.tells for letter in rig.writer.letters] == [()]


async def test_a_shadow_escalates_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(raises)
    writer, rig.writer = rig.writer, ShadowWriter(Shadow("v2"), rig.writer)
    await rig.restart()

    await rig.accept(rig.event(0))

    assert [letter.tells for letter in writer.letters] == [()]


def record_of(agent: Agent, *, hold: str | None = None, **decided: Any) -> DecisionRecord:
    decision = Decision(outcome="acts", reason="because", **decided)
    return decision_record(
        agent,
        history_of(paid("e-1")),
        Verdict(decision=decision, brain="rules", hold=hold),
        origin=Origin(topic="timeline-order", partition=0, offset=1, at=NOON),
        entity_id="o-1",
        decided_at=NOON,
    )


@pytest.mark.parametrize("hold", [None, "amount"])
def test_effects_that_say_nothing_for_the_case_that_they_are_not_made_are_escalated_then(hold: str | None) -> None:
    record = record_of(recovery, hold=hold, effects=[refund(1)])

    [told] = read(record.hold.otherwise if record.hold else record.otherwise)

    assert (told.type, told.data["order_id"], told.data["failure"]) == ("EscalationRequested", "o-1", "not_carried_out")
    assert told.data["reason"] == (
        "recovery on PaymentSucceeded e-1 of order o-1: acts was not carried out, a person decides; because"
    )


def test_what_waits_for_a_person_and_says_nothing_for_a_no_is_escalated_then() -> None:
    record = record_of(recovery, hold="confidence", emit=[SCORED])

    assert record.hold is not None
    assert [told.data["failure"] for told in read(record.hold.otherwise)] == ["not_carried_out"]


@pytest.mark.parametrize("hold", [None, "outcome"])
def test_what_does_nothing_leaves_nothing_to_be_heard(hold: str | None) -> None:
    record = record_of(recovery, hold=hold)

    assert record.otherwise == ()
    assert record.hold is None or record.hold.otherwise == ()


def test_what_an_agent_says_for_that_case_stays() -> None:
    mine = EscalationRequested(order_id="o-1", failure="mine", reason="r", evidence=())

    record = record_of(recovery, effects=[refund(1)], otherwise=[mine])

    assert [told.data["failure"] for told in read(record.otherwise)] == ["mine"]


def test_a_service_is_told_by_its_name_and_the_order_that_its_error_names() -> None:
    error = event_of("ErrorOccurred", "e-1", NOON, service="api", step="s", error="E", message="m")

    [told] = read(escalations(incident, history_of(error), "api", failure="decision_failed", why="because"))

    assert (told.data["service"], told.data["order_id"]) == ("api", "o-1")


def test_a_reason_of_any_length_and_any_letters_is_one_line_that_a_person_can_read() -> None:
    [told] = read(
        escalations(recovery, history_of(paid("e-1")), "o-1", failure="decision_refused", why="a\nb\0\x1b[31m" * 500)
    )

    assert len(told.data["reason"]) <= 500
    assert told.data["reason"].isprintable()


def fails(_: Refusal) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize("escalates", [None, fails, lambda _: None, lambda _: SCORED.model_copy()])
def test_where_no_domain_can_say_it_the_dead_letter_is_all_there_is(escalates: Any) -> None:
    declared = [event for event in TYPES.events.values() if event is not FraudScored]
    history = replace(history_of(paid("e-1")), types=Types(declared, carried=["order_id"], escalates=escalates))

    assert escalations(recovery, history, "o-1", failure="decision_failed", why="because") == ()


def test_a_domain_that_escalates_by_what_is_no_function_is_refused() -> None:
    with pytest.raises(DomainInvalid, match="escalates must be a function, got str"):
        Domain(name="ci", escalates="EscalationRequested")  # type: ignore[arg-type]


def test_the_shop_escalates_as_the_platform_does() -> None:
    refusal = Refusal(
        failure="f", reason="r", event_id="e-1", entity="order", entity_id="o-1", carried={"order_id": "o-1"}
    )

    assert CATALOGUE.types.escalation(refusal) == EscalationRequested(
        order_id="o-1", failure="f", reason="r", evidence=("e-1",)
    )
