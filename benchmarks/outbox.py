"""Outbox: what group commit and draining by lanes are worth, on a real PostgreSQL with fsync on."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from agents.shop.refunds import LedgerEntry, Refund
from app.sandbox import Postgres
from benchmarks.measure import rates, report
from outbox.database import Database
from outbox.migrate import migrate
from outbox.records import DecisionRecord, Effect, Message, Origin
from outbox.relay import Relay
from outbox.writer import DecisionWriter

AT = datetime(2026, 1, 1, tzinfo=UTC)
DECISIONS = 2_000


class Nowhere:
    """A publisher that acknowledges everything at once."""

    async def publish_lane(self, _lane: int, _epoch: int, batch: Mapping[int, Message]) -> Mapping[int, None]:
        """Do nothing."""
        return dict.fromkeys(batch)


async def measure() -> None:
    """Decisions per second with batches of one and of a hundred; messages per second drained."""
    with tempfile.TemporaryDirectory() as directory:
        postgres = Postgres(Path(directory) / "postgresql")
        await asyncio.to_thread(postgres.start)
        try:
            await asyncio.to_thread(migrate, postgres.database_url)
            await _measure(postgres.database_url)
        finally:
            await asyncio.to_thread(postgres.release)


async def _measure(database_url: str) -> None:
    database = Database(database_url)
    numbers = count()
    found = await rates(
        {
            "one decision per transaction": _writing(database, numbers, batch_size=1),
            "group commit, up to 100": _writing(database, numbers, batch_size=100),
            "group commit, one in ten refunds": _writing(database, numbers, batch_size=100, refunds_in=10),
            "group commit, all of them refund": _writing(database, numbers, batch_size=100, refunds_in=1),
        },
        runs=3,
    )
    report("decision with one message, 500 in flight", "decisions/s", found)
    relay = Relay(database, Nowhere(), owner="bench")

    async def drain() -> int:
        return await relay.drain()

    await drain()
    writing = _writing(database, numbers, batch_size=100)

    async def write_and_drain() -> int:
        await writing()
        return await drain()

    report("outbox", "messages/s", await rates({"written and drained": write_and_drain}, runs=3))
    await database.close()


def _writing(
    database: Database, numbers: count[int], *, batch_size: int, refunds_in: int | None = None
) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        writer = DecisionWriter(database, on_commit=lambda _lanes: None, batch_size=batch_size)
        room = asyncio.Semaphore(500)

        async def one(number: int) -> None:
            async with room:
                refunding = refunds_in is not None and number % refunds_in == 0
                await writer.record(_record(number, effects=(_refund(number),) if refunding else ()))

        amount = DECISIONS if batch_size > 1 else DECISIONS // 5
        await asyncio.gather(*(one(next(numbers)) for _ in range(amount)))
        await writer.stop()
        return amount

    return work


def _refund(number: int) -> Refund:
    entry = LedgerEntry(entry_id=str(uuid.uuid4()), debit="refunds", credit="payments", amount_minor=100)
    return Refund(
        refund_id=str(uuid.uuid4()),
        payment_id=f"p-{number}",
        order_id=f"o-{number}",
        customer_id=f"c-{number % 500}",
        amount_minor=100,
        currency="EUR",
        reason="a refund",
        captured_minor=100,
        entries=(entry,),
    )


def _record(number: int, effects: tuple[Effect, ...]) -> DecisionRecord:
    return DecisionRecord(
        agent="bench",
        event_id=f"event-{number}",
        event_source="urn:bench",
        event_type="PaymentSucceeded",
        event_at=AT,
        entity="customer",
        entity_id=f"c-{number % 500}",
        origin=Origin(topic="timeline-customer", partition=0, offset=number, at=AT),
        history={"offsets": list(range(50)), "sha256": "0" * 64},
        brain="rules",
        model=None,
        outcome="approve",
        reason="nothing unusual",
        confidence=0.9,
        fallback_reason=None,
        status="committed",
        decided_at=AT,
        messages=(Message(id=f"m-{number}", topic="payments", key=f"c-{number % 500}".encode(), value=b"{}"),),
        effects=effects,
    )
