"""What is planted into the real Kafka and PostgreSQL after a clean run is found, each thing by its name.

A checker that cannot fail is worth nothing: the same witness and the same audit that pass every crash run see a clean
run here first and then the same run with every kind of broken promise in it. What is spoilt of a trade's effects is a
matter of its own (`spoiling_refunds`, `spoiling_quarantines`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
import spoiling_quarantines
import spoiling_refunds
from aiokafka import AIOKafkaProducer
from arena import Arena
from audit import audit
from evidence import BROKEN, DecisionRow, Evidence, Logged
from load import Load
from settling import settle
from spoiling import Headers, SpoiltEffects, event_of
from trades import CI_TRADE, SHOP, TRADES, Trade
from witness import gather, rows

pytestmark = pytest.mark.apache


@dataclass(frozen=True, kw_only=True)
class Victims:
    """Whose decisions are spoilt in a trade, and what is planted beside them."""

    #: Its decisions are spoilt in every way; the history of one of another agent's as well.
    agent: str
    misled: str
    #: Type and data of an event nobody decides on, and who should have.
    ignored: tuple[str, Mapping[str, Any]]
    deciders: Sequence[str]
    #: Type of a message of the agent that no decision has.
    uncommitted: str
    #: Where an event lies that was never sent.
    timeline: str
    spoil_effects: Callable[[str, Evidence], SpoiltEffects]
    #: How many effects came of the entities that were made to fail.
    effects: Callable[[Evidence], int]


_IDS = {"customer_id": "c", "order_id": "o"}
#: By the setting `DOMAINS` of the trade.
VICTIMS: Mapping[str, Victims] = MappingProxyType(
    {
        SHOP.domains: Victims(
            agent="fraud",
            misled="root_cause",
            ignored=("PaymentSucceeded", {**_IDS, "payment_id": "p", "amount_minor": 1}),
            deciders=("confirmation", "fraud", "fulfilment", "root_cause"),
            uncommitted="FraudScored",
            timeline="timeline-customer",
            spoil_effects=spoiling_refunds.spoil,
            effects=spoiling_refunds.made,
        ),
        CI_TRADE.domains: Victims(
            agent="flaky",
            misled="blame",
            ignored=(
                "BuildFailed",
                {"repository_id": "r", "build_id": "b", "commit": "c", "test": "t", "message": "m"},
            ),
            deciders=("flaky",),
            uncommitted="FailureJudged",
            timeline="timeline-repository",
            spoil_effects=spoiling_quarantines.spoil,
            effects=spoiling_quarantines.made,
        ),
    }
)


@pytest.mark.parametrize("trade", TRADES, indirect=True, scope="module")
def test_everything_planted_is_found_and_a_clean_run_is_clean(
    make_arena: Callable[[int], Arena], trade: Trade, seed: int, *, fenced: bool
) -> None:
    arena, victims = make_arena(1), VICTIMS[trade.domains]
    arena.start(0)
    with Load(arena.sandbox.kafka, seed=seed, name="clean", trade=trade, limit=800, per_second=200) as load:
        load.wait()
        settle(arena, load)
    arena.stop_workers()
    kafka, url = arena.sandbox.kafka, arena.sandbox.database_url

    def look() -> Evidence:
        return gather(kafka, url, [load.acknowledged], trade)

    clean = look()
    findings = audit(clean, [])
    assert findings.broken() == {}, findings.details[:10]
    # The clean run has met what is strange and right.
    assert victims.effects(clean) == len(clean.to_refund) + len(clean.to_quarantine) > 1
    assert any(name == r"trace\xff\xfe" for record in clean.domain for name, _ in record.headers)
    assert any(record.is_broken and record.at < 0 for record in clean.domain)
    assert len({row.event_source for row in clean.decisions if row.agent == victims.agent}) > 1

    # Decisions of which each is spoilt in one way; the first two share a key.
    agent = victims.agent
    earlier, later = _of_one_key(clean, agent)
    single = [row.event_id for row in _single(clean, agent)]
    lost, doubled, wrong, altered = [one for one in single if one not in {earlier, later}][:4]
    misled = _unmistakable(clean, victims.misled)[0].event_id
    spoiler = _Spoiler(url, agent)
    spoiler.swap(earlier, later)
    spoiler.lose_a_message(lost, trade.topic)
    spoiler.double(doubled)
    _change_digest(url, agent, wrong)
    _change_digest(url, victims.misled, misled)
    effects = victims.spoil_effects(url, clean)
    [message] = _messages(clean, agent, altered)
    original = next(one for one in clean.domain if (one.message or {}).get("id") == message)
    dropped = _spoil_kafka(kafka, trade, victims, original, effects)
    [late] = _messages(clean, agent, later)
    unfounded, *_ = (row for row in clean.decisions if row.id == effects.unfounded)

    named = {(row.agent, row.event_id): str(row) for row in clean.decisions}

    found = {name: sorted(each) for name, each in audit(look(), []).broken().items()}
    assert found == {
        "undecided": sorted([str(unfounded), *(f"planted of urn:elsewhere by {each}" for each in victims.deciders)]),
        "decided_twice": [named[agent, doubled]],
        "routed_from_nothing": ["never-sent of urn:elsewhere"],
        "unpublished": [f"never-sent-{lost}"],
        "uncommitted": sorted(
            ["never-committed", effects.invented_event_id, *(one["id"] for one in unfounded.messages)]
        ),
        "out_of_order": [late],
        "altered": [message, message],
        "repeated_for_no_reason": [message],
        "wrong_history": sorted([named[agent, wrong], named[victims.misled, misled]]),
        "dropped": [dropped],
        **effects.findings,
    }


def _unmistakable(clean: Evidence, agent: str) -> list[DecisionRow]:
    """The agent's decisions on events whose id no other source has used."""
    decided = [row for row in clean.decisions if row.agent == agent]
    times = Counter(row.event_id for row in decided)
    return [row for row in decided if times[row.event_id] == 1]


def _single(clean: Evidence, agent: str) -> list[DecisionRow]:
    """Those that have one message."""
    return [row for row in _unmistakable(clean, agent) if len(row.messages) == 1]


def _of_one_key(clean: Evidence, agent: str) -> tuple[str, str]:
    """The events of two such decisions on which messages of the same key follow each other."""
    single = {row.id for row in _single(clean, agent)}
    last: dict[str, DecisionRow] = {}
    for row in clean.decisions:
        for key in {message["key"] for message in row.messages}:
            before = last.get(key)
            if before is not None and {before.id, row.id} <= single:
                return before.event_id, row.event_id
            last[key] = row
    raise AssertionError("no two messages of a key follow each other")


def _messages(clean: Evidence, agent: str, event_id: str) -> list[str]:
    return [
        message["id"]
        for row in clean.decisions
        if (row.agent, row.event_id) == (agent, event_id)
        for message in row.messages
    ]


@dataclass(frozen=True)
class _Spoiler:
    """Changes decisions of an agent, given by the ids of their events, past all constraints."""

    url: str
    agent: str

    def _of(self, statement: str, event_id: str, *parameters: object) -> list[tuple[Any, ...]]:
        return rows(self.url, f"{statement} WHERE agent = %s AND event_id = %s", *parameters, self.agent, event_id)

    def swap(self, earlier: str, later: str) -> None:
        """Each was committed when the other one was."""
        [(first,)] = self._of("SELECT committed_at FROM decisions", earlier)
        [(second,)] = self._of("SELECT committed_at FROM decisions", later)
        self._of("UPDATE decisions SET committed_at = %s", earlier, second)
        self._of("UPDATE decisions SET committed_at = %s", later, first)

    def lose_a_message(self, event_id: str, topic: str) -> None:
        """One more was committed and never sent."""
        never = json.dumps([{"id": f"never-sent-{event_id}", "topic": topic, "key": "o", "value": {}}])
        whole = "SELECT whole_messages FROM whole_decisions AS w WHERE w.id = decisions.id"
        self._of(f"UPDATE decisions SET is_apart = false, messages = ({whole}) || %s::jsonb", event_id, never)

    def double(self, event_id: str) -> None:
        """It is there twice; no table refers to decisions any more."""
        rows(
            self.url,
            "ALTER TABLE decisions"
            " DROP CONSTRAINT decisions_agent_event_source_event_id_key, DROP CONSTRAINT decisions_pkey CASCADE",
        )
        without = '{"messages": [], "is_apart": false}'
        copy = f"INSERT INTO decisions SELECT (jsonb_populate_record(d, '{without}')).* FROM decisions AS d"
        self._of(copy, event_id)


def _change_digest(url: str, agent: str, event_id: str) -> None:
    spoilt = "UPDATE decisions SET history = jsonb_set(history, '{sha256}', %s) WHERE agent = %s AND event_id = %s"
    rows(url, spoilt, json.dumps("0" * 64), agent, event_id)


def _spoil_kafka(kafka: str, trade: Trade, victims: Victims, original: Logged, effects: SpoiltEffects) -> str:
    """Plant messages; returns where the broken one is."""
    kind, data = victims.ignored
    ours = f"urn:innervate:agent:{victims.agent}"
    assert original.value is not None
    respelt = json.dumps({**json.loads(original.value), "specversion": "1.1"}).encode()
    planted: list[tuple[str, bytes, Headers]] = [
        (trade.topic, event_of("planted", "urn:elsewhere", kind, data), ()),
        (trade.topic, event_of("never-committed", ours, victims.uncommitted, {}), ()),
        (trade.topic, effects.invented, ()),
        (original.topic, respelt, original.headers),
        (victims.timeline, event_of("never-sent", "urn:elsewhere", "OrderAdmired", {}), ()),
        (trade.topic, b"{", (BROKEN,)),
    ]
    return asyncio.run(_send(kafka, planted, original.key))


async def _send(kafka: str, messages: Sequence[tuple[str, bytes, Headers]], key: bytes | None) -> str:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for topic, value, headers in messages:
            place = await producer.send_and_wait(topic, value=value, key=key, headers=list(headers))
    return f"{place.topic}/{place.partition}/{place.offset}"
