"""Recomputed: what every history must have been, from a plain re-read of a timeline by code that shares nothing.

The product reads a ring in RocksDB that went through crashes, rebalances and recoveries; this reads the log from its
beginning. Both must name the same offsets and hash the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

#: The window of the fraud agent.
EVENTS = 50
AGE = timedelta(days=30)
REMEMBERED = {"PaymentSucceeded", "PaymentFailed", "ChargebackReceived"}
REACTED_TO = {"PaymentSucceeded"}
#: A copy counts as one while its first is among the last slots of the ring: the power of two that is twice `EVENTS`.
RING = 128

#: Partition and offset in the timeline.
Place = tuple[int, int]


class Record(Protocol):
    """A record of a timeline, as aiokafka or a test has it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Remembered:
    """An event in a window."""

    offset: int
    at: datetime
    event_id: str
    payload: bytes


@dataclass(frozen=True)
class Recomputed:
    """What must be recorded when the event in this place is decided on."""

    event_id: str
    history: Mapping[str, Any]


def recompute(timeline: Iterable[Record]) -> dict[Place, Recomputed]:
    """The history of each event that is reacted to, copies included; each partition must come in log order."""
    windows: dict[tuple[int, bytes | None], list[Remembered]] = defaultdict(list)
    expected = {}
    for record in timeline:
        payload = record.value or b""
        event = json.loads(payload)
        window = windows[record.partition, record.key]
        at = datetime.fromisoformat(event["time"])
        if event["type"] in REACTED_TO:
            known = [past for past in window[-EVENTS:] if at - past.at <= AGE and past.event_id != event["id"]]
            expected[record.partition, record.offset] = Recomputed(event["id"], _reference(known))
        is_copy = any(past.event_id == event["id"] for past in window)
        if event["type"] in REMEMBERED and not is_copy:
            window.append(Remembered(record.offset, at, event["id"], payload))
            del window[:-RING]
    return expected


def _reference(history: list[Remembered]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for known in history:
        digest.update(known.offset.to_bytes(8, "big") + len(known.payload).to_bytes(4, "big") + known.payload)
    return {"offsets": [known.offset for known in history], "sha256": digest.hexdigest()}
