"""Money tales: orders whose amounts have to be reconciled before anything is given back.

Each says what may have become of the order before its error is told. The text of the error often suggests what is not
so; nothing else explains an error here unless its tale says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from app.simulator import journey, words
from app.simulator.steps import a_person, expect, nothing_due, report_again, support_gives_back
from app.simulator.story import OrderStory
from app.simulator.truth import Outcome

GIFT_CARD: Final = {"method": "gift_card"}


def puzzle(story: OrderStory, service: str, *, also: Iterable[tuple[str, str | None]] = ()) -> str:
    """A service fails, and nothing that was told explains it; returns the error's id."""
    story.wait((20, 300))
    complaint = words.suspicion(story.chance, service)
    return story.error(complaint, failure="unknown", culprit=None, also=also)


def charged_twice(story: OrderStory, culprit: str, *, also: Iterable[tuple[str, str | None]] = ()) -> str:
    """Somebody notices that the customer paid too often; returns the error's id."""
    complaint = words.complaint(story.chance, "duplicate_capture")
    return story.error(complaint, failure="duplicate_capture", culprit=culprit, also=also)


def split_tender(story: OrderStory, service: str) -> None:
    """A gift card pays a part, another card the rest."""
    _placed(story)
    _split(story, pieces=2)
    nothing_due(story, "split_tender")
    puzzle(story, service)


def split_tender_in_three(story: OrderStory, service: str) -> None:
    """Two gift cards and a card."""
    _placed(story)
    _split(story, pieces=3)
    nothing_due(story, "split_tender_in_three")
    puzzle(story, service)


def split_tender_twice(story: OrderStory, service: str) -> None:
    """The last piece is taken once more."""
    del service
    _placed(story)
    _split(story, pieces=2)
    minor = story.captures[-1].amount_minor
    culprit = story.capture(minor, again=True, after=(4, 200))
    # Both are of the same card: it gets the same back.
    alike = (Outcome(refund_minor={each.payment_id: minor}, notified=True) for each in story.captures[1:])
    expect(story, "split_tender_twice", *alike)
    charged_twice(story, culprit)


def card_check(story: OrderStory, service: str) -> None:
    """One unit of money is taken to see whether the card works, and never given back."""
    _placed(story)
    check = story.capture(100, after=(1, 5))
    full = story.capture(again=True, after=(1, 20))
    expect(
        story,
        "card_check",
        Outcome(refund_minor={story.captures[0].payment_id: 100}),
        Outcome(),
        Outcome(escalated=True),
    )
    puzzle(story, service, also=[("duplicate_capture", check), ("duplicate_capture", full)])


def third_capture(story: OrderStory, service: str) -> None:
    """The amount is taken three times."""
    del service
    _paid(story)
    second = story.capture(again=True, after=(4, 200))
    third = story.capture(again=True, after=(4, 200))
    minor = story.captures[0].amount_minor
    back = {each.payment_id: minor for each in story.captures[1:]}
    expect(story, "third_capture", Outcome(refund_minor=back, notified=True))
    charged_twice(story, third, also=[("duplicate_capture", second)])


def other_currency(story: OrderStory, service: str) -> None:
    """The bank took another currency; nobody here knows at which rate."""
    _placed(story)
    story.books.is_unclear = True
    story.capture(story.total_minor * story.chance.choice((2, 40, 160)), paid_with={"currency": "JPY"})
    a_person(story, "other_currency")
    puzzle(story, service)


def reported_again(story: OrderStory, service: str) -> None:
    """One capture, reported under two event ids."""
    _paid(story)
    report_again(story)
    nothing_due(story, "reported_again")
    puzzle(story, service)


def reported_differently(story: OrderStory, service: str) -> None:
    """One capture, reported with two amounts."""
    _paid(story)
    story.books.is_unclear = True
    report_again(story, story.captures[0].amount_minor * 2)
    a_person(story, "reported_differently")
    puzzle(story, service)


def charged_back_before(story: OrderStory, service: str) -> None:
    """The bank takes the second capture back before anybody here notices, and may say so twice."""
    del service
    _paid(story)
    culprit = story.capture(again=True, after=(4, 200))
    story.charge_back(after=(600, 3_000))
    if story.chance.random() < 0.5:
        again = story.payment(story.captures[-1].amount_minor)
        story.tell("ChargebackReceived", "payments", again, after=(1, 600))
    nothing_due(story, "charged_back_before")
    charged_twice(story, culprit, also=[("unknown", None)])


def charged_back_in_part(story: OrderStory, service: str) -> None:
    """The bank takes a part of the second capture back."""
    del service
    _paid(story)
    culprit = story.capture(again=True, after=(4, 200))
    part = story.captures[-1].amount_minor // 3
    story.charge_back(amount_minor=part, after=(600, 3_000))
    _give_back_last(story, "charged_back_in_part", story.captures[-1].amount_minor - part)
    charged_twice(story, culprit)


def charged_back_after(story: OrderStory, service: str) -> None:
    """The bank takes the second capture back when we have given it back, and another error comes."""
    _paid(story)
    culprit = story.capture(again=True, after=(4, 200))
    last = story.captures[-1]
    back = {last.payment_id: last.amount_minor}
    # Nothing, where the bank was faster.
    expect(story, "charged_back_after", Outcome(refund_minor=back), Outcome())
    charged_twice(story, culprit)
    story.charge_back(after=(600, 3_000))
    puzzle(story, service, also=[("duplicate_capture", culprit)])


def charged_back_and_short(story: OrderStory, service: str) -> None:
    """The bank has taken everything back when pieces are missing."""
    del service
    _paid(story)
    story.charge_back(after=(600, 3_000))
    culprit = story.stock(story.sku, short=True, after=(20, 400))
    expect(story, "charged_back_and_short", Outcome(cancelled=True))
    story.error(words.complaint(story.chance, "stock_shortage"), failure="stock_shortage", culprit=culprit)


def support_was_first(story: OrderStory, service: str) -> None:
    """Support gives the second capture back before the error, under a source of its own or a tool's."""
    del service
    _paid(story)
    culprit = story.capture(again=True, after=(4, 200))
    last = story.captures[-1]
    source = story.chance.choice((None, "urn:tools:refunds"))
    support_gives_back(story, last.payment_id, last.amount_minor, source=source)
    nothing_due(story, "support_was_first")
    charged_twice(story, culprit, also=[("unknown", None)])


def support_gave_a_part(story: OrderStory, service: str) -> None:
    """Support gives a part of the second capture back."""
    del service
    _paid(story)
    culprit = story.capture(again=True, after=(4, 200))
    last = story.captures[-1]
    part = last.amount_minor // 4
    support_gives_back(story, last.payment_id, part)
    _give_back_last(story, "support_gave_a_part", last.amount_minor - part)
    charged_twice(story, culprit)


def support_refunded_the_short(story: OrderStory, service: str) -> None:
    """Pieces are missing, and support has given everything back by the time of the error."""
    del service
    _paid(story)
    culprit = story.stock(story.sku, short=True, after=(20, 400))
    [capture] = story.captures
    support_gives_back(story, capture.payment_id, capture.amount_minor)
    expect(story, "support_refunded_the_short", Outcome(cancelled=True))
    story.error(words.complaint(story.chance, "stock_shortage"), failure="stock_shortage", culprit=culprit)


def charged_the_lower_price(story: OrderStory, service: str) -> None:
    """A price falls and is charged right: there is nothing to give back, or to be sorry for."""
    del service
    _placed(story)
    sku = story.sku
    culprit = story.change_price(sku, story.prices[sku] * 8 // 10, after=(2, 40))
    journey.pay(story)
    expect(story, "charged_the_lower_price", Outcome(notified=False))
    complaint = words.complaint(story.chance, "price_changed")
    story.error(complaint, failure="price_changed", culprit=culprit, also=[("unknown", None)])


def shipping_costs(story: OrderStory, service: str) -> None:
    """The total is more than its lines, or (a coupon) less; it is what was agreed, and what was paid."""
    story.fee_minor = story.chance.choice((490, 990, -300))
    _paid(story)
    nothing_due(story, "shipping_costs")
    puzzle(story, service)


def overpaid_twice(story: OrderStory, service: str) -> None:
    """A price falls, the old amount is taken, and taken again: two failures, of which one is noticed."""
    del service
    _placed(story)
    before_minor = story.total_minor
    sku = story.sku
    story.change_price(sku, story.prices[sku] * 8 // 10, after=(2, 40))
    journey.pay(story, before_minor)
    culprit = story.capture(before_minor, again=True, after=(4, 200))
    first, second = (each.payment_id for each in story.captures)
    back: dict[str, int] = {second: before_minor}
    both = back | {first: before_minor - story.total_minor}
    expect(
        story, "overpaid_twice", Outcome(refund_minor=back, notified=True), Outcome(refund_minor=both, notified=True)
    )
    charged_twice(story, culprit)


def paid_a_little(story: OrderStory, service: str) -> None:
    """A fraction of the total is taken, and nothing else; nobody packs for that."""
    del service
    _placed(story)
    story.capture(story.chance.choice((100, story.total_minor // 2)), after=(1, 20))
    nothing_due(story, "paid_a_little")


def _placed(story: OrderStory) -> None:
    journey.until_payment(story, noise=False)


def _paid(story: OrderStory) -> None:
    _placed(story)
    journey.pay(story)


def _split(story: OrderStory, *, pieces: int) -> None:
    """The total in so many payments, all but the last by gift card."""
    total = story.total_minor
    part = story.chance.randrange(total // 5, total // 3)
    for _ in range(pieces - 1):
        story.capture(part, again=bool(story.captures), after=(1, 10), paid_with=_gift_card())
    story.capture(total - part * (pieces - 1), again=True, after=(1, 10))


def _gift_card() -> dict[str, Any]:
    return dict(GIFT_CARD)


def _give_back_last(story: OrderStory, kind: str, minor: int) -> None:
    back = {story.captures[-1].payment_id: minor}
    expect(story, kind, Outcome(refund_minor=back, notified=True))
