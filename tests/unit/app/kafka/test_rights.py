"""Rights: what a principal needs follows from the domains and the settings, and is nothing more."""

from __future__ import annotations

from typing import Any

import pytest
from shop_catalogue import AGENTS

from app.composition import create_app
from app.kafka.rights import TASKS, Task, rights_of
from app.settings import Settings

DOMAIN = ["payments", "orders", "shipping", "support", "ledger", "platform", "recovery"]
TIMELINES = ["timeline-customer", "timeline-order", "timeline-service"]


def of(task: Task, **given: Any) -> dict[tuple[str, str], str]:
    """Operations by resource and name."""
    settings = Settings(_env_file=None, **given)
    found = rights_of(
        task, settings, changelogs=["c-changelog"], group=f"innervate-{settings.agent_set}", router="innervate-router"
    )
    assert len({(right.resource, right.name) for right in found}) == len(found)
    return {(right.resource, right.name): " ".join(right.operations) for right in found}


def topics(names: list[str], operations: str) -> dict[tuple[str, str], str]:
    return {("topic", name): operations for name in names}


def test_a_worker_reads_and_writes_its_topics_and_is_in_two_groups() -> None:
    assert of("worker", agents=("fraud",)) == {
        **topics(DOMAIN, "READ WRITE"),
        **topics(["dead-letters"], "WRITE"),
        **topics([*TIMELINES, "c-changelog"], "READ WRITE"),
        ("group", "innervate-fraud"): "READ",
        ("group", "innervate-router"): "READ",
    }


def test_the_fenced_mode_needs_transactions_and_the_groups_that_keep_its_batches() -> None:
    plain, fenced = of("worker"), of("worker", outbox_fenced=True)
    assert {key: value for key, value in fenced.items() if plain.get(key) != value} == {
        ("topic", "dead-letters"): "READ WRITE",
        ("group", "innervate-"): "READ",
        ("transactional_id", "innervate-"): "WRITE",
    }


def test_who_routes_alone_is_in_the_routers_group_and_who_leaves_it_to_others_looks_at_it() -> None:
    both = of("worker")
    alone, beside = of("worker", router="alone"), of("worker", router="none")
    assert alone == {key: value for key, value in both.items() if key != ("group", "innervate-all")}
    assert beside == {**both, ("group", "innervate-router"): "DESCRIBE"}


def test_a_shadow_writes_its_changelogs_alone() -> None:
    assert of("worker", shadow="agents.shop.fraud.rules:fraud", shadow_label="v2") == {
        **topics(TIMELINES, "READ"),
        **topics(["c-changelog"], "READ WRITE"),
        ("group", "innervate-shadow-fraud-v2"): "READ",
    }


def test_who_creates_topics_writes_none_and_reads_the_changelogs_that_it_checks() -> None:
    assert of("topics") == {
        **topics([*DOMAIN, "dead-letters", *TIMELINES], "CREATE DESCRIBE"),
        **topics(["c-changelog"], "CREATE READ"),
    }


def test_a_rebuild_creates_its_changelog_again() -> None:
    assert of("rebuild") == {
        **topics(TIMELINES, "READ"),
        **topics(["c-changelog"], "READ WRITE CREATE DELETE"),
        ("group", "innervate-all"): "DESCRIBE",
    }


def test_a_reader_writes_nothing_and_is_in_no_group() -> None:
    assert of("reader") == topics(TIMELINES, "READ")


def test_topics_that_only_agents_write_are_no_less_needed() -> None:
    assert of("worker", event_topics=("payments", "elsewhere")).keys() >= topics([*DOMAIN, "elsewhere"], "").keys()


@pytest.mark.parametrize("task", TASKS)
def test_no_right_is_for_everything(task: Task) -> None:
    settings = Settings(_env_file=None, outbox_fenced=True)
    rights = rights_of(task, settings, changelogs=["c"], group="g", router="r")
    assert [right for right in rights if right.name in {"", "*"}] == []
    wide = [right for right in rights if right.pattern == "prefixed"]
    assert {right.resource for right in wide} <= {"group", "transactional_id"}


def test_the_changelogs_are_those_of_the_agents() -> None:
    app = create_app(Settings(_env_file=None))
    assert [stream.changelog for stream in app.agent_streams] == [
        f"innervate-all-{agent}-windows-changelog" for agent in app.settings.catalogue.agents
    ]
    assert set(app.settings.catalogue.agents) == set(AGENTS)
