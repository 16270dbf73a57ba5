"""Window tables outside a worker: on RocksDB in a folder, with a changelog that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

import faust
from faust.types import TP

from tables.changelog import Removal, Write
from tables.lapse import Lapse
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
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def tp(self) -> TP:
        return TP(self.topic, self.partition)


@dataclass
class Changelog:
    """Stands where the changelog topic does: acknowledges every record at once and keeps it."""

    records: list[Message] = field(default_factory=list)
    on_stored: Callable[[int, int, int], None] = lambda *_: None

    def send(self, partition: int, writes: Sequence[Write] | Sequence[Removal]) -> asyncio.Future[None]:
        first = sum(record.partition == partition for record in self.records)
        for offset, (key, value) in enumerate(cast("Sequence[tuple[bytes, bytes | Lapse]]", writes), first):
            if isinstance(value, Lapse):
                self.records.append(Message(CHANGELOG, partition, offset, key, None, value.headers))
            else:
                self.records.append(Message(CHANGELOG, partition, offset, key, value))
        self.on_stored(partition, first, len(writes))
        stored = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored


class Consumer:
    """Stands where the Kafka consumer does: every topic has two partitions."""

    def topic_partitions(self, _topic: str) -> int:
        return 2


def windows(datadir: Path, spec: WindowSpec = FOUR) -> tuple[WindowTable, Changelog]:
    """A table of windows in this folder, and its changelog."""
    app = faust.App("shop", broker="kafka://127.0.0.1:1", datadir=str(datadir), store="memory://")
    app.consumer = Consumer()  # type: ignore[assignment]
    table = WindowTable(app, "windows", spec, partitions=2)
    changelog = Changelog()
    changelog.on_stored = table.table._on_stored  # noqa: SLF001
    table.table.changelog = changelog  # type: ignore[assignment]
    return table, changelog
