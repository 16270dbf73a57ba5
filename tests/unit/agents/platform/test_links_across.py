"""An error that names an event of another service as its cause is followed there."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from services import alarm, calls, deployed, play, slow, told

from agents.model.catalogue import Catalogue
from agents.shop import shop
from app.testing.choreography import Choreography, Sending
from tables.event import Event, to_json

SHOP = (calls("web", "api", "mail"), calls("api", "store"), calls("store"), calls("mail"))


def error(service: str, by: str, event_id: str = "alarm", **about: str) -> Event:
    data = {"service": service, "step": "buy", "error": "Failed", "message": ""} | about
    return told("ErrorOccurred", event_id, 5, by=by, **data)


def last(played: Choreography, on: str = "alarm") -> dict[str, Any]:
    said: list[dict[str, Any]] = [event["data"] for event in played.published if event["type"] == "RootCauseIdentified"]
    return [each for each in said if each["error_event_id"] == on][-1]


def culprit(played: Choreography) -> tuple[str | None, str | None, str, float]:
    said = last(played)
    return said["culprit_service"], said["culprit_event_id"], said["failure"], said["confidence"]


DEPLOYED = ("api", "deployed-api", "bad_deployment", 0.9)


def test_the_deployment_of_a_called_service_that_an_error_names_is_its_cause() -> None:
    assert culprit(play([*SHOP, deployed("api", -5), error("web", "deployed-api")])) == DEPLOYED


def test_an_error_that_names_another_error_is_followed_to_what_that_one_names() -> None:
    inner = error("api", "deployed-store", "inner")
    played = play([*SHOP, deployed("store", -5), inner, error("web", "inner")])
    assert culprit(played) == ("store", "deployed-store", "bad_deployment", 0.9)


def test_an_error_of_an_order_is_followed_the_same_way() -> None:
    events = [*SHOP, deployed("api", -5), error("web", "deployed-api", order_id="o-1")]
    played = Choreography(catalogue=Catalogue([shop])).run([Sending(to_json(event)) for event in events])
    assert culprit(played) == DEPLOYED
    assert last(played)["order_id"] == "o-1"


def test_what_an_error_names_outweighs_what_was_lost() -> None:
    lost = (slow("store", 40), slow("web", 41))
    assert culprit(play([*SHOP, deployed("api", -5), *lost, error("web", "deployed-api")])) == DEPLOYED


def test_what_nobody_it_calls_knows_explains_nothing() -> None:
    assert culprit(play([*SHOP, deployed("api", -5), error("web", "nowhere")]))[0] is None
    asked = [each for each in play([*SHOP, alarm("web")]).published if each["type"] == "CauseSought"]
    assert asked == []


@pytest.mark.parametrize("seed", range(12))
def test_whatever_arrives_first_the_same_is_named(seed: int) -> None:
    events = [*SHOP, deployed("store", -5), error("api", "deployed-store", "inner"), error("web", "inner")]
    chance = random.Random(seed)
    arrived = chance.sample([*events, *(replace(each) for each in events[:3])], len(events) + 3)
    assert culprit(play(arrived, chance.randrange(6)))[1] == "deployed-store"
