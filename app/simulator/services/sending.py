"""Sending: faults as records for Kafka, of graphs of their own that have just had their trouble."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice

import orjson

from app.simulator.records import Produced
from app.simulator.services.cases import KINDS, Case, case

#: The day of a case has so many hours until all of it is told.
_HOURS = 13


def faults_until_now(seed: int, count: int, now: datetime | None = None) -> Sequence[Case]:
    """So many faults of every kind in turn, with a tenth missing, told until now (UTC; without one, the clock's)."""
    start = (now or datetime.now(UTC)).replace(second=0, microsecond=0) - timedelta(hours=_HOURS)
    kinds = islice(cycle(KINDS), count)
    return [
        case(seed + number, kind, missing=0.1, start=start, place=f"g{number}.") for number, kind in enumerate(kinds)
    ]


def records_of(fault: Case) -> Sequence[Produced]:
    """What is told of a fault, keyed by its services."""
    return [
        Produced(
            topic="platform",
            key=str(event["data"]["service"]).encode(),
            value=orjson.dumps(event),
            at=datetime.fromisoformat(event["time"]),
        )
        for event in fault.events
    ]
