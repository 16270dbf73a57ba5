"""Planting: records and rows by hand, for tests of what an audit finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from evidence import DecisionRow, Logged

#: What knows nothing.
EMPTY: Final = {"offsets": [], "sha256": hashlib.sha256().hexdigest()}


def record(topic: str, offset: int, value: Any, *, key: bytes = b"o-1", at: float = 500.0, **headers: bytes) -> Logged:
    """A record in partition 0."""
    return Logged(topic, 0, offset, at, key, json.dumps(value).encode(), tuple(headers.items()))


def history(*known: Logged) -> dict[str, Any]:
    """What is recorded of a decision that knew these records of its timeline."""
    digest = hashlib.sha256()
    for one in known:
        assert one.value is not None
        digest.update(one.offset.to_bytes(8, "big") + len(one.value).to_bytes(4, "big") + one.value)
    return {"offsets": [one.offset for one in known], "sha256": digest.hexdigest()}


def decision(
    agent: str, decided_on: Logged, known: dict[str, Any], messages: Sequence[Logged] = (), *, at: float = 500.0
) -> DecisionRow:
    """The row of a decision on a record of a timeline, and the messages of it as they are in Kafka."""
    event = json.loads(decided_on.value or b"")
    kept = []
    for message in messages:
        value = json.loads(message.value or b"")
        kept.append({"id": value["id"], "topic": message.topic, "key": (message.key or b"").decode(), "value": value})
    return DecisionRow(
        id=f"{agent}/{event['id']}",
        agent=agent,
        event_source=event["source"],
        event_id=event["id"],
        place=decided_on.place,
        history_json=json.dumps(known),
        messages_json=json.dumps(kept),
        committed_at=at,
    )
