"""Evidence: what Kafka and PostgreSQL hold after a run, and what was done to the system meanwhile, as plain values."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: What the sources of the agents' own events begin with.
OURS: Final = "urn:innervate:"
#: The header of a record that cannot be processed.
BROKEN: Final = ("expected", b"dead letter")

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Logged:
    """A record in Kafka; `at` is its timestamp in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.topic, self.partition, self.offset

    @property
    def is_broken(self) -> bool:
        """Whether it was made to become a dead letter."""
        return BROKEN in self.headers

    @property
    def event(self) -> dict[str, Any] | None:
        """What it says; None when it is broken."""
        if self.is_broken:
            return None
        headers = dict(self.headers)
        if "ce_id" in headers:
            attributes = {name: headers[f"ce_{name}"].decode() for name in ("id", "type", "source")}
            return {**attributes, "data": json.loads(self.value or b"{}")}
        event = json.loads(self.value or b"null")
        assert isinstance(event, dict), f"no event at {self.place}"
        return event

    @property
    def message(self) -> dict[str, Any] | None:
        """What it says, if an agent said it."""
        event = self.event
        return event if event is not None and str(event.get("source", "")).startswith(OURS) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRow:
    """A row of `decisions`; `committed_at` in seconds since the epoch.

    What is long stays text: a long run has hundreds of thousands.
    """

    id: str
    agent: str
    event_source: str
    event_id: str
    place: Place
    history_json: str
    messages_json: str
    committed_at: float
    status: str = "committed"
    #: What a person answered to, when the decision was held.
    content: str | None = None

    @property
    def history(self) -> dict[str, Any]:
        """Offsets and digest of what the agent knew."""
        history: dict[str, Any] = json.loads(self.history_json)
        return history

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What has to be published with it: id, topic, key, value. Nothing while it is held."""
        messages: list[dict[str, Any]] = []
        if self.status == "committed":
            messages = json.loads(self.messages_json)
        elif self.status == "rejected" and self.content is not None:
            messages = [one | {"value": json.loads(one["value"])} for one in json.loads(self.content)["otherwise"]]
        return messages

    def __str__(self) -> str:
        return f"{self.event_id} of {self.event_source} by {self.agent}"

    @property
    def event(self) -> tuple[str, str]:
        """Source and id of what was decided on."""
        return self.event_source, self.event_id


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row of `dead_letters`."""

    consumer: str
    reason: str
    place: Place


@dataclass(frozen=True, slots=True)
class RefundRow:
    """A row of `refunds`; the names are those of `RefundIssued`, so that one can be compared with the other."""

    decision_id: str
    refund_id: str
    payment_id: str
    order_id: str
    customer_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A row of `ledger_entries`; the names are those of `LedgerEntryPosted`."""

    entry_id: str
    refund_id: str
    order_id: str
    debit: str
    credit: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CaptureRow:
    """A row of `captures`."""

    payment_id: str
    captured_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A row of `quarantines`; the names are those of `RepositoryQuarantined`."""

    decision_id: str
    quarantine_id: str
    repository_id: str
    test: str


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that was done to the system, or a worker that ended unasked, in seconds since the epoch."""

    what: str
    began_at: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All there is. Logs in the order of each partition, decisions in the order of the commits."""

    #: Names of the events Kafka said it has.
    acknowledged: Collection[str]
    #: Orders that were made to fail, and the payment to be given back for it.
    to_refund: Mapping[str, str] = field(default_factory=dict)
    #: Repositories that were made to fail, and the test to be quarantined for it.
    to_quarantine: Mapping[str, str] = field(default_factory=dict)
    #: Every domain topic.
    domain: Sequence[Logged]
    dead_letters: Sequence[Logged]
    #: By topic.
    timelines: Mapping[str, Sequence[Logged]]
    decisions: Sequence[DecisionRow]
    dead_rows: Sequence[DeadRow]
    refunds: Sequence[RefundRow] = ()
    entries: Sequence[EntryRow] = ()
    captures: Sequence[CaptureRow] = ()
    quarantines: Sequence[QuarantineRow] = ()
    unpublished: Sequence[str] = ()
    refused: Sequence[str] = ()
