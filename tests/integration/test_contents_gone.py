"""What reads contents goes on when they are no longer kept, and says so: stories, replays, shadows, searches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from llm_calls import call
from shop_catalogue import CATALOGUE

from agents.replay.comparison import differing
from app.reads.decisions import DecisionsQuery, decisions
from app.story.stored import calls_of, decisions_by_terms, own_decisions
from app.timemachine.recorded import RecordedDecisions
from outbox.database import Database
from outbox.journal import Journal
from outbox.records import DecisionRecord
from outbox.retention import Retention
from outbox.shadows import agreements, disagreements
from outbox.writer import DecisionWriter

DecisionOf = Callable[..., DecisionRecord]

TODAY = datetime.now(UTC)
OLD = TODAY - timedelta(days=45)
SAID = f"Content no longer kept since {TODAY.date()}, by retention of 30 days."
PARTITIONS = """
    CREATE TABLE decision_contents_due PARTITION OF decision_contents FOR VALUES FROM (%(since)s) TO (%(until)s);
    CREATE TABLE llm_call_contents_due PARTITION OF llm_call_contents FOR VALUES FROM (%(since)s) TO (%(until)s);
    UPDATE retention SET from_at = %(since)s, keep_days = 30;
"""


@pytest.fixture
def drop(database: Database, query: Callable[..., Any]) -> Callable[[], Any]:
    """Drops what is old; what is written before goes to a partition for it."""
    query(PARTITIONS, {"since": OLD - timedelta(days=5), "until": OLD + timedelta(days=5)})
    return Retention(database).maintain


async def test_a_story_has_the_decision_without_its_messages_and_says_why(
    database: Database, writer: DecisionWriter, decision: DecisionOf, drop: Callable[[], Any]
) -> None:
    await writer.record(decision("pay-1", decided_at=OLD, correlation_id="story"))
    journal = Journal(database)
    await journal.record(call(called_at=OLD))
    await journal.stop()
    await drop()

    [own] = await own_decisions(database, "customer", "customer-1", before=None, limit=10)
    [found] = await decisions_by_terms(database, ["m-pay-1"], known=[], limit=10)
    [asked] = await calls_of(database, [own])

    assert own == found
    assert own.messages == ()
    assert (own.not_kept.sentence if own.not_kept else None) == SAID
    assert (asked.prompt, asked.reply, asked.not_kept and asked.not_kept.sentence) == ("", None, SAID)


async def test_a_replay_compares_the_ids_of_messages_that_are_no_longer_kept(
    database: Database, writer: DecisionWriter, decision: DecisionOf, drop: Callable[[], Any], message: Any
) -> None:
    made = decision("pay-1", decided_at=OLD)
    await writer.record(made)
    recorded = RecordedDecisions(database, CATALOGUE.types)
    before = await recorded.of(made.id)
    await drop()

    after = await recorded.of(made.id)

    assert before is not None
    assert after is not None
    assert (before.contents_kept, after.contents_kept) == (True, False)
    assert [each.id for each in after.messages] == ["m-pay-1"]
    assert differing(after, made) == []
    assert differing(after, decision("pay-1", messages=(message("m-pay-1", value=b'{"n":2}'),))) == []
    assert differing(after, decision("pay-1", messages=())) == ["messages"]
    assert differing(before, decision("pay-1", messages=(message("m-pay-1", value=b'{"n":2}'),))) == ["messages"]


async def test_shadows_are_compared_while_both_have_their_messages(
    database: Database, writer: DecisionWriter, decision: DecisionOf, drop: Callable[[], Any]
) -> None:
    for event_id, at in (("pay-1", OLD), ("pay-2", TODAY)):
        await writer.record(decision(event_id, decided_at=at))
        await writer.record(decision(event_id, decided_at=at, agent="fraud@v2", status="shadow", outcome="review"))
    await drop()

    [found] = await agreements(database)
    differ = await disagreements(database, "fraud@v2", limit=10)

    assert (found.decisions, found.compared, found.same_outcome, found.same_messages) == (2, 1, 0, 1)
    assert {each.event_id: each.same_messages for each in differ} == {"pay-1": None, "pay-2": True}


async def test_a_decision_is_found_by_the_id_of_a_message_that_is_no_longer_kept(
    database: Database, writer: DecisionWriter, decision: DecisionOf, drop: Callable[[], Any]
) -> None:
    await writer.record_all([decision("pay-1", decided_at=OLD), decision("pay-2", decided_at=TODAY)])
    await drop()

    for event_id in ("pay-1", "pay-2"):
        page = await decisions(database, DecisionsQuery(message_id=f"m-{event_id}"))
        assert [each.event_id for each in page.decisions] == [event_id]
