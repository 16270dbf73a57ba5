"""What holds for the score of every payment, whatever a customer did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any, Final

from fakes import NOON, history_of
from fraud_cases import bought, disputed, refused
from hypothesis import given
from hypothesis import strategies as st
from shop_catalogue import AGENTS

from agents.shop.events import FraudScored
from agents.shop.fraud.rates import PER_EURO
from agents.shop.money import exponent_of
from tables.event import Event

#: Amounts in euro cents of which no two are near 4, 10 or 20 times each other, or the least usual 25 EUR.
AMOUNTS: Final = (1900, 2900, 4700, 17_000, 35_000, 71_000, 230_000, 810_000)
NUMBERS = st.integers(0, 9)

at = st.floats(0.02, 2000, allow_nan=False).map(lambda hours: round(hours, 2))
places: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "country": st.sampled_from(("DE", "DE", "FR", "BR", "US")),
        "device_id": st.sampled_from(("d-1", "d-1", "d-2", "d-9")),
        "amount_minor": st.sampled_from(AMOUNTS),
    }
)
card = st.sampled_from((None, "k-1", "k-2", "k-3", "k-4", "k-5", "k-6"))


@st.composite
def payments(draw: st.DrawFn) -> Event:
    number, order = draw(st.integers(0, 30)), draw(st.integers(0, 20))
    return bought(f"paid-{number}", draw(at), order_id=f"o-{order}", **draw(places))


@st.composite
def refusals(draw: st.DrawFn, name: str = "refused") -> Event:
    """Every payment is tried with one card, and reported so each time."""
    number = draw(st.integers(0, 30))
    rest: dict[str, Any] = draw(places) | {"card_id": f"k-{number}"} if number % 3 else draw(places)
    return refused(f"{name}-{number}", draw(st.one_of(at, st.floats(0.02, 1.5))), order_id=f"o-{number // 4}", **rest)


chargebacks = st.builds(lambda n, hours: disputed(f"paid-{n}", hours, order_id=f"o-{n}"), NUMBERS, at)


def distinct(events: Sequence[Event]) -> list[Event]:
    """Events of which no two are the same to a window."""
    return [replace(event, id=f"{event.id}-{place}") for place, event in enumerate(events)]


pasts = st.lists(st.one_of(payments(), payments(), refusals(), chargebacks), max_size=40).map(distinct)
judged = places.map(lambda changes: bought("now", 0, **changes))


def scored(payment: Event, past: Sequence[Event]) -> FraudScored:
    [emitted] = AGENTS["fraud"].by_rules(history_of(payment, *past)).emit
    assert isinstance(emitted, FraudScored)
    return emitted


@given(judged, pasts, st.randoms())
def test_reports_of_what_was_reported_before_change_nothing(payment: Event, past: list[Event], chance: Random) -> None:
    reports = list(past)
    for place, event in enumerate(past):
        later = chance.randrange(reports.index(event) + 1, len(reports) + 1)
        reports.insert(later, replace(event, id=f"again-{place}", time=event.time + timedelta(hours=chance.random())))

    assert scored(payment, reports) == scored(payment, past)


@given(judged, pasts, st.lists(refusals("another"), max_size=10), st.randoms())
def test_one_more_declined_payment_never_lowers_a_score(
    payment: Event, past: list[Event], more: list[Event], chance: Random
) -> None:
    worse = list(past)
    for event in distinct(more):
        worse.insert(chance.randrange(len(worse) + 1), event)

    assert scored(payment, worse).score >= scored(payment, past).score


@given(
    judged,
    st.lists(payments(), max_size=20, unique_by=lambda event: event.data["order_id"]),
    st.lists(chargebacks, max_size=3),
    st.randoms(),
)
def test_the_order_in_which_old_and_independent_events_arrived_does_not_matter(
    payment: Event, past: list[Event], back: list[Event], chance: Random
) -> None:
    last = bought("last", 30, order_id="o-last")
    old = distinct([*past, *back])
    shuffled = chance.sample(old, len(old))

    one, other = scored(payment, [*old, last]), scored(payment, [*shuffled, last])

    assert (one.score, one.verdict, one.reasons) == (other.score, other.verdict, other.reasons)


@given(judged, pasts, st.sampled_from(sorted(PER_EURO)))
def test_the_same_past_in_another_currency_gives_the_same_verdict(
    payment: Event, past: list[Event], currency: str
) -> None:
    assert scored(paid_in(currency, payment), [paid_in(currency, event) for event in past]).verdict == (
        scored(payment, past).verdict
    )
    assert scored(paid_in(currency, payment), past).verdict == scored(payment, past).verdict


def paid_in(currency: str, event: Event) -> Event:
    cents = event.data["amount_minor"]
    minor = round(cents / 100 * PER_EURO[currency] * 10 ** exponent_of(currency))
    return replace(event, data=dict(event.data) | {"amount_minor": minor, "currency": currency})


@given(judged, pasts, st.integers(-29, 29))
def test_no_clock_of_the_payment_turns_a_burst_before_it_into_nothing(
    payment: Event, past: list[Event], days: int
) -> None:
    burst = [bought(f"burst-{n}", 0.01, order_id=f"o-burst-{n}") for n in range(10)]
    moved = replace(payment, time=NOON + timedelta(days=days))

    told = [reason for reason in scored(moved, [*past, *burst]).reasons if reason.startswith("velocity: ")]

    assert told
    assert int(told[0].split()[1]) >= len(burst)


@given(judged, pasts)
def test_a_payment_is_blocked_by_two_families_or_not_at_all(payment: Event, past: list[Event]) -> None:
    found = scored(payment, past)
    families = {reason.partition(":")[0] for reason in found.reasons}

    assert len(families) == len(found.reasons)
    if found.verdict == "block":
        assert len(families - {"declines"} if "velocity" in families else families) >= 2
