"""Recomputed: what every history must have been, from a plain re-read of a timeline by code that shares nothing.

The product reads a ring in RocksDB that went through crashes, rebalances and recoveries; this reads the log from its
beginning. Both must name the same offsets and hash the same bytes. What each agent listens to and remembers is written
down here a second time on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

#: The field of `data` that says to whose timeline an event goes.
FIELDS: Final = {
    "customer": "customer_id",
    "order": "order_id",
    "repository": "repository_id",
    "service": "service",
}


@dataclass(frozen=True)
class Memory:
    """What an agent decides on and remembers; types separated by blanks."""

    entity: str
    reacts_to: str
    remembers: str
    events: int
    age: timedelta

    @property
    def timeline(self) -> str:
        """The topic it reads."""
        return f"timeline-{self.entity}"

    @property
    def ring(self) -> int:
        """Slots: a copy counts as one while its first is in them. The power of two that is at least twice `events`."""
        slots = 1
        while slots < 2 * self.events:
            slots *= 2
        return slots


#: Every agent of every domain that is tried. No event is about entities of two domains.
MEMORIES: Final[Mapping[str, Memory]] = {
    "fraud": Memory(
        "customer", "PaymentSucceeded", "PaymentSucceeded PaymentFailed ChargebackReceived", 50, timedelta(days=120)
    ),
    "confirmation": Memory(
        "customer",
        "PaymentSucceeded",
        "PaymentSucceeded PaymentFailed ChargebackReceived RefundIssued ErrorOccurred ReviewPosted"
        " SupportMessageReceived",
        50,
        timedelta.max,
    ),
    "bookkeeping": Memory(
        "order",
        "ChargebackReceived RefundIssued",
        "PaymentSucceeded ChargebackReceived RefundIssued",
        50,
        timedelta(days=540),
    ),
    "fulfilment": Memory(
        "order",
        "OrderPlaced PaymentSucceeded ShipmentRetryRequested FraudScored",
        "OrderPlaced PaymentSucceeded PriceChanged RefundIssued ChargebackReceived FraudScored OrderCancelled"
        " FulfilmentRequested FulfilmentCancelled ShipmentDispatched ShipmentRetryRequested",
        50,
        timedelta(days=90),
    ),
    "root_cause": Memory(
        "order",
        "ErrorOccurred RootCauseIdentified",
        # Whatever may be about an order.
        "PaymentAuthorized PaymentSucceeded PaymentFailed ChargebackReceived RefundIssued FraudScored"
        " OrderPlaced OrderCancelled PriceChanged AddressChanged InventoryReserved InventoryShort"
        " FulfilmentRequested FulfilmentCancelled ShipmentBooked ShipmentDispatched LabelFailed ShipmentRetryRequested"
        " ReviewPosted SupportMessageReceived ConfirmationRequested CustomerNotified"
        " ErrorOccurred RootCauseIdentified RootCauseSuspected EscalationRequested LedgerEntryPosted",
        50,
        timedelta(days=90),
    ),
    "incident": Memory(
        "service",
        "RootCauseSuspected ErrorOccurred",
        "ErrorOccurred RootCauseSuspected ServiceDeployed ConfigChanged",
        200,
        timedelta(days=7),
    ),
    "recovery": Memory(
        "order",
        "RootCauseIdentified FraudScored FulfilmentRequested OrderCancelled AddressChanged",
        "RootCauseIdentified FraudScored FulfilmentRequested FulfilmentCancelled OrderPlaced OrderCancelled"
        " PaymentSucceeded RefundIssued ChargebackReceived PriceChanged AddressChanged InventoryReserved InventoryShort"
        " LabelFailed ShipmentBooked ShipmentDispatched EscalationRequested",
        50,
        timedelta(days=90),
    ),
    "flaky": Memory(
        "repository", "BuildFailed", "BuildFailed BuildPassed RepositoryQuarantined", 50, timedelta(days=30)
    ),
    "blame": Memory(
        "repository", "ErrorOccurred", "ErrorOccurred BuildFailed RepositoryQuarantined", 30, timedelta(days=7)
    ),
}

#: Types that somebody decides on.
REACTED_TO: Final = frozenset(kind for memory in MEMORIES.values() for kind in memory.reacts_to.split())

#: Partition and offset in the timeline.
Place = tuple[int, int]


class Record(Protocol):
    """A record of a timeline, as aiokafka or a test has it."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True)
class Remembered:
    """An event in a window."""

    offset: int
    at: datetime
    #: Source and id.
    event: tuple[str, str]
    payload: bytes


@dataclass(frozen=True)
class Recomputed:
    """What must be recorded when the event in this place is decided on."""

    #: Source and id.
    event: tuple[str, str]
    history: Mapping[str, Any]


def who_decides(kind: str, data: Mapping[str, Any]) -> list[str]:
    """The agents that must decide on an event of this type with this data, by name."""
    return [
        agent
        for agent, memory in MEMORIES.items()
        if kind in memory.reacts_to.split() and data.get(FIELDS[memory.entity])
    ]


def recompute(agent: str, timeline: Iterable[Record]) -> dict[Place, Recomputed]:
    """The history of each event `agent` reacts to, copies included; each partition must come in log order."""
    memory = MEMORIES[agent]
    reacted_to, remembered = set(memory.reacts_to.split()), set(memory.remembers.split())
    windows: dict[tuple[int, bytes | None], list[Remembered]] = defaultdict(list)
    expected = {}
    for record in timeline:
        payload = record.value or b""
        event = json.loads(payload)
        key = (event["source"], event["id"])
        window = windows[record.partition, record.key]
        at = datetime.fromisoformat(event["time"])
        if event["type"] in reacted_to:
            known = [past for past in window[-memory.events :] if at - past.at <= memory.age]
            others = [past for past in known if past.event != key]
            expected[record.partition, record.offset] = Recomputed(key, _reference(others))
        is_copy = any(past.event == key for past in window)
        if event["type"] in remembered and not is_copy:
            window.append(Remembered(record.offset, at, key, payload))
            del window[: -memory.ring]
    return expected


def _reference(history: list[Remembered]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for known in history:
        digest.update(known.offset.to_bytes(8, "big") + len(known.payload).to_bytes(4, "big") + known.payload)
    return {"offsets": [known.offset for known in history], "sha256": digest.hexdigest()}
