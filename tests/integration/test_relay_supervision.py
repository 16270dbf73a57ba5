"""The relay's background tasks on PostgreSQL: whatever ends one of them, messages are published afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from outbox.database import Database, Row
from outbox.notify import Notifications
from outbox.outcomes import Outcome
from outbox.records import Message
from outbox.relay import Relay


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    relay.start()
    try:
        yield
    finally:
        await relay.stop()


@pytest.mark.parametrize("table", ["outbox_lanes", "outbox_workers", "outbox_messages"])
async def test_messages_are_published_when_a_table_that_was_away_is_back(
    table: str,
    worker: Any,
    commit: Callable[..., None],
    query: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(worker.relay):
        await until(lambda: len(worker.relay.lanes) == 64)
        query(f"ALTER TABLE {table} RENAME TO away")
        worker.relay.kick()
        await until(lambda: f'wait for PostgreSQL: relation "{table}"' in caplog.text.replace("waits", "wait"))

        query(f"ALTER TABLE away RENAME TO {table}")
        commit("m-1")

        await until(lambda: worker.publisher.sent == ["m-1"])


class Failing(Database):
    """The real database; statements with a certain text fail as nobody expects, as long as there are errors left."""

    def __init__(self, dsn: str, text: str, errors: Sequence[BaseException]) -> None:
        super().__init__(dsn, timeout_seconds=10)
        self._text = text
        self._errors = list(errors)

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        if self._text in statement and self._errors:
            raise self._errors.pop()
        return await super().run(statement, parameters)


@pytest.mark.parametrize("error", [ZeroDivisionError(), asyncio.CancelledError()], ids=["error", "cancellation"])
@pytest.mark.parametrize(
    ("text", "task"), [("UPDATE outbox_lanes", "outbox leases"), ("FROM outbox_messages", "outbox relay")]
)
async def test_a_task_of_the_relay_that_failed_goes_on_and_is_named(
    text: str,
    task: str,
    error: BaseException,
    database_url: str,
    worker: Any,
    commit: Callable[..., None],
    until: Callable[..., Any],
) -> None:
    database = Failing(database_url, text, [error] * 3)
    relay = Relay(database, worker.publisher, owner="a")
    commit("m-1")
    try:
        async with running(relay):
            await until(lambda: worker.publisher.sent == ["m-1"])
            assert list(relay.background.failing()) == [task]
    finally:
        await database.close()


class CancelledOnce:
    """A publisher whose library cancels itself once."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self._is_first = True

    async def publish_lane(self, _lane: int, _epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        if self._is_first:
            self._is_first = False
            raise asyncio.CancelledError
        self.sent += [message.id for message in batch.values()]
        return dict.fromkeys(batch)


async def test_a_lane_whose_publisher_cancelled_itself_is_published_later(
    database: Database, commit: Callable[..., None], until: Callable[..., Any]
) -> None:
    publisher = CancelledOnce()
    commit("m-1")
    async with running(Relay(database, publisher, owner="a")):
        await until(lambda: publisher.sent == ["m-1"])


async def test_what_nobody_announced_is_published_all_the_same(
    worker: Any, commit: Callable[..., None], until: Callable[..., Any]
) -> None:
    async with running(worker.relay):
        await until(lambda: len(worker.relay.lanes) == 64)
        commit("m-1")
        await until(lambda: worker.publisher.sent == ["m-1"])


async def test_an_announcer_that_failed_announces_again(database_url: str, until: Callable[..., Any]) -> None:
    database = Failing(database_url, "pg_notify", [ZeroDivisionError()])
    hints: list[None] = []
    notifications = Notifications(database, database_url, on_hint=lambda: hints.append(None))
    notifications.start()
    try:
        await until(lambda: len(hints) == 1)
        notifications.announce()
        await until(lambda: "outbox announcer" in notifications.background.failing())
        notifications.announce()
        await until(lambda: len(hints) == 2)
    finally:
        await notifications.stop()
        await database.close()
