"""Causes: one small detector per failure an order can show; each finds what is still open before the error.

Open means not made good by then: a shortage reserved later, a corrected address, a price taken back, a label printed
on a second try or a capture refunded explain nothing. Detectors read types, fields and times, never the text of an
error or a carrier, which may be generic or misleading. They fail by silence: what left the window is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from agents.events import (
    AddressChanged,
    ChargebackReceived,
    DomainEvent,
    InventoryReserved,
    InventoryShort,
    LabelFailed,
    PaymentSucceeded,
    PriceChanged,
    RefundIssued,
    ShipmentBooked,
    ShipmentDispatched,
)
from agents.history import Past
from agents.normal import Story, Trace, trace

#: How many other candidates, and how many ids of evidence, a verdict gives. A person reads them: own choice.
MOST_ALTERNATIVES: Final = 5
MOST_EVIDENCE: Final = 10


class Failure(StrEnum):
    """What went wrong: the `failure` of the events of a recovery."""

    STOCK_SHORTAGE = "stock_shortage"
    DUPLICATE_CAPTURE = "duplicate_capture"
    LABEL_FAILED = "label_failed"
    ADDRESS_INVALID = "address_invalid"
    PRICE_CHANGED = "price_changed"
    BAD_DEPLOYMENT = "bad_deployment"
    BAD_CONFIGURATION = "bad_configuration"
    #: Not found by looking back from an error: the verdict of `FraudScored`.
    FRAUD_BLOCKED = "fraud_blocked"
    UNKNOWN = "unknown"


#: The failures that an event of the order leads to, and what type that event is.
CULPRITS: Final[Mapping[str, type[DomainEvent]]] = {
    Failure.STOCK_SHORTAGE: InventoryShort,
    Failure.DUPLICATE_CAPTURE: PaymentSucceeded,
    Failure.LABEL_FAILED: LabelFailed,
    Failure.ADDRESS_INVALID: AddressChanged,
    Failure.PRICE_CHANGED: PriceChanged,
}


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
    shortages = [short for short in story.of(InventoryShort) if story.holds(short.data.sku)]
    still_open = [short for short in shortages if not _is_reserved(story, short)]
    for sku in dict.fromkeys(short.data.sku for short in still_open):
        first, *more = (trace(short) for short in still_open if short.data.sku == sku)
        yield Candidate(failure=Failure.STOCK_SHORTAGE, culprit=first, repeats=tuple(more))


def _is_reserved(story: Story, short: Past[InventoryShort]) -> bool:
    return any(
        reserved.data.sku == short.data.sku
        and reserved.data.wanted >= short.data.wanted
        and story.later(reserved, trace(short))
        for reserved in story.of(InventoryReserved)
    )


def duplicate_capture(story: Story) -> Iterator[Candidate]:
    """Two payments of the order are taken and kept; the second of them is to blame.

    A capture given back before an error is made good. One that was to blame for an earlier error was given back
    because of that, so it still explains the next one when nothing else was taken twice.
    """
    kept = [capture for capture in story.captures if not _is_given_back(story, capture)]
    again = kept[1:] or [capture for capture in story.captures[1:] if capture.id in story.blamed]
    if again:
        culprit, *more = (trace(capture) for capture in again)
        yield Candidate(
            failure=Failure.DUPLICATE_CAPTURE,
            culprit=culprit,
            repeats=tuple(more),
            context=(trace((kept or story.captures)[0]),),
        )


def _is_given_back(story: Story, capture: Past[PaymentSucceeded]) -> bool:
    back = [past.data for past in story.of(RefundIssued)] + [past.data for past in story.of(ChargebackReceived)]
    payment = capture.data
    returned = sum(each.amount_minor for each in back if each.payment_id == payment.payment_id)
    return any(each.payment_id == payment.payment_id for each in back) and returned >= payment.amount_minor


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
    shipped = [trace(past) for past in story.of(ShipmentBooked)] + [
        trace(past) for past in story.of(ShipmentDispatched)
    ]
    return [label for label in story.of(LabelFailed) if all(story.later(label, each) for each in shipped)]


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
        repeats=tuple(trace(change) for change in wrong if change.id != changes[-1].id),
        symptoms=tuple(trace(label) for label in labels),
    )


def _wrong_addresses(story: Story) -> Sequence[Past[AddressChanged]]:
    """The invalid changes since the last valid one."""
    wrong: list[Past[AddressChanged]] = []
    for change in story.of(AddressChanged):
        wrong = [] if change.data.valid else [*wrong, change]
    return wrong


def price_changed(story: Story) -> Iterator[Candidate]:
    """A price of the order differed at the first capture from what it was when the order was placed.

    The last change of it is to blame. A price taken back by then, or changed after the capture, is harmless.
    """
    if not story.captures:
        return
    capture = story.captures[0]
    changes = [change for change in story.of(PriceChanged) if _is_in_between(story, change, capture)]
    for sku in dict.fromkeys(change.data.sku for change in changes):
        of_sku = [change for change in changes if change.data.sku == sku]
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
