"""The promises, checked on what Kafka and PostgreSQL really hold."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from facts import SOURCE, Fact
from observe import read, rows
from recomputed import MEMORIES, recompute
from shop_catalogue import DOMAIN_TOPICS

from app.demo.checker import EventKey, Published, check
from app.demo.evidence import AGENTS_SOURCE, committed_decisions, published_messages
from app.sandbox import Sandbox
from outbox.records import lane_of
from outbox.relay import LANE_BATCH


def due_of(facts: Sequence[Fact]) -> Mapping[str, set[EventKey]]:
    """What each agent has to decide on."""
    due: dict[str, set[EventKey]] = defaultdict(set)
    for fact in facts:
        for agent in fact.deciders:
            due[agent].add((SOURCE, fact.event_id))
    return due


def assert_nothing_lost_or_doubled(
    sandbox: Sandbox,
    facts: Sequence[Fact],
    *,
    topics: Sequence[str] = DOMAIN_TOPICS,
    repeats_allowed: bool = False,
) -> None:
    """Every fact has one decision of each agent it concerns, and what was committed is published, once and in order.

    `topics` are all that agents publish to. `repeats_allowed` is for what the guarantees allow: a relay that is cut off
    between publish and delete publishes the batch of each lane again, with the same ids.
    """
    due = due_of(facts)
    events = set().union(*due.values())
    decided, _ = committed_decisions(sandbox.database_url)
    published = asyncio.run(published_messages(sandbox.kafka, topics, source=AGENTS_SOURCE))

    findings = check(due=due, decided=decided, published=published)

    ours = {message_id for row in decided if row.event in events for message_id in row.message_ids}
    repeated = copies_by_lane(published, ours)
    allowed = LANE_BATCH if repeats_allowed else 0
    assert ours
    assert {lane: count for lane, count in repeated.items() if count > allowed} == {}
    findings.repeated = []
    assert list(findings.examples()) == []


def copies_by_lane(published: Sequence[Published], message_ids: Collection[str]) -> Mapping[int, int]:
    """How many messages of each lane are in Kafka besides their first copies, of those with these ids."""
    seen: set[str] = set()
    copies: Counter[int] = Counter()
    for message in published:
        if message.message_id in seen and message.message_id in message_ids:
            copies[lane_of(message.topic, message.key)] += 1
        seen.add(message.message_id)
    return copies


def assert_histories_are_exact(sandbox: Sandbox, facts: Sequence[Fact]) -> None:
    """Every recorded history is the window recomputed from the timeline, for every agent that decides on the facts."""
    for agent, due in due_of(facts).items():
        expected = recompute(agent, read(sandbox.kafka, MEMORIES[agent].timeline))
        recorded = rows(
            sandbox.database_url,
            'SELECT event_source, event_id, partition, "offset", plain_history(history) FROM decisions'
            " WHERE agent = %s AND event_source = %s AND event_id = ANY (%s)",
            agent,
            SOURCE,
            [event_id for _, event_id in due],
        )

        assert {(source, event_id) for source, event_id, *_ in recorded} == due
        for source, event_id, partition, offset, history in recorded:
            assert ((source, event_id), history) == (
                expected[partition, offset].event,
                expected[partition, offset].history,
            )
