"""Records: how the producers of the shop write to Kafka, in both content modes, and what broken ones write.

CloudEvents 1.0; the Kafka binding of version 1.0.2 describes the modes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

#: The topic of every event type the shop produces.
TOPICS: Final[Mapping[str, str]] = {
    "PaymentAuthorized": "payments",
    "PaymentSucceeded": "payments",
    "PaymentFailed": "payments",
    "ChargebackReceived": "payments",
    "OrderPlaced": "orders",
    "PriceChanged": "orders",
    "AddressChanged": "orders",
    "InventoryReserved": "orders",
    "InventoryShort": "orders",
    "ShipmentBooked": "shipping",
    "ShipmentDispatched": "shipping",
    "LabelFailed": "shipping",
    "ReviewPosted": "support",
    "SupportMessageReceived": "support",
    "ErrorOccurred": "platform",
    "ServiceDeployed": "platform",
    # Said by people, tools and strangers in the place of agents.
    "RefundIssued": "payments",
    "FraudScored": "payments",
    "OrderCancelled": "orders",
    "RootCauseIdentified": "recovery",
    "ConfigChanged": "platform",
}


#: Shares of the records of an unreliable bus.
_LATE_SHARE: Final = 0.05
_TWICE_SHARE: Final = 0.04


@dataclass(frozen=True, kw_only=True, slots=True)
class Produced:
    """A record to send to Kafka."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    #: When it is sent, UTC; for an event, mostly when it happened.
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """An event before it is written."""

    id: str
    type: str
    #: The service that produces it.
    service: str
    at: datetime
    data: Mapping[str, Any]
    correlationid: str | None = None
    causationid: str | None = None
    #: Whether its producer uses binary mode.
    binary: bool = False
    #: How much its producer's clock is ahead.
    skew: timedelta = timedelta()
    #: How much later than it happened it is sent.
    late: timedelta = timedelta()
    #: Whose it is, unless a service's.
    source: str | None = None


def record(happening: Happening) -> Produced:
    """Write an event as a record, keyed by its order, else its customer, else its service."""
    attributes = {
        "specversion": "1.0",
        "id": happening.id,
        "source": happening.source or f"urn:shop:{happening.service}",
        "type": happening.type,
        "time": (happening.at + happening.skew).isoformat().replace("+00:00", "Z"),
        "correlationid": happening.correlationid,
        "causationid": happening.causationid,
    }
    present = {name: text for name, text in attributes.items() if text is not None}
    entities = (happening.data.get(field) for field in ("order_id", "customer_id", "service"))
    value, headers = _binary(present, happening.data) if happening.binary else _structured(present, happening.data)
    return Produced(
        topic=TOPICS[happening.type],
        key=next(str(entity) for entity in entities if entity).encode(),
        value=value,
        headers=headers,
        at=happening.at + happening.late,
    )


def broken_records(number: int, at: datetime) -> Iterator[Produced]:
    """Three records no shop should send: cut off, empty, and not UTF-8."""
    key = f"broken-{number:05}".encode()
    yield Produced(topic="payments", key=key, value=b'{"specversion": "1.0", "id": ', at=at)
    yield Produced(topic="orders", key=key, value=None, at=at)
    yield Produced(topic="shipping", key=key, value=b"\xff\xfe not text", at=at)


def disordered(chance: random.Random, records: Iterable[Produced]) -> Iterator[Produced]:
    """The records as a bus delivers them: a few come twice, and news of small weight may come later than it happened.

    What decides (payments, errors, what is missing) is late only where a story says so.
    """
    for each in records:
        draw = chance.random()
        if each.topic == "shipping" and draw < _LATE_SHARE:
            yield replace(each, at=each.at + timedelta(seconds=chance.uniform(1, 120)))
        else:
            yield each
        if draw > 1 - _TWICE_SHARE:
            yield replace(each, at=each.at + timedelta(seconds=chance.uniform(0.1, 3_600)))


def _structured(attributes: Mapping[str, str], data: Mapping[str, Any]) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    return orjson.dumps({**attributes, "data": data}), (("content-type", b"application/cloudevents+json"),)


def _binary(attributes: Mapping[str, str], data: Mapping[str, Any]) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    headers = tuple((f"ce_{name}", text.encode()) for name, text in attributes.items())
    return orjson.dumps(data), (*headers, ("content-type", b"application/json"))
