"""Causes: the failures of an order that are still open at a moment, and why what looks like one is not.

Open means not made good by then: a shortage reserved later, a corrected address, a price taken back, a label printed
on a second try or a capture given back explain nothing. Each failure has one detector, and one candidate at most: the
same failure in several articles is one. Detectors read types, fields, amounts and times, never the text of an error or
a carrier, which may be generic or misleading. They fail by silence: what left the window is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.model.history import EventKey, Past, trace
from agents.shop.events import AddressChanged, InventoryShort, LabelFailed, PaymentSucceeded, PriceChanged
from agents.shop.facts.candidate import Candidate, Findings, Harmless
from agents.shop.facts.captures import duplicate_capture
from agents.shop.facts.changed_prices import price_changed
from agents.shop.facts.delivery import address_invalid, label_failed
from agents.shop.facts.stock import stock_shortage
from agents.shop.facts.story import Story

__all__ = ["Candidate", "Harmless", "Look", "candidates", "look", "ruled_out"]

#: One per failure that an order's own events can explain.
DETECTORS: Final[Sequence[Callable[[Story], Findings]]] = (
    stock_shortage,
    duplicate_capture,
    label_failed,
    address_invalid,
    price_changed,
)
#: What may be to blame for a failure.
_CULPRITS: Final = (InventoryShort, PaymentSucceeded, LabelFailed, AddressChanged, PriceChanged)


@dataclass(frozen=True, slots=True)
class Look:
    """What is open in a story, in no particular order, and what only looks like it."""

    candidates: Sequence[Candidate]
    harmless: Sequence[Harmless]


def look(story: Story) -> Look:
    """Look at a story with every detector."""
    found = [detect(story) for detect in DETECTORS]
    harmless = [each for findings in found for each in findings.harmless]
    return Look([each.candidate for each in found if each.candidate], [*harmless, *_too_late(story)])


def candidates(story: Story) -> Sequence[Candidate]:
    """Every open failure of the story, in no particular order."""
    return look(story).candidates


def ruled_out(story: Story) -> Mapping[EventKey, str]:
    """Why each event that looks like the culprit of a failure is none."""
    return {each.event.key: each.why for each in look(story).harmless}


def _too_late(story: Story) -> Iterator[Harmless]:
    """What would be a culprit had it happened before the error."""
    known = {capture.data.payment_id for capture in story.captures}
    late = {past.key for past in story.late}
    for past in story.chronicle.after(story.at):
        if past.key not in late and _would_be_odd(past, known):
            yield Harmless(trace(past), "after the error")


def _would_be_odd(past: Past[Any], payments: set[str]) -> bool:
    match past.data:
        case AddressChanged(valid=valid):
            return not valid
        case PaymentSucceeded(payment_id=payment_id):
            return bool(payments) and payment_id not in payments
        case data:
            return isinstance(data, _CULPRITS)
