"""What confirmation still remembers of a customer through the windows of a worker, however much they buy."""

from __future__ import annotations

from choreography import Choreography
from shop_catalogue import AGENTS
from told import bought, error, review

from agents.shop.confirmation.rules import confirmation
from app.testing.choreography import Sending
from tables.event import Event, to_json


def tone(*events: Event) -> str:
    """The outcome of the decision on the last event, when all of it came through the log."""
    played = Choreography(agents=[AGENTS[confirmation.name]]).run(Sending(to_json(event)) for event in events)
    return played.decisions[confirmation.name, events[-1].key].outcome


def test_payments_do_not_push_out_what_the_customer_said() -> None:
    many = [bought(f"o-{number}") for number in range(100, 200)]

    assert tone(*many, review(5), bought("o-300")) == "cheerful"
    assert tone(review(1), *many, review(5), bought("o-300")) == "neutral"


def test_what_the_customer_says_does_not_push_out_what_went_wrong() -> None:
    praise = [review(5, "!" * number) for number in range(60)]

    assert tone(error(), *praise, bought("o-300")) == tone(error(), bought("o-300"))
