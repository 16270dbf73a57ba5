"""Causes: one small detector per failure an order can show; each finds what is still open before the error.

Open means not made good by then: a shortage reserved later, a corrected address, a price taken back, a label printed
on a second try or a capture refunded explain nothing. Detectors read types, fields and times, never the text of an
error or a carrier, which may be generic or misleading. They fail by silence: what left the window is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from agents.model.history import Past, Trace, trace
from agents.shop.events import (
    AddressChanged,
    ChargebackReceived,
    InventoryReserved,
    InventoryShort,
    LabelFailed,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentBooked,
    ShipmentDispatched,
)
from agents.shop.facts.story import Story
from agents.shop.failures import Failure

#: An event about an article.
S = TypeVar("S", InventoryShort, PriceChanged)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An open failure and the event to blame for it."""

    failure: Failure
    culprit: Trace
    #: The same failure again, such as a second shortage of the sku.
    repeats: tuple[Trace, ...] = ()
    #: What would look like a failure of its own, but follows from the culprit.
    symptoms: tuple[Trace, ...] = ()
    #: Ordinary events that show why the culprit is one.
    context: tuple[Trace, ...] = ()

    @property
    def signs(self) -> tuple[Trace, ...]:
        """Every deviation this candidate accounts for, the culprit first."""
        return (self.culprit, *self.repeats, *self.symptoms)


def candidates(story: Story) -> Sequence[Candidate]:
    """Every open failure of the story, in no particular order."""
    return [candidate for detect in DETECTORS for candidate in detect(story)]


def stock_shortage(story: Story) -> Iterator[Candidate]:
    """A sku of the order ran short and was not reserved in full later; the first shortage still open is to blame."""
    for shortages in _by_sku(_open_shortages(story)).values():
        first, *more = map(trace, shortages)
        yield Candidate(failure=Failure.STOCK_SHORTAGE, culprit=first, repeats=tuple(more))


def _open_shortages(story: Story) -> Sequence[Past[InventoryShort]]:
    """Those of the order without a later reservation of as much, the earliest first."""
    shortages: Sequence[Past[Any]] = [short for short in story.of(InventoryShort) if story.holds(short.data.sku)]
    still_open: list[Past[InventoryShort]] = []
    reserved_later: dict[str, int] = {}
    for past in sorted([*shortages, *story.of(InventoryReserved)], key=story.place, reverse=True):
        most = reserved_later.get(past.data.sku, -1)
        if isinstance(past.data, InventoryReserved):
            reserved_later[past.data.sku] = max(most, past.data.wanted)
        elif most < past.data.wanted:
            still_open.append(past)
    return still_open[::-1]


def _by_sku(events: Iterable[Past[S]]) -> Mapping[str, Sequence[Past[S]]]:
    grouped: dict[str, list[Past[S]]] = {}
    for past in events:
        grouped.setdefault(past.data.sku, []).append(past)
    return grouped


def duplicate_capture(story: Story) -> Iterator[Candidate]:
    """Two payments of the order are taken and kept; the second of them is to blame.

    A capture given back before an error is made good. One that was to blame for an earlier error was given back
    because of that, so it still explains the next one when nothing else was taken twice.
    """
    returned = _returned(story)
    kept = [capture for capture in story.captures if not _is_given_back(capture.data, returned)]
    again = kept[1:] or [capture for capture in story.captures[1:] if capture.key in story.blamed]
    if again:
        culprit, *more = (trace(capture) for capture in again)
        yield Candidate(
            failure=Failure.DUPLICATE_CAPTURE,
            culprit=culprit,
            repeats=tuple(more),
            context=(trace((kept or story.captures)[0]),),
        )


def _returned(story: Story) -> Mapping[str, int]:
    """What was given back of each payment, in minor units, by the payment's id."""
    returned: dict[str, int] = {}
    back: Sequence[Past[Any]] = [*story.of(RefundIssued), *story.of(ChargebackReceived)]
    for past in back:
        returned[past.data.payment_id] = returned.get(past.data.payment_id, 0) + past.data.amount_minor
    return returned


def _is_given_back(payment: PaymentSucceeded, returned: Mapping[str, int]) -> bool:
    return payment.payment_id in returned and returned[payment.payment_id] >= payment.amount_minor


def label_failed(story: Story) -> Iterator[Candidate]:
    """A label failed for a passing reason and no shipment was booked since; the latest failure is to blame.

    One that failed on an invalid address is a symptom of that. One that failed for good explains nothing by itself.
    """
    wrong = _wrong_addresses(story)
    labels = [
        trace(label)
        for label in _open_labels(story)
        if label.data.transient and not (wrong and story.later(label, trace(wrong[0])))
    ]
    if labels:
        yield Candidate(failure=Failure.LABEL_FAILED, culprit=labels[-1], repeats=tuple(labels[:-1]))


def _open_labels(story: Story) -> Sequence[Past[LabelFailed]]:
    shipped: Sequence[Past[Any]] = [*story.of(ShipmentBooked), *story.of(ShipmentDispatched)]
    last = max(map(story.place, shipped), default=-1)
    return [label for label in story.of(LabelFailed) if story.place(label) > last]


def address_invalid(story: Story) -> Iterator[Candidate]:
    """The address in force is invalid; the change that the last label failed on is to blame, else the latest."""
    wrong = _wrong_addresses(story)
    if not wrong:
        return
    labels = [label for label in story.of(LabelFailed) if story.later(label, trace(wrong[0]))]
    if labels:
        changes = [trace(change) for change in wrong if story.later(labels[-1], trace(change))]
    else:
        changes = [trace(change) for change in wrong]
    yield Candidate(
        failure=Failure.ADDRESS_INVALID,
        culprit=changes[-1],
        repeats=tuple(trace(change) for change in wrong if change.key != changes[-1].key),
        symptoms=tuple(trace(label) for label in labels),
    )


def _wrong_addresses(story: Story) -> Sequence[Past[AddressChanged]]:
    """The invalid changes since the last valid one."""
    wrong: list[Past[AddressChanged]] = []
    for change in story.of(AddressChanged):
        if change.data.valid:
            wrong.clear()
        else:
            wrong.append(change)
    return wrong


def price_changed(story: Story) -> Iterator[Candidate]:
    """A price of the order differed at the first capture from what it was when the order was placed.

    The last change of it is to blame. A price taken back by then, or changed after the capture, is harmless.
    """
    if not story.captures:
        return
    capture = story.captures[0]
    changes = [change for change in story.of(PriceChanged) if _is_in_between(story, change, capture)]
    for of_sku in _by_sku(changes).values():
        if of_sku[0].data.old_minor != of_sku[-1].data.new_minor:
            *more, last = (trace(change) for change in of_sku)
            yield Candidate(failure=Failure.PRICE_CHANGED, culprit=last, repeats=tuple(more), context=(trace(capture),))


def _is_in_between(story: Story, change: Past[PriceChanged], capture: Past[PaymentSucceeded]) -> bool:
    return (
        story.holds(change.data.sku)
        and change.data.old_minor != change.data.new_minor
        and (story.placed is None or story.later(change, trace(story.placed)))
        and story.later(capture, trace(change))
    )


#: One per failure that an order's own events can explain.
DETECTORS: Final[Sequence[Callable[[Story], Iterator[Candidate]]]] = (
    stock_shortage,
    duplicate_capture,
    label_failed,
    address_invalid,
    price_changed,
)
