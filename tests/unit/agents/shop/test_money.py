"""What is given back for an order, case by case: no more than its own account explains, else a person hears.

The order is two lamps at 7.00 and a cup at 6.00 EUR: 20.00 EUR. Every number here is written by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from choosing import chosen, refused
from fakes import history_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import ITEMS, captured, charged_back, happened, placed, priced, refunded, short
from test_recovery import decide, dispatched, given_back, scored, told, verdict

from agents.model.errors import Violation
from agents.shop.events import CustomerNotified, EscalationRequested, OrderCancelled, OrderPlaced
from agents.shop.recovery.plans import TABLE
from agents.shop.recovery.rules import recovery
from tables.event import Event

ORDER = placed(90)
PAID = captured("paid", 60)
GIFT = captured("gift", 60, "p-gift", amount_minor=1200, method="giftcard")
CARD = captured("card", 59, "p-card", amount_minor=800)
AGAIN = captured("again", 50, "p-2")
SHORT = short("short", 40)
REPORTS = tuple(captured(f"report-{number}", 60 - number) for number in range(6))

DUPLICATE = verdict("duplicate_capture", "again")
SHORTAGE = verdict("stock_shortage", "short")
PRICE = verdict("price_changed", "change")


def order(event_id: str, minutes: float, total_minor: int, *items: Mapping[str, object]) -> Event:
    """Another version of the order."""
    return happened(OrderPlaced, event_id, minutes, items=list(items), total_minor=total_minor, currency="EUR")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What happened, the verdict on it, and what is given back, in minor units by payment."""

    events: tuple[Event, ...]
    found: Event
    back: Mapping[str, int] = field(default_factory=dict)


#: A person decides, and nothing else is done.
FOR_A_PERSON = {
    "a gift card and a card together pay the order": Case(
        events=(ORDER, GIFT, CARD), found=verdict("duplicate_capture", "card")
    ),
    "the two together take more than the order is worth": Case(
        events=(ORDER, GIFT, replace(CARD, data=dict(CARD.data) | {"amount_minor": 900})),
        found=verdict("duplicate_capture", "card"),
    ),
    "one payment is reported again": Case(events=(ORDER, *REPORTS), found=verdict("duplicate_capture", "report-5")),
    "an order in EUR is paid in JPY": Case(
        events=(ORDER, priced("change", 70, 700, 800), captured("paid", 60, amount_minor=9225, currency="JPY")),
        found=PRICE,
    ),
    "an order in EUR is paid in JPY and cannot be delivered": Case(
        events=(ORDER, captured("paid", 60, amount_minor=2000, currency="JPY"), SHORT), found=SHORTAGE
    ),
    "the second capture is in another currency": Case(
        events=(ORDER, PAID, captured("again", 50, "p-2", currency="USD")), found=DUPLICATE
    ),
    "a refund is in another currency": Case(
        events=(
            ORDER,
            PAID,
            replace(refunded("r", 50, "p-1", 500), data={**refunded("r", 50, "p-1", 500).data, "currency": "USD"}),
            SHORT,
        ),
        found=SHORTAGE,
    ),
    "two captures have one payment id": Case(
        events=(
            ORDER,
            captured("paid", 60, amount_minor=1200),
            captured("rest", 59, amount_minor=800),
            SHORT,
        ),
        found=SHORTAGE,
    ),
    "a check of the card comes before the full capture": Case(
        events=(ORDER, captured("check", 61, "p-check", amount_minor=100), PAID),
        found=verdict("duplicate_capture", "paid"),
    ),
    "a check of the card comes after the full capture": Case(
        events=(ORDER, PAID, captured("again", 50, "p-check", amount_minor=100)), found=DUPLICATE
    ),
    "a part of the payment is charged back twice, or is reported so": Case(
        events=(
            ORDER,
            PAID,
            charged_back("c-1", 50, amount_minor=500),
            charged_back("c-2", 49, amount_minor=500),
            SHORT,
        ),
        found=SHORTAGE,
    ),
    "a payment is charged back and refunded by somebody": Case(
        events=(ORDER, PAID, AGAIN, charged_back("c-1", 50), refunded("r", 49, "p-1", 2000), SHORT), found=SHORTAGE
    ),
    "a payment the order was not paid with is charged back": Case(
        events=(ORDER, PAID, charged_back("c-1", 50, "p-9"), SHORT), found=SHORTAGE
    ),
    "a payment the order was not paid with is refunded": Case(
        events=(ORDER, PAID, refunded("r", 50, "p-9", 500), SHORT), found=SHORTAGE
    ),
    "support gave something back of the capture to keep": Case(
        events=(ORDER, PAID, AGAIN, refunded("r", 45, "p-1", 500)), found=DUPLICATE
    ),
    "something else was taken beside the second capture": Case(
        events=(ORDER, PAID, AGAIN, captured("else", 45, "p-3", amount_minor=300)), found=DUPLICATE
    ),
    "a refund is reported with two amounts": Case(
        events=(
            ORDER,
            PAID,
            refunded("r", 50, "p-1", 500),
            replace(refunded("r", 50, "p-1", 700), id="r again"),
            SHORT,
        ),
        found=SHORTAGE,
    ),
    "more was taken than any change of a price explains": Case(
        events=(ORDER, priced("change", 70, 700, 725), captured("paid", 60, amount_minor=3450)), found=PRICE
    ),
    "less was taken than the order is worth": Case(
        events=(ORDER, priced("change", 70, 700, 600), captured("paid", 60, amount_minor=1000)), found=PRICE
    ),
    "a payment is taken twice for an order that is not known": Case(events=(PAID, AGAIN), found=DUPLICATE),
    "the order does not ask for the missing article any more": Case(
        events=(ORDER, PAID, SHORT, order("amended", 30, 600, ITEMS[1])), found=SHORTAGE
    ),
    "the newest version in the log is the older one by its time": Case(
        events=(order("newer", 80, 2600, *ITEMS, ITEMS[1]), ORDER, PAID, SHORT), found=SHORTAGE
    ),
    "an order is paid in more pieces than anybody can tell apart": Case(
        events=(ORDER, *(captured(f"piece-{n}", 60, f"p-{n}", amount_minor=100) for n in range(21)), SHORT),
        found=SHORTAGE,
    ),
    "a payment the order was not paid with is blocked": Case(events=(ORDER, PAID), found=scored("p-9")),
    "a payment is blocked when the goods are gone": Case(events=(ORDER, PAID, dispatched()), found=scored("p-1")),
    "a payment in another currency is blocked": Case(
        events=(ORDER, captured("paid", 60, currency="JPY")), found=scored("p-1")
    ),
    "accounts disagree about what is paid after the order was stopped": Case(
        events=(ORDER, SHORT, SHORTAGE, captured("late", 5, "p-2"), captured("again", 4, "p-2", amount_minor=1)),
        found=scored("p-2", "approve"),
    ),
}

#: Given back by itself.
BY_ITSELF = {
    "a payment reported six times is given back once": Case(
        events=(ORDER, *REPORTS, SHORT), found=SHORTAGE, back={"p-1": 2000}
    ),
    "both tenders of an order that cannot be delivered": Case(
        events=(ORDER, GIFT, CARD, SHORT), found=SHORTAGE, back={"p-gift": 1200, "p-card": 800}
    ),
    "the card of a split payment that is charged twice": Case(
        events=(ORDER, GIFT, CARD, captured("again", 50, "p-2", amount_minor=800)), found=DUPLICATE, back={"p-2": 800}
    ),
    "the second and the third capture of the whole": Case(
        events=(ORDER, PAID, AGAIN, captured("third", 45, "p-3")), found=DUPLICATE, back={"p-2": 2000, "p-3": 2000}
    ),
    "what support has left of the second capture": Case(
        events=(ORDER, PAID, AGAIN, refunded("r", 45, "p-2", 700)), found=DUPLICATE, back={"p-2": 1300}
    ),
    "what a chargeback has left of the second capture": Case(
        events=(ORDER, PAID, AGAIN, charged_back("c", 45, "p-2", amount_minor=700)), found=DUPLICATE, back={"p-2": 1300}
    ),
    "what a chargeback has left of an order that cannot be delivered": Case(
        events=(ORDER, PAID, charged_back("c", 50, amount_minor=500), SHORT), found=SHORTAGE, back={"p-1": 1500}
    ),
    "the payment that was not charged back, though the other one is reported twice": Case(
        events=(ORDER, PAID, AGAIN, charged_back("c-1", 45), charged_back("c-2", 44), SHORT),
        found=SHORTAGE,
        back={"p-2": 2000},
    ),
    "what a refund that is reported twice has left": Case(
        events=(ORDER, PAID, refunded("r", 50, "p-1", 500), replace(refunded("r", 49, "p-1", 500), id="r 2"), SHORT),
        found=SHORTAGE,
        back={"p-1": 1500},
    ),
    "the difference of a price whose change is reported twice, once": Case(
        events=(ORDER, priced("change", 70, 700, 600), priced("change again", 69, 700, 600), PAID),
        found=PRICE,
        back={"p-1": 200},
    ),
    "the difference of a price, from the tender taken last": Case(
        events=(ORDER, priced("change", 70, 700, 600), GIFT, CARD), found=PRICE, back={"p-card": 200}
    ),
    "no more than what is left of the difference": Case(
        events=(ORDER, priced("change", 70, 700, 600), PAID, refunded("r", 50, "p-1", 150)),
        found=PRICE,
        back={"p-1": 50},
    ),
    "the difference to the price agreed, of all that was taken for the order": Case(
        events=(order("placed", 90, 1800, ITEMS[1] | {"quantity": 3}), priced("change", 70, 600, 700, "cup"),
                captured("paid", 60, amount_minor=2100)),
        found=PRICE,
        back={"p-1": 300},
    ),
    "every payment of an order of which one is blocked": Case(
        events=(ORDER, GIFT, CARD), found=scored("p-card"), back={"p-gift": 1200, "p-card": 800}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOR_A_PERSON.values(), ids=FOR_A_PERSON)
def test_where_the_accounts_do_not_agree_nothing_is_done_and_a_person_hears(case: Case) -> None:
    decision = decide(case.found, *case.events)

    assert (given_back(decision), told(decision)) == ({}, [EscalationRequested])
    # A language model has nothing to choose here.
    assert not recovery.leaves_open(history_of(case.found, *case.events), decision)


@pytest.mark.parametrize("case", BY_ITSELF.values(), ids=BY_ITSELF)
def test_what_the_cause_explains_is_given_back_and_no_more(case: Case) -> None:
    decision = decide(case.found, *case.events)

    assert given_back(decision) == case.back
    assert EscalationRequested not in told(decision)


@pytest.mark.parametrize("case", BY_ITSELF.values(), ids=BY_ITSELF)
@pytest.mark.parametrize("plan", sorted({plan.name for plan in TABLE}))
def test_no_answer_of_a_language_model_gives_back_anything_else(case: Case, plan: str) -> None:
    history = history_of(case.found, *case.events)
    rules = recovery.by_rules(history)

    if case.found.type != "RootCauseIdentified":
        assert not recovery.leaves_open(history, rules)
    elif plan in (rules.outcome, "escalate"):
        back = given_back(chosen(recovery, case.found, *case.events, plan=plan))
        assert back == ({} if plan == "escalate" else case.back)
    else:
        assert refused(recovery, case.found, *case.events, plan=plan) is Violation.NOT_PERMITTED


def test_a_payment_that_was_charged_back_is_not_refunded_on_top() -> None:
    decision = decide(SHORTAGE, ORDER, PAID, charged_back("c-1", 50), SHORT)

    assert (given_back(decision), told(decision)) == ({}, [OrderCancelled, CustomerNotified])


def test_one_of_two_captures_that_was_charged_back_settles_the_duplicate() -> None:
    decision = decide(DUPLICATE, ORDER, PAID, AGAIN, charged_back("c-1", 45, "p-2"))

    assert (decision.outcome, given_back(decision), told(decision)) == ("refunded_before", {}, [])


def test_a_tender_that_was_charged_back_leaves_the_order_unpaid_and_settles_nothing() -> None:
    decision = decide(verdict("duplicate_capture", "card"), ORDER, GIFT, CARD, charged_back("c", 45, "p-card"))

    assert (given_back(decision), told(decision)) == ({}, [EscalationRequested])


def test_a_payment_taken_later_is_not_given_back_for_a_block_that_a_person_was_asked_about() -> None:
    decision = decide(scored("p-2", "approve"), ORDER, PAID, scored("p-9", "block", "stranger"), AGAIN)

    assert (decision.outcome, given_back(decision), told(decision)) == ("not_blocked", {}, [])


def test_two_events_with_one_id_are_no_evidence() -> None:
    other = replace(PAID, id="again", source="urn:test:other", data=dict(PAID.data) | {"payment_id": "p-3"})

    assert told(decide(DUPLICATE, ORDER, PAID, AGAIN, other)) == [EscalationRequested]


def test_a_person_is_given_the_account_of_the_order_line_by_line() -> None:
    split = decide(verdict("duplicate_capture", "card"), ORDER, GIFT, CARD, refunded("r", 45, "p-card", 100))
    in_yen = decide(SHORTAGE, ORDER, captured("paid", 60, amount_minor=9225, currency="JPY"), SHORT)

    assert split.emit[0].model_dump()["reason"] == (
        "duplicate_capture at a confidence of 0.90: no compensation fits by itself; "
        "the order is worth 20.00 EUR, 20.00 EUR was agreed; "
        "payment p-gift: 12.00 EUR captured, nothing given back; "
        "payment p-card: 8.00 EUR captured, 1.00 EUR refunded by others; "
        "19.00 EUR is left of all captures, 0.00 EUR is owed"
    )
    assert in_yen.emit[0].model_dump()["reason"] == (
        "stock_shortage at a confidence of 0.90: the accounts of the order disagree; "
        "the order is worth 20.00 EUR, 20.00 EUR was agreed; "
        "payment p-1: 9225 JPY captured, nothing given back; "
        "amounts are in EUR and JPY"
    )


#: What may happen to the money of an order of 20.00 EUR, and the verdicts on it.
HAPPENINGS = (
    ORDER, PAID, AGAIN, GIFT, CARD, SHORT, captured("third", 45, "p-3"), captured("reported", 58),
    captured("check", 61, "p-check", amount_minor=100), captured("yen", 57, "p-yen", currency="JPY"),
    captured("other", 56, amount_minor=700),
    refunded("r-1", 50, "p-1", 500), refunded("r-2", 49, "p-2"), refunded("r-3", 48, "p-9", 100),
    replace(refunded("r-1", 47, "p-1", 500), id="r-1 again"), charged_back("c-1", 46), charged_back("c-2", 45, "p-2"),
    charged_back("c-3", 44, "p-card", amount_minor=300), charged_back("c-4", 43, "p-card", amount_minor=300),
    priced("change", 70, 700, 600), priced("change back", 69, 600, 700), order("amended", 80, 600, ITEMS[1]),
)  # fmt: skip
VERDICTS = (
    SHORTAGE, PRICE, *(verdict("duplicate_capture", culprit, f"duplicate {culprit}") for culprit in
    ("again", "third", "card", "paid", "check")), scored("p-1"), scored("p-2", "block", "score-2"),
    scored("p-9", "block", "score-9"), scored("p-3", "approve", "score-3"),
)  # fmt: skip
AGREED = {"placed": 2000, "amended": 600}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([(), (ORDER, PAID), (ORDER, PAID, AGAIN, SHORT), (ORDER, GIFT, CARD, AGAIN)]),
    st.lists(st.sampled_from([*HAPPENINGS, *VERDICTS]), max_size=12, unique_by=lambda event: event.id),
)
def test_whatever_happens_no_decision_gives_back_what_is_not_there(
    begun: tuple[Event, ...], later: Sequence[Event]
) -> None:
    """Against sums made in another way: by payment, whoever gave it back; by order, where the cause leaves it going."""
    timeline = [*begun, *(event for event in later if event not in begun)]
    own: Counter[str] = Counter()
    for place, event in enumerate(timeline):
        if event not in VERDICTS:
            continue
        before = timeline[:place]
        back = given_back(decide(event, *before))
        taken = {each.data["payment_id"]: each.data for each in reversed(before) if each.type == "PaymentSucceeded"}
        others = {
            (each.data.get("refund_id", each.id), each.data["payment_id"], each.data["amount_minor"])
            for each in before
            if each.type in ("RefundIssued", "ChargebackReceived")
        }
        left = Counter({payment: data["amount_minor"] for payment, data in taken.items()})
        left.subtract(own)
        for _, payment, minor in others:
            left[payment] -= minor
        assert all(0 < minor <= left[payment] for payment, minor in back.items())
        if back:
            assert {data["currency"] for data in taken.values()} == {"EUR"}
            assert left.keys() <= taken.keys()
        if back and event.data.get("failure") in ("duplicate_capture", "price_changed"):
            worth = [AGREED[each.id] for each in before if each.id in AGREED][-1]
            lowered = 200 if worth == 2000 else 0
            assert sum(back.values()) <= sum(left.values()) - worth + lowered
        own.update(back)
