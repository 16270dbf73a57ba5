"""Captures: the order was paid, and paid again.

Amounts tell a duplicate from a second tender, the check of a card, and the rest of an order that was made larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.model.history import Past, trace
from agents.shop.events import OrderPlaced, PaymentSucceeded
from agents.shop.facts.candidate import Candidate, Findings, Harmless
from agents.shop.facts.story import Story
from agents.shop.failures import Failure

Capture = Past[PaymentSucceeded]


@dataclass(frozen=True, slots=True)
class _Paid:
    """A capture, what was paid for the order before it, and what the order came to then, in minor units."""

    capture: Capture
    before_minor: int
    total_minor: int


def duplicate_capture(story: Story) -> Findings:
    """Captures are kept that pay again what was paid; the first of them is to blame.

    A capture given back before an error is made good. One that was to blame for an earlier error was given back
    because of that, so it still explains the next one when nothing else was taken twice.
    """
    captures = story.captures
    if len(captures) < 2:
        return Findings()
    back = [capture for capture in captures if not story.account.left(capture.data)]
    kept = [capture for capture in captures if story.account.left(capture.data)]
    again, why = _again(story, kept)
    blamed = [capture for capture in captures[1:] if capture.key in story.blamed]
    blamed_again = again or (blamed if any(capture in back for capture in blamed) else [])
    named = {capture.key for capture in blamed_again}
    harmless = [
        Harmless(trace(capture), "capture given back" if capture in back else why)
        for capture in captures[1:]
        if capture.key not in named
    ]
    if not blamed_again:
        return Findings(None, harmless)
    culprit, *more = map(trace, blamed_again)
    first = next(capture for capture in [*kept, *captures] if capture.key not in named)
    candidate = Candidate(
        failure=Failure.DUPLICATE_CAPTURE,
        culprit=culprit,
        repeats=tuple(more),
        context=(trace(first),),
        doubt="" if story.placed else "what the order comes to: it is not known",
    )
    return Findings(candidate, harmless)


def _again(story: Story, kept: Sequence[Capture]) -> tuple[Sequence[Capture], str]:
    """The captures that pay again, the earliest first; and why the others do not."""
    currencies = {capture.data.currency for capture in kept}
    order = story.amended.data if story.amended else None
    if order is not None:
        currencies.add(order.currency)
    if len(currencies) > 1:
        return [], "amounts are in several currencies"
    if order is None:
        return _equal_to_an_earlier_one(kept), "of another amount than the payments before it"
    left_minor = sum(story.account.left(capture.data) for capture in kept)
    surplus_minor = left_minor - order.total_minor
    if surplus_minor <= 0:
        return [], "pays for the order together with the others"
    paid = list(_paid(story, kept))
    was_amended = any(each.total_minor != order.total_minor for each in paid)
    again = [] if was_amended else _exactly(kept, surplus_minor)
    return again or _beyond(kept, paid), "pays for no part of the order a second time"


def _equal_to_an_earlier_one(kept: Sequence[Capture]) -> Sequence[Capture]:
    seen: set[int] = set()
    equal = []
    for capture in kept:
        if capture.data.amount_minor in seen:
            equal.append(capture)
        seen.add(capture.data.amount_minor)
    return equal


def _exactly(kept: Sequence[Capture], surplus_minor: int) -> Sequence[Capture]:
    """The last capture that makes up the surplus and is equal to an earlier one."""
    return [each for each in _equal_to_an_earlier_one(kept) if each.data.amount_minor == surplus_minor][-1:]


def _beyond(kept: Sequence[Capture], paid: Sequence[_Paid]) -> Sequence[Capture]:
    """The captures taken when the order had been paid that pay again what was paid.

    Those are as much as an earlier one, as the order, or together as much as it. The rest, such as the check of a card,
    is money beyond the order but no duplicate.
    """
    equal = _equal_to_an_earlier_one(kept)
    late = [each for each in paid if each.before_minor >= each.total_minor]
    repeated = {capture.key for capture in equal}
    again = [
        each.capture
        for each in late
        if each.capture.key in repeated or each.capture.data.amount_minor == each.total_minor
    ]
    if not again and late and sum(each.capture.data.amount_minor for each in late) >= late[-1].total_minor:
        return [each.capture for each in late]
    return again


def _paid(story: Story, kept: Sequence[Capture]) -> Iterator[_Paid]:
    """Each capture with what came before it; an order placed after it counts as its first version."""
    versions: list[Past[OrderPlaced]] = list(story.of(OrderPlaced))
    before_minor = version = 0
    for capture in kept:
        while version + 1 < len(versions) and story.later(capture, trace(versions[version + 1])):
            version += 1
        yield _Paid(capture, before_minor, versions[version].data.total_minor)
        before_minor += capture.data.amount_minor
