"""What writing and relaying cost PostgreSQL, in counts that no machine changes: statements, commits, bytes of WAL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from decisions import NOON

from outbox.database import Database
from outbox.records import DecisionRecord, Message, Origin
from outbox.relay import Relay
from outbox.writer import DecisionWriter

#: What a decision with 50 events in its history and a message of 470 bytes may cost in WAL, written, read and deleted.
#: 3,280 measured, of which the three indexes that people's filters are read by (migration 0010) take 430, the code
#: that decided with its index (migration 0015) 80, and contents that are apart, with their index (migration 0017) 200.
MOST_WAL_BYTES: Final = 3380
COUNT: Final = 1000

DecisionOf = Callable[..., DecisionRecord]


class Counting(Database):
    """The real database; counts what is asked of it."""

    asked = 0

    async def run(self, *arguments: Any) -> Any:
        self.asked += 1
        return await super().run(*arguments)


@pytest.fixture
def busy(decision: DecisionOf, message: Callable[..., Message]) -> Sequence[DecisionRecord]:
    """Decisions as a busy agent makes them, on 100 customers."""

    def one(number: int) -> DecisionRecord:
        customer = f"customer-{number % 100}"
        value = orjson.dumps(
            {"type": "FraudScored", "subject": customer, "data": {"reasons": ["x" * 390], "n": number}}
        )
        return decision(
            f"pay-{number:06}",
            decided_at=datetime.now(UTC),
            entity_id=customer,
            origin=Origin(topic="timeline-customer", partition=0, offset=number, at=NOON),
            history={"offsets": list(range(number, number + 5000, 100)), "sha256": "ab" * 32},
            messages=(message(f"m-{number:032}", key=customer.encode(), value=value),),
        )

    return [one(number) for number in range(COUNT)]


async def test_a_thousand_decisions_and_their_messages_cost_a_fiftieth_of_a_statement_each(
    database_url: str, busy: Sequence[DecisionRecord], worker_of: Callable[[str], Any], query: Callable[..., Any]
) -> None:
    database = Counting(database_url)
    writer = DecisionWriter(database, on_commit=lambda _lanes: None)
    relay = Relay(database, worker_of("a").publisher, owner="b")
    try:
        assert await writer.record_all(busy) == [True] * COUNT
        assert await relay.drain() == COUNT
    finally:
        await writer.stop()
        await database.close()

    assert query("SELECT count(*) FROM outbox_messages") == [(0,)]
    # Twice: writing locks the lanes first, and leasing takes its turn, as a statement of the same commit.
    assert 2 * database.asked / COUNT <= 0.02


async def test_a_decision_costs_few_bytes_of_wal(
    database_url: str, busy: Sequence[DecisionRecord], worker: Any, query: Callable[..., Any]
) -> None:
    query("ALTER TABLE outbox_messages SET (autovacuum_enabled = off)")
    database = Database(database_url)
    writer = DecisionWriter(database, on_commit=lambda _lanes: None, codes={"fraud": 7})
    try:
        await writer.record_all(busy[:10])
        await worker.relay.drain()
        [(before,)] = query("SELECT pg_current_wal_insert_lsn()::text")
        await writer.record_all(busy[10:])
        await worker.relay.drain()
        [(written,)] = query("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", (before,))
    finally:
        await writer.stop()
        await database.close()

    assert written / (COUNT - 10) <= MOST_WAL_BYTES
