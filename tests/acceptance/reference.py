"""The reference: what every history must have been, recomputed from the timeline by ten lines that share no code.

The product reads a ring in RocksDB that went through crashes, rebalances and recoveries; this reads the log from its
beginning. Both must name the same offsets and hash the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord

#: The window of the fraud agent.
EVENTS = 50
AGE = timedelta(days=30)
REMEMBERED = {"PaymentSucceeded", "PaymentFailed", "ChargebackReceived"}


@dataclass(frozen=True)
class Remembered:
    """An event in the timeline."""

    offset: int
    at: datetime
    event_id: str
    payload: bytes


def histories(timeline: Iterable[ConsumerRecord]) -> dict[str, dict[str, Any]]:
    """What `decisions.history` must hold for each payment, by event id; `timeline` is in log order."""
    windows: dict[bytes, list[Remembered]] = defaultdict(list)
    expected = {}
    for record in timeline:
        event = json.loads(record.value)
        window = windows[record.key]
        if event["type"] not in REMEMBERED or any(known.event_id == event["id"] for known in window):
            continue
        at = datetime.fromisoformat(event["time"])
        if event["type"] == "PaymentSucceeded":
            expected[event["id"]] = _reference([known for known in window[-EVENTS:] if at - known.at <= AGE])
        window.append(Remembered(record.offset, at, event["id"], record.value))
    return expected


def _reference(history: list[Remembered]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for known in history:
        digest.update(known.offset.to_bytes(8, "big") + len(known.payload).to_bytes(4, "big") + known.payload)
    return {"offsets": [known.offset for known in history], "sha256": digest.hexdigest()}
