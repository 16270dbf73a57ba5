"""Frauds: stolen cards that are tried out, and accounts that were taken over. Their orders never fail."""

from __future__ import annotations

from typing import Final, Literal

from app.simulator import journey, people
from app.simulator.story import OrderStory

Fraud = Literal["card_test", "before_takeover", "charged_back", "takeover"]
#: Those that can be told by what came before: the others look like any order.
_RECOGNISABLE: Final[frozenset[Fraud]] = frozenset({"card_test", "takeover"})


def fraudulent_order(story: OrderStory, fraud: Fraud) -> None:
    """Tell one order of a fraudulent customer."""
    story.books.is_stolen = fraud in _RECOGNISABLE
    if fraud == "card_test":
        _card_test(story)
    elif fraud == "takeover":
        _takeover(story)
    else:
        journey.until_payment(story, noise=False)
        journey.pay(story)
        story.ship()
        if fraud == "charged_back":
            story.charge_back(after=(300, 900))


def _card_test(story: OrderStory) -> None:
    """Many cards within a few minutes, until one is accepted."""
    story.place()
    for _ in range(story.chance.randrange(4, 8)):
        story.refuse("card declined", after=(0.1, 0.5))
    story.capture(after=(0.1, 0.5))


def _takeover(story: OrderStory) -> None:
    """Huge amounts from somewhere else; the customer keeps the new device and country."""
    if story.customer.country != "BR":
        story.customer.country = "BR"
        story.customer.device = people.device(story.chance)
    for sku in story.items:
        story.items[sku] = story.chance.randrange(40, 80)
    journey.until_payment(story, noise=False)
    journey.pay(story)
