"""Span: which part of a log is decided again. Everything before it, and other entities, is only remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents.replay.records import TimelineRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A partition as a replay found it: the log from `first` up to and without `end`. It reads on from `start`."""

    topic: str
    partition: int
    #: The first offset that was still there.
    first: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Begins are part of it, ends are not. Offsets count in every partition; times are those of the records in Kafka.

    Raises ValueError when nothing can be in it.
    """

    from_offset: int = 0
    to_offset: int | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    #: Only this entity, by its id.
    entity_id: str | None = None

    def __post_init__(self) -> None:
        if self.to_offset is not None and self.to_offset <= self.from_offset:
            raise ValueError(f"the span ends at offset {self.to_offset} and begins at {self.from_offset}")
        if self.from_at is not None and self.to_at is not None and self.to_at <= self.from_at:
            raise ValueError(f"the span ends at {self.to_at.isoformat()} and begins at {self.from_at.isoformat()}")

    def is_about(self, record: TimelineRecord) -> bool:
        """Whether the record's entity has to be remembered."""
        return self.entity_id is None or record.key == self.entity_id.encode()

    def covers(self, record: TimelineRecord) -> bool:
        """Whether a decision on the record is made again."""
        return (
            self._has_offset(record.offset)
            and (self.from_at is None or record.at >= self.from_at)
            and (self.to_at is None or record.at < self.to_at)
            and self.is_about(record)
        )

    def covers_offset(self, offset: int) -> bool:
        """Whether a decision at this offset is surely in the span when its record is not known."""
        by_offset_alone = self.from_at is None and self.to_at is None and self.entity_id is None
        return by_offset_alone and self._has_offset(offset)

    def end_within(self, end: int) -> int:
        """Where to stop reading a partition that ends at `end`."""
        return end if self.to_offset is None else min(end, self.to_offset)

    def _has_offset(self, offset: int) -> bool:
        return self.from_offset <= offset and (self.to_offset is None or offset < self.to_offset)
