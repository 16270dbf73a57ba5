"""Events of the topic `payments`: money asked for, taken, refused, given back, and how it was judged."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agents.model.event import Country, Currency, DomainEvent, Id, Money, Name, Text, Texts


class PaymentEvent(DomainEvent):
    """What every event of a payment says; no event type itself."""

    topic: ClassVar[str] = "payments"

    payment_id: Id
    order_id: Id
    customer_id: Id
    amount_minor: Money
    currency: Currency
    method: Name
    country: Country
    device_id: Id


class PaymentAuthorized(PaymentEvent):
    """The customer's bank reserved the amount."""


class PaymentSucceeded(PaymentEvent):
    """The amount was taken."""


class PaymentFailed(PaymentEvent):
    """The amount was refused."""

    reason: Text


class ChargebackReceived(PaymentEvent):
    """The customer's bank took the amount back."""


class RefundIssued(DomainEvent):
    """The amount was given back to the customer."""

    topic: ClassVar[str] = "payments"

    refund_id: Id
    payment_id: Id
    order_id: Id
    customer_id: Id
    amount_minor: Money
    currency: Currency
    reason: Text


class FraudScored(DomainEvent):
    """A payment was judged: 0 is harmless, 100 is certain fraud."""

    topic: ClassVar[str] = "payments"

    payment_id: Id
    order_id: Id
    customer_id: Id
    score: Annotated[int, Field(ge=0, le=100)]
    verdict: Literal["approve", "review", "block"]
    reasons: Texts
