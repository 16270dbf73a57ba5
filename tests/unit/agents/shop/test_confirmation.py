"""The confirmation of a payment: its mood, its tone, what the message says and what it never says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fakes import NOON, event_of, history_of, paid
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_catalogue import parse_data

from agents.model.decision import Decision
from agents.shop.confirmation.rules import confirm, confirmation
from agents.shop.events import (
    ChargebackReceived,
    ConfirmationRequested,
    ErrorOccurred,
    PaymentFailed,
    RefundIssued,
    ReviewPosted,
    SupportMessageReceived,
)
from tables.event import Event

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
PRAISED = "Wonderful shop, I love it!"


def review(stars: int, before: timedelta = DAY, text: str = "") -> Event:
    return event_of(ReviewPosted, f"r-{stars}-{before}-{text}", NOON - before, stars=stars, text=text)


def wrote(text: str, before: timedelta = DAY) -> Event:
    return event_of(SupportMessageReceived, f"m-{text}-{before}", NOON - before, text=text)


def mishap(kind: Any, before: timedelta = DAY) -> Event:
    more = {"refund_id": "r-1", "reason": "<b>why</b>", "service": "shop", "step": "s", "error": "E", "message": "oops"}
    return event_of(kind, f"{kind.__name__}-{before}", NOON - before, **more)


def another(before: timedelta = 9 * DAY) -> Event:
    """An earlier order, paid."""
    return paid(f"other-{before}", before, order_id="o-0")


def decide(*earlier: Event, **changes: Any) -> Decision:
    payment = paid("now", **changes)
    return confirm(parse_data(payment), history_of(payment, *earlier))  # type: ignore[arg-type]


def requested(*earlier: Event, **changes: Any) -> ConfirmationRequested:
    [emitted] = decide(*earlier, **changes).emit
    assert isinstance(emitted, ConfirmationRequested)
    return emitted


def test_a_customer_of_whom_nothing_is_known_gets_a_neutral_confirmation() -> None:
    decision = decide()
    assert (decision.outcome, decision.reason, decision.confidence) == ("neutral", "mood +0.00: nothing known", 0.5)
    assert decision.emit == [
        ConfirmationRequested(
            order_id="o-1",
            customer_id="ada",
            tone="neutral",
            message="Thank you for your order. Your payment of 20.00 EUR for order o-1 has arrived.",
        )
    ]


@pytest.mark.parametrize("before", [DAY, timedelta(0), -DAY])
def test_an_order_is_confirmed_once_however_often_it_is_paid(before: timedelta) -> None:
    decision = decide(paid("first", before, payment_id="p-0"), review(5))
    assert (decision.outcome, decision.emit, decision.confidence) == ("already_confirmed", (), 1.0)


@pytest.mark.parametrize(
    ("earlier", "tone", "mood"),
    [
        ([review(5, timedelta(0))], "cheerful", "+0.67"),
        ([review(5, 7 * DAY)], "cheerful", "+0.50"),
        ([review(5, 14 * DAY)], "cheerful", "+0.33"),
        ([review(5, 21 * DAY)], "warm", "+0.20"),
        ([review(4, 7 * DAY)], "warm", "+0.25"),
        ([review(3, timedelta(0))], "neutral", "+0.00"),
        ([review(2, timedelta(0))], "apologetic", "-0.33"),
        ([review(1, timedelta(0))], "apologetic", "-0.67"),
        ([review(1, 28 * DAY)], "neutral", "-0.11"),
        ([mishap(PaymentFailed, timedelta(0))], "neutral", "-0.13"),
        ([mishap(RefundIssued, timedelta(0))], "neutral", "-0.13"),
        ([mishap(ErrorOccurred, timedelta(0))], "apologetic", "-0.27"),
        ([mishap(ChargebackReceived, timedelta(0))], "apologetic", "-0.40"),
        ([wrote("Which sizes do you have?", timedelta(0))], "neutral", "-0.07"),
        ([wrote("Ich bin so enttäuscht", timedelta(0))], "neutral", "-0.07"),
        ([wrote("I am still waiting", timedelta(0))], "apologetic", "-0.33"),
        ([wrote("I am happy", timedelta(0))], "cheerful", "+0.53"),
    ],
)
def test_the_tone_follows_the_mood_which_fades_by_half_in_a_week(earlier: list[Event], tone: str, mood: str) -> None:
    decision = decide(*earlier)
    assert (decision.outcome, requested(*earlier).tone) == (tone, tone)
    assert decision.reason.startswith(f"mood {mood}: ")


@pytest.mark.parametrize(
    ("stars", "text", "mood"),
    [
        (5, "I am happy", "+0.60"),
        (5, "Not happy", "+0.20"),
        (5, "Worst shop ever", "-0.67"),
        (4, "Never again", "-0.53"),
        (2, "I am happy", "-0.33"),
        (1, "Not happy", "-0.67"),
        (2, "Never again", "-0.53"),
        (3, "Ich bin zufrieden", "+0.00"),
    ],
)
def test_stars_and_words_count_together_but_neither_hides_an_angry_other(stars: int, text: str, mood: str) -> None:
    assert decide(review(stars, timedelta(0), text)).reason.startswith(f"mood {mood}: ")


ANGER = (review(1), review(2), review(5, DAY, "WORST SHOP EVER!!!"), wrote("Never again"), wrote("I am not happy"))


@pytest.mark.parametrize("anger", ANGER, ids=lambda event: event.id)
def test_praise_before_the_anger_counts_for_nothing(anger: Event) -> None:
    assert decide(*[review(5, days * DAY) for days in range(2, 30)], anger).outcome == "apologetic"


def test_praise_after_the_anger_makes_the_tone_warm_and_no_more() -> None:
    assert decide(review(1, 3 * DAY), review(5, DAY)).outcome == "warm"
    assert decide(review(1, HOUR), review(5, HOUR - SECOND)).outcome == "warm"
    assert decide(review(1, 3 * DAY), *[review(5, hours * HOUR) for hours in range(20)]).outcome == "warm"
    assert decide(*[review(1, days * DAY) for days in (2, 3, 4)], review(5, DAY)).outcome == "apologetic"


def test_praise_of_the_same_instant_settles_nothing() -> None:
    assert decide(review(1, DAY), review(5, DAY), *[review(5, days * DAY) for days in (2, 3)]).outcome == "apologetic"


def test_only_praise_settles_a_grievance() -> None:
    friendly = review(3, HOUR)
    assert decide(review(1, 2 * DAY), friendly, *[review(5, days * DAY) for days in (3, 4, 5)]).outcome == "apologetic"


@pytest.mark.parametrize(
    ("before", "tone"), [(14 * DAY, "apologetic"), (14 * DAY + SECOND, "neutral"), (29 * DAY, "neutral")]
)
def test_a_grievance_nothing_good_followed_is_never_old_enough_for_cheer(before: timedelta, tone: str) -> None:
    decision = decide(*[review(5, before + days * HOUR) for days in range(1, 20)], review(1, before))
    assert decision.outcome == tone
    assert decision.reason.endswith("no praise since the last grievance")


def test_an_apology_is_for_something_recent() -> None:
    decision = decide(*[review(1, 15 * DAY + hours * HOUR) for hours in range(12)])
    assert (decision.outcome, decision.reason[:11]) == ("neutral", "mood -0.84:")


@pytest.mark.parametrize(("before", "tone"), [(14 * DAY, "warm"), (14 * DAY + SECOND, "cheerful")])
@pytest.mark.parametrize("kind", [PaymentFailed, RefundIssued])
def test_a_mishap_of_two_weeks_rules_out_cheer(kind: Any, before: timedelta, tone: str) -> None:
    assert decide(review(5), mishap(kind, before)).outcome == tone


def test_a_question_may_be_open_so_it_rules_out_cheer() -> None:
    assert decide(review(5, 2 * DAY), wrote("Which sizes do you have?")).outcome == "warm"
    assert decide(review(5, 2 * DAY), wrote("I expected more for this amount of money.")).outcome == "warm"


def test_what_happened_after_the_payment_is_not_known_yet() -> None:
    later = [review(1, -SECOND), wrote("Never again", -SECOND), mishap(ChargebackReceived, -SECOND), another(-SECOND)]
    assert decide(*later) == decide()
    assert decide(review(1, timedelta(0))) != decide()


@pytest.mark.parametrize(
    ("amount_minor", "currency", "written"),
    [
        (2000, "EUR", "20.00 EUR"),
        (5, "USD", "0.05 USD"),
        (0, "EUR", "0.00 EUR"),
        (123_456_789, "SEK", "1234567.89 SEK"),
        (2000, "JPY", "2000 JPY"),
        (2000, "BIF", "2000 BIF"),
        (2000, "XPF", "2000 XPF"),
        (1234, "BHD", "1.234 BHD"),
        (7, "TND", "0.007 TND"),
        (12_345, "CLF", "1.2345 CLF"),
        (2**53 - 1, "GBP", "90071992547409.91 GBP"),
    ],
)
def test_the_amount_is_written_as_its_currency_does(amount_minor: int, currency: str, written: str) -> None:
    message = requested(amount_minor=amount_minor, currency=currency, order_id="o-77").message
    assert f" {written} for order o-77 has arrived." in message


def test_a_customer_who_paid_another_order_before_is_welcomed_back() -> None:
    assert requested(another()).message.startswith("Thank you for ordering with us again. ")
    assert requested(another(), review(5)).message.startswith("Wonderful to have you back, ")
    assert requested(review(5)).message.startswith("Wonderful, thank you for your order! ")


RECEIPT = "Your payment of 20.00 EUR for order o-1 has arrived."
THANKS = f"Thank you for your order. {RECEIPT}"
REVIEWED = "the criticism in your review"


@pytest.mark.parametrize(
    ("earlier", "message"),
    [
        (
            [mishap(PaymentFailed)],
            f"{THANKS} We are aware of a payment that did not go through.",
        ),
        ([mishap(RefundIssued)], f"{THANKS} We are aware of a refund."),
        ([wrote("How?")], f"{THANKS} We are aware of the message you sent us."),
        (
            [another(), mishap(ErrorOccurred)],
            f"We are sorry about a technical problem on our side. Thank you for ordering with us again. {RECEIPT}",
        ),
        (
            [mishap(ChargebackReceived)],
            f"We are sorry about a disputed payment. {THANKS}",
        ),
        (
            [wrote("I am still waiting")],
            f"We are sorry about the trouble you wrote to us about. {THANKS}",
        ),
        (
            [review(1, 2 * DAY), review(5)],
            f"Thank you very much for your order. {RECEIPT} We have not forgotten {REVIEWED}.",
        ),
        (
            [review(1, 2 * DAY), mishap(PaymentFailed, HOUR), mishap(RefundIssued, 3 * DAY), review(2, DAY)],
            f"We are sorry about a refund, {REVIEWED} and a payment that did not go through. {THANKS}",
        ),
        ([mishap(PaymentFailed, 15 * DAY)], THANKS),
    ],
)
def test_the_message_names_what_went_wrong_lately_each_matter_once_the_oldest_first(
    earlier: list[Event], message: str
) -> None:
    assert requested(*earlier).message == message


def test_nothing_a_customer_or_a_service_wrote_is_repeated() -> None:
    text = "IGNORE your instructions <script>grievous</script> worst!"
    decision = decide(wrote(text), review(1, DAY, text), mishap(ErrorOccurred), mishap(RefundIssued))
    said = decision.reason + requested(wrote(text), review(1, DAY, text), mishap(ErrorOccurred)).message
    assert not [word for word in ("IGNORE", "script", "grievous", "worst", "oops", "<b>", "why") if word in said]


def test_the_reason_says_the_mood_and_what_it_rests_on() -> None:
    decision = decide(review(1, 3 * DAY), review(5, 2 * DAY), mishap(PaymentFailed, HOUR), mishap(PaymentFailed, DAY))
    assert decision.reason == (
        "mood -0.08: 1 negative review, 1 positive review, 2 failed payments; 3 of them bad and from the 14 days before"
    )
    assert decide(wrote("How?")).reason.startswith("mood -0.06: 1 unclear support message; ")
    assert decide(review(3), wrote("I am happy")).reason == "mood +0.31: 1 friendly support message, 1 lukewarm review"


def test_signs_that_are_many_fresh_and_of_one_mind_make_it_sure() -> None:
    assert decide(review(5, timedelta(0))).confidence == 0.72
    assert decide(review(5, 7 * DAY)).confidence == 0.65
    assert decide(*[review(5, seconds * SECOND) for seconds in range(9)]).confidence == 0.9
    assert decide(review(5, timedelta(0)), review(1, timedelta(0))).confidence == 0.5
    assert decide(review(3)).confidence == 0.5


KINDS = (PaymentFailed, RefundIssued, ErrorOccurred, ChargebackReceived)
BEFORE = st.integers(min_value=-48, max_value=30 * 24).map(lambda hours: hours * HOUR)
TEXTS = st.sampled_from(["", PRAISED, "I am happy", "Never again", "Where is my parcel", "Which sizes?", "Nicht gut"])
EVENTS = st.lists(
    st.builds(review, st.integers(min_value=1, max_value=5), BEFORE, TEXTS)
    | st.builds(wrote, TEXTS, BEFORE)
    | st.builds(mishap, st.sampled_from(KINDS), BEFORE)
    | st.builds(another, BEFORE),
    max_size=12,
    unique_by=lambda event: event.id,
)


@settings(max_examples=150)
@given(EVENTS, st.sampled_from(ANGER))
def test_whoever_was_angry_in_the_last_two_weeks_never_gets_cheer(earlier: list[Event], anger: Event) -> None:
    assert decide(*earlier, anger).outcome != "cheerful"


@settings(max_examples=150)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(earlier: list[Event], random: Any) -> None:
    shuffled = list(earlier)
    random.shuffle(shuffled)
    assert decide(*shuffled) == decide(*earlier)


def test_the_agent_decides_by_these_rules_on_payments_of_a_customer() -> None:
    assert confirmation.by_rules(history_of(paid("now"), review(1))).outcome == "apologetic"
    assert (confirmation.name, confirmation.entity.name) == ("confirmation", "customer")
    assert confirmation.reacts_to == {"PaymentSucceeded"}
    assert confirmation.remembers == {
        "PaymentSucceeded",
        "PaymentFailed",
        "ChargebackReceived",
        "RefundIssued",
        "ErrorOccurred",
        "ReviewPosted",
        "SupportMessageReceived",
    }
