"""Journey: an order as it usually goes, and the harmless things that happen on the way.

Each of the harmless things looks like a culprit and is none, because it is made good, comes too late, or is about
something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from app.simulator import words
from app.simulator.people import CATALOGUE, Temperament, address
from app.simulator.story import OrderStory

_REFUSALS: Final = ("insufficient funds", "issuer unavailable", "3-D Secure timed out")


def until_payment(story: OrderStory, *, noise: bool) -> None:
    """The order is placed, its pieces are kept and its amount is held back."""
    story.place()
    for sku in story.items:
        story.stock(sku, after=(0.2, 3))
    story.authorize()
    if noise:
        _happen(story, (price_taken_back, other_price_changed, payment_refused, short_and_restocked), share=0.3)


def pay(story: OrderStory, amount_minor: int | None = None) -> str:
    """The amount is taken (without one, that of now); returns the event's id."""
    return story.capture(amount_minor, after=(5, 80))


def after_payment(story: OrderStory, *, noise: bool) -> None:
    """Nothing, or something harmless."""
    if noise:
        _happen(story, (price_changed_late, address_corrected, moved, short_and_restocked, asked), share=0.35)


def deliver(story: OrderStory, *, noise: bool) -> None:
    """The parcel leaves, perhaps with a label at the second try."""
    if noise and story.chance.random() < 0.12:
        label_retried(story)
        story.ship(after=(5, 60))
    else:
        story.ship()


def deliver_early(story: OrderStory, *, noise: bool) -> None:
    """Now and then the parcel leaves, at the second try, before something else fails."""
    if noise and story.chance.random() < 0.3:
        label_retried(story)
        story.ship(after=(5, 60))


def judge(story: OrderStory, *, failed: bool) -> None:
    """The customer says what they think of it, if anything."""
    mood = _mood(story, failed=failed)
    if story.chance.random() < 0.2:
        story.hear("SupportMessageReceived", {"text": words.message(story.chance, mood)}, mood=mood, after=(60, 1_500))
    if story.chance.random() < 0.45:
        stars, text = words.review(story.chance, mood)
        story.hear("ReviewPosted", {"stars": stars, "text": text}, mood=mood, after=(1_000, 4_000))


def speak_up(story: OrderStory) -> None:
    """Most customers complain, in words that are hard to read; some are polite afterwards, and settle nothing by it."""
    if story.chance.random() < 0.6:
        text = words.complaint_of_customer(story.chance)
        if story.chance.random() < 0.5:
            story.hear("SupportMessageReceived", {"text": text}, mood="angry", after=(60, 600))
        else:
            stars = story.chance.choice((1, 2, 3))
            story.hear("ReviewPosted", {"stars": stars, "text": text}, mood="angry", after=(60, 600))
        if story.chance.random() < 0.4:
            text = words.politeness(story.chance)
            story.hear("SupportMessageReceived", {"text": text}, mood="neutral", after=(30, 300))


def bystander(story: OrderStory) -> None:
    """Something harmless between a culprit and its error."""
    if story.captures:
        _happen(story, (price_changed_late, other_price_changed, asked), share=0.35)
    else:
        _happen(story, (other_price_changed, asked), share=0.35)


def price_taken_back(story: OrderStory) -> None:
    """A price changes and becomes the old one again, before the payment."""
    sku = story.sku
    old = story.prices[sku]
    story.change_price(sku, old + old // 5, after=(1, 15))
    story.change_price(sku, old, after=(1, 15))


def price_changed_late(story: OrderStory) -> None:
    """A price of the order changes when it is paid."""
    sku = story.sku
    story.change_price(sku, story.prices[sku] * story.chance.choice((85, 90, 110)) // 100, after=(2, 40))


def other_price_changed(story: OrderStory) -> None:
    """The price of something the customer did not order changes."""
    sku = story.chance.choice([sku for sku in CATALOGUE if sku not in story.items])
    story.change_price(sku, CATALOGUE[sku] * 8 // 10, after=(1, 15))


def payment_refused(story: OrderStory) -> None:
    """The first attempt to pay fails; the next one will not."""
    story.refuse(story.chance.choice(_REFUSALS), after=(1, 10))


def short_and_restocked(story: OrderStory) -> None:
    """Pieces are missing and turn up."""
    sku = story.sku
    story.stock(sku, short=True, after=(5, 30))
    story.stock(sku, after=(10, 60))


def address_corrected(story: OrderStory) -> None:
    """A mistyped address is put right."""
    story.change_address("12 Mian Stret", valid=False, after=(5, 60))
    story.change_address("12 Main Street", valid=True, after=(5, 90))


def moved(story: OrderStory) -> None:
    """The parcel shall go to another address, which exists."""
    story.change_address(address(story.chance), valid=True, after=(5, 120))


def asked(story: OrderStory) -> None:
    """The customer writes in between."""
    mood = story.customer.temperament
    text = words.message(story.chance, mood)
    story.hear("SupportMessageReceived", {"text": text}, mood=mood, after=(5, 60))


def label_retried(story: OrderStory) -> None:
    """The carrier has a bad moment; the shipment is booked after it."""
    story.fail_label(transient=True, message="carrier answered 503", after=(90, 900))


def _happen(story: OrderStory, things: Sequence[Callable[[OrderStory], None]], *, share: float) -> None:
    """With this probability one of the things happens, now and then two."""
    for thing in story.chance.sample(things, 2):
        if story.chance.random() < share:
            thing(story)


def _mood(story: OrderStory, *, failed: bool) -> Temperament:
    if failed:
        return "angry" if story.chance.random() < 0.8 else "neutral"
    # Who is easily upset is so with a parcel that came in time as well, but not always.
    if story.customer.temperament == "angry" and story.chance.random() < 0.5:
        return "neutral"
    return story.customer.temperament
