"""Recomputed: what every history must have been, from a plain re-read of a timeline by code that shares nothing.

The product reads a ring in RocksDB that went through crashes, rebalances and recoveries; this reads the log from its
beginning. Both must name the same offsets and hash the same bytes. What each agent listens to and remembers is written
down here a second time on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    #: Types that are counted apart, those of one entry together, and how many of them are remembered.
    slots: Mapping[str, int] = field(default_factory=dict)

    @property
    def timeline(self) -> str:
        """The topic it reads."""
        return f"timeline-{self.entity}"

    def counted_with(self, kind: str) -> str:
        """The entry of `slots` that a type belongs to; none for what is counted together."""
        return next((kinds for kinds in self.slots if kind in kinds.split()), "")

    def remembered_of(self, kinds: str) -> int:
        """How many events are remembered of those that are counted together."""
        return self.slots.get(kinds, self.events)

    def kept_of(self, kinds: str) -> int:
        """As long as it is among so many, a copy counts as one: a power of two, at least twice those remembered."""
        kept = 32 if kinds else 1
        while kept < 2 * self.remembered_of(kinds):
            kept *= 2
        return kept


_OF_CALLS: Final = (
    "DependencyDeclared DependencyObserved DependentDeclared MetricBreached MetricRecovered CauseSuggested CauseSought"
    " CauseTraced ServiceDeployed ConfigChanged ErrorOccurred RootCauseSuspected IncidentReported"
    " IncidentMoved EscalationDue EscalationRequested"
)

#: Every agent of every domain that is tried. No event is about entities of two domains.
MEMORIES: Final[Mapping[str, Memory]] = {
    "fraud": Memory(
        "customer",
        "PaymentSucceeded",
        "PaymentSucceeded PaymentFailed ChargebackReceived",
        50,
        timedelta(days=120),
        {"PaymentFailed": 50, "ChargebackReceived": 20},
    ),
    "confirmation": Memory(
        "customer",
        "PaymentSucceeded",
        "PaymentSucceeded PaymentFailed ChargebackReceived RefundIssued ErrorOccurred ReviewPosted"
        " SupportMessageReceived",
        50,
        timedelta.max,
        {"ReviewPosted SupportMessageReceived": 30, "ErrorOccurred": 20},
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
        "ErrorOccurred RootCauseIdentified InventoryShort PaymentSucceeded LabelFailed AddressChanged PriceChanged",
        # Whatever may be about an order.
        "PaymentAuthorized PaymentSucceeded PaymentFailed ChargebackReceived RefundIssued FraudScored"
        " OrderPlaced OrderCancelled PriceChanged AddressChanged InventoryReserved InventoryShort"
        " FulfilmentRequested FulfilmentCancelled ShipmentBooked ShipmentDispatched LabelFailed ShipmentRetryRequested"
        " ReviewPosted SupportMessageReceived ConfirmationRequested CustomerNotified"
        " ErrorOccurred RootCauseIdentified RootCauseSuspected EscalationRequested LedgerEntryPosted",
        50,
        timedelta(days=90),
        {"ErrorOccurred RootCauseIdentified RootCauseSuspected EscalationRequested": 50},
    ),
    "incident": Memory(
        "service",
        "RootCauseSuspected ErrorOccurred ServiceDeployed ConfigChanged",
        "ErrorOccurred RootCauseSuspected ServiceDeployed ConfigChanged RootCauseIdentified EscalationRequested"
        " DependencyDeclared DependencyObserved MetricBreached CauseSuggested",
        200,
        timedelta(days=7),
        {
            "RootCauseSuspected": 300,
            "ServiceDeployed ConfigChanged": 50,
            "RootCauseIdentified": 100,
            "EscalationRequested": 20,
            "DependencyDeclared DependencyObserved": 50,
            "MetricBreached": 50,
            "CauseSuggested": 200,
        },
    ),
    "cascade": Memory(
        "service",
        _OF_CALLS,
        _OF_CALLS,
        200,
        timedelta(days=30),
        {
            "MetricBreached MetricRecovered": 100,
            "CauseSuggested": 300,
            "ErrorOccurred RootCauseSuspected": 200,
            "ServiceDeployed ConfigChanged": 50,
            "IncidentReported IncidentMoved EscalationDue": 100,
            "EscalationRequested": 20,
            "CauseSought": 50,
            "CauseTraced": 50,
        },
    ),
    "recovery": Memory(
        "order",
        "RootCauseIdentified FraudScored FulfilmentRequested OrderCancelled AddressChanged",
        "RootCauseIdentified FraudScored FulfilmentRequested FulfilmentCancelled OrderPlaced OrderCancelled"
        " PaymentSucceeded RefundIssued ChargebackReceived PriceChanged AddressChanged InventoryReserved InventoryShort"
        " LabelFailed ShipmentBooked ShipmentDispatched EscalationRequested",
        50,
        timedelta(days=90),
        {"RootCauseIdentified EscalationRequested": 50},
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
    #: What it is counted with.
    kinds: str


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


def recompute(agent: str, timeline: Iterable[Record], memory: Memory | None = None) -> dict[Place, Recomputed]:
    """The history of each event `agent` reacts to, copies included; each partition must come in log order.

    `memory` is what it remembers where a worker was told otherwise.
    """
    memory = memory or MEMORIES[agent]
    reacted_to = set(memory.reacts_to.split())
    windows: dict[tuple[int, bytes | None], list[Remembered]] = defaultdict(list)
    expected = {}
    for record in timeline:
        payload = record.value or b""
        event = json.loads(payload)
        key = (event["source"], event["id"])
        window = windows[record.partition, record.key]
        at = datetime.fromisoformat(event["time"])
        if event["type"] in reacted_to:
            known = [past for past in _last(window, memory.remembered_of) if at - past.at <= memory.age]
            others = [past for past in known if past.event != key]
            expected[record.partition, record.offset] = Recomputed(key, _reference(others))
        _remember(memory, window, record, event)
    return expected


def windows_of(memory: Memory, timeline: Iterable[Record]) -> dict[str, Sequence[Remembered]]:
    """What an agent with this memory remembers of each entity at the end of the timeline, oldest first."""
    windows: dict[str, list[Remembered]] = defaultdict(list)
    for record in timeline:
        _remember(memory, windows[(record.key or b"").decode()], record, json.loads(record.value or b""))
    return {entity: _last(window, memory.remembered_of) for entity, window in windows.items() if window}


def _remember(memory: Memory, window: list[Remembered], record: Record, event: Mapping[str, Any]) -> None:
    """Take the event into the window, if it is remembered and no copy."""
    key = (event["source"], event["id"])
    is_copy = any(past.event == key for past in window)
    if event["type"] in memory.remembers.split() and not is_copy:
        at = datetime.fromisoformat(event["time"])
        window.append(Remembered(record.offset, at, key, record.value or b"", memory.counted_with(event["type"])))
        window[:] = _last(window, memory.kept_of)


def _last(window: Sequence[Remembered], how_many: Callable[[str], int]) -> list[Remembered]:
    """The last ones of those that are counted together, in log order."""
    seen: Counter[str] = Counter()
    last = []
    for past in reversed(window):
        seen[past.kinds] += 1
        if seen[past.kinds] <= how_many(past.kinds):
            last.append(past)
    return last[::-1]


def _reference(history: list[Remembered]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for known in history:
        digest.update(known.offset.to_bytes(8, "big") + len(known.payload).to_bytes(4, "big") + known.payload)
    return {"offsets": [known.offset for known in history], "sha256": digest.hexdigest()}
