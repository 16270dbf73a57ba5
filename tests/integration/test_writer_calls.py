"""Decisions given to the writer in one call: each has its own outcome, and one that waits holds up only its entity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refunding import refund
from waiting import PATIENCE_SECONDS

from outbox.database import Database, Row
from outbox.errors import Echo, Permanent, StatementRejected
from outbox.records import DecisionRecord, Message
from outbox.writer import DecisionWriter

DecisionOf = Callable[..., DecisionRecord]
MessageOf = Callable[..., Message]

EVENT_IDS = "SELECT event_id FROM decisions ORDER BY committed_at"
MESSAGE_IDS = "SELECT message_id FROM outbox_messages ORDER BY seq"


class CountingDatabase(Database):
    """The real database; counts what is asked of it."""

    statements = 0

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        self.statements += 1
        return await super().run(statement, parameters)


async def test_five_hundred_decisions_of_several_agents_and_calls_are_one_statement(
    database_url: str, decision: DecisionOf, writing: Callable[..., Any], query: Callable[..., Any]
) -> None:
    database = CountingDatabase(database_url)
    try:
        async with writing(database, batch_size=500) as writer:
            outcomes = await asyncio.gather(
                *(
                    writer.record_all([decision(f"pay-{n}", agent=agent) for n in range(100)])
                    for agent in ("a", "b", "c", "d", "e")
                )
            )
    finally:
        await database.close()

    assert outcomes == [[True] * 100] * 5
    assert database.statements == 1
    assert query("SELECT count(*) FROM decisions") == [(500,)]


async def test_what_waits_alone_holds_up_the_decisions_behind_it_on_its_entity_and_no_others(
    writer: DecisionWriter, decision: DecisionOf, message: MessageOf, query: Callable[..., Any],
    until: Callable[..., Any],
) -> None:  # fmt: skip
    query("ALTER TABLE refunds RENAME TO away")
    bob: dict[str, Any] = {"entity_id": "customer-2"}
    calling = asyncio.create_task(
        writer.record_all(
            [
                decision("before"),
                decision("waits", effects=(refund(1),), otherwise=(message("never"),)),
                decision("behind"),
                decision("of-another-entity", **bob),
                decision("of-another-agent", agent="watcher"),
            ]
        )
    )

    await until(lambda: len(query(EVENT_IDS)) == 3)
    committed = query(EVENT_IDS)
    await until(lambda: bool(writer.troubles.current()))
    is_waiting = not calling.done()
    query("ALTER TABLE away RENAME TO refunds")

    assert await asyncio.wait_for(calling, PATIENCE_SECONDS) == [True] * 5
    assert is_waiting
    assert committed == [("before",), ("of-another-entity",), ("of-another-agent",)]
    assert query(EVENT_IDS)[3:] == [("waits",), ("behind",)]
    assert query("SELECT count(*) FROM refunds") == [(1,)]


async def test_what_is_published_in_place_of_refused_effects_leaves_before_what_was_decided_later(
    writer: DecisionWriter, decision: DecisionOf, message: MessageOf, query: Callable[..., Any]
) -> None:
    outcomes = await writer.record_all(
        [
            decision("e-1"),
            decision("e-2", effects=(refund(1, 5001),), otherwise=(message("escalated"),)),
            decision("e-3"),
            decision("e-4", effects=(refund(2),)),
        ]
    )

    assert outcomes == [True] * 4
    assert query(MESSAGE_IDS) == [("m-e-1",), ("escalated",), ("m-e-3",), ("m-e-4",)]


async def test_what_cannot_be_written_even_as_refused_is_the_callers_and_what_follows_it_is_committed(
    writer: DecisionWriter, decision: DecisionOf, message: MessageOf, query: Callable[..., Any]
) -> None:
    unkept = (message("unkept", value=b"{"),)

    outcomes = await writer.record_all(
        [
            decision("e-1"),
            decision("e-2", messages=unkept, otherwise=(message("escalated"),)),
            decision("e-3"),
            decision("e-4", entity_id="customer-2", reason="a\0b"),
        ]
    )

    assert [each if isinstance(each, bool) else type(each) for each in outcomes] == [
        True,
        StatementRejected,
        True,
        StatementRejected,
    ]
    assert query(MESSAGE_IDS) == [("m-e-1",), ("m-e-3",)]


async def test_each_decision_of_a_call_has_the_outcome_it_would_have_alone(
    writer: DecisionWriter, decision: DecisionOf, query: Callable[..., Any]
) -> None:
    await writer.record(decision("decided-before"))

    outcomes = await writer.record_all(
        [
            decision("new"),
            decision("decided-before"),
            decision("too-deep", chain_depth=16),
            decision("never", confidence=2.0),
            decision("new"),
        ]
    )

    assert [each if isinstance(each, bool) else type(each) for each in outcomes] == [
        True,
        False,
        Echo,
        StatementRejected,
        False,
    ]
    assert all(isinstance(each, (bool, Permanent)) for each in outcomes)
    assert query("SELECT event_id, status FROM decisions ORDER BY committed_at") == [
        ("decided-before", "committed"),
        ("new", "committed"),
        ("too-deep", "refused"),
    ]


async def test_decisions_of_an_agent_in_trouble_wait_apart_and_in_their_order(
    writer: DecisionWriter, decision: DecisionOf, query: Callable[..., Any]
) -> None:
    writer.troubles.note("decisions of fraud", TimeoutError("lately"))
    carol: dict[str, Any] = {"entity_id": "customer-3"}

    outcomes = await writer.record_all(
        [
            *(decision("e-1"), decision("e-2", effects=(refund(1),)), decision("e-3")),
            decision("e-4", **carol),
        ]
    )

    assert outcomes == [True] * 4
    assert query(EVENT_IDS) == [("e-4",), ("e-1",), ("e-2",), ("e-3",)]


async def test_no_decisions_are_no_transaction(database_url: str, writing: Callable[..., Any]) -> None:
    database = CountingDatabase(database_url)
    async with writing(database) as writer:
        assert await writer.record_all([]) == []

    assert database.statements == 0
