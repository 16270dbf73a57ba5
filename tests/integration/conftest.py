"""What the integration tests of the outbox share: database, writer, relay, records to write, a wait for a condition."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import decisions
import pytest
from waiting import PATIENCE_SECONDS, until

from app.sandbox.process import clean_environment
from app.sandbox.worker_process import CHECKOUT
from outbox.database import Database
from outbox.outcomes import Outcome
from outbox.records import DecisionRecord, Message
from outbox.relay import Relay
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)

DecisionOf = Callable[..., DecisionRecord]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The product's pool on a fresh database; no answer in so long a time is a failure of the test."""
    pool = Database(database_url, timeout_seconds=PATIENCE_SECONDS)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def message() -> Callable[..., Message]:
    """Build messages; see `decisions.message`."""
    return decisions.message


@pytest.fixture
def decision() -> DecisionOf:
    """Build decisions; see `decisions.decision`."""
    return decisions.decision


@pytest.fixture
def writing() -> Callable[..., AbstractAsyncContextManager[DecisionWriter]]:
    """Runs a writer on a database for the length of a block."""

    @asynccontextmanager
    async def run(
        database: Database, *, on_commit: Callable[[Collection[int]], None] = lambda _lanes: None, batch_size: int = 100
    ) -> AsyncIterator[DecisionWriter]:
        running = DecisionWriter(database, on_commit=on_commit, batch_size=batch_size)
        try:
            yield running
        finally:
            await running.stop()

    return run


@pytest.fixture
async def writer(database: Database, writing: Callable[..., Any]) -> AsyncIterator[DecisionWriter]:
    async with writing(database) as running:
        yield running


@pytest.fixture
def settle() -> Callable[..., Any]:
    """Records all at once, in this order, so that they share batches; a decision that waits for ever is a failure."""

    async def record_all(writer: DecisionWriter, *records: DecisionRecord) -> list[bool | BaseException]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.gather(*map(writer.record, records), return_exceptions=True)

    return record_all


class FakePublisher:
    """Takes everything, unless outcomes are laid down for a message id; then those, one each time."""

    def __init__(self) -> None:
        #: What was sent, a lane at a time.
        self.batches: list[list[Message]] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        #: Called with a batch before it is acknowledged.
        self.meanwhile: Callable[[Sequence[Message]], Awaitable[None]] | None = None

    async def publish_lane(self, _lane: int, _epoch: int, batch: Mapping[int, Message]) -> Mapping[int, Outcome]:
        messages = list(batch.values())
        self.batches.append(messages)
        if self.meanwhile is not None:
            await self.meanwhile(messages)
        return {seq: self.outcomes[m.id].pop(0) if self.outcomes.get(m.id) else None for seq, m in batch.items()}

    @property
    def sent(self) -> list[str]:
        return [message.id for batch in self.batches for message in batch]


class RelayWorker:
    """A relay with connections and a publisher of its own."""

    def __init__(self, database: Database, owner: str) -> None:
        self.publisher = FakePublisher()
        self.relay = Relay(database, self.publisher, owner=owner)


@pytest.fixture
async def worker_of(database_url: str) -> AsyncIterator[Callable[[str], RelayWorker]]:
    """Relays by the name of their worker."""
    async with AsyncExitStack() as stack:

        def start(owner: str) -> RelayWorker:
            pool = Database(database_url, timeout_seconds=PATIENCE_SECONDS)
            stack.push_async_callback(pool.close)
            return RelayWorker(pool, owner)

        yield start


@pytest.fixture
def worker(worker_of: Callable[[str], RelayWorker]) -> RelayWorker:
    return worker_of("a")


@pytest.fixture
def commit(query: Callable[..., Any], message: Callable[..., Message]) -> Callable[..., None]:
    """Puts messages, given as ids or whole, into the outbox in this order."""

    def insert(*messages: str | Message) -> None:
        for given in messages:
            m = message(given) if isinstance(given, str) else given
            query(
                "INSERT INTO outbox_messages (lane, message_id, topic, key, value, headers) "
                """VALUES (%s, %s, %s, %s, %s, '[["content-type", "dGV4dC94"], ["again", ""]]')""",
                (m.lane, m.id, m.topic, m.key, m.value),
            )

    return insert


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
def typed(database_url: str) -> Callable[..., Any]:
    """Runs `faust -A app …` to its end: exit code, output, last line of the errors."""
    faust = str(Path(sys.executable).with_name("faust"))

    def run(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [faust, "-A", "app", *arguments],
            cwd=CHECKOUT,
            env=clean_environment() | {"DATABASE_URL": database_url} | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr.rstrip().rpartition("\n")[2]

    async def run_beside(*arguments: object, **environment: str) -> tuple[int, str, str]:
        return await asyncio.to_thread(run, tuple(map(str, arguments)), environment)

    return run_beside
