"""Confirmation's choice: the tone. The message is made of the same sentences as that of the rules.

A more careful tone than that of the rules is always permitted. A warmer one is "warm", and only while nothing but good
is known of the customer; no model is cheerful where the rules are not.
"""

from __future__ import annotations

from typing import Literal

from agents.model.choice import Choice
from agents.model.decision import Decision
from agents.model.forms import not_permitted, told
from agents.model.history import History
from agents.shop.confirmation.mood import TONES, Tone, signs_of, warmest
from agents.shop.confirmation.rules import confirmation, request
from agents.shop.events import PaymentSucceeded


class ConfirmationChoice(Choice):
    """Choose the tone in which the customer is told that the payment arrived.

    Judge how the customer feels by what they wrote and by what went wrong for them. "apologetic" is for somebody we owe
    an apology, "neutral" when little is known or things are mixed, "warm" for a content customer, "cheerful" for a
    delighted one. The sentences of the message are ours.
    """

    tone: Literal["apologetic", "neutral", "warm", "cheerful"]


@confirmation.model(ConfirmationChoice, settled=("already_confirmed",))
def confirm(choice: ConfirmationChoice, payment: PaymentSucceeded, history: History, by_rules: Decision) -> Decision:
    """Confirm the order in the tone of a model, where it is not too warm."""
    tone = Tone(choice.tone)
    by_rules_tone = Tone(by_rules.outcome)
    is_only_good_known = warmest(signs_of(payment, history)) is Tone.CHEERFUL
    limit = max(by_rules_tone, Tone.WARM, key=TONES.index) if is_only_good_known else by_rules_tone
    if TONES.index(tone) > TONES.index(limit):
        raise not_permitted(f"the rules say {by_rules.outcome}, so {choice.tone} is too warm")
    return Decision(
        outcome=tone.value,
        reason=told(tone.value, by_rules, choice),
        confidence=by_rules.confidence,
        emit=[request(payment, history, tone)],
    )
