"""One row for each way in which a failure is open or not, written by hand; what is no failure says why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fakes import NOON, history_of
from stories import (
    booked,
    captured,
    charged_back,
    error,
    label,
    moved,
    placed,
    priced,
    refunded,
    reserved,
    short,
)

from agents.shop.facts.causes import look, ruled_out
from agents.shop.facts.story import Chronicle, Story
from tables.event import Event

#: An order of one article and 100.00.
LAMP = [{"sku": "lamp", "quantity": 3, "price_minor": 10_000}]


def ordered(minutes: float = 100, total: int = 10_000, items: list[dict[str, Any]] | None = None) -> Event:
    """A version of the order, its id the minutes."""
    version = placed(minutes)
    data = dict(version.data) | {"items": items or LAMP, "total_minor": total}
    return replace(version, id=f"order-{minutes}", data=data)


def lamps(number: int, *, price: int = 10_000) -> list[dict[str, Any]]:
    return [{"sku": "lamp", "quantity": number, "price_minor": price}]


def paid(event_id: str, minutes: float, amount: int, **rest: Any) -> Event:
    """A capture whose payment has the event's id."""
    return captured(event_id, minutes, f"p-{event_id}", amount_minor=amount, **rest)


def back(minutes: float, payment: str, amount: int) -> Event:
    return refunded(f"back-{payment}", minutes, f"p-{payment}", amount)


def cup(quantity: int = 1) -> list[dict[str, Any]]:
    return [{"sku": "cup", "quantity": quantity, "price_minor": 600}]


#: What happened; failure, culprit and repeats expected, "?" behind a culprit in doubt and "~" behind a weak one.
OPEN: Mapping[str, tuple[tuple[Event, ...], str]] = {
    "two articles short": ((placed(), short("s1", 40), short("s2", 30, "cup", 1)), "stock_shortage s1 s2"),
    "the first of two made good": (
        (placed(), short("s1", 40), short("s2", 30, "cup", 1), reserved("r", 20)),
        "stock_shortage s2",
    ),
    "reserved in part": ((ordered(), short("s", 40, wanted=3), reserved("r", 30, wanted=2)), "stock_shortage s"),
    "a reservation before": (
        (ordered(), reserved("r1", 50, wanted=2), short("s", 40, wanted=3), reserved("r2", 30, wanted=1)),
        "stock_shortage s",
    ),
    "another article reserved": (
        (placed(), short("s", 40), reserved("r", 30, "cup", 2)),
        "stock_shortage s",
    ),
    "amended, as many wanted": ((ordered(), short("s", 40, wanted=3), ordered(30, 12_000)), "stock_shortage s"),
    "amended to more": ((ordered(), short("s", 40, wanted=3), ordered(30, items=lamps(5))), "stock_shortage s"),
    "amended to fewer, none there": (
        (ordered(), short("s", 40, wanted=3), ordered(30, items=lamps(1))),
        "stock_shortage s?",
    ),
    "short again after the amendment": (
        (ordered(), short("s1", 40, wanted=3), ordered(30, items=lamps(1)), short("s2", 20, wanted=1)),
        "stock_shortage s1 s2",
    ),
    "charged twice": ((ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000)), "duplicate_capture b"),
    "charged three times": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), paid("c", 40, 10_000)),
        "duplicate_capture b c",
    ),
    "a card check, then charged twice": (
        (ordered(), paid("check", 70, 100), paid("a", 60, 10_000), paid("b", 50, 10_000)),
        "duplicate_capture b",
    ),
    "split tender, one part twice": (
        (ordered(), paid("gift", 60, 6_000), paid("card", 50, 4_000), paid("again", 40, 4_000)),
        "duplicate_capture again",
    ),
    "split tender, the first part twice before the other": (
        (ordered(), paid("gift", 60, 6_000), paid("again", 50, 6_000), paid("card", 40, 4_000)),
        "duplicate_capture again",
    ),
    "split tender, then all of it": (
        (ordered(), paid("gift", 60, 6_000), paid("card", 50, 4_000), paid("all", 40, 10_000)),
        "duplicate_capture all",
    ),
    "all of it, then split tender": (
        (ordered(), paid("all", 60, 10_000), paid("gift", 50, 6_000), paid("card", 40, 4_000)),
        "duplicate_capture gift card",
    ),
    "one of two duplicates given back": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), paid("c", 40, 10_000), back(30, "b", 10_000)),
        "duplicate_capture c",
    ),
    "given back in part": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), back(30, "b", 9_999)),
        "duplicate_capture b",
    ),
    "charged twice, the order not known": ((paid("a", 60, 10_000), paid("b", 50, 10_000)), "duplicate_capture b?"),
    "labels failed": ((placed(), label("l1", 40), label("l2", 30), label("l3", 20)), "label_failed l3 l1 l2"),
    "addresses wrong": (
        (placed(), moved("a1", 40, valid=False), moved("a2", 30, valid=False)),
        "address_invalid a2 a1",
    ),
    "price fell, the old one taken": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 9_000), paid("a", 60, 10_000)),
        "price_changed p",
    ),
    "price rose, the old one taken": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 12_000), paid("a", 60, 10_000)),
        "price_changed p",
    ),
    "price rose, the new one taken": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 12_000), paid("a", 60, 12_000)),
        "price_changed p",
    ),
    "price fell, the new one taken": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 9_000), paid("a", 60, 9_000)),
        "price_changed p~",
    ),
    "price fell, the new one taken in two parts": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 9_000), paid("a", 60, 5_000), paid("b", 59, 4_000)),
        "price_changed p~",
    ),
    "prices of two articles": (
        (placed(), priced("p1", 80, 700, 600), priced("p2", 70, 600, 500, "cup"), paid("a", 60, 2_000)),
        "price_changed p1 p2",
    ),
    "the same change reported again": (
        (placed(), priced("p1", 80, 700, 600), priced("p2", 79, 700, 600), paid("a", 60, 2_000)),
        "price_changed p1 p2",
    ),
    "the difference given back in part": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 9_000), paid("a", 60, 10_000), back(30, "a", 500)),
        "price_changed p",
    ),
}  # fmt: skip

#: What happened; why each event that looks like a culprit is none.
HARMLESS: Mapping[str, tuple[tuple[Event, ...], Mapping[str, str]]] = {
    "nothing": ((placed(), captured("paid", 60)), {}),
    "reserved in parts": (
        (ordered(), short("s", 40, wanted=3), reserved("r1", 30, wanted=2), reserved("r2", 20, wanted=1)),
        {"s": "reserved in full later"},
    ),
    "reserved for two shortages": (
        (ordered(), short("s1", 40, wanted=3), short("s2", 35, wanted=3), reserved("r", 30, wanted=3)),
        {"s1": "reserved in full later", "s2": "reserved in full later"},
    ),
    "amended without the article": (
        (placed(), short("s", 40), replace(ordered(30, 600, cup()), id="v2")),
        {"s": "article not in the order"},
    ),
    "amended to fewer that are there": (
        (ordered(), short("s", 40, wanted=3, available=2), ordered(30, items=lamps(2))),
        {"s": "the order asks for fewer since, and those were there"},
    ),
    "amended to fewer that are reserved": (
        (ordered(), short("s", 40, wanted=3), ordered(30, items=lamps(1)), reserved("r", 20, wanted=1)),
        {"s": "reserved in full later"},
    ),
    "article of nobody": ((placed(), short("s", 40, "vase")), {"s": "article not in the order"}),
    "split tender": (
        (ordered(), paid("gift", 60, 6_000), paid("card", 50, 4_000)),
        {"card": "pays for the order together with the others"},
    ),
    "three tenders": (
        (ordered(), paid("a", 60, 5_000), paid("b", 50, 2_500), paid("c", 40, 2_500)),
        {"b": "pays for the order together with the others", "c": "pays for the order together with the others"},
    ),
    "a card check": (
        (ordered(), paid("check", 70, 100), paid("a", 60, 10_000)),
        {"a": "pays for no part of the order a second time"},
    ),
    "a card check after it": (
        (ordered(), paid("a", 60, 10_000), paid("check", 50, 100)),
        {"check": "pays for no part of the order a second time"},
    ),
    "two payments in part": (
        (ordered(total=20_000), paid("a", 60, 5_000), paid("b", 50, 5_000)),
        {"b": "pays for the order together with the others"},
    ),
    "an amendment that raised the total": (
        (ordered(), paid("a", 60, 10_000), ordered(55, 20_000), paid("b", 50, 10_000)),
        {"b": "pays for the order together with the others"},
    ),
    "an amendment that lowered what was paid in parts": (
        (ordered(), paid("a", 60, 5_000), paid("b", 50, 5_000), ordered(40, 5_000)),
        {"b": "pays for no part of the order a second time"},
    ),
    "refunded": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), back(40, "b", 10_000)),
        {"b": "capture given back"},
    ),
    "the first refunded": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), back(40, "a", 10_000)),
        {"b": "pays for the order together with the others"},
    ),
    "charged back": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000), charged_back("c", 40, "p-b", amount_minor=10_000)),
        {"b": "capture given back"},
    ),
    "another currency": (
        (ordered(), paid("a", 60, 10_000), paid("b", 50, 10_000, currency="JPY")),
        {"b": "amounts are in several currencies"},
    ),
    "the order in another currency": (
        (ordered(), paid("a", 60, 10_000, currency="JPY"), paid("b", 50, 10_000, currency="JPY")),
        {"b": "amounts are in several currencies"},
    ),
    "one payment reported with two amounts": ((ordered(), captured("a", 60), captured("b", 50, amount_minor=9)), {}),
    "label at the second try": (
        (placed(), label("l", 40), booked("b", 30)),
        {"l": "label printed on a second try"},
    ),
    "label failed for good": (
        (placed(), label("l", 40, transient=False)),
        {"l": "failed for good, which another event must explain"},
    ),
    "address corrected": (
        (placed(), moved("a", 40, valid=False), moved("b", 30, valid=True)),
        {"a": "address corrected"},
    ),
    "price taken back": (
        (placed(), priced("p", 80, 700, 900), priced("q", 70, 900, 700), captured("paid", 60)),
        {"p": "price taken back before the capture", "q": "price taken back before the capture"},
    ),
    "price of another article": (
        (placed(), priced("p", 80, 700, 900, "vase"), captured("paid", 60)),
        {"p": "article not in the order"},
    ),
    "price after the capture": (
        (placed(), captured("paid", 60), priced("p", 50, 700, 900)),
        {"p": "after the capture"},
    ),
    "price before the order": ((placed(), priced("p", 120, 700, 900), captured("paid", 60)), {"p": "before the order"}),
    "price agreed anew": (
        (ordered(), priced("p", 80, 10_000, 9_000), ordered(70, 9_000, lamps(1, price=9_000)), paid("a", 60, 9_000)),
        {"p": "before the order"},
    ),
    "price without a capture": ((placed(), priced("p", 80, 700, 900)), {"p": "nothing was captured"}),
    "the difference given back": (
        (ordered(items=lamps(1)), priced("p", 80, 10_000, 9_000), paid("a", 60, 10_000), back(30, "a", 1_000)),
        {"p": "the difference was given back"},
    ),
    "after the error": (
        (placed(), captured("paid", 60), short("s", -1), label("l", -2), moved("a", -3, valid=False)),
        {"s": "after the error", "l": "after the error", "a": "after the error"},
    ),
}  # fmt: skip


def story(*events: Event) -> Story:
    return Story(Chronicle(history_of(error(), *events)), NOON)


@pytest.mark.parametrize("case", OPEN)
def test_what_is_open_has_one_candidate_with_its_culprit_and_what_repeats_it(case: str) -> None:
    events, expected = OPEN[case]

    [found] = look(story(*events)).candidates

    mark = "?" if found.doubt else "~" if found.is_weak else ""
    assert " ".join([found.failure.value, found.culprit.id + mark, *(each.id for each in found.repeats)]) == expected


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_like_a_failure_is_ruled_out_with_its_reason(case: str) -> None:
    events, expected = HARMLESS[case]

    found = look(story(*events))

    assert found.candidates == []
    assert {event_id: why for (_, event_id), why in ruled_out(story(*events)).items()} == expected
