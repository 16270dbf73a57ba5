"""Lists are read by an index, whatever they are filtered by: what a page costs does not grow with the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents import Listing
from agents.shop import shop
from app.reads.dead_letters import DeadLettersQuery
from app.reads.decisions import DecisionsQuery
from app.reads.listings import read_listing
from app.reads.llm_calls import LlmCallsQuery
from app.reads.outbox import BuriedQuery
from app.reads.shapes import PageQuery, asked
from outbox.database import Database, queries

ROWS = 20_000
#: Rows that may be read for a page of 50, whatever is asked for: far fewer than the table has.
BOUND = 1_000
VIEWS = queries("views.sql")
ABSENT = "00000000-0000-5000-8000-000000000000"

FILL = f"""
INSERT INTO decisions (
    id, agent, event_source, event_id, event_type, event_at, entity, entity_id, topic, partition, "offset", history,
    brain, outcome, reason, confidence, messages, status, decided_at, correlation_id, code_id
)
SELECT
    gen_random_uuid(), 'fraud', 'urn:shop', 'e-' || n, 'PaymentSucceeded', at, 'customer', 'c-' || n % 997,
    'timeline-customer', n % 8, n, '{{}}', 'rules', 'approve', '', 1,
    jsonb_build_array(jsonb_build_object('id', 'm-' || n)), 'committed', at, 'story-' || n % 4999, 1 + n % 3
FROM generate_series(1, {ROWS}) AS n, LATERAL (SELECT to_timestamp(1714564800 + n) AS at) AS t;
INSERT INTO dead_letters (id, consumer, reason, detail, topic, partition, "offset", recorded_at, headers, died_at)
SELECT gen_random_uuid(), 'router', 'invalid_json', '', 'payments', 0, n, at, '[]', at
FROM generate_series(1, {ROWS}) AS n, LATERAL (SELECT to_timestamp(1714564800 + n) AS at) AS t;
INSERT INTO outbox_dead (seq, lane, message_id, topic, key, headers, committed_at, reason)
SELECT n, 0, 'm-' || n, 'payments', '', '[]', clock_timestamp(), 'too large' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO llm_calls (
    id, agent, event_source, event_id, decision_id, attempt, model, prompt_sha256, prompt, reply, latency_ms, called_at
)
SELECT gen_random_uuid(), 'fraud', 'urn:shop', 'e-' || n, gen_random_uuid(), 1, 'm', repeat('0', 64), '', '{{}}', 1, at
FROM generate_series(1, {ROWS}) AS n, LATERAL (SELECT to_timestamp(1714564800 + n) AS at) AS t;
"""
#: What makes PostgreSQL look for something that is not there: the worst case of a filter.
NOT_THERE: dict[str, Any] = {
    "agent": "nobody",
    "entity": "nothing",
    "entity_id": "nobody",
    "event_id": "none",
    "message_id": "none",
    "correlation_id": "none",
    "outcome": "none",
    "status": "held",
    "brain": "model",
    "code": 1000,
    "reason": "none",
    "consumer": "nobody",
    "topic": "none",
    "model": "none",
    "decision_id": ABSENT,
    "redriven": True,
    "failed": True,
    "since": "2030-01-01T00:00:00Z",
    "until": "2020-01-01T00:00:00Z",
    "limit": 50,
}
LISTS: list[tuple[type[PageQuery], str]] = [
    (DecisionsQuery, VIEWS["decisions"]),
    (DeadLettersQuery, VIEWS["dead_letters"]),
    (LlmCallsQuery, VIEWS["llm_calls"]),
    (BuriedQuery, queries("buried.sql")["buried_page"]),
]
FILTERS = [
    (query, statement, name)
    for query, statement in LISTS
    for name in query.model_fields
    if name not in {"before", "related", "event_source"}
]


def rows_read(plan: dict[str, Any]) -> int:
    """Rows that the scans of a plan have looked at."""
    own = 0
    if "Scan" in plan["Node Type"] and "Relation Name" in plan:
        own = plan["Actual Loops"] * sum(plan.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter"))
    return own + sum(map(rows_read, plan.get("Plans", ())))


async def rows_read_by(database: Database, statement: str, parameters: dict[str, Any]) -> int:
    [row] = await database.run(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    [[explained]] = row._asdict().values()
    return rows_read(explained["Plan"])


async def test_a_page_reads_few_rows_whatever_it_is_filtered_by(database: Database, query: Callable[..., Any]) -> None:
    query(FILL)
    query("ANALYZE decisions, dead_letters, outbox_dead, llm_calls")
    read = {}
    for model, statement, name in FILTERS:
        given = model.model_validate({name: NOT_THERE[name]})
        read[model.__name__, name] = await rows_read_by(database, statement, asked(given))

    assert {place: rows for place, rows in read.items() if rows > BOUND} == {}
    assert len(read) > 20


async def test_the_code_before_a_decision_of_an_agent_that_rarely_decides_is_found_by_index(
    database: Database, query: Callable[..., Any]
) -> None:
    query(FILL)
    query("ANALYZE decisions")
    # Behind the statistics: to PostgreSQL every decision is one of the other agent.
    query("UPDATE decisions SET agent = 'rare' WHERE \"offset\" IN (1, 19990, 19995, 19999)")

    for given in (DecisionsQuery(), DecisionsQuery(agent="rare")):
        assert await rows_read_by(database, VIEWS["decisions"], asked(given)) <= BOUND


async def test_what_is_related_to_an_entity_is_found_by_index(database: Database, query: Callable[..., Any]) -> None:
    query(FILL)
    query("ANALYZE decisions")
    given = DecisionsQuery(entity="customer", entity_id="c-7", related=True)

    assert await rows_read_by(database, VIEWS["decisions"], asked(given)) <= BOUND


@pytest.mark.parametrize("listing", shop.listings, ids=lambda listing: listing.name)
async def test_rows_of_a_domain_are_listed_by_index(database: Database, listing: Listing) -> None:
    """Tables of the shop are empty here: the plan must know an index for each filter all the same."""
    read = read_listing(listing)
    async with database.transaction() as transaction:
        await transaction.run("SET LOCAL enable_seqscan = off")
        for name in ("since", *listing.filters):
            value = {"since": "2030-01-01T00:00:00Z"}.get(name, ABSENT)
            [row] = await transaction.run(
                f"EXPLAIN (FORMAT JSON) {read.statement}", asked(read.query.model_validate({name: value}))
            )
            [[explained]] = row._asdict().values()
            assert "Index Scan" in str(explained) or "Bitmap Index Scan" in str(explained), name
            assert "'Seq Scan'" not in str(explained), name


async def test_what_the_page_asks_every_second_reads_no_more_than_it_counts(
    database: Database, query: Callable[..., Any]
) -> None:
    query(FILL)
    query("ANALYZE decisions, dead_letters, outbox_dead, approvals, outbox_messages")
    now, causes = queries("now.sql"), queries("causes.sql")

    assert await rows_read_by(database, now["now"], {"at_most": 100, "newest": 50}) <= 4 * 101 + 50
    assert await rows_read_by(database, now["rates"], {"agents": ["fraud", "nobody"], "at_most": 100}) <= 100
    # Of an agent that decides rarely, or never did, no more than there is: not all that others decided.
    told = {"agents": ["fraud", "nobody"], "types": ["none"], "looked_at": 100}
    assert await rows_read_by(database, causes["told"], told) <= 100
    emissions = queries("graph.sql")["emissions"]
    assert await rows_read_by(database, emissions, {"agents": ["fraud", "nobody"], "looked_at": 100}) <= 100


async def test_what_a_story_is_made_of_is_found_by_index(database: Database, query: Callable[..., Any]) -> None:
    query(FILL)
    query("ANALYZE decisions, dead_letters, outbox_dead, llm_calls")
    stories = queries("story.sql")
    own = {"entity": "customer", "entity_id": "c-7", "before": None, "limit": 201}
    known: list[str] = []
    by_terms = {"terms": ["e-7", "m-9", "story-3", "none"], "known": known, "of_each": 100, "limit": 300}
    place = {"topics": ["payments"], "partitions": [0], "offsets": [7], "consumers": ["router", "fraud"], "key": b"c-7"}
    letters = {**place, "since": "2020-01-01", "until": "2030-01-01", "limit": 100}
    calls = {"agents": ["fraud"], "event_sources": ["urn:shop"], "event_ids": ["e-7"], "characters": 9, "limit": 200}
    found = {"text": "m-7", "id": None, "limit": 20, "kinds": ["customer", "order"], "at_most": 2_000}

    for name, parameters in (
        ("own_decisions", own),
        ("decisions_by_terms", by_terms),
        ("letters", letters),
        ("calls", calls),
        ("find_by_term", found),
        ("find_entities", found),
    ):
        assert await rows_read_by(database, stories[name], parameters) <= BOUND, name
