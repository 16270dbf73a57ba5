"""Order state: what recovery knows of an order, and what of it was made good already.

Everything here comes from the events, whatever their order in the log: captures, prices, shipments. What recovery
itself did is derived from the events it decided on, not from the messages of those decisions, which may not have
reached the timeline yet; a message that has is recognised by its refund id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

from agents.causes import Failure
from agents.events import (
    AddressChanged,
    DomainEvent,
    FulfilmentCancelled,
    FulfilmentRequested,
    OrderCancelled,
    OrderPlaced,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentDispatched,
)
from agents.history import Past
from agents.normal import distinct_captures

T = TypeVar("T", bound=DomainEvent)


@dataclass(frozen=True, slots=True)
class Done:
    """What recovery has decided for an order: in answer to one event, or so far."""

    #: Failure and culprit of every plan that was carried out.
    recovered: frozenset[tuple[str, str]] = frozenset()
    #: Payment and amount of each refund, by its id.
    refunds: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    cancelled: bool = False
    fulfilment_cancelled: bool = False
    #: Why everything captured was given back: what is captured later is given back too.
    stopped_by: Failure | None = None
    retries: int = 0

    def and_then(self, later: Done) -> Done:
        """Both of them."""
        return Done(
            recovered=self.recovered | later.recovered,
            refunds={**self.refunds, **later.refunds},
            cancelled=self.cancelled or later.cancelled,
            fulfilment_cancelled=self.fulfilment_cancelled or later.fulfilment_cancelled,
            stopped_by=self.stopped_by or later.stopped_by,
            retries=self.retries + later.retries,
        )


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order as of the event decided on."""

    past: Sequence[Past[DomainEvent]]
    done: Done

    @property
    def order(self) -> OrderPlaced | None:
        """The order, if it is remembered."""
        return next((past.data for past in self._of(OrderPlaced)), None)

    @property
    def captures(self) -> Sequence[PaymentSucceeded]:
        """Each payment taken once, the earliest first."""
        return [past.data for past in distinct_captures(self._of(PaymentSucceeded))]

    @property
    def customer_id(self) -> str | None:
        """Whose order it is, if an event says so."""
        named = (
            past.data for past in self.past if isinstance(past.data, (OrderPlaced, PaymentSucceeded, AddressChanged))
        )
        return next((data.customer_id for data in named), None)

    @property
    def is_cancelled(self) -> bool:
        """Whether the order is called off."""
        return self.done.cancelled or self._has(OrderCancelled)

    @property
    def is_shipped(self) -> bool:
        """Whether the goods are on their way."""
        return self._has(ShipmentDispatched)

    @property
    def is_fulfilment_begun(self) -> bool:
        """Whether fulfilment was requested and not called off."""
        called_off = self.done.fulfilment_cancelled or self._has(FulfilmentCancelled)
        return self._has(FulfilmentRequested) and not called_off

    @property
    def is_address_valid(self) -> bool:
        """Whether the newest address known is one the carrier knows; an order whose address never changed has one."""
        newest = max(self._of(AddressChanged), key=lambda past: past.at, default=None)
        return newest is None or newest.data.valid

    def left(self, capture: PaymentSucceeded) -> int:
        """What of the capture was not given back, in minor units."""
        told = {past.data.refund_id: (past.data.payment_id, past.data.amount_minor) for past in self._of(RefundIssued)}
        refunds = {**told, **self.done.refunds}.values()
        returned = sum(amount for payment_id, amount in refunds if payment_id == capture.payment_id)
        return max(0, capture.amount_minor - returned)

    def overpaid(self) -> int:
        """What the first capture took beyond the price, in minor units; 0 when the order is not known.

        The price is the lower of what was agreed and what was asked at the capture: nobody pays more than they agreed
        to, and nobody pays a price that was lowered before they paid.
        """
        order, captures = self.order, self.captures
        if order is None or not captures:
            return 0
        return max(0, self.left(captures[0]) - min(order.total_minor, order.total_minor + self._change(order)))

    def _change(self, order: OrderPlaced) -> int:
        """By how much the total changed between the order and the first capture."""
        placed_at = min(past.at for past in self._of(OrderPlaced))
        paid_at = min(past.at for past in self._of(PaymentSucceeded))
        quantities: dict[str, int] = {}
        for item in order.items:
            quantities[item.sku] = quantities.get(item.sku, 0) + item.quantity
        changes = (past.data for past in self._of(PriceChanged) if placed_at <= past.at <= paid_at)
        return sum((change.new_minor - change.old_minor) * quantities.get(change.sku, 0) for change in changes)

    def _of(self, kind: type[T]) -> Sequence[Past[T]]:
        """The events of one type, in log order."""
        return [cast("Past[T]", past) for past in self.past if isinstance(past.data, kind)]

    def _has(self, kind: type[DomainEvent]) -> bool:
        return bool(self._of(kind))
