"""Past: what a customer did before a payment, by payments, orders and cards, not by reports of them.

A payment is its id and its order, for providers number them for each order or for all; it happened when the log first
told of it, under however many event ids it is reported. Payments of one order are one purchase. A card is its
`card_id`; a declined payment without one may have been any card, and counts as one.

Clocks lie. What happened just before is read twice: by the time the payment says it was made at, and by the log, where
the last payment before this one came last whatever either says. A payment stamped ahead, or late, loses no sign by it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from agents.model.history import History, Past
from agents.shop.events import ChargebackReceived, PaymentFailed, PaymentSucceeded
from agents.shop.events.payments import PaymentEvent
from agents.shop.fraud.rates import euros

#: Orders paid within this time are one burst.
BURST: Final = timedelta(minutes=10)
#: Payments of one order within this time are tenders of one purchase; later ones are instalments of it.
PURCHASE: Final = timedelta(days=1)
#: Cards declined within this time are tried together.
TRIES: Final = timedelta(hours=1)
#: So many orders before are a burst: fewer are a customer who forgot something.
BURST_FROM: Final = 3
#: Orders a customer needs before an amount, a country or a device can be unusual for them.
ENOUGH_ORDERS: Final = 3


class Order(NamedTuple):
    """What was paid for one order."""

    id: str
    payments: Sequence[PaymentEvent]
    #: When the first of them was made.
    at: datetime
    #: In euros, roughly; None when a currency has no rate.
    worth: float | None
    #: Where the payments came from, and from which devices: each as often as it is.
    countries: Sequence[str]
    devices: Sequence[str]


@dataclass(frozen=True, slots=True)
class Tries:
    """The most that was declined within an hour."""

    #: Cards: those with a `card_id`, and payments without one.
    cards: int = 0
    #: Those with a `card_id`.
    named: int = 0
    #: Payments, if they are of more than one order.
    of_several_orders: int = 0
    #: The countries they came from, and the one the payment judged comes from.
    countries: int = 1


#: Of a customer without declined payments.
NO_TRIES: Final = Tries()


@dataclass(frozen=True, slots=True)
class CustomerPast:
    """What is known of the customer when a payment is judged."""

    #: The order of the payment: this payment and the other tenders before it.
    this: Order
    #: Other orders paid just before.
    burst: Sequence[Order]
    #: Other orders to compare with: none charged back, and none of a burst.
    settled: Sequence[Order]
    #: Of what was declined just before, or since the last other payment that was accepted.
    tries: Tries
    #: Orders charged back.
    disputed: int
    #: Payments there were, this one included.
    paid: int
    #: When the last other payment was made: "now" by the log.
    last_at: datetime

    @property
    def is_new(self) -> bool:
        """Whether there is too little to compare with."""
        return len(self.settled) < ENOUGH_ORDERS

    @property
    def accepted_lately(self) -> Sequence[PaymentEvent]:
        """The payment judged and those before it of its order and of the burst."""
        return [*self.this.payments, *(each for order in self.burst for each in order.payments)]


class Report(NamedTuple):
    """A remembered event as the rule reads it: plain values, made once for each."""

    kind: type[PaymentEvent]
    #: Which payment it is of.
    payment: str
    past: Past[PaymentEvent]
    #: The order, as if nothing else had been paid for it.
    order: Order


#: What is read; every other event is of no payment that was made or tried.
_KINDS: Final = frozenset({PaymentSucceeded, PaymentFailed, ChargebackReceived})


def report(past: Past[Any]) -> Report | None:
    """Read a remembered event; None where it says nothing of a payment."""
    kind = type(past.data)
    return Report(kind, payment_of(past.data), past, _order([past])) if kind in _KINDS else None


def past_of_customer(payment: PaymentSucceeded, history: History) -> CustomerPast:
    """Read the history of a payment, in one go."""
    log = history.made(report)
    this = payment_of(payment)
    accepted, disputed, has_failed = _sorted_out(log)
    accepted.pop(this, None)
    paid = list(accepted.values())
    orders = _by_order(paid)
    last_at = paid[-1].past.at if paid else history.at
    tenders = []
    if orders.pop(payment.order_id, None) is not None:
        is_of_purchase = _near(PURCHASE, history.at, last_at)
        tenders = [each.past for each in paid if each.order.id == payment.order_id and is_of_purchase(each.past.at)]
    others = list(orders.values())
    first, last = min(history.at, last_at) - BURST, max(history.at, last_at) + BURST
    is_of_burst = _near(BURST, history.at, last_at)
    burst = [each for each in others if first <= each.at <= last and is_of_burst(each.at)]
    # A payment stamped before the one that precedes it in the log came late: the log says when it was.
    nows = (history.at, max(history.at, last_at))
    left_out = disputed.keys() | ({each.id for each in burst} if len(burst) >= BURST_FROM else set())
    declined = _declined(log, paid[-1].past if paid else None, nows) if has_failed else ()
    return CustomerPast(
        this=_order([*tenders, Past(payment, history.at, history.event.id)]),
        burst=burst,
        settled=[each for each in others if each.id not in left_out] if left_out else others,
        tries=_tries(declined, payment.country) if declined else NO_TRIES,
        disputed=len(disputed),
        paid=len(accepted) + len({this, *disputed.values()} - accepted.keys()),
        last_at=last_at,
    )


def payment_of(data: PaymentEvent) -> str:
    """Which payment it is: one text, which knows its hash. Neither id holds a NUL."""
    return f"{data.payment_id}\0{data.order_id}"


def _attempt_of(data: PaymentEvent) -> Hashable:
    """Which try of it: a payment may be tried with one card after another."""
    return data.payment_id, data.order_id, data.card_id


def _sorted_out(log: Sequence[Report]) -> tuple[dict[str, Report], Mapping[str, str], bool]:
    """The first report of each payment accepted, as the log has them; those charged back, by order; if any failed."""
    accepted: dict[str, Report] = {}
    disputed: dict[str, str] = {}
    has_failed = False
    for each in log:
        kind, payment, _, order = each
        if kind is PaymentSucceeded:
            accepted.setdefault(payment, each)
        elif kind is ChargebackReceived:
            disputed[order.id] = payment
        else:
            has_failed = True
    return accepted, disputed, has_failed


def _by_order(paid: Sequence[Report]) -> dict[str, Order]:
    """The orders that were paid, by their ids, in the order of their first payments."""
    orders = {each.order.id: each.order for each in paid}
    if len(orders) < len(paid):
        parts: dict[str, list[Past[PaymentEvent]]] = defaultdict(list)
        for each in paid:
            parts[each.order.id].append(each.past)
        orders = {order_id: _order(pasts) for order_id, pasts in parts.items()}
    return orders


def _order(parts: Sequence[Past[PaymentEvent]]) -> Order:
    if len(parts) == 1:  # as nearly every order is paid
        payment = parts[0].data
        worth = euros(payment.amount_minor, payment.currency)
        return Order(
            payment.order_id, (payment,), parts[0].at, worth, _alone(payment.country), _alone(payment.device_id)
        )
    payments = [past.data for past in parts]
    worths = [euros(each.amount_minor, each.currency) for each in payments]
    return Order(
        payments[0].order_id,
        payments,
        parts[0].at,
        None if None in worths else sum(worth for worth in worths if worth is not None),
        [each.country for each in payments],
        [each.device_id for each in payments],
    )


@lru_cache(maxsize=4096)
def _alone(name: str) -> Sequence[str]:
    """One name as a sequence; a customer's are the same again and again."""
    return (name,)


def _near(span: timedelta, *nows: datetime) -> Callable[[datetime], bool]:
    """Whether something was near a "now". Clocks of one shop differ, so it may as well seem to come after."""
    bounds = [(now - span, now + span) for now in dict.fromkeys(nows)]

    def is_near(at: datetime) -> bool:
        for first, last in bounds:  # noqa: SIM110 - a generator costs more than what it does, for every event
            if first <= at <= last:
                return True
        return False

    return is_near


def _declined(
    log: Sequence[Report], last_paid: Past[PaymentEvent] | None, nows: Sequence[datetime]
) -> Sequence[Past[PaymentEvent]]:
    first: dict[Hashable, Past[PaymentEvent]] = {}
    counted = []
    is_near = _near(TRIES, *nows)
    is_since = last_paid is None
    for kind, _, past, _ in log:
        if kind is PaymentFailed:
            if first.setdefault(_attempt_of(past.data), past) is past and (is_since or is_near(past.at)):
                counted.append(past)
        elif past is last_paid:
            is_since = True
    named = {payment_of(past.data) for past in counted if past.data.card_id is not None}
    return [past for past in counted if past.data.card_id is not None or payment_of(past.data) not in named]


def _tries(declined: Sequence[Past[PaymentEvent]], country: str) -> Tries:
    """Look at each hour that ends with a declined payment, and keep the most of everything."""
    in_time = sorted(declined, key=lambda past: past.at)
    window = _Window(country)
    most = Tries()
    begin = 0
    for past in in_time:
        window.add(past.data, 1)
        while past.at - in_time[begin].at > TRIES:
            window.add(in_time[begin].data, -1)
            begin += 1
        most = Tries(
            max(most.cards, len(window.named) + len(window.unnamed)),
            max(most.named, len(window.named)),
            max(most.of_several_orders, len(window.payments) if len(window.orders) > 1 else 0),
            max(most.countries, len(window.countries)),
        )
    return most


class _Window:
    """How often each thing is in an hour; what is not there any more has no count."""

    def __init__(self, country: str) -> None:
        self.countries: Counter[Hashable] = Counter([country])
        self.payments: Counter[Hashable] = Counter()
        self.orders: Counter[Hashable] = Counter()
        self.named: Counter[Hashable] = Counter()
        self.unnamed: Counter[Hashable] = Counter()

    def add(self, data: PaymentEvent, times: int) -> None:
        kind = (self.unnamed, payment_of(data)) if data.card_id is None else (self.named, data.card_id)
        order, country = (self.orders, data.order_id), (self.countries, data.country)
        for counts, each in (kind, (self.payments, payment_of(data)), order, country):
            counts[each] += times
            if not counts[each]:
                del counts[each]
