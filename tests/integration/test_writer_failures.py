"""Decision writer when something fails: the guilty decision alone fails, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from refunding import refund
from waiting import PATIENCE_SECONDS

from agents.shop.refunds import Refund
from app.sandbox import Postgres
from outbox.database import Database, Row
from outbox.errors import Permanent
from outbox.writer import DecisionWriter

MESSAGE_IDS = "SELECT message_id FROM outbox_messages ORDER BY seq"
EVENT_IDS = "SELECT event_id FROM decisions ORDER BY event_id"


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "a\0b"},
        {"reason": "\ud800"},
        {"confidence": math.nan},
        {"confidence": 1.01},
        {"outcome": ""},
        {"status": "perhaps"},
        {"history": {"note": "a\0b"}},
    ],
    ids=["nul", "surrogate", "nan", "too-confident", "no-outcome", "unknown-status", "nul-in-history"],
)
async def test_a_decision_postgresql_refuses_fails_alone(
    writer: DecisionWriter,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    change: dict[str, Any],
    settle: Callable[..., Any],
) -> None:
    bad = decision("pay-2", **change)

    outcomes = await settle(writer, decision("pay-1"), bad, decision("pay-3"))

    assert isinstance(outcomes[1], Permanent)
    assert [outcomes[0], outcomes[2]] == [True, True]
    assert query(EVENT_IDS) == [("pay-1",), ("pay-3",)]
    assert query(MESSAGE_IDS) == [("m-pay-1",), ("m-pay-3",)]


@pytest.mark.parametrize(
    "change",
    [{"key": b"\xff"}, {"value": b"not json"}, {"value": b"\xff"}],
    ids=["key-of-bytes", "value-of-text", "value-of-bytes"],
)
async def test_a_message_that_cannot_be_kept_fails_with_its_decision_alone(
    writer: DecisionWriter,
    decision: Callable[..., Any],
    message: Callable[..., Any],
    query: Callable[..., Any],
    change: dict[str, Any],
    settle: Callable[..., Any],
) -> None:
    bad = decision("pay-2", messages=(message("m-bad", **change),))

    outcomes = await settle(writer, decision("pay-1"), bad, decision("pay-3"))

    assert isinstance(outcomes[1], Permanent)
    assert [outcomes[0], outcomes[2]] == [True, True]
    assert query(MESSAGE_IDS) == [("m-pay-1",), ("m-pay-3",)]


async def test_every_decision_is_there_once_after_a_crash_of_postgresql_under_load(
    database: Database,
    postgres: Postgres,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    until: Callable[..., Any],
    writing: Callable[..., Any],
) -> None:
    async with writing(database, batch_size=20) as writer:
        recorded = [
            asyncio.create_task(
                writer.record(decision(f"pay-{n}", effects=(refund(n, payment_id=f"p-{n}"),) if n % 10 == 0 else ()))
            )
            for n in range(3000)
        ]
        await until(lambda: query("SELECT 1 FROM decisions LIMIT 1"))
        await asyncio.to_thread(postgres.crash)
        assert not all(task.done() for task in recorded)
        await asyncio.to_thread(postgres.restart)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*recorded)

    assert query("SELECT count(*), count(DISTINCT event_id) FROM decisions") == [(3000, 3000)]
    assert query("SELECT count(*), count(DISTINCT message_id) FROM outbox_messages") == [(3000, 3000)]
    assert query("SELECT count(*), sum(refunded_minor)::bigint FROM captures") == [(300, 300 * 2000)]
    assert query("SELECT count(*) FROM ledger_entries") == [(300,)]


class Proxy:
    """A TCP proxy in front of PostgreSQL that, when told to, cuts a connection between a commit and its answer."""

    def __init__(self, port: int, committing: bytes) -> None:
        self._port = port
        self._committing = committing
        self.to_cut = 0
        self.cut = 0

    async def __call__(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, questions = await asyncio.open_connection("127.0.0.1", self._port)
        swallow = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(client, questions, swallow))
                both.create_task(self._answer(server, answers, swallow))
        except* ConnectionError:
            pass
        finally:
            questions.close()
            answers.close()

    async def _ask(self, client: asyncio.StreamReader, questions: asyncio.StreamWriter, swallow: asyncio.Event) -> None:
        while data := await client.read(65536):
            if self.to_cut and self._committing in data:
                self.to_cut -= 1
                swallow.set()
            questions.write(data)
            await questions.drain()
        raise ConnectionError("the client has gone")

    async def _answer(
        self, server: asyncio.StreamReader, answers: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        # PostgreSQL answers a statement of its own transaction after the commit.
        while data := await server.read(65536):
            if swallow.is_set():
                self.cut += 1
                break
            answers.write(data)
            await answers.drain()
        raise ConnectionError("cut")


@pytest.mark.parametrize(
    ("committing", "refunds"), [(b"INSERT INTO decisions", ()), (b"COMMIT", (refund(1),))], ids=["plain", "refund"]
)
async def test_a_commit_whose_answer_was_lost_is_not_written_twice(
    committing: bytes,
    refunds: tuple[Refund, ...],
    database_url: str,
    postgres: Postgres,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    writing: Callable[..., Any],
    settle: Callable[..., Any],
) -> None:
    announced: list[str] = []
    proxy = Proxy(postgres.port, committing)
    async with await asyncio.start_server(proxy, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(database_url.replace(f":{postgres.port}/", f":{port}/"), timeout_seconds=PATIENCE_SECONDS)
        try:
            async with writing(database, on_commit=lambda _lanes: announced.append("commit")) as writer:
                await writer.record(decision("pay-0"))
                proxy.to_cut = 2
                outcomes = await settle(writer, decision("pay-1", effects=refunds), decision("pay-2"))
        finally:
            await database.close()

    assert proxy.cut == 2
    assert not any(isinstance(outcome, BaseException) for outcome in outcomes)
    assert query(EVENT_IDS) == [("pay-0",), ("pay-1",), ("pay-2",)]
    assert sorted(query(MESSAGE_IDS)) == [("m-pay-0",), ("m-pay-1",), ("m-pay-2",)]
    assert query("SELECT count(*) FROM refunds") == [(len(refunds),)]
    # The messages may be there since the first attempt: the relay has to be told.
    assert announced == ["commit", "commit"]


async def test_stopping_gives_up_what_is_not_written_and_leaves_nobody_waiting(
    database: Database,
    postgres: Postgres,
    decision: Callable[..., Any],
    query: Callable[..., Any],
    writing: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await asyncio.to_thread(postgres.crash)
    try:
        async with writing(database, batch_size=2) as writer:
            recorded = [asyncio.create_task(writer.record(decision(f"pay-{n}"))) for n in range(5)]
            await until(lambda: "2 decisions wait for PostgreSQL" in caplog.text)
    finally:
        await asyncio.to_thread(postgres.restart)

    _, waiting = await asyncio.wait(recorded, timeout=PATIENCE_SECONDS)
    for task in waiting:
        task.cancel()

    assert not waiting
    assert all(task.cancelled() for task in recorded)
    assert query(EVENT_IDS) == []


async def test_a_decision_whose_caller_has_gone_does_not_stop_the_others(
    database: Database, decision: Callable[..., Any], query: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    async with writing(database) as writer:
        gone, stays = (asyncio.create_task(writer.record(decision(f"pay-{n}"))) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()

        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await stays is True
            assert await writer.record(decision("pay-3")) is True


class BrokenOnce(Database):
    """The real database; its first statement fails in a way nobody expects."""

    broken = False

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        if not self.broken:
            self.broken = True
            raise ZeroDivisionError
        return await super().run(statement, parameters)


async def test_a_bug_in_a_batch_is_raised_where_it_was_recorded_and_the_writer_goes_on(
    database_url: str, decision: Callable[..., Any], writing: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    database = BrokenOnce(database_url)
    try:
        async with writing(database) as writer:
            outcomes = await settle(writer, decision("pay-1"), decision("pay-2"))
            assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, ZeroDivisionError]
            assert await settle(writer, decision("pay-3")) == [True]
    finally:
        await database.close()
