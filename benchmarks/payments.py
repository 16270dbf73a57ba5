"""Payments: the load of every measurement, 401 bytes each, the same whenever they are made.

The producer keys them by order, as a shop does, so whoever decides by customer has to move them first. A customer pays
twice a day, mostly as always; one payment in twenty is unusual, so that the rules have something to find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import orjson

#: Where every payment is sent.
TOPIC: Final = "payments"
#: What a payment weighs as structured JSON, as in the measurements before this one.
PAYMENT_BYTES: Final = 401
#: Between two payments of a customer: a hundred of them are younger than the fraud window's 120 days.
SPACING: Final = timedelta(hours=12)
_UNUSUAL_SHARE: Final = 0.05
_HEADERS: Final = (("content-type", b"application/cloudevents+json"),)


class Payment(NamedTuple):
    """A record to send."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = _HEADERS


def payments(customers: int, first_round: int, count: int, *, start: datetime, prefix: str = "c") -> Iterator[Payment]:
    """So many payments, one customer after another, beginning with the given round; `start` is when round 0 was."""
    for number in range(count):
        turn, customer = divmod(number, customers)
        yield payment(f"{prefix}{customer:07}", first_round + turn, start=start)


def payment(customer: str, turn: int, *, start: datetime) -> Payment:
    """The payment of that number of a customer."""
    chance = random.Random(f"{customer}/{turn}")
    unusual = chance.random() < _UNUSUAL_SHARE
    order_id = f"order-{customer}-{turn:06}"
    at = start + SPACING * turn + timedelta(seconds=chance.randrange(3600))
    data = {
        "payment_id": f"payment-{customer}-{turn:06}",
        "order_id": order_id,
        "customer_id": customer,
        "amount_minor": chance.randrange(50_000, 900_000) if unusual else chance.randrange(1_000, 9_000),
        "currency": "EUR",
        "method": "card",
        "country": chance.choice(("US", "BR")) if unusual else "DE",
        "device_id": f"device-{chance.randrange(1000) if unusual else chance.randrange(2):04}",
    }
    envelope = {
        "specversion": "1.0",
        "id": f"{customer}-{turn:06}-{'0' * 22}",
        "source": "urn:shop:payments",
        "type": "PaymentSucceeded",
        "time": at.isoformat().replace("+00:00", "Z"),
        "subject": "",
        "data": data,
    }
    envelope["subject"] = "s" * (PAYMENT_BYTES - len(orjson.dumps(envelope)))
    return Payment(order_id.encode(), orjson.dumps(envelope))


def long_ago(now: datetime | None = None) -> datetime:
    """When round 0 was: so long ago that round 160 is not in the future."""
    return (now or datetime.now(UTC)).replace(microsecond=0) - SPACING * 160
