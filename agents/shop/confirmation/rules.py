"""Confirmation: tells a customer that a payment arrived, in a tone that fits what they lived through lately.

An order is confirmed once, however many captures it has, as long as the first one is still in the window. Never
cheerful to an angry customer: cheer follows good stars alone, and any matter that may be open rules it out (`mood.py`,
docs/decisions/0030).

The message says only what is known: the payment arrived, and what events of a type say went wrong. It guesses nothing
from words, promises no delivery, because another agent may yet stop the order, and does not welcome anybody back,
because nobody here knows whether an earlier order was delivered. Nothing a customer or a service wrote stands in the
message or the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from agents.model.agent import Agent
from agents.model.decision import Decision
from agents.model.history import History
from agents.shop.confirmation.mood import Sign, Tone, signs_of, tone_of, warmest
from agents.shop.entities import customer
from agents.shop.events import (
    ChargebackReceived,
    ConfirmationRequested,
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
    version="1",
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
    # By count alone: a complaint stamped years ago by a clock that is wrong arrived all the same.
    window=WindowSpec(events=50, age=timedelta.max),
    # Many payments must not push out what the customer said, nor much that they said what went wrong.
    slots={(ReviewPosted, SupportMessageReceived): 30, ErrorOccurred: 20},
)

_THANKS: Final = {
    Tone.CHEERFUL: "Wonderful, thank you for your order!",
    Tone.WARM: "Thank you very much for your order.",
    Tone.NEUTRAL: "Thank you for your order.",
    Tone.APOLOGETIC: "Thank you for your order.",
}
#: For who gave few stars, for whatever reason: it does not claim to know that something was wrong.
_IF_ANYTHING: Final = "If something was not as you expected, we are sorry: please tell us."

#: Confidence (our own choice): in facts, in a text that may say anything, in knowing nothing.
_BY_FACTS: Final = 0.9
_BY_UNCLEAR_WORDS: Final = 0.6
_BY_NOTHING: Final = 0.5


@confirmation.rules
def confirm(payment: PaymentSucceeded, history: History) -> Decision:
    """Confirm the order in the fitting tone, unless an earlier capture of it was confirmed."""
    # Whatever the time of the other capture says: it arrived first, so it was decided on first.
    if any(past.data.order_id == payment.order_id for past in history.of(PaymentSucceeded)):
        return Decision(outcome="already_confirmed", reason="another payment of this order came before")
    signs = signs_of(payment, history)
    tone = tone_of(signs)
    return Decision(
        outcome=tone.value,
        reason=_reason(signs),
        confidence=_confidence(tone, signs),
        emit=[request(payment, history, tone)],
    )


def request(payment: PaymentSucceeded, history: History, tone: Tone) -> ConfirmationRequested:
    """The confirmation in this tone."""
    return ConfirmationRequested(
        order_id=payment.order_id,
        customer_id=payment.customer_id,
        tone=tone.value,
        message=_message(payment, tone, signs_of(payment, history)),
    )


def _reason(signs: Sequence[Sign]) -> str:
    if not signs:
        return "nothing known"
    counts = Counter(sign.name for sign in signs)
    known = ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items())
    return f"{known}: {warmest(signs)} at most"


def _confidence(tone: Tone, signs: Sequence[Sign]) -> float:
    deciding = [sign for sign in signs if sign.ceiling is tone]
    if not deciding:
        return _BY_NOTHING
    return _BY_UNCLEAR_WORDS if all(sign.is_unclear for sign in deciding) else _BY_FACTS


def _message(payment: PaymentSucceeded, tone: Tone, signs: Sequence[Sign]) -> str:
    failures = _listed(sign.fact for sign in signs if sign.is_ours)
    facts = _listed(sign.fact for sign in signs if sign.fact and not sign.is_ours)
    sentences = [
        _THANKS[tone],
        f"Your payment of {amount(payment.amount_minor, payment.currency)} for order {payment.order_id} has arrived.",
    ]
    if failures:
        sentences.insert(0, f"We are sorry about {failures}.")
    elif tone is Tone.APOLOGETIC:
        sentences.append(_IF_ANYTHING)
    if facts:
        sentences.append(f"We are aware of {facts}.")
    return " ".join(sentences)


def _listed(facts: Iterable[str]) -> str:
    """Each once, in log order: `a, b and c`."""
    *others, last = dict.fromkeys(facts) or [""]
    return f"{', '.join(others)} and {last}" if others else last
