"""Delivery: no label could be printed, for a passing reason or for an address that no carrier knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.model.history import Past, trace
from agents.shop.events import AddressChanged, LabelFailed, ShipmentBooked, ShipmentDispatched
from agents.shop.facts.candidate import Candidate, Findings, Harmless
from agents.shop.facts.story import Story
from agents.shop.failures import Failure


def label_failed(story: Story) -> Findings:
    """A label failed for a passing reason and no shipment was booked since; the latest failure is to blame.

    One that failed on an invalid address is a symptom of that. One that failed for good explains nothing by itself.
    """
    wrong = wrong_addresses(story)
    booked_at = _last_booking(story)
    still_open, harmless = [], []
    for label in story.of(LabelFailed):
        if story.place(label) < booked_at:
            harmless.append(Harmless(trace(label), "label printed on a second try"))
        elif wrong and story.later(label, trace(wrong[0])):
            # Named with the address.
            continue
        elif not label.data.transient:
            harmless.append(Harmless(trace(label), "failed for good, which another event must explain"))
        else:
            still_open.append(trace(label))
    if not still_open:
        return Findings(None, harmless)
    *more, last = still_open
    return Findings(Candidate(failure=Failure.LABEL_FAILED, culprit=last, repeats=tuple(more)), harmless)


def _last_booking(story: Story) -> int:
    shipped: Sequence[Past[Any]] = [*story.of(ShipmentBooked), *story.of(ShipmentDispatched)]
    return max(map(story.place, shipped), default=-1)


def address_invalid(story: Story) -> Findings:
    """The address in force is invalid; the change that the last label failed on is to blame, else the latest."""
    wrong = wrong_addresses(story)
    open_keys = {change.key for change in wrong}
    harmless = [
        Harmless(trace(change), "address corrected")
        for change in story.of(AddressChanged)
        if not change.data.valid and change.key not in open_keys
    ]
    if not wrong:
        return Findings(None, harmless)
    labels = [label for label in story.of(LabelFailed) if story.later(label, trace(wrong[0]))]
    changes = [change for change in wrong if not labels or story.later(labels[-1], trace(change))]
    candidate = Candidate(
        failure=Failure.ADDRESS_INVALID,
        culprit=trace(changes[-1]),
        repeats=tuple(trace(change) for change in wrong if change.key != changes[-1].key),
        symptoms=tuple(trace(label) for label in labels),
    )
    return Findings(candidate, harmless)


def wrong_addresses(story: Story) -> Sequence[Past[AddressChanged]]:
    """The invalid changes since the last valid one."""
    wrong: list[Past[AddressChanged]] = []
    for change in story.of(AddressChanged):
        if change.data.valid:
            wrong.clear()
        else:
            wrong.append(change)
    return wrong
