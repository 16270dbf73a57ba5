"""The tone of a confirmation: what permits cheer, what rules it out, what settles a matter, and no clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from fakes import NOON, history_of, paid
from held_out import SPEAKS_AGAINST
from hypothesis import given, settings
from hypothesis import strategies as st
from told import bought, charged_back, decide, declined, error, refunded, requested, review, wrote

from agents.shop.confirmation.mood import TONES, Tone
from agents.shop.confirmation.rules import confirmation
from tables import window
from tables.event import Event, to_json
from tables.window import Entry

PRAISED = "Great service, I love it!"
GERMAN = "Ich bin so w\u00fctend auf euch"
#: An order that is paid, complained about and given back; what is bought stands before the matter in the log.
PAID = bought("o-2")
BACK = refunded("o-2")


@pytest.mark.parametrize(
    ("earlier", "tone"),
    [
        # Nothing known, or nothing that says anything.
        ([], "neutral"),
        ([bought("o-2")], "neutral"),
        # Good stars that nothing speaks against.
        ([review(5)], "cheerful"),
        ([review(4)], "cheerful"),
        ([review(5, "   ")], "cheerful"),
        ([review(5, PRAISED)], "cheerful"),
        ([review(4, "Highly recommended.")], "cheerful"),
        ([review(4), review(5, PRAISED)], "cheerful"),
        # Good stars whose text may say anything.
        ([review(5, "Worst shop ever.")], "neutral"),
        ([review(5, "Great, another delay. Thanks for nothing.")], "neutral"),
        ([review(5, "Great quality, but it took five weeks.")], "neutral"),
        ([review(5, GERMAN)], "neutral"),
        ([review(5, "Alles super, gerne wieder!")], "neutral"),
        ([review(5, "Would you call that great?")], "neutral"),
        ([review(5, "\U0001f621")], "neutral"),
        ([review(5, PRAISED), review(5, GERMAN)], "neutral"),
        ([review(5, GERMAN), review(5, PRAISED)], "neutral"),
        # Three stars or fewer.
        ([review(3)], "neutral"),
        ([review(3, PRAISED)], "neutral"),
        ([review(3, "Worst shop ever.")], "neutral"),
        ([review(5), review(3)], "warm"),
        ([review(3), review(5)], "warm"),
        ([review(2)], "apologetic"),
        ([review(1)], "apologetic"),
        ([review(1, GERMAN)], "apologetic"),
        ([review(1, "Worst shop ever.")], "apologetic"),
        # Few stars and praise contradict each other: no reason for cheer, nor for an apology.
        ([review(1, PRAISED)], "neutral"),
        ([review(5), review(1, PRAISED)], "neutral"),
        # A message to support is no reason for cheer or an apology, whatever it says.
        ([wrote(PRAISED)], "neutral"),
        ([wrote("Thank you so much, you are wonderful!")], "neutral"),
        ([wrote("Worst shop ever. I am furious.")], "neutral"),
        ([wrote("Which sizes do you have?")], "neutral"),
        ([wrote(GERMAN)], "neutral"),
        ([wrote("")], "neutral"),
        ([review(5), wrote(PRAISED)], "warm"),
        ([review(5), wrote("Which sizes do you have?")], "neutral"),
        ([review(5), wrote("I am still waiting")], "neutral"),
        ([wrote("I am still waiting"), review(5, PRAISED)], "neutral"),
        # Facts.
        ([error()], "apologetic"),
        ([declined()], "neutral"),
        ([charged_back()], "neutral"),
        ([bought("o-2"), refunded("o-2")], "neutral"),
        ([review(5), error()], "apologetic"),
        ([review(5), declined()], "warm"),
        ([review(5), declined("o-1")], "warm"),
        ([review(5), charged_back()], "neutral"),
        ([review(5), bought("o-2"), refunded("o-2")], "warm"),
        # Neither thanks nor stars nor a payment settle a grievance.
        ([review(1), wrote("Thank you, all perfect now!")], "apologetic"),
        ([review(1), review(5, PRAISED)], "apologetic"),
        ([review(1), *[review(5, PRAISED, timedelta(hours=hours)) for hours in range(9)]], "apologetic"),
        ([review(5), review(1), bought("o-2")], "neutral"),
        ([review(5), error(), bought("o-2")], "neutral"),
        # A payment of the same order brings no other confirmation, so the apology was not made yet.
        ([bought("o-2"), review(1), bought("o-2", "again")], "apologetic"),
        # What was given back in full afterwards settles what was wrong with that order, and rules out cheer.
        ([PAID, review(1, order_id="o-2"), BACK], "neutral"),
        ([PAID, review(1, order_id="o-2"), BACK, review(5)], "warm"),
        ([review(5), PAID, wrote("broken", order_id="o-2"), BACK], "warm"),
        ([review(5), PAID, error(order_id="o-2"), BACK], "warm"),
        ([review(5), PAID, review(1, order_id="o-2"), refunded("o-2", 1900), refunded("o-2", 100, "r-2")], "warm"),
        # Not settled: before the complaint, of another order, of none, in part, the same twice, in another currency.
        ([review(5), PAID, BACK, review(1, order_id="o-2")], "apologetic"),
        ([review(5), PAID, review(1, order_id="o-3"), BACK], "apologetic"),
        ([review(5), PAID, review(1, order_id=None), BACK], "apologetic"),
        ([review(5), PAID, review(1, order_id="o-2"), refunded("o-2", 1999)], "apologetic"),
        ([review(5), PAID, review(1, order_id="o-2"), refunded("o-2", 1000), refunded("o-2", 1001)], "apologetic"),
        ([review(5), PAID, review(1, order_id="o-2"), refunded("o-2", 2000, currency="JPY")], "apologetic"),
        ([review(5), PAID, bought("o-2", "b"), review(1, order_id="o-2"), BACK], "apologetic"),
        ([review(5), review(1, order_id="o-2"), BACK], "apologetic"),
        # The same payment reported twice is given back once.
        ([PAID, bought("o-2", "b", payment_id="p-paid-o-2"), review(5), review(1, order_id="o-2"), BACK], "warm"),
        # Nothing settles a dispute.
        ([review(5), PAID, charged_back("o-2"), BACK], "neutral"),
    ],
)
def test_the_tone_is_no_warmer_than_anything_known_permits(earlier: list[Event], tone: str) -> None:
    assert (decide(*earlier).outcome, requested(*earlier).tone) == (tone, tone)


@pytest.mark.parametrize("language", SPEAKS_AGAINST)
def test_nobody_gets_cheer_for_a_text_that_speaks_against_it(language: str) -> None:
    for text in SPEAKS_AGAINST[language]:
        for said in (review(5, text), review(4, text), review(3, text), wrote(text)):
            assert decide(said).outcome == "neutral"
            assert decide(review(5, PRAISED), said).outcome == "neutral"


@pytest.mark.parametrize("at", ["1970-01-01", "2023-05-01", "2024-04-30", "2024-05-01", "2025-05-01", "9998-12-31"])
def test_a_complaint_counts_where_it_stands_in_the_log_whatever_its_clock_says(at: str) -> None:
    stamped = datetime.fromisoformat(at).replace(tzinfo=UTC)
    for complaint, tone in ((review(1), "apologetic"), (review(5, GERMAN), "neutral"), (error(), "apologetic")):
        late = replace(complaint, time=stamped)
        payment = paid("now")
        entries = [Entry(n, n, each.time, each.id, to_json(each)) for n, each in enumerate((review(5), late))]

        known = window.history(
            entries, confirmation.window, offset=2, time=NOON, event_id=payment.id, source=payment.source
        )

        assert len(known) == 2
        assert decide(review(5), late).outcome == tone


SAID = st.sampled_from(["", PRAISED, "Thank you!", "Never again", "Where is my parcel", "Which sizes?", "Nicht gut"])
ORDERS = st.sampled_from(["o-2", "o-3"])
BEFORE = st.integers(min_value=-400, max_value=400).map(lambda days: timedelta(days=days))
EVENTS = st.lists(
    st.builds(
        lambda stars, text, at, order: review(stars, text, at, order_id=order), st.integers(1, 5), SAID, BEFORE, ORDERS
    )
    | st.builds(lambda text, at, order: wrote(text, at, order_id=order), SAID, BEFORE, ORDERS)
    | st.builds(lambda at, order: error(at, order_id=order), BEFORE, ORDERS)
    | st.builds(declined, ORDERS, BEFORE)
    | st.builds(charged_back, ORDERS)
    | st.builds(refunded, ORDERS, st.sampled_from([100, 2000]), st.sampled_from(["r-1", "r-2"]))
    | st.builds(bought, ORDERS),
    max_size=10,
    unique_by=lambda event: event.id,
)
COMPLAINTS = st.sampled_from(
    [
        review(1, "new"),
        review(2, PRAISED, -timedelta(days=300)),
        review(3, before=timedelta(days=300)),
        review(4, "new, never again"),
        review(1, "new", order_id="o-2"),
        wrote("new"),
        wrote(PRAISED, timedelta(days=500)),
        wrote("new", order_id="o-2"),
        error(timedelta(days=500), order_id="o-2"),
        declined("o-9"),
        charged_back("o-9"),
    ]
)


def warmth(*earlier: Event) -> int:
    return TONES.index(Tone(decide(*earlier).outcome))


@settings(max_examples=300)
@given(EVENTS, COMPLAINTS, st.integers(min_value=0, max_value=10))
def test_a_complaint_more_never_makes_the_tone_warmer(earlier: list[Event], complaint: Event, place: int) -> None:
    with_it = [*earlier[:place], complaint, *earlier[place:]]
    assert warmth(*with_it) <= warmth(*earlier)


@settings(max_examples=300)
@given(EVENTS, COMPLAINTS, st.integers(min_value=0, max_value=10))
def test_nobody_who_complained_gets_cheer(earlier: list[Event], complaint: Event, place: int) -> None:
    assert warmth(*earlier[:place], complaint, *earlier[place:]) < TONES.index(Tone.CHEERFUL)


@settings(max_examples=300)
@given(EVENTS, st.randoms(use_true_random=False))
def test_clocks_change_nothing(earlier: list[Event], random: object) -> None:
    times = [event.time for event in earlier]
    random.shuffle(times)  # type: ignore[attr-defined]
    skewed = [replace(event, time=time) for event, time in zip(earlier, times, strict=True)]
    assert decide(*skewed) == decide(*earlier)


@settings(max_examples=300)
@given(EVENTS)
def test_only_good_stars_make_cheer(earlier: list[Event]) -> None:
    without = [event for event in earlier if event.type != "ReviewPosted" or event.data["stars"] < 4]
    assert warmth(*without) <= TONES.index(Tone.NEUTRAL)


def test_what_is_said_in_whatever_order_rules_out_cheer() -> None:
    for order in permutations([review(5, PRAISED), review(1), wrote(PRAISED), review(4)]):
        assert decide(*order).outcome == "apologetic"


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
