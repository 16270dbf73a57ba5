"""The cases of recovery, one table: what happened to an order, and what comes of all of it together.

The order is two lamps at 7.00 and a cup at 6.00 EUR: 20.00 EUR. Times are minutes before noon; the order of the events
is the log's. Every number is written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stories import (
    ITEMS,
    booked,
    captured,
    charged_back,
    happened,
    label,
    moved,
    placed,
    priced,
    refunded,
    reserved,
    short,
)
from test_recovery import dispatched, requested, scored, verdict

from agents.shop.events import OrderCancelled, OrderPlaced
from tables.event import Event

LAMPS, CUP = ITEMS


def version(event_id: str, minutes: float, total_minor: int, *items: Mapping[str, object], **rest: Any) -> Event:
    """Another version of the order."""
    told: dict[str, Any] = {"items": list(items), "total_minor": total_minor, "currency": "EUR"}
    return happened(OrderPlaced, event_id, minutes, **(told | rest))


def cancelled(event_id: str = "cancel", minutes: float = 30, **rest: Any) -> Event:
    """The customer's own cancellation."""
    return happened(OrderCancelled, event_id, minutes, reason="changed my mind", **rest)


def changed(event: Event, event_id: str | None = None, **data: Any) -> Event:
    """The event with other data, and perhaps another id."""
    return replace(event, id=event_id or event.id, data=dict(event.data) | data)


ORDER = placed(90)
PAID = captured("paid", 60)
AGAIN = captured("again", 50, "p-2")
THIRD = captured("third", 48, "p-3")
FOURTH = captured("fourth", 47, "p-4")
GIFT = captured("gift", 61, "p-gift", amount_minor=1200, method="giftcard")
CARD = captured("card", 60, "p-card", amount_minor=800)
SHORT = short("short", 40)
LOWERED = priced("change", 70, 700, 600)
RAISED = priced("change", 70, 700, 800)
CANCEL = cancelled()

DUPLICATE = verdict("duplicate_capture", "again")
SHORTAGE = verdict("stock_shortage", "short")
PRICE = verdict("price_changed", "change")


def duplicate(culprit: str, event_id: str = "verdict") -> Event:
    return verdict("duplicate_capture", culprit, event_id)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What happened, oldest first in the log, and what recovery does about all of it."""

    events: tuple[Event, ...]
    #: What goes back, in minor units by payment.
    back: Mapping[str, int] = field(default_factory=dict)
    #: How many `EscalationRequested`, `OrderCancelled`, `FulfilmentCancelled`, `CustomerNotified` and
    #: `ShipmentRetryRequested` are published.
    escalated: int = 0
    cancelled: int = 0
    called_off: int = 0
    told: int = 0
    retried: int = 0


def person(*events: Event, **rest: Any) -> Case:
    """A person hears once, and nothing moves."""
    return Case(events=events, escalated=1, **rest)


def everything(*events: Event, **back: int) -> Case:
    """The order is cancelled and all that is left goes back."""
    return Case(events=events, back={key.replace("_", "-"): minor for key, minor in back.items()}, cancelled=1, told=1)


def surplus(*events: Event, **back: int) -> Case:
    """Something goes back and the order goes on."""
    return Case(events=events, back={key.replace("_", "-"): minor for key, minor in back.items()}, told=1)


SPLIT = {
    "a gift card and a card that pay the order are no duplicate": person(ORDER, GIFT, CARD, duplicate("card")),
    "three tenders of different amounts are no duplicate": person(
        ORDER,
        captured("one", 62, "p-a", amount_minor=1000, method="giftcard"),
        captured("two", 61, "p-b", amount_minor=700, method="voucher"),
        captured("three", 60, "p-c", amount_minor=300),
        duplicate("three"),
    ),
    "two cards that pay half each are no duplicate": person(
        ORDER,
        captured("one", 61, "p-a", amount_minor=1000),
        captured("two", 60, "p-b", amount_minor=1000),
        duplicate("two"),
    ),
    "one tender of a split payment is taken twice": surplus(
        ORDER, GIFT, CARD, captured("again", 50, "p-2", amount_minor=800), DUPLICATE, p_2=800
    ),
    "one tender of a split payment is taken three times": surplus(
        ORDER,
        GIFT,
        CARD,
        captured("again", 50, "p-2", amount_minor=800),
        captured("third", 48, "p-3", amount_minor=800),
        DUPLICATE,
        p_2=800,
        p_3=800,
    ),
    "both tenders of a split payment are taken twice": person(
        ORDER,
        GIFT,
        CARD,
        captured("again", 50, "p-2", amount_minor=800),
        captured("gift again", 48, "p-3", amount_minor=1200, method="giftcard"),
        DUPLICATE,
    ),
    "the whole is taken by card though a gift card paid a part": person(ORDER, GIFT, PAID, duplicate("paid")),
    "both tenders go back when the order cannot be delivered": everything(
        ORDER, GIFT, CARD, SHORT, SHORTAGE, p_gift=1200, p_card=800
    ),
    "a tender that was charged back leaves the order unpaid": person(
        ORDER, GIFT, CARD, charged_back("c", 45, "p-card", amount_minor=800), duplicate("card")
    ),
}

REPEATED = {
    "the second capture": surplus(ORDER, PAID, AGAIN, DUPLICATE, p_2=2000),
    "the second, third and fourth capture": surplus(
        ORDER, PAID, AGAIN, THIRD, FOURTH, DUPLICATE, p_2=2000, p_3=2000, p_4=2000
    ),
    "a capture that comes after the second went back goes back too": Case(
        events=(ORDER, PAID, AGAIN, DUPLICATE, THIRD, duplicate("third", "later")),
        back={"p-2": 2000, "p-3": 2000},
        told=2,
    ),
    "one payment reported six times": person(
        ORDER, PAID, *(captured(f"r-{n}", 59 - n) for n in range(5)), duplicate("r-4")
    ),
    "a check of the card before the capture": person(
        ORDER, captured("check", 61, "p-check", amount_minor=100), PAID, duplicate("paid")
    ),
    "a check of the card after the capture": person(
        ORDER, PAID, captured("check", 50, "p-check", amount_minor=100), duplicate("check")
    ),
    "a check of the card beside a repeated capture": person(
        ORDER, captured("check", 61, "p-check", amount_minor=100), PAID, AGAIN, DUPLICATE
    ),
    "the whole taken by another tender": person(
        ORDER, PAID, captured("again", 50, "p-2", method="giftcard"), DUPLICATE
    ),
    "nearly the same amount": person(ORDER, PAID, captured("again", 50, "p-2", amount_minor=1999), DUPLICATE),
    "two captures for an order that is not known": person(PAID, AGAIN, DUPLICATE),
    "two captures of an order that was shipped": surplus(ORDER, PAID, AGAIN, dispatched(), DUPLICATE, p_2=2000),
    "a capture that support refunded": Case(events=(ORDER, PAID, AGAIN, refunded("r", -1, "p-2"), DUPLICATE)),
    "a capture that support refunded in part": surplus(
        ORDER, PAID, AGAIN, refunded("r", 45, "p-2", 700), DUPLICATE, p_2=1300
    ),
    "a capture that was charged back": Case(events=(ORDER, PAID, AGAIN, charged_back("c", 45, "p-2"), DUPLICATE)),
    "support refunds the duplicate after recovery did": Case(
        events=(ORDER, PAID, AGAIN, DUPLICATE, refunded("r", 0, "p-2"), duplicate("again", "later")),
        back={"p-2": 2000},
        told=1,
    ),
    "support refunded a part of the capture that is kept": person(
        ORDER, PAID, AGAIN, refunded("r", 45, "p-1", 500), DUPLICATE
    ),
    "a second capture in another currency": person(
        ORDER, PAID, captured("again", 50, "p-2", currency="USD"), DUPLICATE
    ),
    "two captures of an order amended after the first": person(
        ORDER,
        captured("one", 61, "p-1", amount_minor=1000),
        captured("again", 60, "p-2", amount_minor=1000),
        version("amended", 55, 1000, CUP),
        DUPLICATE,
    ),
    "two captures of an order amended before them": surplus(
        ORDER,
        version("amended", 80, 1200, CUP | {"quantity": 2}),
        captured("paid", 60, amount_minor=1200),
        captured("again", 50, "p-2", amount_minor=1200),
        DUPLICATE,
        p_2=1200,
    ),
}

SUPPLY = {
    "an article is short": everything(ORDER, PAID, SHORT, SHORTAGE, p_1=2000),
    "an article is short before anything is paid": everything(ORDER, SHORT, SHORTAGE),
    "packing is called off for what is short": replace(
        everything(ORDER, PAID, requested(), SHORT, SHORTAGE, p_1=2000), called_off=1
    ),
    "short of three, of which two and one are reserved later": person(
        version("placed", 90, 2100, LAMPS | {"quantity": 3}),
        captured("paid", 60, amount_minor=2100),
        short("short", 40, wanted=3),
        reserved("two", 39, wanted=2),
        reserved("one", -1, wanted=1),
        SHORTAGE,
    ),
    "short of three, of which two are reserved later": everything(
        version("placed", 90, 2100, LAMPS | {"quantity": 3}),
        captured("paid", 60, amount_minor=2100),
        short("short", 40, wanted=3),
        reserved("two", 39, wanted=2),
        SHORTAGE,
        p_1=2100,
    ),
    "another article is reserved later": everything(
        ORDER, PAID, SHORT, reserved("cup", 30, "cup", 1), SHORTAGE, p_1=2000
    ),
    "what was reserved before it was short": everything(ORDER, reserved("kept", 80), PAID, SHORT, SHORTAGE, p_1=2000),
    "clock and log disagree on whether it was reserved after it was short": person(
        ORDER, PAID, SHORT, reserved("kept", 45), SHORTAGE
    ),
    "reserved for an older version": person(
        ORDER, PAID, SHORT, reserved("kept", 35), version("amended", 30, 2700, LAMPS | {"quantity": 3}, CUP), SHORTAGE
    ),
    "amended without the missing article": person(ORDER, PAID, SHORT, version("amended", 30, 600, CUP), SHORTAGE),
    "amended to fewer pieces": person(
        ORDER, PAID, SHORT, version("amended", 30, 1300, LAMPS | {"quantity": 1}, CUP), SHORTAGE
    ),
    "amended after it was short, by the log alone": person(
        ORDER, PAID, SHORT, version("newer", 41, 2600, LAMPS, CUP | {"quantity": 2}), SHORTAGE
    ),
    "versions contradict each other": person(version("newer", 80, 2600, *ITEMS, CUP), ORDER, PAID, SHORT, SHORTAGE),
    "two articles are short: one failure": Case(
        events=(ORDER, PAID, SHORT, short("cup", 39, "cup", 1), SHORTAGE, verdict("stock_shortage", "cup", "second")),
        back={"p-1": 2000},
        cancelled=1,
        told=1,
    ),
    "the order is not known": person(PAID, SHORT, SHORTAGE),
    "the goods are on their way": person(ORDER, PAID, SHORT, dispatched(), SHORTAGE),
    "a carrier has accepted the parcel": person(ORDER, PAID, SHORT, booked("booked", -1), SHORTAGE),
    "another currency was taken": person(ORDER, captured("paid", 60, currency="JPY"), SHORT, SHORTAGE),
    "a refund is in another currency": person(
        ORDER, PAID, changed(refunded("r", 50, "p-1", 500), currency="USD"), SHORT, SHORTAGE
    ),
    "a chargeback is in another currency": person(ORDER, PAID, charged_back("c", 50, currency="USD"), SHORT, SHORTAGE),
    "a payment was charged back": everything(ORDER, PAID, charged_back("c", 50), SHORT, SHORTAGE),
    "a payment was charged back in part": everything(
        ORDER, PAID, charged_back("c", 50, amount_minor=500), SHORT, SHORTAGE, p_1=1500
    ),
    "a chargeback is reported twice": everything(
        ORDER, PAID, AGAIN, charged_back("c-1", 45), charged_back("c-2", 44), SHORT, SHORTAGE, p_2=2000
    ),
    "a part is charged back twice, or is reported so": person(
        ORDER,
        PAID,
        charged_back("c-1", 50, amount_minor=500),
        charged_back("c-2", 49, amount_minor=500),
        SHORT,
        SHORTAGE,
    ),
    "a payment is charged back after support refunded it": person(
        ORDER, PAID, refunded("r", 50, "p-1"), charged_back("c", 49), SHORT, SHORTAGE
    ),
    "a payment is charged back before support refunds it": person(
        ORDER, PAID, charged_back("c", 50), refunded("r", 49, "p-1", 500), SHORT, SHORTAGE
    ),
    "support refunded a part": everything(ORDER, PAID, refunded("r", 50, "p-1", 500), SHORT, SHORTAGE, p_1=1500),
    "support refunded a part twice, under two ids": everything(
        ORDER, PAID, refunded("r", 50, "p-1", 500), refunded("r-2", 49, "p-1", 500), SHORT, SHORTAGE, p_1=1000
    ),
    "support refunded all of it": everything(ORDER, PAID, refunded("r", 50, "p-1"), SHORT, SHORTAGE),
    "support refunded a payment the order does not have": person(
        ORDER, PAID, refunded("r", 50, "p-9", 500), SHORT, SHORTAGE
    ),
    "two captures under one payment id": person(
        ORDER, captured("paid", 60, amount_minor=1200), captured("rest", 59, amount_minor=800), SHORT, SHORTAGE
    ),
    "more pieces than anybody can tell apart": person(
        ORDER, *(captured(f"c-{n}", 60, f"p-{n}", amount_minor=100) for n in range(21)), SHORT, SHORTAGE
    ),
    "a duplicate first, then a shortage": Case(
        events=(ORDER, PAID, AGAIN, DUPLICATE, SHORT, verdict("stock_shortage", "short", "second")),
        back={"p-1": 2000, "p-2": 2000},
        cancelled=1,
        told=2,
    ),
}

PRICES = {
    "lowered, and the old price was taken": surplus(ORDER, LOWERED, PAID, PRICE, p_1=200),
    "lowered, and the new price was taken": person(ORDER, LOWERED, captured("paid", 60, amount_minor=1800), PRICE),
    "raised, and the new price was taken": surplus(
        ORDER, RAISED, captured("paid", 60, amount_minor=2200), PRICE, p_1=200
    ),
    "raised, and the old price was taken": person(ORDER, RAISED, PAID, PRICE),
    "lowered and raised back": person(ORDER, LOWERED, priced("back", 65, 600, 700), PAID, PRICE),
    "an article in several lines of one price": surplus(
        version("placed", 90, 1400, LAMPS | {"quantity": 1}, LAMPS | {"quantity": 1}),
        LOWERED,
        captured("paid", 60, amount_minor=1400),
        PRICE,
        p_1=200,
    ),
    "an article in several lines of different prices": person(
        version("placed", 90, 1350, LAMPS | {"quantity": 1}, LAMPS | {"quantity": 1, "price_minor": 650}),
        LOWERED,
        captured("paid", 60, amount_minor=1350),
        PRICE,
    ),
    "changed from a price the order never had": person(ORDER, priced("change", 70, 900, 600), PAID, PRICE),
    "reported twice": surplus(ORDER, LOWERED, changed(priced("change 2", 69, 700, 600)), PAID, PRICE, p_1=200),
    "clock and log disagree on whether it changed before the capture": person(ORDER, PAID, LOWERED, PRICE),
    "changed after the capture": person(ORDER, PAID, priced("change", 50, 700, 600), PRICE),
    "more was taken than the change explains": person(ORDER, RAISED, captured("paid", 60, amount_minor=3450), PRICE),
    "less was taken than the order is worth": person(ORDER, LOWERED, captured("paid", 60, amount_minor=1000), PRICE),
    "another currency was taken": person(ORDER, RAISED, captured("paid", 60, amount_minor=9225, currency="JPY"), PRICE),
    "support gave a part of the difference": surplus(
        ORDER, LOWERED, PAID, refunded("r", 50, "p-1", 150), PRICE, p_1=50
    ),
    "from the tender taken last": surplus(ORDER, LOWERED, GIFT, CARD, PRICE, p_card=200),
    "the order was amended to less after it was paid": person(
        ORDER, LOWERED, PAID, version("amended", 40, 600, CUP), PRICE
    ),
    "the order is not known": person(LOWERED, PAID, PRICE),
}

STOPPED = {
    "the customer cancels what is paid": Case(events=(ORDER, PAID, CANCEL), back={"p-1": 2000}, told=1),
    "the customer cancels what is being packed": Case(
        events=(ORDER, PAID, requested(), CANCEL), back={"p-1": 2000}, called_off=1, told=1
    ),
    "packing is asked for after the customer cancelled": Case(
        events=(ORDER, PAID, CANCEL, requested()), back={"p-1": 2000}, called_off=1, told=1
    ),
    "the customer cancels twice": Case(events=(ORDER, PAID, CANCEL, cancelled("cancel-2")), back={"p-1": 2000}, told=1),
    "the customer cancels what is not paid": Case(events=(ORDER, CANCEL)),
    "what is taken after the customer cancelled": Case(
        events=(ORDER, PAID, CANCEL, captured("late", 5, "p-2"), scored("p-2", "approve")),
        back={"p-1": 2000, "p-2": 2000},
        told=1,
    ),
    "what is taken first after the customer cancelled": Case(
        events=(ORDER, CANCEL, captured("late", 5, "p-2"), scored("p-2", "approve")), back={"p-2": 2000}
    ),
    "the customer cancels all tenders": Case(
        events=(ORDER, GIFT, CARD, CANCEL), back={"p-gift": 1200, "p-card": 800}, told=1
    ),
    "the customer cancels what is charged back in part": Case(
        events=(ORDER, PAID, charged_back("c", 50, amount_minor=500), CANCEL), back={"p-1": 1500}, told=1
    ),
    "the customer cancels what support refunded": Case(events=(ORDER, PAID, refunded("r", 45, "p-1"), CANCEL)),
    "the customer cancels what is on its way": person(ORDER, PAID, dispatched(), CANCEL),
    "the customer cancels what is disputed": person(ORDER, captured("paid", 60, currency="JPY"), CANCEL),
    "the customer cancels, and a duplicate is found": Case(
        events=(ORDER, PAID, AGAIN, CANCEL, DUPLICATE), back={"p-1": 2000, "p-2": 2000}, told=1
    ),
    "the order was placed again after it was cancelled": person(
        ORDER, PAID, version("again placed", 20, 600, CUP), CANCEL
    ),
    "recovery's own cancellation comes back": Case(
        events=(ORDER, PAID, cancelled(source="urn:innervate:agent:recovery"))
    ),
    "the customer cancels what recovery cancelled": Case(
        events=(ORDER, PAID, SHORT, SHORTAGE, CANCEL), back={"p-1": 2000}, cancelled=1, told=1
    ),
    "a payment is blocked": Case(events=(ORDER, PAID, requested(), scored()), back={"p-1": 2000}, called_off=1),
    "one of two tenders is blocked": Case(
        events=(ORDER, GIFT, CARD, scored("p-card")), back={"p-gift": 1200, "p-card": 800}
    ),
    "a payment the order does not have is blocked": person(ORDER, PAID, scored("p-9")),
    "a payment is blocked when the goods are gone": person(ORDER, PAID, dispatched(), scored()),
    "a payment is blocked that was charged back": Case(events=(ORDER, PAID, charged_back("c", 50), scored())),
    "a payment is blocked that was charged back while it is packed": Case(
        events=(ORDER, PAID, requested(), charged_back("c", 50), scored()), called_off=1
    ),
    "a payment in another currency is blocked": person(ORDER, captured("paid", 60, currency="JPY"), scored()),
    "a payment is under review": Case(events=(ORDER, PAID, requested(), scored(kind="review")), called_off=1),
    "a payment is under review, and approved by the agent": Case(
        events=(ORDER, PAID, requested(), scored(kind="review"), scored(kind="approve", event_id="score-2")),
        called_off=1,
    ),
    "a payment is under review when the goods are gone": Case(
        events=(ORDER, PAID, requested(), dispatched(), scored(kind="review"))
    ),
    "what a person agreed to is packed": Case(
        events=(ORDER, PAID, requested(), scored(kind="review"), replace(requested("agreed"), causationid="score")),
        called_off=1,
    ),
    "a request that overtook a review is called off": Case(
        events=(ORDER, PAID, scored(kind="review"), replace(requested(), causationid="paid")), called_off=1
    ),
    "what a person agreed to is called off when the payment is blocked": Case(
        events=(
            ORDER,
            PAID,
            requested(),
            scored(kind="review"),
            replace(requested("agreed"), causationid="score"),
            scored(event_id="score-2"),
        ),
        back={"p-1": 2000},
        called_off=2,
    ),
}

PARCELS = {
    "a label fails": Case(events=(ORDER, PAID, label("label", 40), verdict("label_failed", "label")), retried=1),
    "a label fails and the parcel was booked since": Case(
        events=(ORDER, PAID, label("label", 40), booked("booked", 30), verdict("label_failed", "label"))
    ),
    "a label fails of an order that was blocked": Case(
        events=(ORDER, PAID, scored(), label("label", 40), verdict("label_failed", "label")), back={"p-1": 2000}
    ),
    "an address is invalid": Case(
        events=(ORDER, PAID, moved("moved", 40, valid=False), label("label", 30), verdict("address_invalid", "moved")),
        told=1,
    ),
    "the address asked for comes": Case(
        events=(
            ORDER,
            PAID,
            moved("moved", 40, valid=False),
            label("label", 30),
            verdict("address_invalid", "moved"),
            moved("right", -1, valid=True),
            moved("right again", -2, valid=True),
        ),
        told=1,
        retried=1,
    ),
    "the address is corrected after a label failed, and a verdict comes late": Case(
        events=(
            ORDER,
            PAID,
            moved("moved", 40, valid=False),
            label("label", 30),
            moved("right", -1, valid=True),
            verdict("address_invalid", "moved"),
        ),
        retried=1,
    ),
    "an address is corrected that nobody waited for": Case(
        events=(ORDER, PAID, moved("moved", 40, valid=False), moved("right", 30, valid=True))
    ),
    "a valid address is changed": Case(events=(ORDER, PAID, label("label", 40), moved("right", 30, valid=True))),
    "clock and log disagree on the correction": person(
        ORDER, PAID, moved("moved", 40, valid=False), label("label", 30), moved("right", 45, valid=True)
    ),
    "the address comes when the order was cancelled": Case(
        events=(
            ORDER,
            PAID,
            moved("moved", 40, valid=False),
            label("label", 30),
            CANCEL,
            moved("right", 20, valid=True),
        ),
        back={"p-1": 2000},
        told=1,
    ),
}

STRANGE = "urn:test:elsewhere"
VERDICTS = {
    "a verdict of a stranger": person(ORDER, PAID, SHORT, replace(SHORTAGE, source=STRANGE)),
    "a block of a stranger": person(ORDER, PAID, scored(source=STRANGE)),
    "an approval of a stranger": Case(events=(ORDER, PAID, scored(kind="approve", source=STRANGE))),
    "a verdict of a stranger, then the agent's": replace(
        everything(ORDER, PAID, SHORT, replace(SHORTAGE, source=STRANGE, id="forged"), SHORTAGE, p_1=2000), escalated=1
    ),
    "a cause named by the agent of fraud": person(
        ORDER, PAID, SHORT, replace(SHORTAGE, source="urn:innervate:agent:fraud")
    ),
    "a block named as a cause": person(ORDER, PAID, verdict("fraud_blocked", "paid")),
    "a cancellation named as a cause": person(ORDER, PAID, verdict("order_cancelled", "paid")),
    "a culprit that is not remembered": person(ORDER, PAID, SHORT, verdict("stock_shortage", "nowhere")),
    "a culprit that is no shortage": person(ORDER, PAID, SHORT, verdict("stock_shortage", "paid")),
    "a shortage after the error": person(ORDER, PAID, short("short", -5), SHORTAGE),
    "the first capture to blame for the second": person(ORDER, PAID, AGAIN, duplicate("paid")),
    "a guess": person(ORDER, PAID, SHORT, verdict("stock_shortage", "short", confidence=0.49)),
    "a failure nobody knows": person(ORDER, PAID, verdict("sunspots", None)),
    "sixty errors without a cause": person(ORDER, *(verdict("unknown", None, f"v-{n}") for n in range(60))),
    "sixty guesses, then a sure verdict": replace(
        everything(
            ORDER,
            PAID,
            SHORT,
            *(verdict("stock_shortage", "short", f"v-{n}", 0.4) for n in range(60)),
            SHORTAGE,
            p_1=2000,
        ),
        escalated=1,
    ),
    "sixty verdicts about one shortage": everything(
        ORDER, PAID, SHORT, *(verdict("stock_shortage", "short", f"v-{n}") for n in range(60)), p_1=2000
    ),
    "sixty verdicts about a disputed shortage": person(
        ORDER,
        captured("paid", 60, currency="JPY"),
        SHORT,
        *(verdict("stock_shortage", "short", f"v-{n}") for n in range(60)),
    ),
}

GROUPS = {
    "split": SPLIT, "repeated": REPEATED, "supply": SUPPLY, "price": PRICES, "stopped": STOPPED, "parcel": PARCELS,
    "verdict": VERDICTS,
}  # fmt: skip
CASES: Mapping[str, Case] = {
    f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()
}
