"""Changed prices: what was taken for the order is not what its prices came to, or became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.model.history import Past, trace
from agents.shop.events import OrderPlaced, PaymentSucceeded, PriceChanged
from agents.shop.facts.candidate import Candidate, Findings, Harmless
from agents.shop.facts.story import Story
from agents.shop.failures import Failure

Change = Past[PriceChanged]


@dataclass(frozen=True, slots=True)
class _Moved:
    """The changes of an article's price that made a difference at the capture."""

    changes: Sequence[Change]

    @property
    def culprit(self) -> Change:
        """The change that made the last price, as it was reported first."""
        culprit = self.changes[-1]
        for change in reversed(self.changes):
            if change.data != culprit.data:
                break
            culprit = change
        return culprit

    @property
    def difference_minor(self) -> int:
        """Of one piece."""
        return self.changes[-1].data.new_minor - self.changes[0].data.old_minor


def price_changed(story: Story) -> Findings:
    """Prices of the order differed at the first capture from what they were when the order was placed.

    Of each article the last change is to blame, of several articles the first of those. A price taken back by then, or
    changed after the capture, is harmless. One that fell and was charged right explains an error only weakly: nobody
    is owed anything.
    """
    captures = story.captures
    harmless: list[Harmless] = []
    by_sku: dict[str, list[Change]] = {}
    for change in story.of(PriceChanged):
        if why := _is_outside(story, change, captures):
            harmless.append(Harmless(trace(change), why))
        else:
            by_sku.setdefault(change.data.sku, []).append(change)
    moved: dict[str, _Moved] = {}
    for sku, changes in by_sku.items():
        if changes[0].data.old_minor != changes[-1].data.new_minor:
            moved[sku] = _Moved(changes)
        else:
            harmless += [Harmless(trace(change), "price taken back before the capture") for change in changes]
    if not moved:
        return Findings(None, harmless)
    culprit = min((each.culprit for each in moved.values()), key=story.place)
    every = [change for each in moved.values() for change in each.changes if change.key != culprit.key]
    if (back := _given_back(story, moved)) and culprit.key not in story.blamed:
        return Findings(None, [*harmless, *(Harmless(trace(each), back) for each in (culprit, *every))])
    candidate = Candidate(
        failure=Failure.PRICE_CHANGED,
        culprit=trace(culprit),
        repeats=tuple(trace(change) for change in sorted(every, key=story.place)),
        context=(trace(captures[0]),),
        is_weak=_is_charged_right(story, moved),
    )
    return Findings(candidate, harmless)


def _is_outside(story: Story, change: Change, captures: Sequence[Past[PaymentSucceeded]]) -> str:
    """Why the change made no difference to what was taken; "" when it may have."""
    if not story.holds(change.data.sku):
        return "article not in the order"
    if change.data.old_minor == change.data.new_minor:
        return "the price stayed the same"
    if not captures:
        return "nothing was captured"
    if story.later(change, trace(captures[0])):
        return "after the capture"
    agreed = story.agreed
    if agreed is not None and not story.later(change, trace(agreed)):
        is_agreed = agreed is story.placed or change.data.new_minor in _prices_of(agreed, change.data.sku)
        return "before the order" if is_agreed else ""
    return ""


def _prices_of(order: Past[OrderPlaced], sku: str) -> Sequence[int]:
    return [item.price_minor for item in order.data.items if item.sku == sku]


def _is_charged_right(story: Story, moved: Mapping[str, _Moved]) -> bool:
    """Whether prices fell in all, and what pays for the order is exactly what they came to."""
    agreed = story.agreed
    if agreed is None:
        return False
    changed_minor = _changed_minor(agreed.data, moved)
    if changed_minor >= agreed.data.total_minor:
        return False
    taken_minor = 0
    for capture in story.captures:
        taken_minor += capture.data.amount_minor
        if taken_minor == changed_minor:
            return True
    return False


def _given_back(story: Story, moved: Mapping[str, _Moved]) -> str:
    """Why the change was made good: something was given back, and no more is left than the order is worth now."""
    agreed = story.agreed
    taken_minor = sum(capture.data.amount_minor for capture in story.captures)
    left_minor = sum(story.account.left(capture.data) for capture in story.captures)
    if agreed is None or left_minor == taken_minor:
        return ""
    worth_minor = min(agreed.data.total_minor, _changed_minor(agreed.data, moved))
    return "the difference was given back" if left_minor <= worth_minor else ""


def _changed_minor(agreed: OrderPlaced, moved: Mapping[str, _Moved]) -> int:
    """What the order comes to at the prices that changed."""
    return agreed.total_minor + sum(
        item.quantity * moved[item.sku].difference_minor for item in agreed.items if item.sku in moved
    )
