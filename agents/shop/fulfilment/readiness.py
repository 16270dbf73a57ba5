"""Readiness: what fulfilment knows of an order, and whether its goods may leave.

The money comes from the order's account (`agents.shop.facts.account`), what was asked for before from the events that
led to it. A verdict counts when the fraud agent gave it, or who is trusted as it is. It grows one event at a time, so
that a window is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from agents.model.history import Past, agent_source
from agents.shop.events import (
    DomainEvent,
    FraudScored,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    ShipmentDispatched,
)
from agents.shop.facts.account import Account

#: Who asks for packing.
_OWN: Final = agent_source("fulfilment")

#: What ends an order's way to the customer, one way or the other.
ENDS: Final = (OrderCancelled, FulfilmentCancelled, ShipmentDispatched)


class Readiness:
    """One order as of the event decided on. `trusts` says whether a verdict of this source counts."""

    def __init__(self, trusts: Callable[[str], bool]) -> None:
        self._trusts = trusts
        self.account = Account()
        #: The type of the event that ended the order's way; None while it goes on.
        self.ended_by: str | None = None
        #: The first payment that was judged as fraud.
        self.blocked: str | None = None
        #: Whether packing was asked for, of the warehouse or of a person.
        self.is_requested = False
        #: What a person was told of the order.
        self.told: set[str] = set()
        #: Payments under review, in the order in which they came to be: those no person was asked about yet, and those
        #: for which one who was asked has not said yes.
        self.to_ask_about: dict[str, None] = {}
        self.asked_about: dict[str, None] = {}
        #: Those for which a person did.
        self._released: set[str] = set()
        #: The payments asked about by the id of the event that led to it.
        self._held: dict[str, Collection[str]] = {}
        self._reviews: set[str] = set()
        self._requests: set[str] = set()

    def add(self, past: Past[DomainEvent]) -> None:
        """Take in the next event of the order."""
        data = past.data
        self.account.add(past)
        if isinstance(data, FraudScored) and self._trusts(past.source):
            self._judge(past.id, data)
        elif isinstance(data, FulfilmentRequested) and past.source == _OWN:
            self._requested(past)
        elif isinstance(data, ENDS) and not self._only_pauses(past):
            self.ended_by = self.ended_by or type(data).__name__

    def requested(self) -> None:
        """Count a request that was decided on, whose event may not be back yet."""
        self.is_requested = True

    def asked(self, event_id: str) -> None:
        """Count a question to a person about all payments under review, put on the event with this id."""
        self.is_requested = True
        self._held[event_id] = self.to_ask_about
        self.asked_about |= self.to_ask_about
        self.to_ask_about = {}

    @property
    def is_paid(self) -> bool:
        """Whether the newest version of the order is paid in full; nothing need be taken for one that costs nothing."""
        order = self.account.order
        is_free = order is not None and order.total_minor == 0
        return self.account.is_paid_in_full and (is_free or bool(self.account.captures))

    def _judge(self, event_id: str, score: FraudScored) -> None:
        payment_id = score.payment_id
        if score.verdict == "block":
            self.blocked = self.blocked or payment_id
        elif score.verdict == "review":
            self._reviews.add(event_id)
            if payment_id not in self._released and payment_id not in self.asked_about:
                self.to_ask_about[payment_id] = None
        else:
            # Once a person is asked, only a person answers.
            self.to_ask_about.pop(payment_id, None)

    def _requested(self, past: Past[DomainEvent]) -> None:
        self.is_requested = True
        self._requests.add(past.id)
        # What was held comes only when a person has agreed.
        for payment_id in self._held.pop(past.causationid or "", ()):
            self._released.add(payment_id)
            self.asked_about.pop(payment_id, None)

    def _only_pauses(self, past: Past[DomainEvent]) -> bool:
        """Whether packing was called off for a review alone: a person's yes lets it go on."""
        if not isinstance(past.data, FulfilmentCancelled) or past.causationid is None:
            return False
        is_for_a_request = past.causationid in self._requests and bool(self.to_ask_about or self.asked_about)
        return past.causationid in self._reviews or is_for_a_request
