"""Agents named by `module:name`, and the worker of a shadow named after its agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from shop_catalogue import AGENTS, CATALOGUE

from agents.engine.shadow import Shadow
from agents.shop.fraud.rules import fraud
from app.settings import Settings
from app.settings.objects import agent_object, catalogue_of


def test_an_agent_is_found_where_it_is() -> None:
    assert agent_object("agents.shop.fraud.rules:fraud", CATALOGUE) is fraud


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("agents.shop.fraud.rules", "expected module:name"),
        (":fraud", "expected module:name"),
        ("agents.nowhere:fraud", "cannot be imported: ModuleNotFoundError: No module named 'agents.nowhere'"),
        ("agents.shop.fraud.rules:nobody", "cannot be imported: AttributeError: "),
        ("agents.shop.fraud.rules:score", "is a function, expected an Agent"),
    ],
)
def test_what_is_no_agent_is_refused_in_one_line(place: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        agent_object(place, CATALOGUE)
    assert "\n" not in str(refused.value)


def test_a_shadow_has_a_set_of_its_own_and_no_other_agent() -> None:
    settings = Settings(_env_file=None, shadow="agents.shop.fraud.rules:fraud", shadow_label="v2")

    assert settings.agent_set == "shadow-fraud-v2"
    assert list(settings.running) == [fraud]
    assert settings.shadowing == Shadow("v2")


def test_without_a_shadow_the_agents_are_live() -> None:
    assert Settings(_env_file=None).shadowing is None
    assert list(Settings(_env_file=None).running) == list(AGENTS.values())
    assert list(Settings(_env_file=None, agents="recovery,fraud").running) == [fraud, AGENTS["recovery"]]


def test_a_shadow_runs_beside_no_other_agent() -> None:
    with pytest.raises(ValidationError, match="a shadow has a worker of its own"):
        Settings(_env_file=None, agents="fraud", shadow="agents.shop.fraud.rules:fraud")


CURIOUS = """
from agents import Agent
from agents.shop.entities import customer
from agents.shop.events import FraudScored, PaymentSucceeded
from agents.shop.fraud.rules import fraud as live, score

fraud = Agent(name="fraud", entity=customer, reacts_to=[PaymentSucceeded], remembers=[FraudScored], window=live.window)
fraud.rules(score)
"""


def test_a_shadow_that_wants_what_no_timeline_has_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "curious.py").write_text(CURIOUS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ValidationError, match="set TIMELINES=customer:FraudScored, here and on every live worker"):
        Settings(_env_file=None, shadow="curious:fraud")

    assert Settings(_env_file=None, shadow="curious:fraud", timelines="customer:FraudScored").shadowing is not None


def test_a_domain_that_ships_is_found_in_its_package() -> None:
    places = ("agents.shop:shop", "agents.platform:platform", "agents:platform")

    names = [catalogue_of([place]).domains[-1].name for place in places]

    assert names == ["shop", "platform", "platform"]
