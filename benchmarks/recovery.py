"""Recovery: what a lost window table costs to read back, once its records are fetched, and what a piece should hold."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import orjson
from faust.types import TP

from benchmarks.measure import rates, report
from tables import ring
from tables.recovery import PIECE_RECORDS, WindowRecovery
from tables.table import SlotTable, WindowTable
from tables.window import Entry, WindowSpec

SPEC = WindowSpec(events=50, age=timedelta(days=30))
RECORDS = 50_000
ENTITIES = 1_000
#: With key and header, some 500 bytes a record.
PAYLOAD = orjson.dumps({"id": "e" * 36, "type": "PaymentSucceeded", "data": {"note": "x" * 350}})
#: Sizes of pieces to compare with the recovery's own.
PIECES = (1, 100, 500, 2_000)
PARTITION = TP("bench-windows-changelog", 0)


@dataclass(frozen=True, slots=True)
class Record:
    """What recovery looks at of aiokafka's records."""

    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


async def measure() -> None:
    """Records per second into empty databases, by the size of a piece."""
    records = _records()
    with tempfile.TemporaryDirectory() as directory:
        folders = (Path(directory) / str(number) for number in count())
        contenders = {f"the recovery, pieces of {PIECE_RECORDS}": _recovering(folders, records)}
        for size in PIECES:
            contenders[f"the table, pieces of {size:,}"] = _writing(folders, records, size)
        found = await rates(contenders, runs=3)
    report(f"recovery of windows, {len(records[0].key) + len(records[0].value)} bytes a record", "records/s", found)


def _records() -> Sequence[Record]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = []
    for offset in range(RECORDS):
        seq, entity = divmod(offset, ENTITIES)
        value = ring.encode(Entry(seq, offset, at, f"event-{offset:030}", PAYLOAD))
        made.append(Record(offset, ring.key(f"customer-{entity}", seq % SPEC.capacity), value))
    return made


def _recovering(folders: Iterator[Path], records: Sequence[Record]) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        table = _table(next(folders))
        recovery = WindowRecovery(table.app, table.app.tables)
        recovery.add_active(table, PARTITION)
        recovery.active_highwaters[PARTITION], recovery.active_offsets[PARTITION] = records[-1].offset, -1
        recovery._set_recovery_started()
        await recovery.take(PARTITION, records)
        assert not recovery.in_recovery, "all of it is there"
        return len(records)

    return work


def _writing(folders: Iterator[Path], records: Sequence[Record], size: int) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        table = _table(next(folders))
        for start in range(0, len(records), size):
            table.recover(PARTITION, records[start : start + size])
        return len(records)

    return work


def _table(directory: Path) -> SlotTable:
    app: Any = faust.App("bench", broker="kafka://127.0.0.1:1", datadir=str(directory), store="memory://")
    app.consumer = SimpleNamespace(topic_partitions=lambda _topic: 1, unacked=set())
    return WindowTable(app, "windows", SPEC, partitions=1).table
