"""Dead letters to bury."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from outbox.records import DeadLetter, Origin

NOON: Final = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def letter(offset: int, **changes: Any) -> DeadLetter:
    """What `fraud` gave up at this offset of the second partition of its timeline."""
    made = DeadLetter(
        consumer="fraud",
        reason="decision_failed",
        detail="agent fraud: KeyError while deciding",
        origin=Origin(topic="timeline-customer", partition=2, offset=offset, at=NOON),
        key=b"customer-1",
        value=b'{"n":1}',
        headers=(),
    )
    return replace(made, **changes)
