"""Notifications on PostgreSQL: a hint reaches the other workers, also after an outage, and costs little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from waiting import PATIENCE_SECONDS

from app.sandbox import Postgres
from outbox.database import Database, Row
from outbox.notify import Notifications

LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


class CountingDatabase(Database):
    """The real database; counts the statements."""

    statements = 0

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        self.statements += 1
        return await super().run(statement, parameters)


class Worker:
    """A worker that counts its hints."""

    def __init__(self, database_url: str) -> None:
        self.hints = 0
        self.database = CountingDatabase(database_url, timeout_seconds=PATIENCE_SECONDS)
        self.notifications = Notifications(self.database, database_url, on_hint=self._hint)

    def _hint(self) -> None:
        self.hints += 1

    async def stop(self) -> None:
        await self.notifications.stop()
        await self.database.close()


@pytest.fixture
async def workers(database_url: str, until: Callable[..., Any]) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers that listen."""
    async with AsyncExitStack() as stack:
        both = (Worker(database_url), Worker(database_url))
        for worker in both:
            worker.notifications.start()
            stack.push_async_callback(worker.stop)
        await until(lambda: all(worker.hints for worker in both))
        yield both


async def test_an_announcement_reaches_the_other_worker(
    workers: tuple[Worker, Worker], until: Callable[..., Any]
) -> None:
    first, second = workers
    before = second.hints

    first.notifications.announce()

    await until(lambda: second.hints > before)


async def test_many_announcements_are_few_statements(workers: tuple[Worker, Worker], until: Callable[..., Any]) -> None:
    first, second = workers
    before = second.hints

    for _ in range(1000):
        first.notifications.announce()
        await asyncio.sleep(0)
    await until(lambda: second.hints > before)

    assert 1 <= first.database.statements < 100


async def test_after_an_outage_everybody_is_told_to_look_and_hears_again(
    workers: tuple[Worker, Worker], postgres: Postgres, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    first, second = workers
    before = second.hints
    await asyncio.to_thread(postgres.crash)
    first.notifications.announce()
    await asyncio.to_thread(postgres.restart)
    await until(lambda: second.hints > before)
    await until(lambda: len(query(LISTENERS)) == 2)
    before = second.hints

    first.notifications.announce()

    await until(lambda: second.hints > before)


async def test_a_listener_whose_connection_was_cut_comes_back(
    workers: tuple[Worker, Worker], query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    first, second = workers
    old = set(query(LISTENERS))
    query(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listeners")
    await until(lambda: len(set(query(LISTENERS)) - old) == 2)
    before = second.hints

    first.notifications.announce()

    await until(lambda: second.hints > before)
