"""What a language model may choose for confirmation: a tone no warmer than policy permits, never a word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, refused
from fakes import NOON, event_of, history_of, paid

from agents.model.decision import Decision
from agents.model.errors import Violation
from agents.shop.confirmation.rules import confirmation
from agents.shop.events import ConfirmationRequested, PaymentFailed, ReviewPosted
from tables.event import Event

DAY = timedelta(days=1)
RECEIPT = "Your payment of 20.00 EUR for order o-1 has arrived."


def review(stars: int, days: int, text: str = "") -> Event:
    return event_of(ReviewPosted, f"r-{stars}-{days}", NOON - days * DAY, stars=stars, text=text)


#: What came before the payment, by what is known then.
NOTHING: tuple[Event, ...] = ()
MILD = (review(4, 7),)
DELIGHTED = (review(5, 1), review(5, 2))
ANGRY = (review(1, 1),)
#: Praise settled a grievance of weeks ago.
SETTLED = (review(1, 20), review(5, 1), review(5, 2))
SETTLED_MILDLY = (review(1, 20), review(4, 4))
FAILED = (event_of(PaymentFailed, "failed", NOON - 20 * DAY, reason="declined"),)


def published(decision: Decision) -> ConfirmationRequested:
    [event] = decision.emit
    assert isinstance(event, ConfirmationRequested)
    assert not decision.effects
    return event


@pytest.mark.parametrize(
    ("before", "rules", "permitted"),
    [
        (NOTHING, "neutral", {"apologetic", "neutral", "warm"}),
        (MILD, "warm", {"apologetic", "neutral", "warm", "cheerful"}),
        (DELIGHTED, "cheerful", {"apologetic", "neutral", "warm", "cheerful"}),
        (ANGRY, "apologetic", {"apologetic"}),
        (SETTLED, "cheerful", {"apologetic", "neutral", "warm", "cheerful"}),
        (SETTLED_MILDLY, "warm", {"apologetic", "neutral", "warm"}),
        (FAILED, "neutral", {"apologetic", "neutral"}),
    ],
    ids=["nothing", "mild", "delighted", "angry", "settled", "settled-mildly", "failed"],
)
def test_a_more_careful_tone_is_permitted_and_a_warmer_one_only_while_nothing_bad_is_known(
    before: tuple[Event, ...], rules: str, permitted: set[str]
) -> None:
    payment = paid("now")
    assert by_rules(confirmation, payment, *before).outcome == rules
    for tone in ("apologetic", "neutral", "warm", "cheerful"):
        if tone in permitted:
            decision = chosen(confirmation, payment, *before, tone=tone)
            assert (decision.outcome, published(decision).tone) == (tone, tone)
            assert decision.reason == f"{tone}, by the rules {rules}; a model says: {HOSTILE}"
        else:
            assert refused(confirmation, payment, *before, tone=tone) is Violation.NOT_PERMITTED


@pytest.mark.parametrize(
    ("before", "tone", "message"),
    [
        (NOTHING, "warm", f"Thank you very much for your order. {RECEIPT}"),
        (NOTHING, "apologetic", f"Thank you for your order. {RECEIPT}"),
        (MILD, "cheerful", f"Wonderful, thank you for your order! {RECEIPT}"),
        (
            ANGRY,
            "apologetic",
            f"We are sorry about the criticism in your review. Thank you for your order. {RECEIPT}",
        ),
    ],
)
def test_the_sentences_are_ours(before: tuple[Event, ...], tone: str, message: str) -> None:
    assert published(chosen(confirmation, paid("now"), *before, tone=tone)).message == message


def test_the_tone_of_the_rules_gives_the_message_of_the_rules() -> None:
    for before in (NOTHING, MILD, DELIGHTED, ANGRY, SETTLED, FAILED):
        rules = by_rules(confirmation, paid("now"), *before)
        decision = chosen(confirmation, paid("now"), *before, tone=rules.outcome)
        assert (decision.emit, decision.confidence) == (rules.emit, rules.confidence)


def test_a_confirmed_order_leaves_no_choice() -> None:
    first, second = paid("first", DAY), paid("second")
    assert not confirmation.leaves_open(history_of(second, first), by_rules(confirmation, second, first))


@pytest.mark.parametrize("tone", [HOSTILE, "ecstatic", "", None, "Warm"])
def test_a_tone_of_ones_own_is_no_form(tone: object) -> None:
    with pytest.raises(ValueError, match="tone"):
        fill(confirmation, tone=tone)


def test_a_message_of_ones_own_is_no_form() -> None:
    with pytest.raises(ValueError, match="message"):
        fill(confirmation, tone="neutral", message="you won")
