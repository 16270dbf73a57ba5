"""When an order may be packed: once, known and paid in full; again when told; never on doubtful money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any, Final

import pytest
from fakes import NOON, history_of
from shop_catalogue import TYPES, parse_data
from stories import captured, charged_back, happened, placed, priced, refunded

from agents.engine.record import decision_record
from agents.model.decision import Decision, Verdict
from agents.model.types import Types
from agents.shop.events import (
    EscalationRequested,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    OrderPlaced,
    ShipmentDispatched,
    ShipmentRetryRequested,
)
from agents.shop.fulfilment.rules import fulfilment, request
from outbox.records import Origin
from tables.event import Event, parse

FRAUD: Final = "urn:innervate:agent:fraud"
RECOVERY: Final = "urn:innervate:agent:recovery"


def decide(event: Event, *earlier: Event) -> Decision:
    data: Any = parse_data(event)
    return request(data, history_of(event, *earlier))


def told_to_retry(event_id: str = "retry") -> Event:
    return happened(ShipmentRetryRequested, event_id, 0, reason="try again")


def paid(payment_id: str, amount_minor: int, **rest: Any) -> Event:
    """A capture of that many cents; the order is about 20.00 EUR."""
    return captured(f"paid-{payment_id}-{len(rest)}", 60, payment_id, amount_minor=amount_minor, **rest)


def again(event_id: str, payment_id: str = "p-1", amount_minor: int = 2000) -> Event:
    """The same capture, reported under another event id."""
    return captured(event_id, 60, payment_id, amount_minor=amount_minor)


def version(event_id: str, total_minor: int, minutes: float = 50, currency: str = "EUR") -> Event:
    items = [{"sku": "lamp", "quantity": 1, "price_minor": total_minor}]
    return happened(OrderPlaced, event_id, minutes, items=items, total_minor=total_minor, currency=currency)


def scored(verdict: str, payment_id: str = "p-1", event_id: str = "", source: str = FRAUD) -> Event:
    return happened(
        FraudScored, event_id or f"{verdict}-{payment_id}", 55, source=source,
        payment_id=payment_id, score=60, verdict=verdict, reasons=[],
    )  # fmt: skip


def cancelled(by: str | None = None, event_id: str = "off") -> Event:
    return happened(FulfilmentCancelled, event_id, 30, by=by, source=RECOVERY, reason="under review")


def messages(decision: Decision, cause: Event, *, of_a_person: str | None = None) -> list[Event]:
    """What fulfilment publishes on the event: by itself, or after the answer of a person."""
    is_heard = of_a_person is None and decision.hold is None
    emitted = decision.emit if is_heard or of_a_person == "yes" else decision.otherwise if of_a_person == "no" else ()
    verdict = Verdict(decision=Decision(outcome="said", reason="", emit=emitted), brain="rules")
    origin = Origin(topic="timeline-order", partition=0, offset=0, at=NOON)
    record = decision_record(
        fulfilment, history_of(cause), verdict, origin=origin, entity_id="o-1", decided_at=NOON + timedelta(1)
    )
    return [parse(message.value, ()) for message in record.messages]


def outcomes(timeline: Sequence[Event]) -> list[str]:
    """What fulfilment decides on each event of a timeline that it reacts to."""
    return [
        decide(event, *timeline[:place]).outcome
        for place, event in enumerate(timeline)
        if event.type in fulfilment.reacts_to
    ]


@pytest.mark.parametrize("timeline", [*permutations([placed(90), captured("paid", 60), captured("again", 50, "p-2")])])
def test_an_order_is_requested_once_in_whatever_order_it_becomes_known_and_paid(timeline: tuple[Event, ...]) -> None:
    decisions = [decide(event, *timeline[:position]) for position, event in enumerate(timeline)]

    [packing] = [event for decision in decisions for event in decision.emit]

    # The earliest payment that was known by then.
    known = timeline[: next(place for place, each in enumerate(decisions) if each.emit) + 1]
    first_paid = min((event for event in known if event.type == "PaymentSucceeded"), key=lambda event: event.time)
    assert packing == FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id=first_paid.data["payment_id"])


#: What is told of an order, and what fulfilment decides on each event of it that it reacts to.
TABLE: Final = {
    "paid exactly": ([placed(), paid("p-1", 2000)], "waiting requested"),
    "paid before it is known": ([paid("p-1", 2000), placed()], "waiting requested"),
    "never paid": ([placed()], "waiting"),
    "never known": ([paid("p-1", 2000), paid("p-2", 2000)], "waiting waiting"),
    "a cent short": ([placed(), paid("p-1", 1999)], "waiting waiting"),
    "1.00 of a larger total": ([placed(), paid("p-1", 100)], "waiting waiting"),
    "1.00 before the order": ([paid("p-1", 100), placed()], "waiting waiting"),
    "a card check, then all of it": ([placed(), paid("p-0", 100), paid("p-1", 2000)], "waiting waiting requested"),
    "overpaid": ([placed(), paid("p-1", 2500)], "waiting requested"),
    "paid twice": ([placed(), paid("p-1", 2000), paid("p-2", 2000)], "waiting requested requested_before"),
    "gift card and card": ([placed(), paid("p-1", 1500), paid("p-2", 500)], "waiting waiting requested"),
    "three tenders": (
        [placed(), paid("p-1", 1000), paid("p-2", 500), paid("p-3", 500)], "waiting waiting waiting requested",
    ),
    "tenders before the order": ([paid("p-1", 1500), paid("p-2", 500), placed()], "waiting waiting requested"),
    "one tender never comes": ([placed(), paid("p-1", 1500), paid("p-2", 400)], "waiting waiting waiting"),
    "a part reported many times": (
        [placed(), *(again(f"report-{number}", amount_minor=500) for number in range(6))],
        "waiting waiting waiting waiting waiting waiting waiting",
    ),
    "all of it reported many times": (
        [placed(), again("r-1"), again("r-2"), again("r-3")], "waiting requested requested_before requested_before",
    ),
    "reported with two amounts": ([placed(), again("r-1", amount_minor=500), again("r-2")], "waiting waiting disputed"),
    "charged back before the order": ([paid("p-1", 2000), charged_back("back", 50), placed()], "waiting waiting"),
    "a part charged back before the order": (
        [paid("p-1", 2000), charged_back("back", 50, amount_minor=1), placed()], "waiting waiting",
    ),
    "charged back and paid anew": (
        [paid("p-1", 2000), charged_back("back", 50), placed(), paid("p-2", 2000)], "waiting waiting requested",
    ),
    "a tender charged back before the last one": (
        [placed(), paid("p-1", 1500), charged_back("back", 50, amount_minor=1500), paid("p-2", 500)],
        "waiting waiting waiting",
    ),
    "given back by support before the order": (
        [paid("p-1", 2000), refunded("r-1", 50, "p-1"), placed()], "waiting waiting",
    ),
    "the surplus given back": ([paid("p-1", 2500), refunded("r-1", 50, "p-1", 500), placed()], "waiting requested"),
    "another currency": ([placed(), paid("p-1", 2000, currency="USD")], "waiting disputed"),
    "another currency, larger number": ([placed(), paid("p-1", 172_500, currency="JPY")], "waiting disputed"),
    "another currency before the order": ([paid("p-1", 2000, currency="USD"), placed()], "waiting disputed"),
    "another currency reported twice": (
        [placed(), paid("p-1", 2000, currency="USD"), paid("p-1", 2000, currency="USD", method="card")],
        "waiting disputed disputed",
    ),
    "one tender in another currency": (
        [placed(), paid("p-1", 1500), paid("p-2", 500, currency="USD")], "waiting waiting disputed",
    ),
    "amended to more before it is paid": (
        [version("v-1", 2000, 90), version("v-2", 3000, 80), paid("p-1", 2000), paid("p-2", 1000)],
        "waiting waiting waiting requested",
    ),
    "amended to more after a part was paid": (
        [version("v-1", 2000, 90), paid("p-1", 1500), version("v-2", 3000, 50), paid("p-2", 500)],
        "waiting waiting waiting waiting",
    ),
    "amended to more after it was paid, then a retry": (
        [version("v-1", 2000, 90), paid("p-1", 2000), version("v-2", 3000, 50), told_to_retry()],
        "waiting requested requested_before unpaid",
    ),
    "amended to less": ([version("v-1", 3000, 90), paid("p-1", 2000), version("v-2", 2000, 50)],
                        "waiting waiting requested"),
    "a price raised that was paid": (
        [version("v-1", 2000, 90), priced("up", 80, 2000, 2500), paid("p-1", 2500)], "waiting requested",
    ),
    "a price lowered that was paid": (
        [version("v-1", 2000, 90), priced("down", 80, 2000, 1800), paid("p-1", 1800)], "waiting requested",
    ),
    "a version that contradicts the clock": (
        [version("v-2", 3000, 50), version("v-1", 2000, 90), paid("p-1", 3000)], "waiting waiting disputed",
    ),
    "an order that costs nothing": ([version("v-1", 0, 90)], "requested"),
    "one whose price fell to nothing": (
        [version("v-1", 2000, 90), priced("free", 80, 2000, 0), scored("approve")], "waiting waiting",
    ),
    "placed twice": ([placed(), paid("p-1", 2000), placed(99)], "waiting requested requested_before"),
    "a retry": ([placed(), paid("p-1", 2000), told_to_retry(), told_to_retry("more")],
                "waiting requested retried retried"),
    "a retry after a chargeback": (
        [placed(), paid("p-1", 2000), charged_back("back", 40), told_to_retry(), told_to_retry("more")],
        "waiting requested unpaid unpaid",
    ),
    "a retry of what was never asked for": ([placed(), paid("p-1", 100), told_to_retry()], "waiting waiting waiting"),
    "approved": ([placed(), paid("p-1", 2000), scored("approve")], "waiting requested requested_before"),
    "blocked before the order": ([paid("p-1", 2000), scored("block"), placed()], "waiting blocked blocked"),
    "blocked, then approved": (
        [paid("p-1", 2000), scored("block"), scored("approve"), placed()], "waiting blocked blocked blocked",
    ),
    "one tender blocked": (
        [placed(), paid("p-1", 1500), scored("block"), paid("p-2", 500)], "waiting waiting blocked blocked",
    ),
    "reviewed before the order": ([paid("p-1", 2000), scored("review"), placed()], "waiting waiting review"),
    "reviewed after the request": ([placed(), paid("p-1", 2000), scored("review")], "waiting requested review"),
    "reviewed twice": (
        [placed(), paid("p-1", 2000), scored("review"), scored("review", event_id="copy")],
        "waiting requested review requested_before",
    ),
    "reviewed and not paid in full": ([placed(), paid("p-1", 1500), scored("review")], "waiting waiting waiting"),
    "reviewed, then paid in full": (
        [placed(), paid("p-1", 1500), scored("review"), paid("p-2", 500)], "waiting waiting waiting review",
    ),
    "approved after the review, before the order": (
        [paid("p-1", 2000), scored("review"), scored("approve"), placed()], "waiting waiting waiting requested",
    ),
    "another payment approved after the review": (
        [paid("p-1", 2000), scored("review"), scored("approve", "p-2"), placed()], "waiting waiting waiting review",
    ),
    "approved while a person is asked": (
        [placed(), paid("p-1", 2000), scored("review"), scored("approve"), told_to_retry()],
        "waiting requested review requested_before waiting",
    ),
    "a verdict of a stranger": (
        [paid("p-1", 2000), scored("block", source="urn:stranger"), scored("review", source="urn:stranger"), placed()],
        "waiting waiting waiting requested",
    ),
    "a second payment under review": (
        [placed(), paid("p-1", 1500), paid("p-2", 500), scored("review"), scored("review", "p-2")],
        "waiting waiting requested review review",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_what_fulfilment_decides_on_each_event(case: str) -> None:
    timeline, expected = TABLE[case]

    assert outcomes(timeline) == expected.split()


@pytest.mark.parametrize("case", TABLE)
def test_nothing_is_packed_by_itself_but_what_is_called_so_and_a_person_hears_of_a_dispute_once(case: str) -> None:
    timeline, _ = TABLE[case]
    decisions = [
        decide(event, *timeline[:place]) for place, event in enumerate(timeline) if event.type in fulfilment.reacts_to
    ]

    packed = [each.outcome for each in decisions if each.hold is None and FulfilmentRequested in map(type, each.emit)]
    told = [event.failure for each in decisions for event in each.emit if isinstance(event, EscalationRequested)]

    assert packed == [each.outcome for each in decisions if each.outcome in {"requested", "retried"}]
    assert packed.count("requested") <= 1
    assert told == sorted({each.outcome for each in decisions} & {"disputed", "unpaid"})


def test_a_person_is_given_the_account_of_an_order_paid_in_another_currency() -> None:
    decision = decide(paid("p-1", 2000, currency="USD"), placed())

    [told] = decision.emit
    assert isinstance(told, EscalationRequested)
    assert told.failure == "disputed"
    assert "the order is worth 20.00 EUR" in told.reason
    assert "payment p-1: 20.00 USD captured" in told.reason
    assert "amounts are in EUR and USD" in told.reason


REVIEWED: Final = (placed(), captured("paid", 60), scored("review"))


def test_a_request_for_a_payment_under_review_waits_for_a_person() -> None:
    decision = decide(scored("review"), *REVIEWED[:2])

    assert decision.hold == "review"
    assert decision.emit == [FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id="p-1")]
    [escalation] = decision.otherwise
    assert isinstance(escalation, EscalationRequested)
    assert (escalation.failure, escalation.evidence) == ("review", ("review-p-1",))


def test_what_a_person_agreed_to_is_packed_although_it_was_called_off_and_may_be_tried_again() -> None:
    held = decide(REVIEWED[-1], *REVIEWED[:2])
    agreed = messages(held, REVIEWED[-1], of_a_person="yes")
    called_off = cancelled(by=REVIEWED[-1].id)

    assert [event.type for event in agreed] == ["FulfilmentRequested"]
    assert decide(told_to_retry(), *REVIEWED, called_off, *agreed).outcome == "retried"
    assert decide(scored("review", event_id="later"), *REVIEWED, called_off, *agreed).outcome == "requested_before"


@pytest.mark.parametrize("answer", ["no", "none yet"])
def test_without_a_persons_yes_nothing_is_packed_whatever_is_told_later(answer: str) -> None:
    held = decide(REVIEWED[-1], *REVIEWED[:2])
    said = messages(held, REVIEWED[-1], of_a_person=answer)
    earlier = (*REVIEWED, cancelled(by=REVIEWED[-1].id), *said)

    for event in (told_to_retry(), scored("approve"), placed(99), captured("more", 10, "p-2")):
        assert decide(event, *earlier).emit == ()


def test_a_request_that_overtook_the_review_and_was_called_off_for_it_is_put_to_a_person() -> None:
    requested = messages(decide(captured("paid", 60), placed()), captured("paid", 60))
    called_off = cancelled(by=requested[0].id)

    timeline = [placed(), captured("paid", 60), *requested, scored("review"), called_off]

    assert outcomes([*timeline, told_to_retry()]) == ["waiting", "requested", "review", "waiting"]


def test_a_cancellation_for_anything_but_a_review_ends_the_order() -> None:
    held = decide(REVIEWED[-1], *REVIEWED[:2])
    agreed = messages(held, REVIEWED[-1], of_a_person="yes")

    assert decide(told_to_retry(), *REVIEWED, *agreed, cancelled(by=agreed[0].id)).outcome == "ended"
    assert decide(told_to_retry(), *REVIEWED, cancelled(by="elsewhere")).outcome == "ended"


def test_a_request_that_came_back_is_known_when_what_led_to_it_is_forgotten() -> None:
    came_back = messages(decide(captured("paid", 60), placed()), captured("paid", 60))

    assert decide(placed(99), *came_back, captured("paid", 60)).outcome == "requested_before"


def test_a_retry_requests_the_order_again() -> None:
    decision = decide(told_to_retry(), placed(90), captured("paid", 60))

    assert decision.outcome == "retried"
    assert decision.emit == [FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id="p-1")]


@pytest.mark.parametrize("earlier", [(), (placed(90),), (captured("paid", 60),)])
def test_there_is_nothing_to_retry_before_an_order_is_known_and_paid(earlier: tuple[Event, ...]) -> None:
    assert decide(told_to_retry(), *earlier).emit == ()


@pytest.mark.parametrize(
    "end",
    [
        happened(OrderCancelled, "end", 30, reason="no stock"),
        happened(FulfilmentCancelled, "end", 30, reason="fraud"),
        happened(ShipmentDispatched, "end", 30, carrier="post"),
    ],
    ids=lambda event: event.type,
)
def test_an_order_that_has_ended_is_not_requested_any_more(end: Event) -> None:
    decision = decide(told_to_retry(), placed(90), captured("paid", 60), end)

    assert (decision.outcome, decision.emit) == ("ended", ())
    assert decide(captured("paid", 0), placed(90), end).emit == ()
    assert decide(scored("review"), placed(90), captured("paid", 60), end).hold is None


def test_a_verdict_counts_of_a_source_that_the_operator_trusts() -> None:
    block = scored("block", source="urn:risk-desk")
    history = history_of(placed(), captured("paid", 60), block)
    trusting = replace(history, types=Types(TYPES.events.values(), trusted=["urn:risk-desk"]))

    assert fulfilment.by_rules(history).outcome == "requested"
    assert fulfilment.by_rules(trusting).outcome == "blocked"
