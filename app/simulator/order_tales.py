"""Order tales: orders that change, are called off, or fail in a way the shop can mend."""

from __future__ import annotations

from datetime import timedelta

from app.simulator import journey, words
from app.simulator.money_tales import puzzle
from app.simulator.people import address
from app.simulator.steps import (
    a_person,
    amend,
    cancel,
    expect,
    fewer,
    forge_block,
    forge_cause,
    nothing_due,
    reserve_in_parts,
    want_two_articles,
    want_two_pieces,
)
from app.simulator.story import OrderStory
from app.simulator.truth import Outcome


def fewer_pieces(story: OrderStory, service: str) -> None:
    """The customer wants less, and paid for more."""
    want_two_pieces(story)
    _paid(story)
    amend(story, fewer(story))
    [capture] = story.captures
    back = {capture.payment_id: story.books.owed_minor}
    expect(story, "fewer_pieces", Outcome(refund_minor=back), Outcome(escalated=True))
    puzzle(story, service)


def fewer_pieces_before(story: OrderStory, service: str) -> None:
    """The customer wants less before they pay, and pays for that."""
    want_two_pieces(story)
    story.place()
    amend(story, fewer(story), after=(1, 30))
    story.authorize()
    journey.pay(story)
    nothing_due(story, "fewer_pieces_before")
    puzzle(story, service)


def without_the_missing_article(story: OrderStory, service: str) -> None:
    """An article is missing, and the customer does without it before they pay: the rest can be delivered."""
    want_two_articles(story)
    story.place()
    missing, *others = story.items
    for sku in others:
        story.stock(sku, after=(0.2, 3))
    story.stock(missing, short=True, after=(1, 10))
    amend(story, {sku: story.items[sku] for sku in others}, after=(5, 60))
    story.authorize()
    journey.pay(story)
    nothing_due(story, "without_the_missing_article")
    puzzle(story, service)


def did_without_when_paid(story: OrderStory, service: str) -> None:
    """The same after the payment: what the missing article cost is owed, and the rest can be delivered."""
    want_two_articles(story)
    _paid(story)
    missing, *others = story.items
    story.stock(missing, short=True, after=(20, 300))
    amend(story, {sku: story.items[sku] for sku in others}, after=(5, 60))
    [capture] = story.captures
    back = {capture.payment_id: story.books.owed_minor}
    expect(story, "did_without_when_paid", Outcome(refund_minor=back), Outcome(escalated=True))
    puzzle(story, service)


def more_pieces(story: OrderStory, service: str) -> None:
    """The customer wants more when they have paid: the rest is still due, and nothing goes back."""
    _paid(story)
    amend(story, {sku: quantity + 1 for sku, quantity in story.items.items()})
    a_person(story, "more_pieces")
    puzzle(story, service)


def versions_overtake(story: OrderStory, service: str) -> None:
    """The newest version of the order reaches the log before the one it replaces."""
    want_two_pieces(story)
    story.place(late=timedelta(minutes=90))
    amend(story, fewer(story), after=(1, 5))
    story.authorize()
    journey.pay(story)
    story.books.is_unclear = True
    story.wait((100, 120))
    a_person(story, "versions_overtake")
    puzzle(story, service)


def found_in_parts(story: OrderStory, service: str) -> None:
    """Pieces are missing and are found one by one."""
    want_two_pieces(story)
    _paid(story)
    reserve_in_parts(story, max(story.items, key=lambda sku: story.items[sku]))
    nothing_due(story, "found_in_parts")
    puzzle(story, service)


def two_articles_short(story: OrderStory, service: str) -> None:
    """Two articles are missing: one failure."""
    del service
    want_two_articles(story)
    _paid(story)
    first, second, *_ = story.items
    culprits = [story.stock(sku, short=True, after=(5, 60)) for sku in (first, second)]
    _all_back(story, "two_articles_short")
    complaint = words.complaint(story.chance, "stock_shortage")
    also = [("stock_shortage", culprits[1])]
    story.error(complaint, failure="stock_shortage", culprit=culprits[0], also=also)


def paid_when_stopped(story: OrderStory, service: str) -> None:
    """Pieces are missing, the order is stopped, and the customer pays for it all the same."""
    del service
    journey.until_payment(story, noise=False)
    culprit = story.stock(story.sku, short=True, after=(20, 300))
    expect(story, "paid_when_stopped", Outcome(cancelled=True))
    story.error(words.complaint(story.chance, "stock_shortage"), failure="stock_shortage", culprit=culprit)
    journey.pay(story)
    [capture] = story.captures
    back = {capture.payment_id: capture.amount_minor}
    expect(
        story,
        "paid_when_stopped",
        Outcome(refund_minor=back, cancelled=True),
        Outcome(cancelled=True, escalated=True),
    )


def called_off(story: OrderStory, service: str) -> None:
    """The customer cancels before anything is shipped: their money is owed, though nothing failed."""
    del service
    _paid(story)
    cancel(story, after=(20, 400))
    [capture] = story.captures
    back = {capture.payment_id: capture.amount_minor}
    expect(story, "called_off", Outcome(refund_minor=back, cancelled=None))


def called_off_on_its_way(story: OrderStory, service: str) -> None:
    """The customer cancels what has left: somebody has to wait for the parcel to come back."""
    del service
    _paid(story)
    story.ship()
    cancel(story, after=(20, 400))
    expect(story, "called_off_on_its_way", Outcome(escalated=True, cancelled=None))


def corrected_when_asked(story: OrderStory, service: str) -> None:
    """The address is wrong, the shop asks, the customer corrects it: the parcel can go."""
    del service
    _paid(story)
    culprit = story.change_address(address(story.chance)[::-1], valid=False, after=(20, 400))
    story.fail_label(transient=False, message="address check failed", after=(15, 200), cause=culprit)
    # Nobody need be asked where the correction was faster.
    expect(story, "corrected_when_asked", Outcome(retried=True), Outcome(notified=True, escalated=True))
    story.error(words.complaint(story.chance, "address_invalid"), failure="address_invalid", culprit=culprit)
    story.change_address(address(story.chance), valid=True, after=(120, 600))


def forged_cause(story: OrderStory, service: str) -> None:
    """A stranger blames an event of the order that did no harm, for an error nobody can explain."""
    want_two_pieces(story)
    _paid(story)
    sku = story.sku
    story.stock(sku, short=True, after=(5, 30))
    harmless = story.stock(sku, short=True, after=(0.5, 3))
    story.stock(sku, after=(10, 60))
    nothing_due(story, "forged_cause")
    error = puzzle(story, service)
    forge_cause(story, "stock_shortage", harmless, error)
    paid = next(each.id for each in story.happenings if each.type == "PaymentSucceeded")
    forge_cause(story, "duplicate_capture", paid, error)


def forged_block(story: OrderStory, service: str) -> None:
    """A stranger says that the payment, or one the order does not have, is fraud."""
    del service
    _paid(story)
    [capture] = story.captures
    nothing_due(story, "forged_block")
    forge_block(story, story.chance.choice((capture.payment_id, f"{capture.payment_id}-unknown")))
    story.ship()


def shared_payment(story: OrderStory, service: str) -> None:
    """Another order was paid with a payment of the same id; pieces of this one are missing."""
    del service
    journey.until_payment(story, noise=False)
    story.capture(after=(5, 80), paid_with={"payment_id": f"shared-{int(story.id[2:]) // 1000}"})
    culprit = story.stock(story.sku, short=True, after=(20, 300))
    _all_back(story, "shared_payment")
    story.error(words.complaint(story.chance, "stock_shortage"), failure="stock_shortage", culprit=culprit)


def _paid(story: OrderStory) -> None:
    journey.until_payment(story, noise=False)
    journey.pay(story)


def _all_back(story: OrderStory, kind: str) -> None:
    back = {each.payment_id: each.amount_minor for each in story.captures}
    expect(story, kind, Outcome(refund_minor=back, cancelled=True, notified=True))
