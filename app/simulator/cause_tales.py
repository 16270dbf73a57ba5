"""Cause tales: errors that come in storms and cascades, before their causes, or by clocks that are wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from app.simulator import journey, words
from app.simulator.steps import expect
from app.simulator.story import OrderStory
from app.simulator.truth import Outcome
from app.simulator.words import Complaint

#: Errors of one order in a storm.
STORM: Final = 60


def storm_of_one(story: OrderStory, service: str) -> None:
    """Pieces are missing, and every attempt to pack fails again: one story, however often it is told."""
    del service
    culprit = _short(story)
    _all_back(story, "storm_of_one")
    complaint = words.complaint(story.chance, "stock_shortage")
    _again_and_again(story, complaint, "stock_shortage", culprit)


def storm_of_the_unknown(story: OrderStory, service: str) -> None:
    """A service fails again and again for one order, and nothing explains it: one story, and a person hears once."""
    journey.until_payment(story, noise=False)
    journey.pay(story)
    expect(story, "storm_of_the_unknown", Outcome(escalated=True), most_escalations=2)
    story.wait((20, 300))
    complaint = words.suspicion(story.chance, service)
    _again_and_again(story, complaint, "unknown", None)


def cascade(story: OrderStory, service: str) -> None:
    """Pieces are missing; the error of one service makes the next one fail, and each says so."""
    del service
    culprit = _short(story)
    _all_back(story, "cascade")
    cause = culprit
    for place in ("inventory", "shipping", "notifications"):
        complaint = words.at(story.chance, place, "stock_shortage")
        cause = story.error(complaint, failure="stock_shortage", culprit=culprit, cause=cause, after=(0.5, 10))


def late_cause(story: OrderStory, service: str) -> None:
    """What happened first is told last: the missing pieces reach the log after the error they led to."""
    del service
    journey.until_payment(story, noise=False)
    journey.pay(story)
    culprit = story.stock(story.sku, short=True, after=(20, 400), late=timedelta(minutes=60))
    _all_back(story, "late_cause")
    story.error(words.complaint(story.chance, "stock_shortage"), failure="stock_shortage", culprit=culprit)
    story.wait((60, 90))


def late_second_capture(story: OrderStory, service: str) -> None:
    """The second capture reaches the log after the error."""
    del service
    journey.until_payment(story, noise=False)
    journey.pay(story)
    culprit = story.capture(again=True, after=(4, 200), late=timedelta(minutes=60))
    last = story.captures[-1]
    expect(story, "late_second_capture", Outcome(refund_minor={last.payment_id: last.amount_minor}, notified=True))
    complaint = words.complaint(story.chance, "duplicate_capture")
    story.error(complaint, failure="duplicate_capture", culprit=culprit)
    story.wait((60, 90))


def clock_ahead(story: OrderStory, service: str) -> None:
    """The clock of the warehouse is minutes ahead: the missing pieces seem to come after the error."""
    del service
    journey.until_payment(story, noise=False)
    journey.pay(story)
    story.skews["inventory"] = timedelta(minutes=story.chance.choice((5, 11, 25)))
    culprit = story.stock(story.sku, short=True, after=(20, 400))
    _all_back(story, "clock_ahead")
    also = [("unknown", None)]
    complaint = words.at(story.chance, "shipping", "stock_shortage")
    story.error(complaint, failure="stock_shortage", culprit=culprit, after=(1, 4), also=also)


def clock_behind(story: OrderStory, service: str) -> None:
    """The clock of the warehouse is minutes behind: pieces that were found seem to be missing again."""
    journey.until_payment(story, noise=False)
    journey.pay(story)
    sku = story.sku
    story.stock(sku, short=True, after=(20, 60))
    story.skews["inventory"] = -timedelta(minutes=story.chance.choice((5, 11, 25)))
    story.stock(sku, after=(1, 4))
    expect(story, "clock_behind", Outcome())
    story.wait((20, 300))
    complaint = words.suspicion(story.chance, service)
    story.error(complaint, failure="unknown", culprit=None)


def _again_and_again(story: OrderStory, complaint: Complaint, failure: str, culprit: str | None) -> None:
    """The same error, many times; it needs one verdict."""
    for number in range(STORM):
        story.error(complaint, failure=failure, culprit=culprit, after=(0.2, 2), repeats=number > 0)


def _short(story: OrderStory) -> str:
    journey.until_payment(story, noise=False)
    journey.pay(story)
    return story.stock(story.sku, short=True, after=(20, 400))


def _all_back(story: OrderStory, kind: str) -> None:
    back = {each.payment_id: each.amount_minor for each in story.captures}
    expect(story, kind, Outcome(refund_minor=back, cancelled=True, notified=True))
