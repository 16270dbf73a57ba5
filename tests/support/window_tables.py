"""Window tables outside a worker: on RocksDB in a folder, with a changelog that is a list."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import faust
from faust import streams
from faust.types import TP, FutureMessage, PendingMessage, RecordMetadata

from tables.table import WindowTable
from tables.window import WindowSpec

CHANGELOG = "shop-windows-changelog"
FOUR = WindowSpec(events=4, age=timedelta(days=1))


@dataclass(frozen=True)
class Message:
    """A Kafka record, as far as tables look at it."""

    topic: str
    partition: int
    offset: int
    key: bytes = b""
    value: bytes | None = b""

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)


@dataclass
class Event:
    """An event of a stream, as far as tables look at it."""

    message: Message


@dataclass
class Changelog:
    """Stands where the changelog topic does: acknowledges every record at once and keeps it."""

    records: list[Message] = field(default_factory=list)
    topics: tuple[str, ...] = (CHANGELOG,)

    def get_topic_name(self) -> str:
        return CHANGELOG

    def send_soon(self, *, key: bytes, value: bytes, partition: int, callback: Any, **_options: Any) -> FutureMessage:
        offset = sum(record.partition == partition for record in self.records)
        record = Message(CHANGELOG, partition, offset, key, value)
        self.records.append(record)
        pending = PendingMessage(self, key, value, partition, None, None, "raw", "raw", callback)  # type: ignore[arg-type]
        sent = FutureMessage(pending)
        sent.set_result(RecordMetadata(CHANGELOG, partition, record.tp, offset, None, None))
        callback(sent)
        return sent


class Consumer:
    """Stands where the Kafka consumer does: every topic has two partitions."""

    def topic_partitions(self, _topic: str) -> int:
        return 2


@contextmanager
def during(partition: int) -> Iterator[None]:
    """Make an event of this timeline partition Faust's current event."""
    event = Event(Message("timeline-customer", partition, 0))
    token = streams._current_event.set(weakref.ref(event))  # type: ignore[arg-type]  # noqa: SLF001
    try:
        yield
    finally:
        streams._current_event.reset(token)  # noqa: SLF001


def windows(datadir: Path, spec: WindowSpec = FOUR) -> tuple[WindowTable, Changelog]:
    """A table of windows in this folder, and its changelog."""
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(datadir), store="memory://")
    app.consumer = Consumer()  # type: ignore[assignment]
    table = WindowTable(app, "windows", spec, partitions=2)
    changelog = Changelog()
    table.table.changelog_topic = changelog  # type: ignore[assignment]
    return table, changelog
