"""Prices: what changes of prices add to what was agreed for an order, as far as its events agree about them.

A change counts when it happened between the newest version of the order and the first capture. It must begin with the
price known until then; the same change reported again counts once. What does not fit together is told in one line, and
then no difference of prices may be given back by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agents.shop.events import OrderPlaced, PriceChanged

#: An order whose prices changed more often is for a person. Own choice.
MOST_CHANGES: Final = 20


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened by its producer's clock, and its place in the log."""

    at: datetime
    place: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What the changes add to the total agreed, in minor units; below 0 when prices fell."""

    minor: int = 0
    #: Why the changes cannot be relied on; "" when they can.
    doubt: str = ""


class Prices:
    """The changes of the prices of one order's articles; grows by `add`."""

    def __init__(self) -> None:
        self._changes: dict[tuple[datetime, PriceChanged], int] = {}
        self._are_too_many = False

    def add(self, moment: Moment, change: PriceChanged) -> None:
        """Take in a change; one that is reported again with its time is known."""
        key = (moment.at, change)
        if key in self._changes or change.old_minor == change.new_minor:
            return
        if len(self._changes) < MOST_CHANGES:
            self._changes[key] = moment.place
        else:
            self._are_too_many = True

    def difference(self, order: OrderPlaced, placed_at: datetime, paid: Moment | None) -> Difference:
        """What the changes between the order and its first capture add to it."""
        if self._are_too_many:
            return Difference(0, f"prices changed more than {MOST_CHANGES} times")
        pieces = _pieces(order)
        known: dict[str, PriceChanged] = {}
        minor, doubt = 0, ""
        for at, change, place in self._in_order():
            if change.sku not in pieces or at < placed_at:
                continue
            quantity, prices = pieces[change.sku]
            if paid is not None and _is_before(at, place, paid) is not (place < paid.place):
                doubt = doubt or f"clock and log disagree on whether {change.sku} changed its price before the capture"
            if paid is not None and at > paid.at:
                continue
            last = known.get(change.sku)
            if last is not None and (last.old_minor, last.new_minor) == (change.old_minor, change.new_minor):
                continue
            before = (last.new_minor,) if last is not None else prices
            if before != (change.old_minor,):
                doubt = doubt or f"the price of {change.sku} was not the one it is said to have changed from"
            minor += quantity * (change.new_minor - before[0])
            known[change.sku] = change
        return Difference(minor, doubt)

    def _in_order(self) -> Sequence[tuple[datetime, PriceChanged, int]]:
        changes = [(at, change, place) for (at, change), place in self._changes.items()]
        return sorted(changes, key=lambda each: (each[0], each[2]))


def _is_before(at: datetime, place: int, paid: Moment) -> bool:
    """By the clock; what happened in the same instant is told apart by the log."""
    return (at, place) < (paid.at, paid.place)


def _pieces(order: OrderPlaced) -> dict[str, tuple[int, tuple[int, ...]]]:
    """By sku: how many pieces, and the prices they were agreed at."""
    pieces: dict[str, tuple[int, tuple[int, ...]]] = {}
    for item in order.items:
        quantity, prices = pieces.get(item.sku, (0, ()))
        more = prices if item.price_minor in prices else (*prices, item.price_minor)
        pieces[item.sku] = (quantity + item.quantity, more)
    return pieces
