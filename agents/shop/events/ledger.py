"""Events of the topic `ledger`: what was booked."""

from agents.model.event import Currency, DomainEvent, Id, Money, Name
from agents.shop.entities import order


class LedgerEntryPosted(DomainEvent, topic="ledger", about=order):
    """An amount was booked from the account `credit` to the account `debit`."""

    entry_id: Id
    order_id: Id
    debit: Name
    credit: Name
    amount_minor: Money
    currency: Currency
    refund_id: Id | None = None
