"""Payments, honest and not, with the verdict each one should get: the one source of the table in `docs/fraud.md`.

Amounts are in minor units; moments are hours before the payment that is judged; negative ones come after it by their
clocks though the log has them before. The past of a customer is listed in the order of the log.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any, Literal

from fakes import NOON, PAYMENT, history_of
from shop_catalogue import AGENTS

from agents.shop.events import ChargebackReceived, DomainEvent, FraudScored, PaymentFailed, PaymentSucceeded
from tables.event import Event

Verdict = Literal["approve", "review", "block"]
MINUTE, DAY = 1 / 60, 24.0


def event(kind: type[DomainEvent], name: str, hours: float, **changes: Any) -> Event:
    """Something about a payment of that name, of an order of its own, so many hours before the payment judged."""
    data = PAYMENT | {"payment_id": f"p-{name}", "order_id": f"o-{name}"} | changes
    if kind is PaymentFailed:
        data = {"reason": "declined"} | data
    when = NOON - timedelta(hours=hours)
    return Event(id=f"{kind.__name__}-{name}-{hours}", source="urn:test:shop", type=kind.__name__, time=when, data=data)


def bought(name: str, hours: float, amount_minor: int = 3000, **changes: Any) -> Event:
    """A payment, ordinarily of 30.00 EUR from Germany with device d-1."""
    return event(PaymentSucceeded, name, hours, amount_minor=amount_minor, **changes)


def refused(name: str, hours: float, **changes: Any) -> Event:
    """A declined payment."""
    return event(PaymentFailed, name, hours, **changes)


def disputed(name: str, hours: float, **changes: Any) -> Event:
    """A chargeback."""
    return event(ChargebackReceived, name, hours, **changes)


def now(amount_minor: int = 3000, **changes: Any) -> Event:
    """The payment judged."""
    return bought("now", 0, amount_minor, **changes)


def refusals(count: int, hours: float = 10 * MINUTE, **changes: Any) -> list[Event]:
    """Declined payments of orders of their own, a minute apart, the first of them so long ago."""
    return [refused(f"refused-{n}", hours - n * MINUTE / 2, **changes) for n in range(count)]


def cards(count: int, hours: float = 10 * MINUTE, **changes: Any) -> list[Event]:
    """Declined payments, each with a card of its own."""
    one_each = [refusals(count, hours, **changes)[n] for n in range(count)]
    return [
        Event(
            id=each.id, source=each.source, type=each.type, time=each.time, data=dict(each.data) | {"card_id": f"k-{n}"}
        )
        for n, each in enumerate(one_each)
    ]


def orders(count: int, hours: float = 9 * MINUTE, amount_minor: int = 3000, **changes: Any) -> list[Event]:
    """Orders paid half a minute apart, the first of them so long ago."""
    return [bought(f"one-of-many-{n}", hours - n * MINUTE / 2, amount_minor, **changes) for n in range(count)]


def again(events: Iterable[Event], times: int) -> list[Event]:
    """Each report and further ones of the same, under event ids of their own."""
    return [
        Event(id=f"{each.id}-{n}", source=each.source, type=each.type, time=each.time, data=each.data)
        for each in events
        for n in range(times)
    ]


#: A customer of five months with seven ordinary orders, the last one three days ago.
KNOWN = tuple(
    bought(f"known-{days}", days * DAY, amount)
    for days, amount in ((110, 2500), (95, 4000), (80, 3000), (61, 2800), (33, 3500), (17, 5200), (3, 2600))
)
#: A company: orders from 80 to 9,000 EUR.
COMPANY = tuple(
    bought(f"company-{days}", days * DAY, amount, method="invoice")
    for days, amount in (
        (100, 20_000),
        (90, 900_000),
        (70, 8_000),
        (50, 35_000),
        (30, 12_000),
        (20, 640_000),
        (5, 15_000),
    )
)
#: A family with one account: two phones and a laptop.
FAMILY = tuple(
    bought(f"family-{days}", days * DAY, device_id=device)
    for days, device in ((60, "d-1"), (50, "d-2"), (40, "d-1"), (30, "d-3"), (20, "d-2"), (10, "d-1"))
)
#: Somebody who travels for a living: another country almost each time.
TRAVELLER = tuple(
    bought(f"travel-{days}", days * DAY, country=country)
    for days, country in ((60, "DE"), (50, "FR"), (40, "US"), (30, "JP"), (20, "DE"), (10, "BR"))
)
#: Forty orders of a customer of four months.
REGULAR = tuple(bought(f"regular-{n}", (118 - 2.9 * n) * DAY) for n in range(40))
ABROAD: dict[str, Any] = {"country": "BR", "device_id": "d-9"}


@dataclass(frozen=True)
class Case:
    """What happened, and what the rules should say."""

    told: str
    honest: bool
    verdict: Verdict
    payment: Event
    earlier: Sequence[Event] = field(default_factory=tuple)

    def scored(self) -> FraudScored:
        """What the rules say."""
        [scored] = AGENTS["fraud"].by_rules(history_of(self.payment, *self.earlier)).emit
        assert isinstance(scored, FraudScored)
        return scored


def honest(told: str, verdict: Verdict, payment: Event, *earlier: Event) -> Case:
    """A payment of its own customer."""
    return Case(told, honest=True, verdict=verdict, payment=payment, earlier=earlier)


def fraud(told: str, verdict: Verdict, payment: Event, *earlier: Event) -> Case:
    """A payment that its customer knows nothing of, or will deny."""
    return Case(told, honest=False, verdict=verdict, payment=payment, earlier=earlier)


NEW = (
    honest("first order, ordinary amount", "approve", now()),
    honest("first order, 1,500 EUR", "approve", now(150_000)),
    honest("first order, 6,000 EUR", "review", now(600_000)),
    honest("first order, 6,000 EUR, its bank refused twice", "review", now(600_000), *refusals(2, order_id="o-now")),
    honest("first order, 250,000 yen (1,500 EUR)", "approve", now(250_000, currency="JPY")),
    honest("first order, 400.000 Kuwaiti dinars (1,200 EUR)", "approve", now(400_000, currency="KWD")),
    honest("first order in a currency without a rate", "approve", now(90_000_000, currency="VES")),
    honest("new customer, gifts: eight orders of 30 EUR at once", "review", now(), *orders(8)),
    honest("new customer, gift card and two cards pay one order", "approve", now(), *orders(2, order_id="o-now")),
    honest("new customer mistypes the number of the card twice", "approve", now(), *refusals(2, order_id="o-now")),
    honest(
        "new customer retries one card (known by its id) six times",
        "approve",
        now(card_id="k-2"),
        *refusals(6, order_id="o-now", card_id="k-1"),
    ),
    honest(
        "new customer retries one card six times, and the provider gives no id of it",
        "review",
        now(),
        *refusals(6, order_id="o-now"),
    ),
    honest(
        "declined once, reported ten times under ten event ids", "approve", now(), *again([refused("once", 0.1)], 10)
    ),
)
HONEST = (
    honest("ordinary order of a known customer", "approve", now(), *KNOWN),
    honest("last payment reported six times within a minute", "approve", now(), *KNOWN, *again(orders(1), 6)),
    honest("new phone", "approve", now(device_id="d-9"), *KNOWN),
    honest("abroad with the old phone", "approve", now(country="BR"), *KNOWN),
    honest("abroad with a new phone", "approve", now(**ABROAD), *KNOWN),
    honest("abroad with a new phone, five times the usual amount", "review", now(15_000, **ABROAD), *KNOWN),
    honest("abroad with a new phone, twelve times the usual amount", "review", now(40_000, **ABROAD), *KNOWN),
    honest(
        "abroad with a new phone, and the bank at home refuses nine times, without an id of the card",
        "review",
        now(**ABROAD),
        *KNOWN,
        *refusals(9, order_id="o-now", **ABROAD),
    ),
    honest("abroad with a new phone, thirty times the usual amount", "block", now(90_000, **ABROAD), *KNOWN),
    honest(
        "moved abroad: the third order from there",
        "approve",
        now(**ABROAD),
        *KNOWN,
        bought("there-1", 40, **ABROAD),
        bought("there-2", 30, **ABROAD),
    ),
    honest("moved abroad, furniture for 800 EUR first", "block", now(80_000, **ABROAD), *KNOWN),
    honest("gift season: eight small orders in ten minutes", "approve", now(), *KNOWN, *orders(8)),
    honest("gift season: fifteen small orders in ten minutes", "approve", now(), *KNOWN, *orders(15)),
    honest("gift season on a new phone", "approve", now(device_id="d-9"), *KNOWN, *orders(5, device_id="d-9")),
    honest("gift season on a new phone at the parents' abroad", "review", now(**ABROAD), *KNOWN, *orders(6, **ABROAD)),
    honest("three tenders of one order", "approve", now(1000), *KNOWN, *orders(2, amount_minor=1000, order_id="o-now")),
    honest("one chargeback three months ago", "approve", now(), *KNOWN, disputed("known-95", 80 * DAY)),
    honest("one chargeback, and a new phone", "approve", now(device_id="d-9"), *KNOWN, disputed("known-95", 80 * DAY)),
    honest("one chargeback, abroad with a new phone", "review", now(**ABROAD), *KNOWN, disputed("known-95", 80 * DAY)),
    honest("one chargeback reported five times", "approve", now(), *KNOWN, *again([disputed("known-95", 1900)], 5)),
    honest(
        "two chargebacks of forty orders", "approve", now(), *REGULAR, *(disputed(f"regular-{n}", 9) for n in (7, 9))
    ),
    honest("another phone of the family", "approve", now(device_id="d-2"), *FAMILY),
    honest("a tablet new to the family", "approve", now(device_id="d-4"), *FAMILY),
    honest("one more country of a frequent traveller", "approve", now(country="ZA", device_id="d-9"), *TRAVELLER),
    honest("company, 9,000 EUR as a quarter before", "approve", now(900_000, method="invoice"), *COMPANY),
    honest("company, 30,000 EUR for the first time", "review", now(3_000_000, method="invoice"), *COMPANY),
    honest("coffee for 1 EUR each day, then a machine for 40 EUR", "approve", now(4000), *orders(30, 90 * DAY, 100)),
    honest("television after small orders: 25 times the usual", "review", now(80_000), *KNOWN),
    honest("the same television in yen", "review", now(131_000, currency="JPY"), *KNOWN),
    honest("ordinary order in dollars after orders in euros", "approve", now(3300, currency="USD"), *KNOWN),
    honest("ordinary order in yen (4,900 JPY is 30 EUR)", "approve", now(4900, currency="JPY"), *KNOWN),
    honest("ordinary order in dinars (10.000 KWD is 30 EUR)", "approve", now(10_000, currency="KWD"), *KNOWN),
    honest("two declines of an empty account, then a card that works", "approve", now(), *KNOWN, *refusals(2)),
    honest("three declines within the hour", "approve", now(), *KNOWN, *refusals(3)),
    honest("forty declines two months ago", "approve", now(), *KNOWN[:3], *refusals(40, 61 * DAY), *KNOWN[3:]),
    honest("a till that was offline for two days", "approve", now(), *KNOWN, bought("meanwhile", -48)),
)
TESTED = (
    fraud("card test: ten declined payments of a new account", "review", now(100), *refusals(10)),
    fraud("card test: ten declined cards, one order", "review", now(100), *cards(10, order_id="o-now")),
    fraud("card test: ten declined cards, then a first order of 6,000 EUR", "block", now(600_000), *cards(10)),
    fraud(
        "card test from three countries",
        "block",
        now(),
        *cards(4, country="BR"),
        *(refused(f"us-{n}", 0.05, country="US", card_id=f"us-{n}") for n in range(4)),
    ),
    fraud("card test, five cards, all accepted on one order", "approve", now(), *orders(4, order_id="o-now")),
    fraud(
        "the same with ids of the cards",
        "review",
        now(card_id="k-6"),
        *(bought(f"tender-{n}", 0.05, order_id="o-now", card_id=f"k-{n}") for n in range(6)),
    ),
    fraud("card test by the account of a known customer", "review", now(100), *KNOWN, *cards(10)),
    fraud(
        "card test on a taken-over account, from elsewhere", "block", now(100, **ABROAD), *KNOWN, *cards(10, **ABROAD)
    ),
    fraud(
        "slow card test: a card every 40 minutes", "approve", now(), *(refused(f"s-{n}", n * 2 / 3) for n in range(9))
    ),
    fraud("card test, then a month of silence", "review", now(), *cards(10, 30 * DAY)),
    fraud("card test whose payment is stamped 29 days ahead", "review", now(), *cards(10, 29 * DAY)),
    fraud("card test whose payment is stamped a day late", "review", now(), *cards(10, -DAY)),
    fraud("card test, declines stamped four minutes ahead", "review", now(), *cards(10, -4 * MINUTE)),
)
TAKEN_OVER = (
    fraud("takeover: 30 times the usual from elsewhere", "block", now(90_000, **ABROAD), *KNOWN),
    fraud("the same in yen", "block", now(147_600, currency="JPY", **ABROAD), *KNOWN),
    fraud(
        "takeover: the second of these orders",
        "block",
        now(90_000, **ABROAD),
        *KNOWN,
        bought("t", 20, 90_000, **ABROAD),
    ),
    fraud(
        "takeover: after 200 declines",
        "block",
        now(90_000, **ABROAD),
        *KNOWN,
        *refusals(200, 1.7, **ABROAD),
    ),
    fraud(
        "takeover stamped 29 days ahead",
        "block",
        now(90_000, **ABROAD),
        *(bought(f"k-{n}", (29 + 9 * n) * DAY) for n in range(9, -1, -1)),
    ),
    fraud(
        "takeover in six pieces of one order",
        "block",
        now(15_000, **ABROAD),
        *KNOWN,
        *orders(5, amount_minor=15_000, order_id="o-now", **ABROAD),
    ),
    fraud("takeover, small: twice the usual from elsewhere", "approve", now(6000, **ABROAD), *KNOWN),
    fraud("takeover, medium: 12 times the usual from elsewhere", "review", now(36_000, **ABROAD), *KNOWN),
    fraud("takeover on the customer's own laptop: 30 times the usual", "review", now(90_000), *KNOWN),
    fraud("takeover on the customer's own laptop, ordinary amount", "approve", now(), *KNOWN),
    fraud("takeover, twelve small orders from elsewhere", "block", now(**ABROAD), *KNOWN, *orders(12, **ABROAD)),
    fraud("takeover of a frequent traveller: ten times the usual", "approve", now(26_000, country="ZA"), *TRAVELLER),
)
DENIED = (
    fraud("stolen card: six orders of 900 EUR at once, new account", "review", now(90_000), *orders(6, 0.1, 90_000)),
    fraud("stolen card, one first order of 400 EUR", "approve", now(40_000)),
    fraud("stolen card, one first order of 3,000 EUR", "approve", now(300_000)),
    fraud("second order after a chargeback of the first", "approve", now(), bought("a", 900), disputed("a", 700)),
    fraud(
        "two chargebacks of three orders",
        "review",
        now(),
        *(bought(f"c-{n}", (30 - n) * DAY) for n in range(3)),
        *(disputed(f"c-{n}", (20 - n) * DAY) for n in range(2)),
    ),
    fraud(
        "three chargebacks, then 6,000 EUR",
        "block",
        now(600_000),
        *(bought(f"c-{n}", (30 - n) * DAY) for n in range(3)),
        *(disputed(f"c-{n}", (20 - n) * DAY) for n in range(3)),
    ),
    fraud(
        "takeover after a first chargeback",
        "block",
        now(90_000, **ABROAD),
        *KNOWN,
        bought("t", 20, 90_000, **ABROAD),
        disputed("t", 10),
    ),
)
CASES: tuple[Case, ...] = tuple(chain(NEW, HONEST, TESTED, TAKEN_OVER, DENIED))

_JUDGED = {
    (True, "approve"): "let through",
    (True, "review"): "held for a person",
    (True, "block"): "**honest, blocked**",
    (False, "approve"): "**missed**",
    (False, "review"): "caught, held for a person",
    (False, "block"): "caught, blocked",
}


def table(cases: Sequence[Case] = CASES) -> str:
    """The table of `docs/fraud.md`, by what the rules say, and its totals."""
    lines = ["| case | customer | score | verdict | |", "|---|---|---|---|---|"]
    for case in cases:
        scored = case.scored()
        customer = "honest" if case.honest else "fraud"
        judged = _JUDGED[case.honest, scored.verdict]
        lines.append(f"| {case.told} | {customer} | {scored.score} | {scored.verdict} | {judged} |")
    return "\n".join([*lines, "", *_totals(cases)])


def _totals(cases: Sequence[Case]) -> Iterable[str]:
    verdicts = [(case.honest, case.scored().verdict) for case in cases]
    counted = Counter(verdicts)
    frauds = sum(not honest for honest, _ in verdicts)
    caught = counted[False, "review"] + counted[False, "block"]
    yield f"Of {frauds} frauds {caught} are caught: {counted[False, 'block']} blocked, {counted[False, 'review']} held"
    yield f"for a person. {counted[False, 'approve']} are missed. Of {len(verdicts) - frauds} honest payments"
    yield f"{counted[True, 'approve']} are let through, {counted[True, 'review']} are held for a person,"
    yield f"{counted[True, 'block']} are blocked."


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
