"""Confirmation's choice: the tone. The message is made of the same sentences as that of the rules.

A more careful tone than that of the rules is always permitted; one a step warmer only while nothing bad is known of the
customer, so no model is cheerful to somebody who has a grievance.
"""

from __future__ import annotations

from typing import Final, Literal

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.forms import not_permitted, told
from agents.model.history import History
from agents.shop.confirmation.rules import Tone, confirmation, request, signs_of
from agents.shop.events import PaymentSucceeded

#: From the most careful to the warmest.
_TONES: Final = (Tone.APOLOGETIC, Tone.NEUTRAL, Tone.WARM, Tone.CHEERFUL)


class ConfirmationChoice(Choice):
    """Choose the tone in which the customer is told that the payment arrived.

    Judge how the customer feels by what they wrote and by what went wrong for them lately. "apologetic" is for somebody
    we owe an apology, "neutral" when little is known or things are mixed, "warm" for a content customer, "cheerful" for
    a delighted one. The sentences of the message are ours.
    """

    tone: Literal["apologetic", "neutral", "warm", "cheerful"]


@confirmation.model(ConfirmationChoice, settled=("already_confirmed",))
def confirm(choice: ConfirmationChoice, payment: PaymentSucceeded, history: History, by_rules: Decision) -> Decision:
    """Confirm the order in the tone of a model, where it is not too warm."""
    tone = Tone(choice.tone)
    warmer_by = _TONES.index(tone) - _TONES.index(Tone(by_rules.outcome))
    is_anything_bad = any(sign.value < 0 for sign in signs_of(history))
    if warmer_by > (0 if is_anything_bad else 1):
        known = "something bad is" if is_anything_bad else "nothing bad is"
        raise not_permitted(f"the rules say {by_rules.outcome} and {known} known, so {choice.tone} is too warm")
    return Decision(
        outcome=tone.value,
        reason=told(tone.value, by_rules, choice),
        confidence=by_rules.confidence,
        emit=[request(payment, history, tone)],
    )
