"""What a decision costs, counted in lines of code run, not in time: linear in the window, whatever fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from counting import lines_run
from fakes import history_of
from shop_catalogue import AGENTS
from stories import (
    captured,
    charged_back,
    error,
    happened,
    label,
    moved,
    placed,
    priced,
    refunded,
    reserved,
    short,
)
from test_incident import broken, configured, deployed, platform, suspected, unexplained
from test_recovery import published, requested, scored, verdict

from agents.model.history import History
from agents.platform.incident.investigation import OWN_SOURCE
from agents.shop.events import FulfilmentRequested, PaymentFailed, RootCauseIdentified, ShipmentRetryRequested
from agents.shop.fulfilment.rules import fulfilment
from agents.shop.recovery.compensations import Case, hand_over
from tables.event import Event
from tables.window import MAX_EVENTS

#: Twice the window may cost twice the lines and a little more.
AT_MOST: Final = 2.3


def lines_of(agent: str, history: History) -> int:
    """How many lines of the agents' code one decision runs; parsing is not counted, for what is parsed is kept."""
    history.events()
    return lines_run(lambda: AGENTS[agent].by_rules(history), of="/agents/", but=("/agents/events/",))


def many_payments(number: int) -> Sequence[Event]:
    return [captured(f"paid-{number}", 60, f"p-{number}")]


def payments_and_scores(number: int) -> Sequence[Event]:
    return [
        captured(f"paid-{number}", 60 - number / 1000, f"p-{number}"),
        scored(f"p-{number}", "block" if number % 2 else "approve", f"score-{number}"),
    ]


def payments_under_review(number: int) -> Sequence[Event]:
    first = [placed(90), captured("paid", 60)] if number == 0 else []
    score = scored(f"p-{number}", "review", f"score-{number}", source="urn:innervate:agent:fraud")
    return [*first, score, *published([PACKED], score, fulfilment)] if number % 2 else [*first, score]


def versions_and_payments(number: int) -> Sequence[Event]:
    return [versions(number)[0], captured(f"paid-{number}", 60, f"p-{number}"), priced(f"price-{number}", 70, 1, 2)]


def payments_ever_earlier(number: int) -> Sequence[Event]:
    return [
        captured(f"paid-{number}", 60 + number / 1000, f"p-{number}"),
        priced(f"change-{number}", 80, 700, 700 + number),
        verdict("price_changed", f"change-{number}", f"verdict-{number}"),
    ]


def changed_prices(number: int) -> Sequence[Event]:
    first = [placed(90), captured("paid", 60)] if number == 0 else []
    change = priced(f"change-{number}", 70, 700, 600 + number % 3)
    return [*first, change, verdict("price_changed", f"change-{number}", f"verdict-{number}")]


def versions(number: int) -> Sequence[Event]:
    version = placed(90 - number / 1000)
    return [
        Event(
            id=f"placed-{number}",
            source=version.source,
            type=version.type,
            time=version.time,
            data=dict(version.data) | {"total_minor": number},
        ),
        short(f"short-{number}", 50),
        verdict("stock_shortage", f"short-{number}", f"verdict-{number}"),
    ]


def money_given_back(number: int) -> Sequence[Event]:
    first = [placed(90), captured("paid", 60), captured("again", 59, "p-2")] if number == 0 else []
    return [
        *first,
        refunded(f"refund-{number}", 50, f"p-{number}", 1),
        charged_back(f"chargeback-{number}", 49, "p-1", amount_minor=number % 40),
        verdict("duplicate_capture", "again" if number % 2 else f"refund-{number}", f"verdict-{number}"),
        requested(f"requested-{number}"),
    ]


def rejected_plans(number: int) -> Sequence[Event]:
    plan = verdict("label_failed", f"label-{number}", f"verdict-{number}")
    no = hand_over(Case(order_id="o-1", failure="label_failed", culprit_id="x", confidence=1), "a person said no")
    return [label(f"label-{number}", 50), plan, *published([no], plan)]


def addresses(number: int) -> Sequence[Event]:
    return [
        moved(f"moved-{number}", 50, valid=bool(number % 2)),
        verdict("address_invalid", f"moved-{number}", f"verdict-{number}"),
    ]


def refused_payments(number: int) -> Sequence[Event]:
    rest: dict[str, Any] = {"amount_minor": 1, "currency": "EUR", "method": "card", "country": "DE", "device_id": "d"}
    return [
        happened(PaymentFailed, f"failed-{number}", 1, payment_id=f"p-{number}", reason="no", **rest),
        charged_back(f"chargeback-{number}", 49, f"p-{number}"),
    ]


def rival_failures(number: int) -> Sequence[Event]:
    """Errors between shortages, reservations, labels, addresses and prices, each the next one's rival."""
    minutes = 900 - number / 10
    return [
        error(f"error-{number}", minutes, by=f"error-{number - 1}" if number % 3 else f"short-{number}"),
        short(f"short-{number}", minutes, f"sku-{number % 7}", number + 1),
        reserved(f"reserved-{number}", minutes, f"sku-{number % 5}", number + 1),
        label(f"label-{number}", minutes),
        moved(f"moved-{number}", minutes, valid=number % 9 == 0),
        priced(f"priced-{number}", minutes, 700, 600 + number),
        captured(f"captured-{number}", minutes, f"p-{number}"),
    ]


def shortages_of_many_articles(number: int) -> Sequence[Event]:
    return [short(f"short-{number}", 90, f"sku-{number}", 1), error(f"error-{number}", 80)]


def changes_and_suspicions(number: int) -> Sequence[Event]:
    minutes = number / 10
    return [configured(f"c-{number}", minutes), suspected(f"o-{number}", minutes + 0.05)]


def changes_then_errors(number: int) -> Sequence[Event]:
    """As many changes as errors: those before, these after; each with its suspicion."""
    return [configured(f"c-{number}", -1 - number / 100), *unexplained(f"o-{number}", 1 + number / 100)]


def errors_of_the_service(number: int) -> Sequence[Event]:
    return [*([deployed()] if number == 0 else []), broken(f"b-{number}", 1 + number / 100)]


def long_incident(number: int) -> Sequence[Event]:
    """Changes go on within it, and what the agent said comes back to it."""
    said = {"culprit_event_id": "deployed", "failure": "bad_deployment", "confidence": 0.9, "evidence": ["deployed"]}
    about = {"error_event_id": f"e-{number}", "order_id": f"o-{number}", "alternatives": []}
    verdict_ = platform(RootCauseIdentified, f"v-{number}", number / 10, **said, **about)
    own = replace(verdict_, source=OWN_SOURCE, causationid=f"s-{number}")
    changes = [deployed()] if number == 0 else [configured(f"c-{number}", number / 10)] if number % 5 == 0 else []
    return [*changes, suspected(str(number), number / 10), own]


def all_a_customer_can_do(number: int) -> Sequence[Event]:
    return [captured(f"paid-{number}", 60, f"p-{number}"), refunded(f"back-{number}", 50, f"p-{number}", 1)]


PACKED = FulfilmentRequested(order_id="o-1", customer_id="ada", payment_id="p-1")
RETRY = happened(ShipmentRetryRequested, "retry", 0, reason="again")
SUSPECTED = suspected("o-last", 500)
CASES: Mapping[str, tuple[str, Callable[[int], Sequence[Event]], Event]] = {
    "fraud-payments": ("fraud", many_payments, captured("now", 0, "p-now")),
    "fraud-refusals": ("fraud", refused_payments, captured("now", 0, "p-now")),
    "fulfilment": ("fulfilment", many_payments, RETRY),
    "fulfilment-reviews": ("fulfilment", payments_under_review, RETRY),
    "fulfilment-versions": ("fulfilment", versions_and_payments, RETRY),
    "confirmation": ("confirmation", all_a_customer_can_do, captured("now", 0, "p-now")),
    "root-cause-rivals": ("root_cause", rival_failures, error(by="error-3")),
    "root-cause-articles": ("root_cause", shortages_of_many_articles, error()),
    "root-cause-late": ("root_cause", rival_failures, short("late", 40)),
    "root-cause-late-storm": ("root_cause", shortages_of_many_articles, label("late", 85)),
    "incident-mixed": ("incident", changes_and_suspicions, SUSPECTED),
    "incident-burst": ("incident", changes_then_errors, SUSPECTED),
    "incident-long": ("incident", long_incident, SUSPECTED),
    "incident-own-errors": ("incident", errors_of_the_service, broken("b-last", 500)),
    "bookkeeping": ("bookkeeping", money_given_back, charged_back("last", 1)),
    "recovery-scores": ("recovery", payments_and_scores, scored("p-1", event_id="last")),
    "recovery-ever-earlier": ("recovery", payments_ever_earlier, verdict("price_changed", "change-1", "last")),
    "recovery-prices": ("recovery", changed_prices, verdict("price_changed", "change-1", "last")),
    "recovery-versions": ("recovery", versions, verdict("stock_shortage", "short-1", "last")),
    "recovery-given-back": ("recovery", money_given_back, verdict("duplicate_capture", "again", "last")),
    "recovery-rejected": ("recovery", rejected_plans, verdict("label_failed", "label-1", "last")),
    "recovery-addresses": ("recovery", addresses, verdict("address_invalid", "moved-1", "last")),
}


def window_of(size: int, fill: Callable[[int], Sequence[Event]], last: Event) -> History:
    events = [event for number in range(size) for event in fill(number)]
    return history_of(last, *events[:size])


@pytest.mark.parametrize("case", CASES)
def test_twice_the_window_costs_twice_the_lines(case: str) -> None:
    agent, fill, last = CASES[case]

    lines = [lines_of(agent, window_of(size, fill, last)) for size in (500, 1000, 2000)]

    assert lines[1] <= AT_MOST * lines[0], lines
    assert lines[2] <= AT_MOST * lines[1], lines


@pytest.mark.parametrize("case", ["fraud-payments", "fulfilment", "recovery-prices"])
def test_an_event_costs_as_many_lines_in_the_largest_window_as_in_a_small_one(case: str) -> None:
    agent, fill, last = CASES[case]

    small, largest = (lines_of(agent, window_of(size, fill, last)) / size for size in (500, MAX_EVENTS))

    assert largest <= AT_MOST * small
