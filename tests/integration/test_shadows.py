"""Shadows in PostgreSQL: rows without any consequence, compared with the live agent's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.engine.shadow import Shadow, ShadowBudget, ShadowJournal, ShadowWriter
from app.demo.evidence import committed_decisions, count_brains, count_committed, count_dead_letters
from outbox.budget import Budget
from outbox.database import Database
from outbox.journal import Journal, LlmCall
from outbox.records import DeadLetter, Hold, Origin
from outbox.shadows import Agreement, agreements, disagreements
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
V2 = Shadow("v2")
LETTER = DeadLetter(
    consumer="fraud",
    reason="decision_failed",
    detail="agent fraud: KeyError while deciding",
    origin=Origin(topic="timeline-customer", partition=2, offset=7, at=NOON),
    key=b"customer-1",
    value=b"{}",
    headers=(),
)


@dataclass(frozen=True)
class Forbidden:
    """An effect that must not happen."""

    def statements(self, decision: uuid.UUID) -> Any:
        raise AssertionError(f"a shadow acts: {decision}")


@pytest.fixture
def shadow(writer: DecisionWriter) -> ShadowWriter:
    return ShadowWriter(V2, writer)


def at(offset: int, partition: int = 2) -> Origin:
    return Origin(topic="timeline-customer", partition=partition, offset=offset, at=NOON)


async def test_a_shadow_decides_under_its_own_name_and_nothing_comes_of_it(
    shadow: ShadowWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    hold = Hold(reason="amount", expires_in=timedelta(days=1))
    assert await shadow.record(decision("e-1", effects=(Forbidden(),)))
    assert await shadow.record(decision("e-2", status="held", hold=hold))

    assert query("SELECT agent, event_id, status, messages->0->>'id' FROM decisions ORDER BY event_id") == [
        ("fraud@v2", "e-1", "shadow", "m-e-1"),
        ("fraud@v2", "e-2", "shadow", "m-e-2"),
    ]
    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]
    assert query("SELECT count(*) FROM approvals") == [(0,)]


async def test_the_writer_itself_lets_nothing_out_of_a_shadow(
    writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    # Whoever forgets to take the effects away.
    await writer.record(decision("e-1", agent="fraud@v2", status="shadow", effects=(Forbidden(),)))

    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]


async def test_a_shadow_and_the_live_agent_are_not_in_each_others_way(
    shadow: ShadowWriter, writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    assert await shadow.record(decision("e-1", outcome="block"))
    assert await writer.record(decision("e-1"))
    assert not await shadow.record(decision("e-1", outcome="review"))

    assert query("SELECT agent, outcome, status FROM decisions ORDER BY agent") == [
        ("fraud", "approve", "committed"),
        ("fraud@v2", "block", "shadow"),
    ]
    assert query("SELECT message_id FROM outbox_messages") == [("m-e-1",)]


async def test_a_shadows_dead_letter_stays_out_of_the_topic(shadow: ShadowWriter, query: Callable[..., Any]) -> None:
    await shadow.bury(LETTER)

    assert query("SELECT consumer, reason FROM dead_letters") == [("fraud@v2", "decision_failed")]
    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]


async def test_agreement_counts_what_both_have_decided_on(
    database: Database,
    shadow: ShadowWriter,
    writer: DecisionWriter,
    decision: Callable[..., Any],
    message: Callable[..., Any],
) -> None:
    for offset, event_id in enumerate(("same", "outcome", "messages", "both", "live-only", "shadow-only")):
        record = decision(event_id, origin=at(offset))
        if event_id != "shadow-only":
            await writer.record(record)
        other_message = {"messages": (message(f"m-{event_id}", value=b'{"n":2}'),)}
        changes: dict[str, Any] = {
            "same": {"reason": "in other words", "confidence": 0.5},
            "outcome": {"outcome": "block"},
            "messages": other_message,
            "both": {"outcome": "block", **other_message},
        }
        if event_id != "live-only":
            await shadow.record(replace(record, **changes.get(event_id, {})))
    await shadow.bury(LETTER)

    [found] = await agreements(database)

    assert found == Agreement(
        agent="fraud",
        label="v2",
        decisions=5,
        compared=4,
        same_outcome=2,
        same_messages=2,
        same=1,
        only_live=1,
        dead_letters=1,
    )
    assert (found.shadow, found.rate) == ("fraud@v2", 0.25)


async def test_what_the_shadow_has_not_read_is_no_disagreement(
    database: Database, shadow: ShadowWriter, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for offset in range(6):
        await writer.record(decision(f"e-{offset}", origin=at(offset)))
        await writer.record(decision(f"elsewhere-{offset}", origin=at(offset, partition=5)))
    for offset in (2, 4):
        await shadow.record(decision(f"e-{offset}", origin=at(offset)))

    [found] = await agreements(database)

    assert (found.decisions, found.compared, found.same, found.only_live) == (2, 2, 2, 1)


async def test_nothing_to_compare_has_no_rate(
    database: Database, shadow: ShadowWriter, decision: Callable[..., Any]
) -> None:
    assert await agreements(database) == []
    await shadow.record(decision("e-1"))

    [found] = await agreements(database)

    assert (found.compared, found.rate) == (0, None)


async def test_shadows_are_told_apart_by_agent_and_label(
    database: Database, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for label, agent in (("v2", "fraud"), ("v3", "fraud"), ("v2", "recovery")):
        await ShadowWriter(Shadow(label), writer).record(decision("e-1", agent=agent))

    assert [one.shadow for one in await agreements(database)] == ["fraud@v2", "fraud@v3", "recovery@v2"]
    assert [one.shadow for one in await agreements(database, "v2")] == ["fraud@v2", "recovery@v2"]
    assert await agreements(database, "v4") == []


async def test_disagreements_have_both_reasons_and_the_newest_comes_first(
    database: Database, shadow: ShadowWriter, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for second, event_id in enumerate(("e-1", "e-2", "same")):
        live = decision(event_id, decided_at=NOON)
        await writer.record(live)
        other = {} if event_id == "same" else {"outcome": "block", "reason": "first payment from DE", "confidence": 1.0}
        await shadow.record(
            replace(live, decided_at=NOON + timedelta(seconds=second), history={"offsets": [], "sha256": "ff"}, **other)
        )

    found = await disagreements(database, "fraud@v2", limit=10)

    assert [one.event_id for one in found] == ["e-2", "e-1"]
    assert (found[0].live.outcome, found[0].live.reason) == ("approve", "nothing unusual")
    assert (found[0].shadow.outcome, found[0].shadow.reason) == ("block", "first payment from DE")
    assert (found[0].same_messages, found[0].same_history) == (True, False)
    assert [one.event_id for one in await disagreements(database, "fraud@v2", limit=1)] == ["e-2"]
    assert await disagreements(database, "fraud@v3", limit=1) == []


async def test_evidence_of_what_was_decided_and_published_leaves_shadows_out(
    database_url: str, shadow: ShadowWriter, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("e-1"))
    await shadow.record(decision("e-1"))
    await shadow.record(decision("e-2", fallback_reason="timeout"))
    await shadow.bury(LETTER)

    decided, _ = committed_decisions(database_url)

    assert [(one.agent, one.event) for one in decided] == [("fraud", ("urn:shop", "e-1"))]
    assert count_committed(database_url) == (1, 1)
    assert count_brains(database_url) == ({"rules": 1}, {})
    assert count_dead_letters(database_url) == 0


async def test_a_shadow_spends_tokens_of_its_own(database: Database, query: Callable[..., Any]) -> None:
    budget = Budget(database, {"fraud@v2": 100})
    try:
        reservation = await ShadowBudget(V2, budget).reserve("fraud", 60)
        assert reservation is not None
        assert await ShadowBudget(V2, budget).reserve("fraud", 60) is None
        await ShadowBudget(V2, budget).settle(reservation, 50)
    finally:
        await budget.stop()

    assert query("SELECT agent, used_tokens FROM llm_budgets") == [("fraud@v2", 50)]


async def test_a_shadows_calls_are_journaled_under_its_name(database: Database) -> None:
    journal = Journal(database)
    try:
        call = LlmCall(
            agent="fraud",
            event_source="urn:shop",
            event_id="e-1",
            attempt=1,
            model="m",
            prompt_sha256="0" * 64,
            prompt="p",
            reply="{}",
            prompt_tokens=None,
            completion_tokens=None,
            latency_ms=1,
            error=None,
            called_at=NOON,
        )
        await ShadowJournal(V2, journal).record(call)

        assert await journal.replies("fraud", "urn:shop", "e-1") == {}
        assert list(await journal.replies("fraud@v2", "urn:shop", "e-1")) == ["0" * 64]
        assert list(await ShadowJournal(V2, journal).replies("fraud", "urn:shop", "e-1")) == ["0" * 64]
    finally:
        await journal.stop()


@pytest.mark.parametrize("label", ["", "v-2", "V2", "a@b", "x" * 21, "_a"])
async def test_a_label_that_cannot_be_part_of_a_name_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="expected lower-case letters, digits and _, at most 20"):
        Shadow(label)
