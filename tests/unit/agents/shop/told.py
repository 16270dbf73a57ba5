"""What a customer lives through before the payment that is confirmed, in the words of tests of confirmation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fakes import NOON, event_of, history_of, paid
from shop_catalogue import parse_data

from agents.model.decision import Decision
from agents.shop.confirmation.rules import confirm
from agents.shop.events import (
    ChargebackReceived,
    ConfirmationRequested,
    ErrorOccurred,
    PaymentFailed,
    RefundIssued,
    ReviewPosted,
    SupportMessageReceived,
)
from tables.event import Event

DAY = timedelta(days=1)


def review(stars: int, text: str = "", before: timedelta = DAY, **changes: Any) -> Event:
    return event_of(ReviewPosted, f"r-{stars}-{before}-{text}", NOON - before, stars=stars, text=text, **changes)


def wrote(text: str, before: timedelta = DAY, **changes: Any) -> Event:
    return event_of(SupportMessageReceived, f"m-{text}-{before}", NOON - before, text=text, **changes)


def error(before: timedelta = DAY, **changes: Any) -> Event:
    more = {"service": "shop", "step": "s", "error": "E", "message": "oops"}
    return event_of(ErrorOccurred, f"e-{before}", NOON - before, **more, **changes)


def declined(order_id: str = "o-7", before: timedelta = DAY) -> Event:
    return event_of(PaymentFailed, f"declined-{order_id}-{before}", NOON - before, order_id=order_id)


def refunded(order_id: str, minor: int = 2000, refund_id: str = "r-1", currency: str = "EUR") -> Event:
    """A refund reported a moment before the payment; what it is worth and for depends on where it stands in the log."""
    return event_of(
        RefundIssued,
        f"refunded-{order_id}-{minor}-{refund_id}",
        NOON - timedelta(minutes=1),
        refund_id=refund_id,
        order_id=order_id,
        amount_minor=minor,
        currency=currency,
        reason="<b>why</b>",
    )


def charged_back(order_id: str = "o-7") -> Event:
    return event_of(ChargebackReceived, f"back-{order_id}", NOON - DAY, order_id=order_id)


def bought(order_id: str, event_id: str = "", **changes: Any) -> Event:
    """An earlier payment of 20.00 EUR, of another order."""
    return paid(event_id or f"paid-{order_id}", 9 * DAY, order_id=order_id, **changes)


def decide(*earlier: Event, **changes: Any) -> Decision:
    """What is decided on the payment of order o-1, after these events in the order of the log."""
    payment = paid("now", **changes)
    return confirm(parse_data(payment), history_of(payment, *earlier))  # type: ignore[arg-type]


def requested(*earlier: Event, **changes: Any) -> ConfirmationRequested:
    [emitted] = decide(*earlier, **changes).emit
    assert isinstance(emitted, ConfirmationRequested)
    return emitted
