"""Honest tales: customers who look like thieves for a moment and are none. Nothing is to be undone."""

from __future__ import annotations

from app.simulator import journey, people
from app.simulator.steps import nothing_due
from app.simulator.story import OrderStory


def abroad(story: OrderStory, service: str) -> None:
    """The customer orders from a journey, on the device of always."""
    del service
    story.elsewhere = {"country": story.chance.choice(("PT", "GR", "NO"))}
    _bought(story, "abroad")


def new_phone(story: OrderStory, service: str) -> None:
    """The customer has a new device, and keeps it."""
    del service
    story.customer.device = people.device(story.chance)
    _bought(story, "new_phone")


def declined_before(story: OrderStory, service: str) -> None:
    """The card has no money on it until the customer sees to it."""
    del service
    story.place()
    for _ in range(story.chance.randrange(1, 4)):
        story.refuse("insufficient funds", after=(2, 30))
    story.authorize()
    journey.pay(story)
    nothing_due(story, "declined_before")
    story.ship()


def big_basket(story: OrderStory, service: str) -> None:
    """A present for a friend: three times as much as usual, from the same place."""
    del service
    story.items = {sku: 3 * quantity for sku, quantity in story.items.items()}
    _bought(story, "big_basket")


def two_in_a_row(story: OrderStory, service: str) -> None:
    """The bank's page hangs: the payment is authorized twice and taken once."""
    del service
    journey.until_payment(story, noise=False)
    story.authorize(after=(1, 4))
    journey.pay(story)
    nothing_due(story, "two_in_a_row")
    story.ship()


def _bought(story: OrderStory, kind: str) -> None:
    journey.until_payment(story, noise=False)
    journey.pay(story)
    nothing_due(story, kind)
    story.ship()
