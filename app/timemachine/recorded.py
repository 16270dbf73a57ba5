"""Recorded decisions: what PostgreSQL holds about a partition of a timeline, in the order of the log.

Page after page, each in a transaction of its own: a decision committed meanwhile, behind what was read, is there or
not. Messages are given as they were sent, byte for byte: PostgreSQL keeps their fields in an order of its own, so they
are written anew by the models they came from. Fails with `outbox.errors.DatabaseUnavailable`.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from agents.engine.brain import RULES
from agents.model.types import Types
from agents.replay.code import DecidingCode
from agents.replay.records import Published, RecordedDecision
from outbox.database import Database, Row, queries
from outbox.journal import StoredReply
from tables.event import InvalidEvent, parse, to_json

_SQL: Final = queries("time_machine.sql")
_JOURNAL_SQL: Final = queries("journal.sql")

#: Decisions read at a time. A decision with its messages takes some kilobytes.
PAGE_ROWS: Final = 500


class RecordedDecisions:
    """Reads decisions and the replies of models they were made by."""

    def __init__(self, database: Database, types: Types, *, page_rows: int = PAGE_ROWS) -> None:
        self._database = database
        self._types = types
        self._page_rows = page_rows
        #: Those that were met, by their ids: there are few.
        self._codes: dict[int, DecidingCode] = {}

    async def read(
        self, topic: str, partition: int, agents: Collection[str], start: int, end: int
    ) -> AsyncIterator[RecordedDecision]:
        """What these agents decided on events from offset `start` on and before `end`, by offset and agent."""
        # No agent's name is empty: this comes before the first one at `start`.
        after = (start, "")
        while True:
            rows = await self._database.run(
                _SQL["recorded_page"],
                {
                    "topic": topic,
                    "partition": partition,
                    "agents": list(agents),
                    "after_offset": after[0],
                    "after_agent": after[1],
                    "end": end,
                    "limit": self._page_rows,
                },
            )
            for decision in await self._with_replies(rows):
                yield decision
            if len(rows) < self._page_rows:
                return
            after = (rows[-1].offset, rows[-1].agent)

    async def of(self, decision_id: uuid.UUID) -> RecordedDecision | None:
        """The decision with this id."""
        rows = await self._database.run(_SQL["recorded"], {"id": str(decision_id)})
        found = await self._with_replies(rows)
        return found[0] if found else None

    async def about(self, agent: str, event_source: str, event_id: str) -> RecordedDecision | None:
        """The agent's decision on this event."""
        event = {"agent": agent, "event_source": event_source, "event_id": event_id}
        found = await self._with_replies(await self._database.run(_SQL["recorded_about"], event))
        return found[0] if found else None

    async def is_dead(self, agent: str, topic: str, partition: int, offset: int) -> bool:
        """Whether the event there became a dead letter of this agent."""
        place = {"agent": agent, "topic": topic, "partition": partition, "offset": offset}
        return bool(await self._database.run(_SQL["dead_letter_at"], place))

    async def places_of(
        self, entity: str, entity_id: str, event_id: str, event_source: str | None
    ) -> Sequence[tuple[str, int, int]]:
        """Source, partition and offset of each event of the entity with this id that an agent decided on."""
        event = {"entity": entity, "entity_id": entity_id, "event_id": event_id, "event_source": event_source}
        rows = await self._database.run(_SQL["places_of_event"], event)
        return [(row.event_source, row.partition, row.offset) for row in rows]

    async def _with_replies(self, rows: Sequence[Row]) -> Sequence[RecordedDecision]:
        await self._meet({row.code_id for row in rows if row.code_id is not None} - self._codes.keys())
        decisions = [_decision(row, self._types, self._codes) for row in rows]
        asked = [each for each in decisions if each.brain != RULES or each.model or each.fallback_reason]
        if not asked:
            return decisions
        replies: defaultdict[tuple[str, str | None, str], list[StoredReply]] = defaultdict(list)
        parameters = {
            "agents": [each.agent for each in asked],
            "event_sources": [each.event_source for each in asked],
            "event_ids": [each.event_id for each in asked],
        }
        for row in await self._database.run(_JOURNAL_SQL["replies"], parameters):
            replies[row.agent, row.event_source, row.event_id].append(StoredReply.of(row))
        return [replace(each, replies=tuple(replies.get(_event(each), ()))) for each in decisions]

    async def _meet(self, ids: Collection[int]) -> None:
        if ids:
            for row in await self._database.run(_SQL["deciding_codes"], {"ids": sorted(ids)}):
                columns = row._asdict()
                code_id = columns.pop("id")
                self._codes[code_id] = DecidingCode(**columns)


def _event(decision: RecordedDecision) -> tuple[str, str | None, str]:
    return decision.agent, decision.event_source, decision.event_id


def _decision(row: Row, types: Types, codes: Mapping[int, DecidingCode]) -> RecordedDecision:
    columns = row._asdict()
    code_id = columns.pop("code_id")
    decision_id, messages = columns.pop("id"), orjson.loads(columns.pop("messages"))
    history: dict[str, Any] = orjson.loads(columns.pop("history"))
    return RecordedDecision(
        **columns,
        id=uuid.UUID(decision_id),
        history_offsets=tuple(history["offsets"]),
        history_sha256=history["sha256"],
        messages=tuple(_message(kept, types) if row.contents_kept else _gone(kept) for kept in messages),
        code=codes.get(code_id),
    )


def _message(kept: dict[str, Any], types: Types) -> Published:
    value = kept["value"]
    return Published(
        id=kept["id"],
        topic=kept["topic"],
        key=kept["key"].encode(),
        value=None if value is None else _as_sent(orjson.dumps(value), types),
    )


def _gone(message_id: str) -> Published:
    """A message whose contents are no longer kept."""
    return Published(id=message_id, topic="", key=b"", value=None)


def _as_sent(value: bytes, types: Types) -> bytes:
    """The bytes of a message whose fields have lost their order."""
    try:
        event = parse(value, ())
        data = types.parse(event)
    except InvalidEvent:
        # Written by a version whose events are not today's: equal to nothing that is decided now.
        return value
    return to_json(event if data is None else replace(event, data=data.written()))
