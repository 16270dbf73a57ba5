"""Given back: what others gave back of a capture, as an effect of a decision, so that PostgreSQL knows of it.

A refund of ours is bound by what was captured less what was given back, by whomever (`migrations/0002_given_back.sql`),
also when the event that told of it has left every window. A chargeback has no id of its own: the same amount of the
same payment is one, however often it is reported, as the account counts it (`agents.shop.facts.account`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final, Literal, Self

from agents.model.effect import Effect, Statement
from agents.model.event import Currency, Id
from agents.shop.events import ChargebackReceived, PaymentSucceeded, RefundIssued
from agents.shop.refunds import KNOW_CAPTURE, Amount

#: Names the UUIDv5 of rows.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:innervate:given-back")

# A refund of ours that comes back as an event, or under another source, is counted already. Where it is not there,
# PostgreSQL was restored to an earlier time, or it is somebody else's: the refund that is made again is the same one.
_RECORD: Final = """
INSERT INTO given_back (
    given_back_id, decision_id, kind, payment_id, order_id, amount_minor, currency, own_refund_id
)
SELECT
    %(given_back_id)s, %(decision_id)s, %(kind)s, %(payment_id)s, %(order_id)s, %(amount_minor)s, %(currency)s,
    %(own_refund_id)s::uuid
WHERE NOT EXISTS (SELECT FROM refunds WHERE refund_id = %(own_refund_id)s::uuid)
ON CONFLICT (given_back_id) DO NOTHING
"""


class GivenBack(Effect, kind="given_back"):
    """Money of a capture that somebody else gave back. It moves nothing: it is gone."""

    given_back_id: Id
    #: Called `what`: a field `kind` would hide the effect's own.
    what: Literal["chargeback", "refund"]
    payment_id: Id
    order_id: Id
    amount_minor: Amount
    currency: Currency
    #: The id a refund of ours would have, if it has the form of one.
    own_refund_id: Id | None = None
    #: What the payment took, as it was reported first; None when that is not known.
    captured_minor: Amount | None = None
    captured_currency: Currency | None = None

    @classmethod
    def of(cls, event: ChargebackReceived | RefundIssued, capture: PaymentSucceeded | None) -> Self:
        """What an event tells of; `capture` is the payment as it was reported first. Raises ValueError for nothing."""
        is_known = capture is not None and capture.amount_minor > 0
        return cls(
            given_back_id=str(uuid.uuid5(_NAMESPACE, _identity(event))),
            what="refund" if isinstance(event, RefundIssued) else "chargeback",
            payment_id=event.payment_id,
            order_id=event.order_id,
            amount_minor=event.amount_minor,
            currency=event.currency,
            own_refund_id=_uuid(event.refund_id) if isinstance(event, RefundIssued) else None,
            captured_minor=capture.amount_minor if capture and is_known else None,
            captured_currency=capture.currency if capture and is_known else None,
        )

    def statements(self, decision_id: uuid.UUID) -> Sequence[Statement]:
        """The capture if it is known here and not there, and what was given back."""
        parameters = {**self.model_dump(), "kind": self.what, "decision_id": str(decision_id)}
        capture = {**parameters, "currency": self.captured_currency}
        known: Sequence[Statement] = [(KNOW_CAPTURE, capture)] if self.captured_minor is not None else []
        return [*known, (_RECORD, parameters)]


def _identity(event: ChargebackReceived | RefundIssued) -> str:
    if isinstance(event, RefundIssued):
        return f"refund/{event.refund_id}"
    return f"chargeback/{len(event.payment_id)}:{event.payment_id}{event.currency}{event.amount_minor}"


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
