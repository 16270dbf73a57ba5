"""Chain: what led to an error, step by step back, by the ids its events give as their causes.

Such a link outweighs every clock. It may lead to an event that is not remembered; then that is what is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from agents.model.history import EventKey, Past
from agents.shop.events import (
    DomainEvent,
    ErrorOccurred,
    InventoryReserved,
    OrderPlaced,
    PaymentAuthorized,
    PaymentSucceeded,
)
from agents.shop.facts.story import Chronicle

#: What these name as their cause is outside the order, such as a request of the customer: nothing of it is missing.
_BEGINNINGS: Final = (OrderPlaced, PaymentAuthorized, PaymentSucceeded, InventoryReserved)


@dataclass(frozen=True, slots=True)
class Chain:
    """What led to one error, as far as it is remembered."""

    #: How many steps back each cause of the error is; an error caused by an error shares its culprit.
    steps: Mapping[EventKey, int]
    #: The causes, the nearest first.
    causes: Sequence[Past[DomainEvent]]
    #: What the chain leads to and is not remembered, in one sentence; empty where it ends by itself.
    missing: tuple[str, ...]

    def late(self, at: datetime) -> Sequence[Past[DomainEvent]]:
        """The causes that happened after the error by their clocks, the earliest first."""
        return sorted((cause for cause in self.causes if cause.at > at), key=lambda cause: cause.at)


def chain_of(error: Past[ErrorOccurred], chronicle: Chronicle, culprits: Mapping[EventKey, EventKey]) -> Chain:
    """What led to the error; `culprits` are those of errors explained before, by the errors."""
    causes = causes_of(error, chronicle)
    steps = {cause.key: step for step, cause in enumerate(causes, 1)}
    shared = {culprits[key]: step + 1 for key, step in steps.items() if key in culprits}
    return Chain(shared | steps, causes, _missing(error, causes, chronicle))


def causes_of(error: Past[ErrorOccurred], chronicle: Chronicle, most: int | None = None) -> Sequence[Past[DomainEvent]]:
    """What led to the error, the nearest first; so many at most."""
    return list(islice(_back(error, chronicle), most))


def _back(error: Past[ErrorOccurred], chronicle: Chronicle) -> Iterator[Past[DomainEvent]]:
    seen = {error.key}
    cause = chronicle.cause(error)
    while cause is not None and cause.key not in seen:
        yield cause
        seen.add(cause.key)
        cause = chronicle.cause(cause)


def _missing(error: Past[ErrorOccurred], causes: Sequence[Past[DomainEvent]], chronicle: Chronicle) -> tuple[str, ...]:
    last: Past[Any] = causes[-1] if causes else error
    named = last.causationid
    # A chain that bites its tail ends with an event whose cause is remembered: the error, or one before it.
    is_whole = named in (None, "", error.id) or isinstance(last.data, _BEGINNINGS) or chronicle.cause(last) is not None
    if is_whole:
        return ()
    whom = "the error" if last is error else f"event {last.id}"
    if chronicle.is_ambiguous(str(named)):
        return (f"which of the events with the id {named} caused {whom}",)
    return (f"the event {named} that caused {whom} is not remembered",)
