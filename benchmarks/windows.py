"""Windows: what a fold costs, and how many bytes an event adds to the changelog."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import orjson
from faust import streams

from benchmarks.measure import rates, report
from tables.table import WindowTable
from tables.window import WindowSpec

SPEC = WindowSpec(events=50, age=timedelta(days=30))
PAYLOAD = b"x" * 300
FOLDS = 2_000
ENTITIES = 100


class Changelog:
    """Counts what would be sent."""

    def __init__(self) -> None:
        self.sent_bytes = 0

    def get_topic_name(self) -> str:
        """Name it."""
        return "bench-windows-changelog"

    def send_soon(self, *, key: bytes, value: bytes, partition: int, **_: Any) -> Any:
        """Stand in for the topic."""
        self.sent_bytes += len(key) + len(value)
        return SimpleNamespace(message=SimpleNamespace(partition=partition))


class Current:
    """What a table looks at of the current event."""

    message = SimpleNamespace(partition=0, topic="timeline-customer")


async def measure() -> None:
    """Folds with the cache and without, and bytes per event against a list rewritten each time."""
    with tempfile.TemporaryDirectory() as directory:
        table, changelog = _table(Path(directory))
        offsets = count()
        event: Any = Current()
        token = streams._current_event.set(weakref.ref(event))
        try:
            _fold(table, offsets, ENTITIES * SPEC.capacity)
            found = await rates(
                {
                    "fold, ring read from RocksDB": _work(table, offsets, cached=False),
                    "fold, ring in memory": _work(table, offsets, cached=True),
                }
            )
            changelog.sent_bytes = 0
            _fold(table, offsets, FOLDS)
            per_event = changelog.sent_bytes / FOLDS
        finally:
            streams._current_event.reset(token)
    report("windows of 50 events, 300 bytes each", "folds/s", found)
    as_list = len(orjson.dumps([{"id": "e" * 36, "time": "2026-01-01T00:00:00Z", "data": PAYLOAD.decode()}] * 50))
    print(f"  changelog bytes per event: slot {per_event:.0f}, list of 50 {as_list} ({as_list / per_event:.0f} x)")


def _table(directory: Path) -> tuple[WindowTable, Changelog]:
    app = faust.App("bench", broker="kafka://127.0.0.1:1", datadir=str(directory), store="memory://")
    app.consumer = SimpleNamespace(topic_partitions=lambda _topic: 1, unacked=set())  # type: ignore[assignment]
    table = WindowTable(app, "windows", SPEC, partitions=1)
    changelog = Changelog()
    table.table.changelog_topic = changelog  # type: ignore[assignment]
    return table, changelog


def _fold(table: WindowTable, offsets: Any, folds: int) -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    for offset in (next(offsets) for _ in range(folds)):
        entity = f"customer-{offset % ENTITIES}"
        table.fold(0, entity, offset=offset, time=time, event_id=f"event-{offset:030}", payload=PAYLOAD)


def _work(table: WindowTable, offsets: Any, *, cached: bool) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        if cached:
            _fold(table, offsets, FOLDS)
            return FOLDS
        for _ in range(FOLDS):
            table.table.cache.clear()
            _fold(table, offsets, 1)
        return FOLDS

    return work
