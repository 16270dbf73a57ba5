"""Failures: what goes wrong in a single order. Each has one culprit, told some minutes before its error.

After an error nothing happens any more that would make good what failed: whoever decides late, decides the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from app.simulator import journey, words
from app.simulator.people import address
from app.simulator.story import OrderStory

Kind = Literal[
    "stock_shortage",
    "duplicate_capture",
    "label_failed",
    "address_invalid",
    # Both are `price_changed`: the customer paid more than the new price, or not.
    "price_overpaid",
    "price_settled",
    "unknown",
]
#: Every kind of failure of a single order; a few failures are the first of these.
KINDS: Final[tuple[Kind, ...]] = (
    "stock_shortage",
    "duplicate_capture",
    "label_failed",
    "address_invalid",
    "price_overpaid",
    "unknown",
    "price_settled",
)
#: Those that may hit an order before one of `SECOND` hits it as well. Their recoveries do not touch each other.
FIRST: Final[frozenset[Kind]] = frozenset({"duplicate_capture", "price_overpaid", "price_settled"})
SECOND: Final[frozenset[Kind]] = frozenset({"label_failed", "address_invalid"})
#: The parcel leaves in spite of these, more often than not.
_SHIPPED_ANYWAY: Final = FIRST | {"unknown"}
#: These may come to light when the parcel has left.
_LATE: Final[frozenset[Kind]] = frozenset({"duplicate_capture", "unknown"})


def failing_order(story: OrderStory, kinds: Sequence[Kind], *, noise: bool, service: str) -> None:
    """Tell an order with one failure, or with one of `FIRST` and one of `SECOND`. `service` fails for no reason."""
    journey.until_payment(story, noise=noise)
    first, *others = kinds
    if first == "stock_shortage" and story.chance.random() < 0.3:
        _stock_shortage(story, noise=noise)
        journey.judge(story, failed=True)
        return
    if first in ("price_overpaid", "price_settled"):
        _price_changed(story, overpaid=first == "price_overpaid", noise=noise)
    else:
        journey.pay(story)
        journey.after_payment(story, noise=noise)
        others = list(kinds)
        if kinds[-1] in _LATE:
            journey.deliver_early(story, noise=noise)
    for kind in others:
        if kind == "unknown":
            _unknown(story, service)
        else:
            _AFTER_PAYMENT[kind](story, noise=noise)
    if kinds[-1] in _SHIPPED_ANYWAY and not story.shipped and story.chance.random() < 0.7:
        story.ship()
    journey.judge(story, failed=True)


def _stock_shortage(story: OrderStory, *, noise: bool) -> None:
    """The shelf holds fewer pieces than the books; pieces of other skus may still come."""
    sku = story.sku
    culprit = story.stock(sku, short=True, after=(20, 400))
    others = [other for other in story.items if other != sku]
    if others and noise:
        story.stock(story.chance.choice(others), after=(1, 10))
    _fail(story, "stock_shortage", culprit, noise=noise)


def _duplicate_capture(story: OrderStory, *, noise: bool) -> None:
    """The same amount is taken again, with another payment."""
    culprit = story.capture(story.captures[0].amount_minor, again=True, after=(4, 300))
    _fail(story, "duplicate_capture", culprit, noise=noise)


def _label_failed(story: OrderStory, *, noise: bool) -> None:
    """The carrier has a bad moment, and nobody tries again."""
    text = story.chance.choice(("carrier answered 503", "connection reset by carrier", "rate limit reached"))
    culprit = story.fail_label(transient=True, message=text, after=(90, 900))
    _fail(story, "label_failed", culprit, noise=noise)


def _address_invalid(story: OrderStory, *, noise: bool) -> None:
    """The customer mistypes the new address; the label that fails is only the symptom."""
    culprit = story.change_address(address(story.chance)[::-1], valid=False, after=(20, 500))
    if noise:
        journey.bystander(story)
    symptom = story.fail_label(
        # Carriers call it transient when they mean that somebody may correct it.
        transient=story.chance.random() < 0.3,
        message=story.chance.choice(("no label", "address check failed", "try again later")),
        after=(15, 600),
        cause=culprit if story.chance.random() < 0.5 else None,
    )
    _fail(story, "address_invalid", culprit, symptom=symptom, noise=noise)


def _price_changed(story: OrderStory, *, overpaid: bool, noise: bool) -> None:
    """A price of the order changes before the capture.

    Overpaid: it fell, and the amount of before is taken. Else it rose and the amount of before is taken, or it fell
    and the new amount is taken: the customer owes nothing less than what was paid.
    """
    sku, before_minor = story.sku, story.total_minor
    rose = not overpaid and story.chance.random() < 0.5
    percent = story.chance.choice((110, 120, 135) if rose else (70, 80, 90))
    culprit = story.change_price(sku, story.prices[sku] * percent // 100, after=(2, 40))
    journey.pay(story, before_minor if overpaid or rose else None)
    _fail(story, "price_changed", culprit, noise=noise)


def _unknown(story: OrderStory, service: str) -> None:
    """A service fails, and nothing that was told explains it. It may name what it was working on."""
    story.wait((30, 900))
    last = story.happenings[-1].id if story.chance.random() < 0.2 else None
    story.error(words.outcry(story.chance, service), failure="unknown", culprit=None, cause=last)


def _fail(story: OrderStory, failure: str, culprit: str, *, noise: bool, symptom: str | None = None) -> None:
    """Tell the error. It mostly names no cause, else the culprit or the symptom."""
    if noise:
        journey.bystander(story)
    cause = story.chance.choices((None, culprit, symptom or culprit), (14, 3, 3))[0]
    story.error(words.complaint(story.chance, failure), failure=failure, culprit=culprit, cause=cause)


_AFTER_PAYMENT: Final[Mapping[Kind, Callable[..., None]]] = {
    "stock_shortage": _stock_shortage,
    "duplicate_capture": _duplicate_capture,
    "label_failed": _label_failed,
    "address_invalid": _address_invalid,
}
