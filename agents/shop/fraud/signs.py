"""Signs: what speaks for fraud, in families.

Each family yields at most one sign, so that one fact seen from two sides does not count twice: a new country and a new
device are one traveller. A sign is strong when honest customers seldom show it. Families are independent of each other
when one fact does not bring about the other; velocity and declines are not, for whoever tries often is refused often.

The points and limits are our own starting point, after the common card-not-present signals (velocity, amount, location,
device, dispute history); a team is expected to tune them against its own chargebacks with the time machine.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Final, Literal

from agents.shop.fraud.past import BURST_FROM, ENOUGH_ORDERS, CustomerPast, Order
from agents.shop.money import amount

Family = Literal["velocity", "amount", "novelty", "declines", "disputes"]

#: Families that one fact can bring about together count as one.
_DEPENDENT: Final = frozenset({"velocity", "declines"})

#: The least that is taken for a usual order, in euros: ten times almost nothing is not much.
LEAST_USUAL: Final = 25.0
#: Times the usual, with their points. The highest is strong.
_TIMES: Final = ((20, 40), (10, 30), (4, 15))
#: From how much on, in euros, an order of a customer without a past is a sign. The highest is strong.
_FIRST: Final = ((5000.0, 40), (1000.0, 20))
#: What was paid before this long ago, and not charged back, is not unusual again.
ACCEPTED_AFTER: Final = timedelta(days=14)
#: Payments from which on the share of those charged back means something, and the share below which it is small.
ENOUGH_PAYMENTS: Final = 20
_SMALL_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that speaks for fraud."""

    family: Family
    points: int
    #: What was counted, in words and numbers.
    told: str
    is_strong: bool = False

    def __str__(self) -> str:
        return f"{self.family}: {self.told}"


def signs_in(past: CustomerPast) -> Sequence[Sign]:
    """Every sign there is, one of each family at most."""
    families = (_velocity, _amount, _novelty, _declines, _disputes)
    return [sign for family in families if (sign := family(past)) is not None]


def strong_families(signs: Collection[Sign]) -> int:
    """How many independent families have a strong sign."""
    return len({"attempts" if sign.family in _DEPENDENT else sign.family for sign in signs if sign.is_strong})


def _velocity(past: CustomerPast) -> Sign | None:
    """Many orders at once: less is told by it of a customer who is known, for gifts are bought like that."""
    orders = len(past.burst)
    if orders >= BURST_FROM:
        known, unknown = (35, 40) if orders >= 10 else (25, 40) if orders >= 6 else (15, 25)
        told = f"{orders} other orders paid within 10 minutes"
        return Sign("velocity", unknown if past.is_new else known, told, is_strong=orders >= 10)
    cards = {each.card_id for each in past.accepted_lately if each.card_id is not None}
    if len(cards) >= 4:
        return Sign("velocity", 40 if len(cards) >= 6 else 25, f"{len(cards)} cards accepted within 10 minutes")
    return None


def _amount(past: CustomerPast) -> Sign | None:
    worth = past.this.worth
    if worth is None:
        currencies = ", ".join(sorted({each.currency for each in past.this.payments}))
        return Sign("amount", 0, f"not compared, no reference rate for {currencies}")
    if past.is_new:
        return _first_amount(past, worth)
    comparable = [each.worth for each in past.settled if each.worth is not None]
    if len(comparable) < ENOUGH_ORDERS:
        return Sign("amount", 0, "not compared, no reference rate for what was paid before")
    until = past.last_at - ACCEPTED_AFTER
    accepted = [each.worth for each in past.settled if each.worth is not None and each.at <= until]
    if 2 * max(accepted, default=0) >= worth:
        return None
    usual = max(LEAST_USUAL, median(comparable))
    for times, points in _TIMES:
        if worth >= times * usual:
            return Sign("amount", points, _compared(past, worth, usual), is_strong=times == _TIMES[0][0])
    return None


def _compared(past: CustomerPast, worth: float, usual: float) -> str:
    compared = {each.currency for order in (past.this, *past.settled) for each in order.payments}
    what = "the customer's median" if usual > LEAST_USUAL else "the least taken for usual"
    at_rates = f", of {', '.join(sorted(compared))} at reference rates" if len(compared) > 1 else ""
    return f"{worth / usual:.0f} times {what} ({_in_euros(usual)}{at_rates})"


def _first_amount(past: CustomerPast, worth: float) -> Sign | None:
    """A customer without a past who spends much, in one order or in several at once."""
    together = past.burst if len(past.burst) >= BURST_FROM else ()
    at_once = worth + sum(each.worth or 0 for each in together)
    for floor, points in _FIRST:
        if at_once >= floor:
            told = f"about {_in_euros(at_once)} from a customer with {len(past.settled)} orders before"
            return Sign("amount", points, told, is_strong=worth >= _FIRST[0][0])
    return None


def _in_euros(worth: float) -> str:
    return amount(round(worth * 100), "EUR")


def _novelty(past: CustomerPast) -> Sign | None:
    """Places: many at once, or one where the customer has never been. What was unusual itself makes no place known."""
    countries = max(len({each.country for each in past.accepted_lately}), past.tries.countries)
    if countries >= 3:
        return Sign("novelty", 35, f"tried from {countries} countries at once", is_strong=True)
    known = _usual_orders(past.settled)
    if len(known) < ENOUGH_ORDERS:
        return None
    payment = past.this.payments[-1]
    country = _is_new([each for order in known for each in order.countries], payment.country, len(known))
    device = _is_new([each for order in known for each in order.devices], payment.device_id, len(known))
    if country and device:
        return Sign("novelty", 35, f"first payment from {payment.country} and from this device", is_strong=True)
    if country:
        return Sign("novelty", 20, f"first payment from {payment.country}")
    return Sign("novelty", 10, "first payment from this device") if device else None


def _usual_orders(settled: Sequence[Order]) -> Sequence[Order]:
    comparable = [each.worth for each in settled if each.worth is not None]
    if not comparable:
        return settled
    most = 10 * max(LEAST_USUAL, median(comparable))
    return [each for each in settled if each.worth is None or each.worth < most]


def _is_new(seen: Sequence[Hashable], one: Hashable, orders: int) -> bool:
    """Whether it was never seen, with a customer who has habits: of many different ones another is nothing new."""
    return one not in seen and 2 * len(set(seen)) <= orders + 1


def _declines(past: CustomerPast) -> Sign | None:
    tries = past.tries
    points = next((points for cards, points in ((8, 45), (4, 40), (3, 25), (1, 10)) if tries.cards >= cards), 0)
    if not points:
        return None
    told = f"{tries.cards} card{'s' if tries.cards > 1 else ''} declined within an hour"
    return Sign("declines", points, told, is_strong=tries.named >= 5 or tries.of_several_orders >= 10)


def _disputes(past: CustomerPast) -> Sign | None:
    if not past.disputed:
        return None
    told = f"{past.disputed} order{'s' if past.disputed > 1 else ''} charged back of {past.paid} payments"
    if past.paid >= ENOUGH_PAYMENTS and past.disputed < _SMALL_SHARE * past.paid:
        return Sign("disputes", 10, told)
    points = 20 if past.disputed == 1 else 40 if past.disputed == 2 else 50
    return Sign("disputes", points, told, is_strong=past.disputed >= 2)
