"""Facts: CloudEvents of programs written by somebody else, made as plain dictionaries and sent with plain aiokafka.

Nothing of Innervate is used to make or to send an event. Times are absolute: the first event of a series happens at
`OPENING`, each later one a minute after the one before.
"""

from __future__ import annotations

import asyncio
import json
import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from aiokafka import AIOKafkaProducer
from recomputed import who_decides
from waiting import PATIENCE_SECONDS

OPENING = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
SOURCE = "urn:shop:till"

#: Larger than what any test sends, so that the broker's answer is what counts.
_PRODUCER_LIMIT_BYTES = 8 * 1024 * 1024
_UNHURRIED_SECONDS = 0.004


@dataclass(frozen=True)
class Record:
    """What goes into Kafka."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    topic: str = "payments"


@dataclass(frozen=True)
class Fact:
    """What happened to an entity; `event_id` names the event, `number` its place in the series."""

    topic: ClassVar[str]

    event_id: str
    entity_id: str
    number: int = 0
    kind: str = ""
    data: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @abstractmethod
    def usual(self) -> dict[str, Any]:
        """The data, unless a test wants it different."""

    @abstractmethod
    def key(self) -> str:
        """What its producer keys it by."""

    def fields(self) -> dict[str, Any]:
        """The data, with what the test wants different."""
        return {**self.usual(), **self.data}

    @property
    def deciders(self) -> Sequence[str]:
        """The agents that have to decide on it."""
        return who_decides(self.kind, self.fields())

    def attributes(self) -> dict[str, str]:
        """The envelope of the event."""
        at = OPENING + timedelta(minutes=self.number)
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": SOURCE,
            "type": self.kind,
            "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def structured(self, **extensions: str) -> Record:
        """One JSON object with envelope and data."""
        event = {**self.attributes(), **extensions, "data": self.fields()}
        media_type = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
        return Record(json.dumps(event).encode(), media_type, self.key().encode(), self.topic)

    def binary(self, **extensions: str) -> Record:
        """The envelope in headers, the data alone in the value."""
        headers = [(f"ce_{name}", text.encode()) for name, text in {**self.attributes(), **extensions}.items()]
        value = json.dumps(self.fields()).encode()
        return Record(value, (*headers, ("content-type", b"application/json")), self.key().encode(), self.topic)


def ids(facts: Sequence[Fact]) -> list[str]:
    """The ids of their events."""
    return [fact.event_id for fact in facts]


def due_ids(facts: Sequence[Fact]) -> list[str]:
    """The ids of those events that somebody has to decide on."""
    return [fact.event_id for fact in facts if fact.deciders]


def records(facts: Sequence[Fact]) -> list[Record]:
    """As producers with two programs send them: every third one in binary mode."""
    return [fact.structured() if fact.number % 3 else fact.binary() for fact in facts]


async def send(kafka: str, records: Sequence[Record], pause_seconds: float = 0.0) -> None:
    """Send in order, each one after the acknowledgement of the one before."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_request_size=_PRODUCER_LIMIT_BYTES)
    async with producer:
        for record in records:
            await producer.send_and_wait(record.topic, key=record.key, value=record.value, headers=list(record.headers))
            await asyncio.sleep(pause_seconds)


@contextmanager
def sending(kafka: str, records: Sequence[Record], *, rest: threading.Event | None = None) -> Iterator[None]:
    """Send unhurriedly in the background; everything is sent when the block is left, or the failure is raised.

    With `rest` the second half waits until that is set, at the latest at the end of the block: however fast a worker
    is and however slow the test, not everything can be decided before.
    """
    failures: list[BaseException] = []
    half = len(records) // 2 if rest else len(records)

    def run() -> None:
        try:
            asyncio.run(send(kafka, records[:half], _UNHURRIED_SECONDS))
            if rest:
                rest.wait(PATIENCE_SECONDS)
                asyncio.run(send(kafka, records[half:], _UNHURRIED_SECONDS))
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            failures.append(error)

    thread = threading.Thread(target=run, name="facts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if rest:
            rest.set()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive(), f"{len(records)} records were not sent in {PATIENCE_SECONDS:.0f} s"
    if failures:
        raise failures[0]
