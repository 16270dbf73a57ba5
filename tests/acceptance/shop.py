"""A shop written by somebody else: its payments, and how it sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from facts import OPENING, SOURCE, Fact, Record, ids, records, send, sending

__all__ = ["OPENING", "SOURCE", "Fact", "Payment", "Record", "ids", "records", "send", "sending", "series"]


@dataclass(frozen=True)
class Payment(Fact):
    """A payment of a customer."""

    topic: ClassVar[str] = "payments"

    kind: str = "PaymentSucceeded"

    @property
    def customer_id(self) -> str:
        """Who paid."""
        return self.entity_id

    def usual(self) -> dict[str, Any]:
        return {
            "payment_id": f"pay-{self.event_id}",
            "order_id": f"order-{self.event_id}",
            "customer_id": self.customer_id,
            "amount_minor": 2500 + self.number,
            "currency": "EUR",
            "method": "card",
            "country": "DE",
            "device_id": "device-1",
        }

    def key(self) -> str:
        return str(self.fields()["order_id"])


def series(name: str, customers: int, payments: int) -> list[Payment]:
    """`payments` payments, the customers taking turns; ids and customers carry `name`."""
    return [
        Payment(f"{name}-{number:04}", f"{name}-customer-{number % customers}", number) for number in range(payments)
    ]
