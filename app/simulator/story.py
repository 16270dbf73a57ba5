"""Story: one order as it is told, event by event, each later than the one before.

Every method advances the order's own time. What the shop knows about the order (its prices, captures, errors) is kept
here, so that the truth comes from what was told and not from what was planned.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from app.simulator.books import Books
from app.simulator.people import CATALOGUE, Customer, Temperament
from app.simulator.records import Happening
from app.simulator.truth import Capture, Case, Truth, case_of, plan_for
from app.simulator.words import Complaint

#: From and to, in minutes.
Minutes = tuple[float, float]
_SOON: Final[Minutes] = (0.5, 4)
_CARRIERS: Final = ("dhl", "ups", "gls", "dpd")


class OrderStory:
    """An order: the events told so far, and what they add up to."""

    def __init__(self, chance: random.Random, number: int, customer: Customer, at: datetime) -> None:
        self.chance = chance
        self.id = f"o-{number:05}"
        self.customer = customer
        self.at = at
        self.items = customer.basket(chance)
        self.prices = {sku: CATALOGUE[sku] for sku in self.items}
        #: Added to the prices of all items: shipping costs, or less a coupon.
        self.fee_minor = 0
        self.happenings: list[Happening] = []
        self.truth: list[Truth] = []
        self.books = Books(self.total_minor)
        #: How the customer felt, by the id of what they wrote.
        self.moods: dict[str, Temperament] = {}
        #: How the order may be left, where its failures alone do not say it.
        self.expected: Case | None = None
        #: What happened to it, where the names of its failures do not say it.
        self.kind: str | None = None
        #: The service whose incident it waited for.
        self.incident_service: str | None = None
        #: What is another place or device than usual in the payments of this order.
        self.elsewhere: dict[str, Any] = {}
        #: By how much the clock of a service is ahead.
        self.skews: dict[str, timedelta] = {}
        self._binary = number % 3 == 0
        self._told: Counter[str] = Counter()
        self._payments = 0
        self._carrier = chance.choice(_CARRIERS)

    @property
    def captures(self) -> list[Capture]:
        """What was taken so far."""
        return self.books.captures

    @property
    def shipped(self) -> bool:
        """Whether the parcel left."""
        return self.books.is_shipped

    @property
    def total_minor(self) -> int:
        """The items at the prices of now."""
        return self.fee_minor + sum(quantity * self.prices[sku] for sku, quantity in self.items.items())

    @property
    def sku(self) -> str:
        """Any sku of the order."""
        return self.chance.choice(tuple(self.items))

    def wait(self, minutes: Minutes) -> None:
        """Let that much time pass, to the millisecond."""
        self.at += timedelta(milliseconds=max(1, round(self.chance.uniform(*minutes) * 60_000)))

    def tell(
        self,
        kind: str,
        service: str,
        data: dict[str, Any],
        *,
        after: Minutes = _SOON,
        cause: str | None = None,
        late: timedelta = timedelta(),
        source: str | None = None,
    ) -> str:
        """Add an event of the order, which may be sent late and under a source of its own; returns its id."""
        self.wait(after)
        self._told[kind] += 1
        event_id = f"{self.id}-{kind}-{self._told[kind]}"
        self.happenings.append(
            Happening(
                id=event_id,
                type=kind,
                service=service,
                at=self.at,
                data=data,
                correlationid=self.id,
                causationid=cause,
                binary=self._binary,
                skew=self.skews.get(service, timedelta()),
                late=late,
                source=source,
            )
        )
        self.books.note(event_id)
        return event_id

    def add(self, sku: str) -> None:
        """One piece of another article, before the order is placed."""
        self.items[sku] = 1
        self.prices[sku] = CATALOGUE[sku]

    def place(self, *, after: Minutes = _SOON, late: timedelta = timedelta()) -> str:
        """The customer orders, or changes the order."""
        lines = [
            {"sku": sku, "quantity": quantity, "price_minor": self.prices[sku]} for sku, quantity in self.items.items()
        ]
        self.books.agreed_minor = self.total_minor
        data = {"items": lines, "total_minor": self.total_minor, "currency": self.customer.currency}
        return self.tell("OrderPlaced", "orders", self._owned(data), after=after, late=late)

    def stock(self, sku: str, *, short: bool = False, after: Minutes = _SOON, late: timedelta = timedelta()) -> str:
        """The pieces of a sku are kept for the order, or found to be too few."""
        wanted = self.items[sku]
        available = self.chance.randrange(wanted) if short else wanted + self.chance.randrange(40)
        if short:
            self.books.short.add(sku)
        else:
            self.books.short.discard(sku)
        data = {"order_id": self.id, "sku": sku, "wanted": wanted, "available": available}
        return self.tell("InventoryShort" if short else "InventoryReserved", "inventory", data, after=after, late=late)

    def change_price(self, sku: str, new_minor: int, *, after: Minutes = _SOON) -> str:
        """The price of one piece becomes another, in the order or (a sku it has not) beside it."""
        old = self.prices.get(sku, CATALOGUE[sku])
        if sku in self.items:
            self.prices[sku] = new_minor
        data = {"order_id": self.id, "sku": sku, "old_minor": old, "new_minor": new_minor}
        return self.tell("PriceChanged", "pricing", data, after=after)

    def change_address(self, address: str, *, valid: bool, after: Minutes = _SOON) -> str:
        """The customer wants the parcel elsewhere."""
        return self.tell("AddressChanged", "orders", self._owned({"address": address, "valid": valid}), after=after)

    def authorize(self, *, after: Minutes = _SOON) -> str:
        """The bank holds the amount of now back for a new payment."""
        self._payments += 1
        return self.tell("PaymentAuthorized", "payments", self.payment(self.total_minor), after=after)

    def refuse(self, reason: str, *, after: Minutes = _SOON) -> str:
        """The payment fails; the next one has another id."""
        self._payments = max(1, self._payments)
        data = self.payment(self.total_minor) | {"reason": reason}
        event_id = self.tell("PaymentFailed", "payments", data, after=after)
        self._payments += 1
        return event_id

    def capture(
        self,
        amount_minor: int | None = None,
        *,
        again: bool = False,
        after: Minutes = _SOON,
        late: timedelta = timedelta(),
        paid_with: Mapping[str, Any] | None = None,
    ) -> str:
        """The amount (without one, that of now) is taken; `again` takes it with another payment.

        `paid_with` replaces what is usual for the customer: method, currency, id of the payment.
        """
        self._payments += 1 if again else 0
        self._payments = max(1, self._payments)
        if not self.captures:
            # Nobody pays more than they agreed to.
            self.books.worth_minor = min(self.books.agreed_minor, self.total_minor)
        data = self.payment(self.total_minor if amount_minor is None else amount_minor) | dict(paid_with or {})
        event_id = self.tell("PaymentSucceeded", "payments", data, after=after, late=late)
        self.captures.append(
            Capture(
                payment_id=data["payment_id"],
                order_id=self.id,
                amount_minor=data["amount_minor"],
                currency=data["currency"],
                at=self.at,
            )
        )
        self.books.note(event_id)
        return event_id

    def charge_back(self, payment_id: str | None = None, amount_minor: int | None = None, *, after: Minutes) -> str:
        """The bank takes a capture back (without a payment the last one), or a part of it."""
        last = self.captures[-1]
        minor = last.amount_minor if amount_minor is None else amount_minor
        data = self.payment(minor) | {"payment_id": payment_id or last.payment_id}
        self.books.give_back(data["payment_id"], minor)
        return self.tell("ChargebackReceived", "payments", data, after=after)

    def fail_label(self, *, transient: bool, message: str, after: Minutes = _SOON, cause: str | None = None) -> str:
        """The carrier gives no label."""
        data = {"order_id": self.id, "carrier": self._carrier, "transient": transient, "message": message}
        return self.tell("LabelFailed", "shipping", data, after=after, cause=cause)

    def ship(self, *, after: Minutes = (120, 1_200)) -> None:
        """The parcel is booked, and leaves."""
        self.books.is_shipped = True
        data = {"order_id": self.id, "carrier": self._carrier, "tracking_id": f"{self._carrier}-{self.id[2:]}"}
        booked = self.tell("ShipmentBooked", "shipping", data, after=after)
        self.tell("ShipmentDispatched", "shipping", dict(data), after=(60, 700), cause=booked)

    def hear(self, kind: str, data: dict[str, Any], *, mood: Temperament, after: Minutes) -> str:
        """The customer writes in this mood; now and then without saying about which order."""
        owner = {"customer_id": self.customer.id} if self.chance.random() < 0.15 else self._owned({})
        event_id = self.tell(kind, "support", owner | data, after=after)
        self.moods[event_id] = mood
        return event_id

    def error(
        self,
        complaint: Complaint,
        *,
        failure: str,
        culprit: str | None,
        cause: str | None = None,
        after: Minutes = (2, 35),
        also: Iterable[tuple[str, str | None]] = (),
        repeats: bool = False,
    ) -> str:
        """A service fails, and the truth is written down; returns the event's id."""
        data = {
            "service": complaint.service,
            "step": complaint.step,
            "error": complaint.error,
            "message": complaint.message,
            "order_id": self.id,
        }
        if self.chance.random() < 0.7:
            data["customer_id"] = self.customer.id
        event_id = self.tell("ErrorOccurred", complaint.service, data, after=after, cause=cause)
        self.truth.append(
            Truth(
                error_event_id=event_id,
                order_id=self.id,
                failure=failure,
                culprit_event_id=culprit,
                plan=plan_for(failure, self.captures, self.books.worth_minor),
                captures=tuple(self.captures),
                owed_minor=self.books.worth_minor,
                also=frozenset(also),
                repeats=repeats,
            )
        )
        return event_id

    @property
    def case(self) -> Case | None:
        """What happened to the order and how it may be left; None when nothing failed."""
        if self.expected is not None or not self.truth:
            return self.expected
        kind = self.kind or " + ".join(each.failure for each in self.truth)
        return case_of(self.id, kind, [each.plan for each in self.truth], self.incident_service)

    def _owned(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"order_id": self.id, "customer_id": self.customer.id, **data}

    def payment(self, amount_minor: int) -> dict[str, Any]:
        """What every event of the payment of now says."""
        data = {
            "payment_id": f"p-{self.id[2:]}-{self._payments}",
            "amount_minor": amount_minor,
            "currency": self.customer.currency,
            "method": self.customer.method,
            "country": self.customer.country,
            "device_id": self.customer.device,
        }
        return self._owned(data | self.elsewhere)
