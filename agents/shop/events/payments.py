"""Events of the topic `payments`: money asked for, taken, refused, given back, and how it was judged."""

from typing import Annotated, Literal

from pydantic import Field

from agents.model.event import Country, Currency, DomainEvent, Id, Money, Name, Text, Texts
from agents.shop.entities import customer, order


class PaymentEvent(DomainEvent, topic="payments", about=(order, customer)):
    """What every event of a payment says; no event type itself."""

    payment_id: Id
    order_id: Id
    customer_id: Id
    amount_minor: Money
    currency: Currency
    method: Name
    country: Country
    device_id: Id
    #: What the payment provider gives every payment with one card alike: a fingerprint or a token, never the number.
    card_id: Id | None = None


class PaymentAuthorized(PaymentEvent):
    """The customer's bank reserved the amount."""


class PaymentSucceeded(PaymentEvent):
    """The amount was taken."""


class PaymentFailed(PaymentEvent):
    """The amount was refused."""

    reason: Text


class ChargebackReceived(PaymentEvent):
    """The customer's bank took the amount back."""


class RefundIssued(DomainEvent, topic="payments", about=(order, customer)):
    """The amount was given back to the customer."""

    refund_id: Id
    payment_id: Id
    order_id: Id
    customer_id: Id
    amount_minor: Money
    currency: Currency
    reason: Text


class FraudScored(DomainEvent, topic="payments", about=(order, customer)):
    """A payment was judged: 0 is harmless, 100 is certain fraud."""

    payment_id: Id
    order_id: Id
    customer_id: Id
    score: Annotated[int, Field(ge=0, le=100)]
    verdict: Literal["approve", "review", "block"]
    reasons: Texts
