"""Lists on the command line, as they are typed, on a real database: tables for people, JSON as the HTTP interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.reads.dead_letters import DeadLettersQuery, dead_letters
from app.reads.decisions import DecisionsQuery, decisions
from app.reads.graph import observed_emissions
from app.reads.outbox import BuriedQuery, buried
from app.reads.shapes import Shape
from app.reads.workers import WorkersQuery, workers
from outbox.database import Database
from outbox.records import DeadLetter, Origin
from outbox.workers import Worker, announce
from outbox.writer import DecisionWriter

AT = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=Origin(topic="payments", partition=3, offset=41, at=AT),
    key=b"customer-1",
    value=b"1",
    headers=(),
)
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
    SELECT n, n, 'm-' || n, 'payments', 'k', 'value', '[]', '2024-05-01T12:00:00Z', 'too large'
    FROM generate_series(1, 3) AS n
"""
#: What a stranger may write: it must reach neither a terminal as it is, nor a program as something else.
HOSTILE = "\x1b[2J\u202ereversed\n<script>"
WORKER = Worker(
    name="host:1:aa",
    kind="live",
    agent_set="all",
    agents=("fraud",),
    release="0.1.0",
    address=None,
    started_at=AT,
)


def as_told(found: Shape) -> Any:
    return json.loads(found.model_dump_json())


async def test_decisions_are_listed_as_the_http_interface_lists_them(
    typed: Callable[..., Any], database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for number in range(3):
        await writer.record(decision(f"p-{number}", outcome="review" if number else "approve", reason=HOSTILE))

    code, output, _ = await typed("decisions", "--json", "--outcome", "review", "--limit", 1)

    expected = await decisions(database, DecisionsQuery(outcome="review", limit=1))
    assert (code, json.loads(output)) == (0, as_told(expected))
    assert expected.next is not None
    assert "\x1b" not in output
    assert "\u202e" not in output

    code, output, _ = await typed("decisions", "--outcome", "review", "--limit", 1)
    assert code == 0
    assert "customer customer-1" in output
    assert f"there is more: --before {expected.next}" in output
    assert "\x1b[2J" not in output


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (("decisions", "--limit", "0"), "limit"),
        (("decisions", "--before", "x"), "before"),
        (("decisions", "--since", "yesterday"), "since"),
        (("dead-letters", "--before", "x"), "before"),
        (("workers", "--status", "well"), "status"),
    ],
)
async def test_a_filter_that_is_none_ends_the_command_as_a_wrong_option_does(
    typed: Callable[..., Any], arguments: tuple[str, ...], refusal: str
) -> None:
    code, output, error = await typed(*arguments)
    assert (code, output, error.startswith(f"Error: {refusal}: ")) == (2, "", True), error


async def test_a_page_behind_what_is_not_there_ends_with_one_line(typed: Callable[..., Any]) -> None:
    code, output, error = await typed("workers", "--before", "nobody")
    assert (code, output, error) == (1, "", "innervate: no worker nobody")


async def test_dead_letters_are_listed_as_the_http_interface_lists_them(
    typed: Callable[..., Any], database: Database, writer: DecisionWriter
) -> None:
    for offset in (1, 2):
        await writer.bury(replace(LETTER, detail=HOSTILE, origin=replace(LETTER.origin, offset=offset)))
    await writer.bury(replace(LETTER, consumer="fraud"))

    code, output, _ = await typed("dead-letters", "--json", "--consumer", "router", "--not-redriven")

    expected = await dead_letters(database, DeadLettersQuery(consumer="router", redriven=False))
    assert (code, json.loads(output)) == (0, as_told(expected))
    assert len(expected.dead_letters) == 2

    code, output, _ = await typed("dead-letters", "--consumer", "fraud")
    assert code == 0
    assert "payments[3]@41" in output
    assert "value must be JSON" in output


async def test_the_outbox_says_what_waits_and_what_is_buried(
    typed: Callable[..., Any], database: Database, writer: DecisionWriter, decision: Callable[..., Any], query: Any
) -> None:
    await writer.record(decision("p-1"))
    query(BURIED)

    code, output, _ = await typed("outbox", "--json")
    told = json.loads(output)
    assert (code, told["pending"], told["dead"], told["lanes"], len(told["waiting"])) == (0, 1, 3, [], 1)

    code, output, _ = await typed("outbox", "--json", "--buried", "--limit", 2)
    assert (code, json.loads(output)) == (0, as_told(await buried(database, BuriedQuery(limit=2))))

    code, output, _ = await typed("outbox")
    assert code == 0
    assert output.startswith("1 messages wait to be published, the oldest for ")
    assert "m-3" in output
    assert "too large" in output


async def test_workers_are_listed_with_what_is_stuck(
    typed: Callable[..., Any], database: Database, query: Callable[..., Any]
) -> None:
    assert (await typed("workers"))[1].rstrip().endswith("Stuck:\n  no worker has said anything within a day")
    await announce(database, WORKER, "{}")

    code, output, _ = await typed("workers")
    assert (code, output.rstrip().splitlines()[-1]) == (0, "Nothing is stuck.")
    assert "host:1:aa" in output

    query("UPDATE workers SET seen_at = clock_timestamp() - interval '1 hour'")
    code, output, _ = await typed("workers", "--json", "--status", "silent")
    assert (code, json.loads(output)) == (0, as_told(await workers(database, WorkersQuery(status="silent"))))


async def test_the_graph_says_what_agents_emitted(
    typed: Callable[..., Any],
    database: Database,
    writer: DecisionWriter,
    decision: Callable[..., Any],
    message: Callable[..., Any],
) -> None:
    scored = message("m-1", value=b'{"type":"FraudScored","id":"m-1"}')
    none, held = message("m-2", value=None), message("m-3", value=b'{"type":"NotYet"}')
    await writer.record(decision("p-1", messages=(scored, none)))
    await writer.record(decision("p-2", messages=(scored,)))
    await writer.record(decision("p-3", messages=(held,), status="shadow", agent="fraud"))

    [emission] = await observed_emissions(database, ["fraud", "recovery"])
    assert (emission.agent, emission.topic, emission.event, emission.decisions) == (
        "fraud",
        "payments",
        "FraudScored",
        2,
    )

    code, output, _ = await typed("agents-graph", "--json")
    told = json.loads(output)
    assert (code, told["observed"], told["emits"]) == (0, True, [json.loads(emission.model_dump_json())])
    assert {"agent": "fraud", "listener": "recovery", "events": ["FraudScored"]} in told["reactions"]

    code, output, _ = await typed("agents-graph")
    assert code == 0
    assert "  emits FraudScored to payments\n  is heard by fulfilment: FraudScored\n" in output


@pytest.mark.parametrize(
    ("option", "first"),
    [("--dot", "digraph agents {"), ("--mermaid", "flowchart LR"), ("--declared", "topic payments: ")],
)
async def test_the_graph_is_drawn_also_where_no_database_answers(
    typed: Callable[..., Any], option: str, first: str
) -> None:
    code, output, _ = await typed("agents-graph", option, DATABASE_URL="postgresql://127.0.0.1:1/innervate")
    assert code == 0
    assert output.startswith(first)
    assert "fraud" in output
