"""Events of the topic `ledger`: what was booked."""

from typing import ClassVar

from agents.model.event import Currency, DomainEvent, Id, Money, Name


class LedgerEntryPosted(DomainEvent):
    """An amount was booked from the account `credit` to the account `debit`."""

    topic: ClassVar[str] = "ledger"

    entry_id: Id
    order_id: Id
    debit: Name
    credit: Name
    amount_minor: Money
    currency: Currency
    refund_id: Id | None = None
