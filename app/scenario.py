"""Scenario: payments of many customers, some of them fraudulent, the same for the same seed.

The events are plain dictionaries made here, without the agents' models: a producer written by somebody else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson

_SOURCE: Final = "urn:demo:shop"
_COUNTRIES: Final = ("DE", "FR", "IT", "NL", "ES", "PL")


@dataclass(frozen=True, kw_only=True, slots=True)
class Produced:
    """A record to send to Kafka."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    #: The payment's id when this is a payment a decision is due for.
    payment_id: str | None = None


@dataclass(slots=True)
class _Customer:
    id: str
    country: str
    device: str
    usual_minor: int
    kind: Literal["honest", "account taken over", "card tester"]


def payments(*, seed: int, payments_wanted: int, customers: int, start: datetime) -> Iterator[Produced]:
    """Yield the records of a shop's day in order: payments, failures, chargebacks, and a few broken messages.

    Exactly `payments_wanted` of them are valid `PaymentSucceeded`. `start` is the time of the first event.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    people = [_customer(chance, number) for number in range(customers)]
    at = start
    for number in range(payments_wanted):
        customer = chance.choice(people)
        at += timedelta(seconds=chance.uniform(5, 40))
        yield from _before_payment(chance, customer, number, at)
        yield _payment(chance, customer, number, at)
        if number % 50 == 25:
            yield from _broken(number)


def _customer(chance: random.Random, number: int) -> _Customer:
    kind: Literal["honest", "account taken over", "card tester"] = "honest"
    if number % 10 == 7:
        kind = "account taken over"
    elif number % 10 == 3:
        kind = "card tester"
    return _Customer(
        id=f"c-{number:03}",
        country=chance.choice(_COUNTRIES),
        device=f"d-{chance.getrandbits(32):08x}",
        usual_minor=chance.randrange(1_500, 12_000),
        kind=kind,
    )


def _before_payment(chance: random.Random, customer: _Customer, number: int, at: datetime) -> Iterator[Produced]:
    """What precedes a payment: refused attempts of a card tester, now and then a chargeback."""
    if customer.kind == "card tester":
        for attempt in range(chance.randrange(1, 4)):
            seconds_before = 30 - attempt
            data = {**_data(customer, number, customer.usual_minor), "reason": "card declined"}
            data["payment_id"] = f"p-{number:05}-declined-{attempt}"
            yield _record("PaymentFailed", data, at - timedelta(seconds=seconds_before), number)
    elif customer.kind == "account taken over" and chance.random() < 0.2:
        yield _record("ChargebackReceived", _data(customer, number, customer.usual_minor), at, number)


def _payment(chance: random.Random, customer: _Customer, number: int, at: datetime) -> Produced:
    amount = max(100, round(chance.gauss(customer.usual_minor, customer.usual_minor / 5)))
    data = _data(customer, number, amount)
    if customer.kind == "account taken over" and chance.random() < 0.5:
        data |= {"amount_minor": amount * 15, "country": "BR", "device_id": f"d-{chance.getrandbits(32):08x}"}
    return _record("PaymentSucceeded", data, at, number)


def _data(customer: _Customer, number: int, amount_minor: int) -> dict[str, Any]:
    return {
        "payment_id": f"p-{number:05}",
        "order_id": f"o-{number:05}",
        "customer_id": customer.id,
        "amount_minor": amount_minor,
        "currency": "EUR",
        "method": "card",
        "country": customer.country,
        "device_id": customer.device,
    }


def _record(kind: str, data: Mapping[str, Any], at: datetime, number: int) -> Produced:
    """One CloudEvent; every third one in binary mode."""
    event_id = f"{kind}-{data['payment_id']}"
    time = at.isoformat().replace("+00:00", "Z")
    key = str(data["order_id"]).encode()
    payment_id = data["payment_id"] if kind == "PaymentSucceeded" else None
    if number % 3:
        envelope = {"specversion": "1.0", "id": event_id, "source": _SOURCE, "type": kind, "time": time}
        return Produced(
            topic="payments",
            key=key,
            value=orjson.dumps({**envelope, "data": data}),
            headers=(("content-type", b"application/cloudevents+json"),),
            payment_id=payment_id,
        )
    attributes = {"specversion": "1.0", "id": event_id, "source": _SOURCE, "type": kind, "time": time}
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    return Produced(
        topic="payments",
        key=key,
        value=orjson.dumps(data),
        headers=(*headers, ("content-type", b"application/json")),
        payment_id=payment_id,
    )


def _broken(number: int) -> Iterator[Produced]:
    """Messages no shop should send, among the good ones."""
    key = f"broken-{number}".encode()
    yield Produced(topic="payments", key=key, value=b'{"specversion": "1.0", "id": ')
    yield Produced(topic="payments", key=key, value=None)
    yield Produced(topic="payments", key=key, value=b"\xff\xfe not text")
