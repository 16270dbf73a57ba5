"""Inputs: records of a timeline as one agent reads them, and the dead letters of those it can do nothing with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Final

from agents.engine.ports import Batch, Record
from agents.engine.record import escalations, log_fields
from agents.engine.routing import read_timeline
from agents.engine.stamps import instant, remark
from agents.engine.tracing import Deciding, DecisionTracing
from agents.model.agent import Agent
from agents.model.history import History
from agents.model.types import Received, Types
from outbox.errors import Echo
from outbox.records import DeadLetter, Origin
from tables.cache import ByteCache
from tables.errors import Permanent
from tables.event import Event, InvalidEvent
from tables.footprint import parsed_bytes

log = logging.getLogger(__name__)

#: What is kept of records that were read, for the other agents of their timeline, in bytes by the estimate of
#: `tables.footprint`: those of some thousand ordinary events. Agents that are further apart read for themselves.
READINGS_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """An event to decide on, and where it stands."""

    batch: Batch
    record: Record
    known: History
    entity_id: str
    #: Who follows it, if anybody does.
    trace: Deciding | None = None

    @property
    def origin(self) -> Origin:
        """Where it came from."""
        return _origin(self.batch, self.record)


@dataclass(slots=True)
class _Reading:
    """A record as it was read."""

    #: Its value: the same object, or it is another record.
    value: bytes | None
    event: Event
    entity_id: str
    #: With the data, once an agent has looked at it.
    received: Received | None = None


class Readings:
    """What the agents of this worker have read last, for those that read the same timeline."""

    def __init__(self, max_bytes: int = READINGS_BYTES) -> None:
        self._kept: ByteCache[tuple[str, int, int], _Reading] = ByteCache(max_bytes)

    def read(self, batch: Batch, record: Record) -> _Reading:
        """Read a record, or find it. Raises `InvalidEvent`."""
        place = (batch.topic, batch.partition, record.offset)
        found = self._kept.get(place)
        if found is None or found.value is not record.value:
            found = _read(record)
            self._kept.put(place, found, parsed_bytes(found.value or b""))
        return found


def _read(record: Record) -> _Reading:
    event, entity_id = read_timeline(record.key, record.value)
    return _Reading(record.value, event, entity_id)


class Inputs:
    """Reads for one agent. `types` are those of the loaded domains; `readings` are shared by those of one timeline.

    `tracing` follows what the agent decides on, if somebody wants to.
    """

    def __init__(
        self, agent: Agent, types: Types, readings: Readings | None = None, tracing: DecisionTracing | None = None
    ) -> None:
        self._agent = agent
        self.types = types
        self._readings = readings
        self.tracing = tracing

    def read(self, batch: Batch, record: Record) -> tuple[Received, str] | DeadLetter:
        """The event and the id of its entity, or what becomes of a record that is none.

        Data of types that the agent neither remembers nor reacts to is not looked at.
        """
        try:
            # Read as the history will read it: what the window holds must stay readable for every later decision.
            reading = _read(record) if self._readings is None else self._readings.read(batch, record)
            event = reading.event
            if event.type not in self._agent.remembers and event.type not in self._agent.reacts_to:
                return Received(event, None), reading.entity_id
            if reading.received is None:
                reading.received = self.types.receive(event)
        except InvalidEvent as error:
            return self._dead_letter(batch, record, error.reason, str(error))
        except Exception as error:
            # Reading is pure: it would end the worker at every start.
            origin = _origin(batch, record)
            log.exception(
                "agent %s cannot read %s", self._agent.name, origin, extra=origin.log_fields(self._agent.name)
            )
            return self._dead_letter(batch, record, "unprocessable", type(error).__name__)
        return reading.received, reading.entity_id

    def refused(self, asked: Asked, error: Permanent) -> DeadLetter:
        """What becomes of an event that cannot be decided on; whom it is about and a person hear of it as well."""
        about = None
        event = asked.known.event
        fields = {**asked.origin.log_fields(self._agent.name), **log_fields(self._agent.name, event)}
        if isinstance(error, Echo):
            # Nothing of it is published, so the chain ends here; a person hears once of its correlation.
            log.warning("refused, agents answer each other: %s", error, extra=fields)
            about = error.correlation_id
        else:
            log.error("agent %s cannot decide on event %s", self._agent.name, event.id, exc_info=error, extra=fields)
        letter = self._dead_letter(asked.batch, asked.record, error.reason, str(error), about=about)
        tells = escalations(self._agent, asked.known, asked.entity_id, failure=letter.reason, why=letter.detail)
        return replace(letter, tells=tells)

    def _dead_letter(
        self, batch: Batch, record: Record, reason: str, detail: str, *, about: str | None = None
    ) -> DeadLetter:
        return DeadLetter(
            consumer=self._agent.name,
            reason=reason,
            detail=detail + remark(record.timestamp),
            origin=_origin(batch, record),
            key=record.key,
            value=record.value,
            headers=tuple((name, value or b"") for name, value in record.headers),
            about=about,
        )


def _origin(batch: Batch, record: Record) -> Origin:
    return Origin(topic=batch.topic, partition=batch.partition, offset=record.offset, at=instant(record.timestamp))
