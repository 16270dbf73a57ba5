"""A choreography's log and decisions as a replay reads them, and a replay of them in memory."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from choreography import Choreography
from shop_catalogue import AGENTS, CATALOGUE, TYPES

from agents.engine.routing import route
from agents.model.agent import Agent
from agents.replay.comparison import Comparison
from agents.replay.deciders import Decider, RulesDecider
from agents.replay.engine import Replay
from agents.replay.records import Published, RecordedDecision, TimelineRecord
from agents.replay.sources import DecisionSource, MemoryDecisions, MemoryTimeline
from agents.replay.span import Part, Span
from agents.replay.windows import ReplayWindows
from outbox.records import DecisionRecord

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def log_of(told: Choreography) -> dict[str, list[TimelineRecord]]:
    """What was written to the timelines, by topic, at the offsets the choreography gave."""
    log: dict[str, list[TimelineRecord]] = {}
    offset = 0
    for payload in told.log:
        for entity in route(payload, (), max_bytes=900_000, catalogue=CATALOGUE).entities:
            offset += 1
            topic = f"timeline-{entity.entity}"
            log.setdefault(topic, []).append(record_of(payload, entity.id, offset, topic=topic))
    return log


def record_of(payload: bytes | None, key: str, offset: int, *, topic: str = "timeline-customer", **rest: Any) -> Any:
    place: dict[str, Any] = {"topic": topic, "partition": 0, "offset": offset, "at": NOON} | rest
    return TimelineRecord(key=key.encode(), value=payload, **place)


def recorded(record: DecisionRecord, **rest: Any) -> RecordedDecision:
    """The decision as PostgreSQL has it."""
    values: dict[str, Any] = {
        "id": record.id,
        "agent": record.agent,
        "event_source": record.event_source,
        "event_id": record.event_id,
        "topic": record.origin.topic,
        "partition": record.origin.partition,
        "offset": record.origin.offset,
        "status": record.status,
        "brain": record.brain,
        "model": record.model,
        "fallback_reason": record.fallback_reason,
        "outcome": record.outcome,
        "reason": record.reason,
        "confidence": record.confidence,
        "history_offsets": record.history["offsets"],
        "history_sha256": record.history["sha256"],
        "messages": [Published(id=m.id, topic=m.topic, key=m.key, value=m.value) for m in record.messages],
    }
    return RecordedDecision(**(values | rest))


@dataclass
class Bench:
    """Replays timelines in memory; each call begins anew."""

    log: dict[str, list[TimelineRecord]]
    decisions: DecisionSource
    agents: Sequence[Agent] = tuple(AGENTS.values())

    @classmethod
    def of(cls, told: Choreography, agents: Iterable[Agent] = tuple(AGENTS.values())) -> Bench:
        return cls(log_of(told), MemoryDecisions([recorded(each) for each in told.decisions.values()]), tuple(agents))

    async def replay(
        self, decider: Decider | None = None, *, span: Span | None = None, bytes_kept: int = 1 << 26, **rest: Any
    ) -> list[Comparison]:
        with (
            tempfile.TemporaryDirectory() as directory,
            closing(
                ReplayWindows(
                    Path(directory) / "windows", durable=False, clean_bytes=bytes_kept, dirty_bytes=bytes_kept
                )
            ) as windows,
        ):
            replay = Replay(
                self.agents,
                decider=decider or RulesDecider(),
                windows=windows,
                decisions=self.decisions,
                span=span or Span(),
                **rest,
                types=TYPES,
            )
            return [each for topic in self.log async for each in self._of(replay, topic)]

    async def _of(self, replay: Replay, topic: str) -> AsyncIterator[Comparison]:
        timeline = MemoryTimeline(self.log[topic])
        for partition, (first, end) in (await timeline.partitions()).items():
            part = Part(topic=topic, partition=partition, first=first, start=first, end=end)
            async for each in replay.compare(part, timeline.read(partition, first, end)):
                yield each
