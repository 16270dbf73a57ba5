"""Confirmation: tells a customer that a payment arrived, in a tone that fits what they lived through lately.

An order is confirmed once, however many captures it has, as long as the first one is still in the window. The mood is
a weighted mean of signs: what the customer wrote, and what went wrong for them. Never cheerful to an angry customer:
anything bad in recent days rules that out, whatever praise came before, and so does a grievance nothing good followed.

The message says only what is known: the payment arrived. It promises no delivery, because another agent may yet stop
the order, and calls no order the first, because the window does not reach back for ever. Nothing a customer or a
service wrote stands in the message or the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import fsum
from typing import Final, TypeVar

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History, Past
from agents.shop.confirmation.sentiment import polarity
from agents.shop.entities import customer
from agents.shop.events import (
    ChargebackReceived,
    ConfirmationRequested,
    DomainEvent,
    ErrorOccurred,
    PaymentFailed,
    PaymentSucceeded,
    RefundIssued,
    ReviewPosted,
    SupportMessageReceived,
)
from agents.shop.money import amount
from tables.window import WindowSpec

confirmation = Agent(
    name="confirmation",
    entity=customer,
    reacts_to=(PaymentSucceeded,),
    remembers=(
        PaymentSucceeded,
        PaymentFailed,
        ChargebackReceived,
        RefundIssued,
        ErrorOccurred,
        ReviewPosted,
        SupportMessageReceived,
    ),
    window=WindowSpec(events=50, age=timedelta(days=30)),
)

#: A sign counts half after a week and a twentieth at the window's end: our own choice, for tempers that cool in days.
HALF_LIFE: Final = timedelta(days=7)
#: What happened within two half-lives is recent: it is mentioned, and rules out cheer when it was bad.
RECENT: Final = timedelta(days=14)
#: As much weight as half a fresh sign lies on "neutral", so that one faded sign alone says little.
_DOUBT: Final = 0.5

CHEERFUL_FROM: Final = 0.3
#: More good than bad: praise that settles a grievance reaches this, it being the fresher.
WARM_ABOVE: Final = 0.0
APOLOGETIC_TO: Final = -0.2
#: A sign this bad is a grievance, one this good is praise; a grievance is open until praise follows it.
GRIEVANCE: Final = -0.3
PRAISE: Final = 0.3
#: Stars are seldom misread, words often are: only words as bad as this outweigh good stars.
FURIOUS: Final = -0.6
#: Words to support that are better than this, but no praise, tell nothing; this is what they count.
UNHAPPY_TO: Final = -0.1

#: What goes wrong without the customer's saying so: how much it hurts (our own ranking), its name, how it is mentioned.
#: A failed payment alone is no grievance, an error of ours is, and a dispute is worse.
_MISHAPS: Final[tuple[tuple[type[DomainEvent], float, str, str], ...]] = (
    (PaymentFailed, -0.2, "failed payment", "a payment that did not go through"),
    (RefundIssued, -0.2, "refund", "a refund"),
    (ErrorOccurred, -0.4, "error", "a technical problem on our side"),
    (ChargebackReceived, -0.6, "chargeback", "a disputed payment"),
)


class Tone(StrEnum):
    """How the customer shall be spoken to."""

    CHEERFUL = "cheerful"
    WARM = "warm"
    NEUTRAL = "neutral"
    APOLOGETIC = "apologetic"


#: The thanks to a customer without and with an earlier payment in the window.
_THANKS: Final = {
    Tone.CHEERFUL: ("Wonderful, thank you for your order!", "Wonderful to have you back, thank you for your order!"),
    Tone.WARM: ("Thank you very much for your order.", "Thank you very much for ordering with us again."),
    Tone.NEUTRAL: ("Thank you for your order.", "Thank you for ordering with us again."),
    Tone.APOLOGETIC: ("Thank you for your order.", "Thank you for ordering with us again."),
}

Seen = TypeVar("Seen", bound=DomainEvent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """Something that tells how the customer feels, from -1 to 1."""

    at: datetime
    value: float
    #: How the reason counts it.
    name: str
    #: How the message mentions it when it was bad: a customer is not told what they said, only that it was heard.
    matter: str = ""


@confirmation.rules
def confirm(payment: PaymentSucceeded, history: History) -> Decision:
    """Confirm the order in the fitting tone, unless an earlier capture of it was confirmed."""
    # Whatever the time of the other capture says: it arrived first, so it was decided on first.
    if any(past.data.order_id == payment.order_id for past in history.of(PaymentSucceeded)):
        return Decision(outcome="already_confirmed", reason="another payment of this order came before")
    signs = signs_of(history)
    recent = _bad_lately(signs, history.at)
    grievances = _open_grievances(signs)
    mood = _mood(signs, history.at)
    tone = _tone(mood, recent, grievances)
    return Decision(
        outcome=tone.value,
        reason=_reason(mood, signs, recent, grievances),
        confidence=_confidence(signs, history.at),
        emit=[request(payment, history, tone)],
    )


def signs_of(history: History) -> Sequence[Sign]:
    """Everything known that tells how the customer feels, the earliest first."""
    return sorted(_signs(history), key=lambda sign: (sign.at, sign.name, sign.value))


def request(payment: PaymentSucceeded, history: History, tone: Tone) -> ConfirmationRequested:
    """The confirmation in this tone."""
    recent = _bad_lately(signs_of(history), history.at)
    message = _message(payment, tone, recent, returning=bool(_until(history, PaymentSucceeded)))
    return ConfirmationRequested(
        order_id=payment.order_id, customer_id=payment.customer_id, tone=tone.value, message=message
    )


def _bad_lately(signs: Sequence[Sign], now: datetime) -> Sequence[Sign]:
    return [sign for sign in signs if sign.value < 0 and now - sign.at <= RECENT]


def _until(history: History, kind: type[Seen]) -> Sequence[Past[Seen]]:
    """Those of one type that had happened by then, however long ago: what arrived too early is not known yet."""
    return [past for past in history.of(kind) if past.at <= history.at]


def _signs(history: History) -> Iterator[Sign]:
    for kind, value, name, matter in _MISHAPS:
        for mishap in _until(history, kind):
            yield Sign(at=mishap.at, value=value, name=name, matter=matter)
    for review in _until(history, ReviewPosted):
        yield _review(review.at, review.data)
    for message in _until(history, SupportMessageReceived):
        yield _support_message(message.at, message.data)


def _review(at: datetime, review: ReviewPosted) -> Sign:
    value = _rated((review.stars - 3) / 2, polarity(review.text))
    kind = "negative" if value < 0 else "positive" if value >= PRAISE else "lukewarm"
    return Sign(at=at, value=value, name=f"{kind} review", matter="the criticism in your review")


def _rated(stars: float, words: float) -> float:
    if stars < 0 or words <= FURIOUS:
        return min(stars, words)
    return (stars + words) / 2 if words else stars


def _support_message(at: datetime, message: SupportMessageReceived) -> Sign:
    words = polarity(message.text)
    if UNHAPPY_TO < words < PRAISE:
        # A question, or a language nobody here reads: a matter that may be open, so no reason for cheer.
        return Sign(at=at, value=UNHAPPY_TO, name="unclear support message", matter="the message you sent us")
    kind = "unhappy" if words < 0 else "friendly"
    return Sign(at=at, value=words, name=f"{kind} support message", matter="the trouble you wrote to us about")


def _weight(sign: Sign, now: datetime) -> float:
    return float(0.5 ** ((now - sign.at) / HALF_LIFE))


def _mood(signs: Sequence[Sign], now: datetime) -> float:
    """From -1 to 1; exact sums, so the order of the signs is no matter."""
    felt = fsum(_weight(sign, now) * sign.value for sign in signs)
    return felt / (_DOUBT + fsum(_weight(sign, now) for sign in signs))


def _open_grievances(signs: Sequence[Sign]) -> Sequence[Sign]:
    praised_at = max((sign.at for sign in signs if sign.value >= PRAISE), default=None)
    grievances = [sign for sign in signs if sign.value <= GRIEVANCE]
    return [sign for sign in grievances if praised_at is None or sign.at >= praised_at]


def _tone(mood: float, recent: Sequence[Sign], grievances: Sequence[Sign]) -> Tone:
    if recent and (mood <= APOLOGETIC_TO or any(sign in recent for sign in grievances)):
        return Tone.APOLOGETIC
    if mood <= WARM_ABOVE or grievances:
        return Tone.NEUTRAL
    return Tone.CHEERFUL if mood >= CHEERFUL_FROM and not recent else Tone.WARM


def _reason(mood: float, signs: Sequence[Sign], recent: Sequence[Sign], grievances: Sequence[Sign]) -> str:
    counts = Counter(sign.name for sign in signs)
    rests_on = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items())
    parts = [f"mood {mood:+.2f}: {rests_on or 'nothing known'}"]
    if recent:
        parts.append(f"{len(recent)} of them bad and from the {RECENT.days} days before")
    if grievances:
        parts.append("no praise since the last grievance")
    return "; ".join(parts)


def _confidence(signs: Sequence[Sign], now: datetime) -> float:
    """Half a guess without signs; surer the more and the fresher they are and the better they agree; never sure."""
    strength = fsum(_weight(sign, now) * abs(sign.value) for sign in signs)
    if not strength:
        return 0.5
    weight = fsum(_weight(sign, now) for sign in signs)
    agreement = abs(fsum(_weight(sign, now) * sign.value for sign in signs)) / strength
    return round(0.5 + 0.45 * agreement * weight / (1 + weight), 2)


def _message(payment: PaymentSucceeded, tone: Tone, recent: Sequence[Sign], *, returning: bool) -> str:
    thanks = _THANKS[tone][returning]
    receipt = (
        f"Your payment of {amount(payment.amount_minor, payment.currency)} for order {payment.order_id} has arrived."
    )
    if not recent:
        return f"{thanks} {receipt}"
    *others, last = dict.fromkeys(sign.matter for sign in recent)
    matters = f"{', '.join(others)} and {last}" if others else last
    if tone is Tone.APOLOGETIC:
        return f"We are sorry about {matters}. {thanks} {receipt}"
    known = "We have not forgotten" if tone is Tone.WARM else "We are aware of"
    return f"{thanks} {receipt} {known} {matters}."
