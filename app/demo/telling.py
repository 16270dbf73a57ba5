"""Telling: what happened, as lines a person reads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from agents.model.text import escaped
from agents.shop.money import amount
from tables.event import Event

Data = Mapping[str, Any]


def _money(data: Data) -> str:
    return amount(data["amount_minor"], data["currency"])


def _cause(data: Data) -> str:
    return f"{data['failure']} by {data['culprit_event_id'] or 'nothing known'}, confidence {data['confidence']:.2f}"


#: What is worth saying of an event's data, by its type.
_DETAILS: Final[Mapping[str, Callable[[Data], str]]] = {
    "OrderPlaced": lambda data: amount(data["total_minor"], data["currency"]),
    "PaymentAuthorized": _money,
    "PaymentSucceeded": lambda data: f"{_money(data)} by {data['payment_id']}",
    "PaymentFailed": lambda data: data["reason"],
    "InventoryShort": lambda data: f"{data['sku']}: {data['available']} of {data['wanted']}",
    "InventoryReserved": lambda data: f"{data['sku']}: {data['wanted']}",
    "PriceChanged": lambda data: f"{data['sku']}: {data['old_minor']} → {data['new_minor']}",
    "AddressChanged": lambda data: "valid" if data["valid"] else "invalid",
    "LabelFailed": lambda data: f"{data['carrier']}, {'passing' if data['transient'] else 'for good'}",
    "ErrorOccurred": lambda data: f"{data['service']}/{data['step']}: {data['error']}",
    "FraudScored": lambda data: f"{data['verdict']} {data['score']}: {'; '.join(data['reasons']) or 'nothing unusual'}",
    "ConfirmationRequested": lambda data: f"{data['tone']}: {data['message']}",
    "RootCauseIdentified": _cause,
    "RootCauseSuspected": lambda data: f"nothing in the order explains it, {data['service']} may",
    "RefundIssued": lambda data: f"{_money(data)} of {data['payment_id']}: {data['reason']}",
    "LedgerEntryPosted": lambda data: f"{_money(data)} from {data['credit']} to {data['debit']}",
    "OrderCancelled": lambda data: data["reason"],
    "FulfilmentCancelled": lambda data: data["reason"],
    "ShipmentRetryRequested": lambda data: data["reason"],
    "CustomerNotified": lambda data: data["message"],
    "EscalationRequested": lambda data: data["reason"],
    "ReviewPosted": lambda data: f"{data['stars']} stars",
}
_STYLES: Final[Mapping[str, str]] = {
    "ErrorOccurred": "red",
    "RootCauseIdentified": "magenta",
    "RefundIssued": "cyan",
    "OrderCancelled": "yellow",
    "EscalationRequested": "bold yellow",
    "FulfilmentCancelled": "yellow",
}


def line(event: Event) -> Text:
    """One event in one line: whom it is about, who says it, what."""
    about = event.data.get("order_id") or event.data.get("customer_id") or event.data.get("service") or ""
    return Text.assemble(
        f"{escaped(str(about)):10}{_producer(event):14}",
        (f"{escaped(event.type):24}", _STYLES.get(event.type, "")),
        _detail(event),
    )


def choreography(events: Iterable[Event]) -> Tree:
    """What happened in one story, each event under the one that caused it, in the order given.

    Under none where several sources have an event with the id of its cause.
    """
    told = list(events)
    known = Counter(event.id for event in told)
    caused: dict[str | None, list[Event]] = defaultdict(list)
    for event in told:
        cause = event.causationid
        caused[cause if cause is not None and known[cause] == 1 else None].append(event)
    tree = Tree("", hide_root=True)
    _grow(tree, None, caused)
    return tree


def _grow(branch: Tree, cause: str | None, caused: Mapping[str | None, list[Event]]) -> None:
    for event in caused.get(cause, ()):
        when = f"{event.time:%d %b %H:%M}  " if cause is None else ""
        label = Text.assemble(
            when,
            f"{_producer(event):14}",
            (f"{escaped(event.type):24}", _STYLES.get(event.type, "bold")),
            _detail(event),
        )
        _grow(branch.add(label), event.id, caused)


def _producer(event: Event) -> str:
    return escaped(event.source.rpartition(":")[2])


def _detail(event: Event) -> str:
    detail = _DETAILS.get(event.type)
    return escaped(detail(event.data)) if detail else ""
