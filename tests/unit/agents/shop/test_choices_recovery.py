"""What a language model may choose for recovery: the plan of the table, or a person, and nothing that moves money."""

from __future__ import annotations

from typing import get_args

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, form_of, refused
from fakes import history_of
from stories import captured, label, moved, placed, priced, short
from test_recovery import PAID, dispatched, given_back, published, requested, scored, told, verdict

from agents.model.errors import Violation
from agents.shop.events import EscalationRequested
from agents.shop.recovery.plans import TABLE
from agents.shop.recovery.rules import recovery
from tables.event import Event

SHORTAGE = (*PAID, short("short", 40))
#: What each case is: the verdict, and what came before it.
CASES: dict[str, tuple[Event, tuple[Event, ...]]] = {
    "refund_and_cancel": (verdict("stock_shortage", "short"), SHORTAGE),
    "cancel": (verdict("stock_shortage", "short"), (placed(90), short("short", 40))),
    "refund_capture": (verdict("duplicate_capture", "again"), (*PAID, captured("again", 40, "p-2"))),
    "retry_shipment": (verdict("label_failed", "label"), (*PAID, label("label", 40))),
    "ask_for_address": (verdict("address_invalid", "moved"), (*PAID, moved("moved", 40, valid=False))),
    "refund_difference": (
        verdict("price_changed", "change"),
        (placed(90), priced("change", 70, 700, 800), captured("paid", 60, amount_minor=2200)),
    ),
}


@pytest.mark.parametrize("plan", CASES)
def test_the_plan_of_the_table_is_carried_out_as_by_the_rules(plan: str) -> None:
    event, earlier = CASES[plan]
    rules = by_rules(recovery, event, *earlier)

    decision = chosen(recovery, event, *earlier, plan=plan)

    assert (decision.outcome, rules.outcome) == (plan, plan)
    assert (decision.effects, decision.emit, decision.otherwise) == (rules.effects, rules.emit, rules.otherwise)
    assert decision.reason == f"{plan}, by the rules {plan}; a model says: {HOSTILE}"


@pytest.mark.parametrize("plan", CASES)
def test_every_plan_can_be_left_to_a_person_and_then_nothing_else_is_done(plan: str) -> None:
    event, earlier = CASES[plan]

    decision = chosen(recovery, event, *earlier, plan="escalate")

    assert (decision.outcome, given_back(decision), told(decision)) == ("escalate", {}, [EscalationRequested])
    assert decision.emit == by_rules(recovery, event, *earlier).otherwise
    assert plan in decision.emit[0].model_dump()["reason"]


@pytest.mark.parametrize("plan", CASES)
def test_no_other_plan_is_permitted(plan: str) -> None:
    event, earlier = CASES[plan]
    others = {each.name for each in TABLE} - {plan, "escalate"}

    assert {refused(recovery, event, *earlier, plan=other) for other in others} == {Violation.NOT_PERMITTED}


@pytest.mark.parametrize(
    ("event", "earlier"),
    [
        (verdict("stock_shortage", "short", confidence=0.49), SHORTAGE),
        (verdict("stock_shortage", "nowhere"), SHORTAGE),
        (verdict("stock_shortage", "short"), (*SHORTAGE, dispatched())),
        (verdict("unknown", None), SHORTAGE),
        (verdict("stock_shortage", "short"), (*SHORTAGE, verdict("stock_shortage", "short", "first"))),
        (verdict("label_failed", "label"), (*PAID, label("label", 40), dispatched())),
        (scored(), PAID),
        (requested(), (*PAID, scored())),
    ],
    ids=["guess", "unbacked", "shipped", "unknown", "again", "nothing-to-ship", "blocked", "stopped"],
)
def test_a_model_is_not_asked_where_a_person_decides_already_or_nothing_is_to_be_done_or_fraud_is_to_be_stopped(
    event: Event, earlier: tuple[Event, ...]
) -> None:
    assert not recovery.leaves_open(history_of(event, *earlier), by_rules(recovery, event, *earlier))


def test_a_form_names_the_plans_of_the_table_and_nothing_else() -> None:
    annotation = form_of(recovery).model_fields["plan"].annotation

    assert set(get_args(annotation)) == {plan.name for plan in TABLE}


@pytest.mark.parametrize("plan", ["refund_everything", HOSTILE, "", None, 1])
def test_a_plan_outside_the_table_is_no_form(plan: object) -> None:
    with pytest.raises(ValueError, match="plan"):
        fill(recovery, plan=plan)


@pytest.mark.parametrize("more", [{"amount_minor": 100_000_000}, {"message": "you won"}, {"iban": "DE89"}])
def test_a_form_has_no_place_for_an_amount_or_a_text_or_an_account(more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        fill(recovery, plan="refund_and_cancel", **more)


def test_money_that_a_model_left_to_a_person_is_still_there_for_the_next_failure() -> None:
    found, earlier = CASES["refund_and_cancel"]
    escalated = published(chosen(recovery, found, *earlier, plan="escalate").emit, found)

    decision = by_rules(
        recovery,
        verdict("duplicate_capture", "again", "second"),
        *earlier,
        captured("again", 30, "p-2"),
        found,
        *escalated,
    )

    assert (decision.outcome, given_back(decision)) == ("refund_capture", {"p-2": 2000})
