"""Mood: what bears on the tone, read from the log of what a customer lived through. Pure and linear.

Only facts move the tone: stars, and events of a type. Words can take something away and never add anything: a text that
may say anything but praise is a matter that may be open, nothing more. The order is that of the log; no clock is read,
because a customer's may say anything. Each sign has a ceiling, and the lowest holds, so whatever is added to the log
can only lower the tone, but for praise and for what settles a matter:

* a failed payment is settled when its order is paid afterwards;
* what was wrong with an order is settled when all that was taken for it is given back afterwards;
* nothing else settles anything: no thanks, no later stars, no time. What is settled still rules out cheer.

A matter is news until another order of the customer is confirmed: it is told of, or apologised for, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agents.model.history import History
from agents.shop.confirmation.sentiment import Words, words_of
from agents.shop.entities import order
from agents.shop.events import (
    ChargebackReceived,
    DomainEvent,
    ErrorOccurred,
    PaymentFailed,
    PaymentSucceeded,
    RefundIssued,
    ReviewPosted,
    SupportMessageReceived,
)


class Tone(StrEnum):
    """How the customer shall be spoken to."""

    CHEERFUL = "cheerful"
    WARM = "warm"
    NEUTRAL = "neutral"
    APOLOGETIC = "apologetic"


#: From the most careful to the warmest.
TONES: Final = (Tone.APOLOGETIC, Tone.NEUTRAL, Tone.WARM, Tone.CHEERFUL)

#: So many stars or more are given by who is content, so few or less by who is not; three say neither.
GOOD_STARS: Final = 4
POOR_STARS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """Something that bears on the tone."""

    #: How the reason counts it.
    name: str
    #: No tone is warmer than this.
    ceiling: Tone
    #: How the message mentions it while it is news: what an event of a type says, never what somebody wrote.
    fact: str = ""
    #: Whether it is a failure of ours, so that the message is sorry for it.
    is_ours: bool = False
    #: Whether the ceiling rests on words that may say anything.
    is_unclear: bool = False


def signs_of(payment: PaymentSucceeded, history: History) -> Sequence[Sign]:
    """What is remembered and bears on the tone in which this payment is confirmed, in log order."""
    past = [each.data for each in history.of(DomainEvent)]
    since = _Since(taken=_taken([*past, payment]), first_captures=_first_captures(past), paid={payment.order_id})
    signs = []
    for place in range(len(past) - 1, -1, -1):
        sign = _sign(past[place], since)
        if sign is not None:
            signs.append(sign)
        since.add(place, past[place])
    return signs[::-1]


def warmest(signs: Iterable[Sign]) -> Tone:
    """The lowest ceiling; cheerful when there is none."""
    return min((sign.ceiling for sign in signs), key=TONES.index, default=Tone.CHEERFUL)


def tone_of(signs: Sequence[Sign]) -> Tone:
    """Cheerful for somebody who praised us, else neutral; never warmer than the ceiling."""
    has_praised = any(sign.ceiling is Tone.CHEERFUL for sign in signs)
    return min(Tone.CHEERFUL if has_praised else Tone.NEUTRAL, warmest(signs), key=TONES.index)


@dataclass(kw_only=True, slots=True)
class _Since:
    """What the log says after an event, as it is read from its end."""

    #: Minor units taken, in the whole log, by order and currency.
    taken: Mapping[str, Mapping[str, int]]
    #: Places of the payments that were confirmed: the first of each order.
    first_captures: frozenset[int]
    #: Orders paid after the event.
    paid: set[str]
    #: Whether another order was confirmed after the event.
    is_confirmed: bool = False
    #: Minor units given back after the event, by order and currency.
    returned: Counter[tuple[str, str]] = field(default_factory=Counter)
    refunds: set[str] = field(default_factory=set)

    def add(self, place: int, event: DomainEvent) -> None:
        """Go on to the event before this one."""
        if isinstance(event, PaymentSucceeded):
            self.paid.add(event.order_id)
            self.is_confirmed = self.is_confirmed or place in self.first_captures
        elif isinstance(event, RefundIssued) and event.refund_id not in self.refunds:
            self.refunds.add(event.refund_id)
            self.returned[event.order_id, event.currency] += event.amount_minor

    def has_returned_all(self, order_id: str | None) -> bool:
        """Whether all that was taken for the order was given back; never for an order paid in several currencies."""
        taken = self.taken.get(order_id, {}) if order_id is not None else {}
        return len(taken) == 1 and all(
            self.returned[order_id or "", currency] >= minor for currency, minor in taken.items()
        )

    def ceiling(self, tone: Tone, order_id: str | None) -> Tone:
        """The ceiling of a matter: warm once it is settled; an apology is made once."""
        if self.has_returned_all(order_id):
            return Tone.WARM
        return Tone.NEUTRAL if tone is Tone.APOLOGETIC and self.is_confirmed else tone

    def news(self, fact: str) -> str:
        """The fact, unless a message could tell of it before."""
        return "" if self.is_confirmed else fact


def _taken(past: Sequence[DomainEvent]) -> Mapping[str, Mapping[str, int]]:
    payments: dict[str, PaymentSucceeded] = {}
    for event in past:
        if isinstance(event, PaymentSucceeded):
            known = payments.get(event.payment_id, event)
            # Reported with several amounts, it is settled by the largest.
            payments[event.payment_id] = max(known, event, key=lambda each: each.amount_minor)
    taken: dict[str, Counter[str]] = {}
    for payment in payments.values():
        taken.setdefault(payment.order_id, Counter())[payment.currency] += payment.amount_minor
    return taken


def _first_captures(past: Sequence[DomainEvent]) -> frozenset[int]:
    first: dict[str, int] = {}
    for place, event in enumerate(past):
        if isinstance(event, PaymentSucceeded):
            first.setdefault(event.order_id, place)
    return frozenset(first.values())


def _sign(event: DomainEvent, since: _Since) -> Sign | None:
    sign = None
    match event:
        case ReviewPosted():
            sign = _review(event, since)
        case SupportMessageReceived():
            sign = _support_message(event, since)
        case ErrorOccurred():
            sign = _error(order.id_of(event), since)
        case PaymentFailed():
            fact = "" if event.order_id in since.paid else since.news("a payment that did not go through")
            sign = Sign(name="failed payment", ceiling=Tone.WARM, fact=fact)
        case RefundIssued():
            sign = Sign(name="refund", ceiling=Tone.WARM, fact=since.news("a refund"))
        case ChargebackReceived():
            # Whose fault a dispute is nobody knows yet, so there is nothing to be sorry for.
            fact = since.news("a payment that your bank took back")
            sign = Sign(name="chargeback", ceiling=Tone.NEUTRAL, fact=fact)
    return sign


def _error(order_id: str | None, since: _Since) -> Sign:
    ceiling = since.ceiling(Tone.APOLOGETIC, order_id)
    is_news = ceiling is Tone.APOLOGETIC
    return Sign(name="error", ceiling=ceiling, fact="a technical problem" if is_news else "", is_ours=is_news)


def _review(review: ReviewPosted, since: _Since) -> Sign:
    words = words_of(review.text)
    if review.stars <= POOR_STARS and words is not Words.PRAISE:
        return Sign(name="poor review", ceiling=since.ceiling(Tone.APOLOGETIC, review.order_id))
    if review.stars <= POOR_STARS or words is Words.UNCLEAR:
        return Sign(name="unclear review", ceiling=since.ceiling(Tone.NEUTRAL, review.order_id), is_unclear=True)
    if review.stars < GOOD_STARS:
        return Sign(name="lukewarm review", ceiling=Tone.WARM)
    return Sign(name="good review", ceiling=Tone.CHEERFUL)


def _support_message(message: SupportMessageReceived, since: _Since) -> Sign:
    if words_of(message.text) is Words.PRAISE:
        return Sign(name="friendly support message", ceiling=Tone.WARM)
    ceiling = since.ceiling(Tone.NEUTRAL, message.order_id)
    return Sign(name="unclear support message", ceiling=ceiling, is_unclear=True)
