"""What a language model may choose for confirmation: a tone no warmer than policy permits, never a word."""

from __future__ import annotations

import pytest
from choosing import HOSTILE, by_rules, chosen, fill, refused
from fakes import history_of, paid
from hypothesis import given, settings
from hypothesis import strategies as st
from told import bought, declined, refunded, review, wrote

from agents.model.decision import Decision
from agents.model.errors import Violation
from agents.shop.confirmation.rules import confirmation
from agents.shop.events import ConfirmationRequested
from tables.event import Event

RECEIPT = "Your payment of 20.00 EUR for order o-1 has arrived."
IF_ANYTHING = "If something was not as you expected, we are sorry: please tell us."

#: What came before the payment, by what is known then.
NOTHING: tuple[Event, ...] = ()
CONTENT = (review(5), review(4, "Great service!"))
ANGRY = (review(1),)
ANGRY_WITH_GOOD_STARS = (review(5, "Worst shop ever"),)
PRAISED_THEN_WROTE = (review(5), wrote("Thank you!"))
LUKEWARM = (review(3),)
FAILED = (declined(),)
THANKED = (wrote("Great service!"),)
MADE_GOOD = (bought("o-2"), review(1, order_id="o-2"), refunded("o-2"), review(5))


def published(decision: Decision) -> ConfirmationRequested:
    [event] = decision.emit
    assert isinstance(event, ConfirmationRequested)
    assert not decision.effects
    return event


@pytest.mark.parametrize(
    ("before", "rules", "permitted"),
    [
        (NOTHING, "neutral", {"apologetic", "neutral", "warm"}),
        (CONTENT, "cheerful", {"apologetic", "neutral", "warm", "cheerful"}),
        (ANGRY, "apologetic", {"apologetic"}),
        (ANGRY_WITH_GOOD_STARS, "neutral", {"apologetic", "neutral"}),
        (PRAISED_THEN_WROTE, "neutral", {"apologetic", "neutral"}),
        (LUKEWARM, "neutral", {"apologetic", "neutral"}),
        (FAILED, "neutral", {"apologetic", "neutral"}),
        (THANKED, "neutral", {"apologetic", "neutral"}),
        (MADE_GOOD, "warm", {"apologetic", "neutral", "warm"}),
    ],
    ids=["nothing", "content", "angry", "angry-stars", "praised-wrote", "lukewarm", "failed", "thanked", "made-good"],
)
def test_a_more_careful_tone_is_permitted_and_a_warm_one_only_while_nothing_bad_is_known(
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
        (NOTHING, "apologetic", f"Thank you for your order. {RECEIPT} {IF_ANYTHING}"),
        (CONTENT, "cheerful", f"Wonderful, thank you for your order! {RECEIPT}"),
        (ANGRY, "apologetic", f"Thank you for your order. {RECEIPT} {IF_ANYTHING}"),
    ],
)
def test_the_sentences_are_ours(before: tuple[Event, ...], tone: str, message: str) -> None:
    assert published(chosen(confirmation, paid("now"), *before, tone=tone)).message == message


def test_the_tone_of_the_rules_gives_the_message_of_the_rules() -> None:
    for before in (NOTHING, CONTENT, ANGRY, LUKEWARM, FAILED, MADE_GOOD):
        rules = by_rules(confirmation, paid("now"), *before)
        decision = chosen(confirmation, paid("now"), *before, tone=rules.outcome)
        assert (decision.emit, decision.confidence) == (rules.emit, rules.confidence)


def test_a_confirmed_order_leaves_no_choice() -> None:
    first, second = bought("o-1"), paid("second")
    assert not confirmation.leaves_open(history_of(second, first), by_rules(confirmation, second, first))


@pytest.mark.parametrize("tone", [HOSTILE, "ecstatic", "", None, "Warm"])
def test_a_tone_of_ones_own_is_no_form(tone: object) -> None:
    with pytest.raises(ValueError, match="tone"):
        fill(confirmation, tone=tone)


def test_a_message_of_ones_own_is_no_form() -> None:
    with pytest.raises(ValueError, match="message"):
        fill(confirmation, tone="neutral", message="you won")


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(review, st.integers(1, 5), st.sampled_from(["", "Great service!", "Never again"]))
        | st.builds(wrote, st.sampled_from(["Great service!", "Why?"]))
        | st.sampled_from([declined(), bought("o-2"), refunded("o-2")]),
        max_size=6,
        unique_by=lambda event: event.id,
    )
)
def test_no_model_is_cheerful_where_the_rules_are_not(before: list[Event]) -> None:
    rules = by_rules(confirmation, paid("now"), *before)
    if rules.outcome == "cheerful":
        assert chosen(confirmation, paid("now"), *before, tone="cheerful").outcome == "cheerful"
    else:
        assert refused(confirmation, paid("now"), *before, tone="cheerful") is Violation.NOT_PERMITTED
