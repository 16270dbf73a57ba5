"""Jumble: orders of which nobody planned what happens: money comes and goes, the order changes, errors in between.

No verdict on their errors is right or wrong; the books alone say what may go back, and whether the order may be
stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from app.simulator import words
from app.simulator.people import address
from app.simulator.steps import (
    amend,
    cancel,
    expect,
    fewer,
    forge_block,
    forge_cause,
    report_again,
    reserve_in_parts,
    support_gives_back,
)
from app.simulator.story import Minutes, OrderStory
from app.simulator.truth import Outcome

#: Long enough for an answer to what came before.
_LATER: Final[Minutes] = (30, 600)
_MOST_STEPS: Final = 9

Step = Callable[[OrderStory], None]


def jumble(story: OrderStory, service: str) -> None:
    """Tell an order by chance, with one to three errors."""
    story.place()
    for sku in story.items:
        story.stock(sku, after=(0.2, 3))
    _pay(story)
    could_always_be_delivered = True
    errors = story.chance.randrange(1, 4)
    for number in range(story.chance.randrange(3, _MOST_STEPS)):
        weights = [weight for _, weight in _STEPS]
        [(step, _)] = story.chance.choices(_STEPS, weights)
        step(story)
        could_always_be_delivered &= story.books.can_be_delivered
        if number % 3 == 0 and errors:
            errors -= 1
            _fail(story, service)
    _fail(story, service)
    cancelled = False if could_always_be_delivered else None
    expect(story, "jumble", Outcome(refund_minor=None, cancelled=cancelled, retried=None))


def _fail(story: OrderStory, service: str) -> str:
    """An error of the order without a truth of its own."""
    complaint = words.suspicion(story.chance, service)
    data = {
        "service": complaint.service,
        "step": complaint.step,
        "error": complaint.error,
        "message": complaint.message,
        "order_id": story.id,
    }
    return story.tell("ErrorOccurred", complaint.service, data, after=_LATER)


def _pay(story: OrderStory) -> None:
    """Pay what is missing, at once or in two pieces, or take a fallen price at its old amount."""
    due = story.total_minor - sum(story.books.left_minor.values())
    if not story.captures and story.chance.random() < 0.2:
        sku = story.sku
        story.change_price(sku, story.prices[sku] * story.chance.choice((8, 9, 12)) // 10, after=_LATER)
    if due > 1 and story.chance.random() < 0.3:
        story.capture(due // 2, again=True, after=_LATER)
        due -= due // 2
    if due > 0:
        story.capture(due, again=True, after=(1, 20))


def _pay_again(story: OrderStory) -> None:
    story.capture(story.chance.choice(story.captures).amount_minor, again=True, after=_LATER)


def _report_again(story: OrderStory) -> None:
    report_again(story, after=_LATER)


def _charge_back(story: OrderStory) -> None:
    """The bank takes a payment back, or a part of it."""
    payment_id = story.chance.choice(story.captures).payment_id
    left = story.books.left_minor[payment_id]
    if left > 1:
        story.charge_back(payment_id, story.chance.choice((left, left, left // 2)), after=_LATER)


def _support(story: OrderStory) -> None:
    payment_id = story.chance.choice(story.captures).payment_id
    left = story.books.left_minor[payment_id]
    if left > 1:
        support_gives_back(story, payment_id, story.chance.choice((left, left // 3 + 1)), after=_LATER)


def _amend(story: OrderStory) -> None:
    if story.books.is_off or story.books.is_shipped:
        return
    less = fewer(story)
    items = less if less and story.chance.random() < 0.6 else {sku: n + 1 for sku, n in story.items.items()}
    amend(story, items, after=_LATER)


def _short(story: OrderStory) -> None:
    if not story.books.is_shipped:
        story.stock(story.sku, short=True, after=_LATER)


def _restock(story: OrderStory) -> None:
    missing = sorted(story.books.short)
    if missing and story.chance.random() < 0.5:
        reserve_in_parts(story, missing[0])
    elif missing:
        story.stock(missing[0], after=_LATER)


def _cancel(story: OrderStory) -> None:
    if not story.books.is_off and not story.books.is_shipped:
        cancel(story, after=_LATER)


def _ship(story: OrderStory) -> None:
    if story.books.can_be_delivered and story.books.is_paid and not story.books.is_shipped:
        story.ship()


def _change_price(story: OrderStory) -> None:
    """Too late for this order."""
    sku = story.sku
    old = story.prices[sku]
    story.change_price(sku, old * story.chance.choice((8, 12)) // 10, after=_LATER)
    story.prices[sku] = old


def _mistype(story: OrderStory) -> None:
    story.change_address(address(story.chance), valid=story.chance.random() < 0.5, after=_LATER)


def _label(story: OrderStory) -> None:
    if not story.books.is_shipped:
        story.fail_label(transient=story.chance.random() < 0.5, message="no label", after=_LATER)


def _forge(story: OrderStory) -> None:
    if story.chance.random() < 0.5:
        forge_block(story, story.chance.choice(story.captures).payment_id, after=_LATER)
        return
    kind, failure = story.chance.choice(
        (("PaymentSucceeded", "duplicate_capture"), ("OrderPlaced", "stock_shortage"), ("InventoryReserved", "unknown"))
    )
    culprit = next(each.id for each in story.happenings if each.type == kind)
    forge_cause(story, failure, culprit, culprit, after=_LATER)


_STEPS: Final[Sequence[tuple[Step, int]]] = (
    (_pay, 3),
    (_pay_again, 4),
    (_report_again, 1),
    (_charge_back, 3),
    (_support, 3),
    (_amend, 3),
    (_short, 3),
    (_restock, 4),
    (_cancel, 1),
    (_ship, 1),
    (_change_price, 1),
    (_mistype, 1),
    (_label, 1),
    (_forge, 1),
)
