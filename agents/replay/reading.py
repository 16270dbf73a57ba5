"""Reading: records of a timeline as the stream loop reads them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agents.engine.routing import read_timeline
from agents.model.types import Received, Types
from agents.replay.records import TimelineRecord
from tables.event import Event, InvalidEvent


@dataclass(frozen=True, slots=True)
class Read:
    """A record that some agent may care about."""

    record: TimelineRecord
    event: Event
    entity_id: str
    #: What is wrong where its data is not of its type.
    received: Received | InvalidEvent

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.record.topic, self.record.partition, self.record.offset


def read_record(record: TimelineRecord, types: Types) -> Read:
    """Read a record. Raises `InvalidEvent` for what is a dead letter to every agent."""
    event, entity_id = read_timeline(record.key, record.value)
    return Read(record, event, entity_id, _received(event, types))


def _received(event: Event, types: Types) -> Received | InvalidEvent:
    try:
        return types.receive(event)
    except InvalidEvent as error:
        return error
