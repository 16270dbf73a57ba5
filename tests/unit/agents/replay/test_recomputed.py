"""What the audits recompute histories from is what the agents declare: written twice, and the same."""

from __future__ import annotations

from ci_catalogue import BESIDE_THE_SHOP
from recomputed import FIELDS, MEMORIES


def test_the_audits_know_what_each_agent_reacts_to_and_remembers() -> None:
    declared = {
        agent.name: (
            agent.entity.name,
            agent.reacts_to,
            agent.remembers,
            agent.window.events,
            agent.window.age,
            {frozenset(ring.types): ring.events for ring in agent.window.rings},
        )
        for agent in BESIDE_THE_SHOP.agents.values()
    }

    assert declared == {
        name: (
            one.entity,
            frozenset(one.reacts_to.split()),
            frozenset(one.remembers.split()),
            one.events,
            one.age,
            {frozenset(kinds.split()): events for kinds, events in one.slots.items()},
        )
        for name, one in MEMORIES.items()
    }


def test_the_audits_know_by_which_field_an_event_belongs_to_whom() -> None:
    assert {name: entity.field for name, entity in BESIDE_THE_SHOP.entities.items()} == FIELDS
