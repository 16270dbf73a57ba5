"""Ports: what the stream loop needs from outside, and nothing of whose it is."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Protocol

from outbox.errors import Permanent
from outbox.records import DeadLetter, DecisionRecord
from tables.window import Entry, WindowSpec


class Record(Protocol):
    """One record of a timeline, as it was fetched."""

    @property
    def offset(self) -> int:
        """The offset in the partition."""

    @property
    def key(self) -> bytes | None:
        """The entity id."""

    @property
    def value(self) -> bytes | None:
        """A structured CloudEvent."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Kafka headers."""

    @property
    def timestamp(self) -> int | None:
        """The record's timestamp as it was written, in milliseconds since 1970: any number, or none."""


class Batch(Protocol):
    """What was fetched of one partition of a timeline at once, in the order of its offsets."""

    @property
    def topic(self) -> str:
        """The timeline."""

    @property
    def partition(self) -> int:
        """The partition of the timeline."""

    @property
    def records(self) -> Sequence[Record]:
        """The records; one at least."""

    @property
    def stale(self) -> bool:
        """Whether a rebalance began since this was read: nothing may be written for it, it comes again."""

    def hold(self) -> None:
        """Say that something of it is in flight, once more; to be released as often."""

    def release(self) -> None:
        """Say that something that was held is in flight no more, be it done or given up."""

    def done(self, offset: int) -> None:
        """Say that everything of the partition before this offset is done."""


class Windows(Protocol):
    """The agent's windows (`tables.table.WindowTable`)."""

    @property
    def spec(self) -> WindowSpec:
        """How much is remembered."""

    def fold(
        self, partition: int, entity: str, *, offset: int, time: datetime, event_id: str, payload: bytes
    ) -> Sequence[Entry]:
        """Remember an event, in memory until `flush`; the rings of the entity afterwards."""

    def flush(self, partition: int) -> Awaitable[None] | None:
        """Write what was folded; done when the changelog has it, fails when it never will. None: nothing was folded."""

    def read(self, partition: int, entity: str) -> Sequence[Entry]:
        """The rings of an entity."""


class Writer(Protocol):
    """Where decisions and dead letters are committed (`outbox.writer.DecisionWriter`)."""

    async def record(self, record: DecisionRecord) -> bool:
        """Commit a decision; raises `Permanent` when that can never be."""

    async def record_all(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        """Commit decisions in this order; for each what `record` would return or raise."""

    async def bury(self, letter: DeadLetter) -> None:
        """Commit a dead letter."""
