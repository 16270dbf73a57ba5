"""What others gave back is written down once, whatever it adds up to; a person hears when it is more than was taken."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from fakes import history_of
from shop_catalogue import parse_data
from stories import captured, charged_back, refunded

from agents.model.decision import Decision
from agents.shop.bookkeeping.rules import record
from agents.shop.events import EscalationRequested
from agents.shop.given_back import GivenBack
from agents.shop.refunds import refund_id_of
from tables.event import Event


def decide(event: Event, *earlier: Event) -> Decision:
    data: Any = parse_data(event)
    return record(data, history_of(event, *earlier))


def written(decision: Decision) -> list[tuple[str, str, int, str, int | None]]:
    effects = [effect for effect in decision.effects if isinstance(effect, GivenBack)]
    assert len(effects) == len(decision.effects)
    return [(each.what, each.payment_id, each.amount_minor, each.currency, each.captured_minor) for each in effects]


def test_a_chargeback_is_written_down_with_what_its_payment_took() -> None:
    decision = decide(charged_back("back", 10), captured("paid", 60))

    assert (decision.outcome, written(decision)) == ("recorded", [("chargeback", "p-1", 2000, "EUR", 2000)])
    assert decision.emit == ()


def test_of_a_payment_reported_with_several_amounts_the_first_report_stays() -> None:
    decision = decide(
        charged_back("back", 10, amount_minor=500), captured("paid", 60), captured("more", 50, amount_minor=9000)
    )

    assert written(decision) == [("chargeback", "p-1", 500, "EUR", 2000)]


def test_what_is_given_back_of_a_payment_nobody_remembers_is_written_down_all_the_same() -> None:
    assert written(decide(charged_back("back", 10))) == [("chargeback", "p-1", 2000, "EUR", None)]


def test_nothing_given_back_is_nothing_to_write_down() -> None:
    assert written(decide(charged_back("back", 10, amount_minor=0), captured("paid", 60))) == []


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        (charged_back("a", 10), charged_back("b", 5), True),
        (charged_back("a", 10, amount_minor=500), charged_back("b", 5), False),
        (charged_back("a", 10), charged_back("b", 5, "p-2"), False),
        (charged_back("a", 10), charged_back("b", 5, currency="USD"), False),
        (refunded("r-1", 10, "p-1"), refunded("r-1", 5, "p-1"), True),
        (refunded("r-1", 10, "p-1"), refunded("r-2", 5, "p-1"), False),
        (refunded("r-1", 10, "p-1"), charged_back("a", 10), False),
    ],
    ids=["same", "amount", "payment", "currency", "refund", "two-refunds", "refund-and-chargeback"],
)
def test_what_is_reported_again_is_the_same_row_and_all_else_another(one: Event, other: Event, are_one: bool) -> None:
    ids = {effect.given_back_id for each in (one, other) for effect in decide(each).effects
           if isinstance(effect, GivenBack)}  # fmt: skip

    assert len(ids) == (1 if are_one else 2)


def test_a_refund_of_ours_is_told_from_those_of_others_by_its_id() -> None:
    ours = refund_id_of("p-1", "cause")
    [own] = decide(refunded(ours, 10, "p-1")).effects
    [other] = decide(refunded("support-7", 10, "p-1")).effects

    assert isinstance(own, GivenBack)
    assert isinstance(other, GivenBack)
    assert (own.own_refund_id, other.own_refund_id) == (ours, None)


def test_a_person_hears_once_that_more_was_given_back_than_was_taken() -> None:
    earlier = (captured("paid", 60), refunded("r-1", 50, "p-1", 1500))
    decision = decide(charged_back("back", 10), *earlier)

    [told] = decision.emit
    assert isinstance(told, EscalationRequested)
    assert (decision.outcome, told.failure, told.evidence) == ("beyond", "given_back_beyond_capture", ("back",))
    assert "payment p-1: 20.00 EUR captured, 15.00 EUR" in told.reason
    assert "payment p-1 was given back beyond its amount" in told.reason
    assert written(decision) == [("chargeback", "p-1", 2000, "EUR", 2000)]
    later = decide(refunded("r-2", 5, "p-1", 100), *earlier, charged_back("back", 10))
    assert (later.outcome, later.emit) == ("recorded", ())


def test_the_whole_payment_charged_back_twice_is_one_chargeback_and_nobodys_trouble() -> None:
    decision = decide(charged_back("again", 5), captured("paid", 60), charged_back("back", 10))

    assert (decision.outcome, decision.emit) == ("recorded", ())


def test_what_is_written_down_moves_nothing() -> None:
    [effect] = decide(charged_back("back", 10), captured("paid", 60)).effects

    assert effect.moves_minor == 0
    assert GivenBack.restored(effect.kept()) == effect
    assert len(effect.statements(uuid.UUID(int=1))) == 2
