"""What PostgreSQL holds of a story. Every read is bounded; it fails with `outbox.errors.DatabaseUnavailable`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from app.reads.shapes import NotKept
from app.story.material import (
    KeptApproval,
    KeptCall,
    KeptDecision,
    KeptExpectation,
    KeptLetter,
    KeptMessage,
    Row,
    Waiting,
    kept,
    told,
)
from app.story.model import DecidedBy
from outbox.content import readable
from outbox.database import Database, queries
from outbox.database import Row as Found
from outbox.records import KnownEffects, lane_of

_SQL: Final = queries("story.sql")

#: Decisions that one id may bring: an id that many share says little.
OF_EACH_TERM: Final = 100
#: Messages looked through at each end of a lane of the outbox, and of buried ones of a topic.
LOOKED_THROUGH: Final = 10_000
#: Calls of models, dead letters, expectations and rows of one table that a story has at most.
MOST_CALLS: Final = 200
MOST_LETTERS: Final = 100
MOST_EXPECTATIONS: Final = 200
MOST_ROWS: Final = 500
#: Characters of a prompt or a reply.
CALL_CHARACTERS: Final = 64 * 1024
#: Tables of ours that name decisions as well, and are no effects.
OWN_TABLES: Final = ("approvals", "operator_actions", "llm_calls")


async def own_decisions(
    database: Database, entity: str, entity_id: str, *, before: int | None, limit: int
) -> Sequence[KeptDecision]:
    """The decisions on the newest events of the entity, the newest event first."""
    asked = {"entity": entity, "entity_id": entity_id, "before": before, "limit": limit}
    return [_decision(row) for row in await database.run(_SQL["own_decisions"], asked)]


async def decisions_by_terms(
    database: Database, terms: Collection[str], *, known: Collection[str], limit: int
) -> Sequence[KeptDecision]:
    """Decisions that have to do with these ids of events, messages or correlations, without those known."""
    if not terms:
        return ()
    asked = {"terms": sorted(terms), "known": list(known), "of_each": OF_EACH_TERM, "limit": limit}
    return [_decision(row) for row in await database.run(_SQL["decisions_by_terms"], asked)]


async def approvals_of(database: Database, ids: Sequence[str], effects: KnownEffects) -> Sequence[KeptApproval]:
    """What was asked about these decisions, and answered."""
    rows = await database.run(_SQL["approvals"], {"ids": ids}) if ids else ()
    return [_approval(row, effects) for row in rows]


async def expectations_of(database: Database, decisions: Sequence[KeptDecision]) -> Sequence[KeptExpectation]:
    """What has to follow these decisions, as far as it is open or was not met in time."""
    if not decisions:
        return ()
    asked = {
        "ids": [each.id for each in decisions],
        "entity_ids": sorted({each.entity_id for each in decisions}),
        "limit": MOST_EXPECTATIONS,
    }
    return [KeptExpectation(**row._asdict()) for row in await database.run(_SQL["expectations"], asked)]


async def calls_of(database: Database, decisions: Sequence[KeptDecision]) -> Sequence[KeptCall]:
    """Whom the agents asked about these events."""
    if not decisions:
        return ()
    asked = {
        "agents": [each.agent for each in decisions],
        "event_sources": [each.event_source for each in decisions],
        "event_ids": [each.event_id for each in decisions],
        "characters": CALL_CHARACTERS,
        "limit": MOST_CALLS,
    }
    rows = await database.run(_SQL["calls"], asked)
    return [KeptCall(**row._asdict() | {"not_kept": _not_kept(row)}) for row in rows]


async def waiting_of(
    database: Database, messages: Sequence[KeptMessage]
) -> tuple[Mapping[str, Waiting], Mapping[str, Waiting], frozenset[int]]:
    """Which of these messages wait in the outbox, which are buried; which of their lanes could not be seen whole."""
    if not messages:
        return {}, {}, frozenset()
    ids = [each.id for each in messages]
    asked = {"ids": ids, "lanes": sorted({lane(each) for each in messages}), "at_most": LOOKED_THROUGH}
    rows = await database.run(_SQL["pending"], asked)
    pending = {
        row.message_id: Waiting(message_id=row.message_id, at=row.committed_at) for row in rows if row.message_id
    }
    full = frozenset(row.lane for row in rows if row.message_id is None)
    topics = sorted({each.topic for each in messages})
    buried = await database.run(_SQL["buried"], {"ids": ids, "topics": topics, "at_most": LOOKED_THROUGH})
    dead = {row.message_id: Waiting(message_id=row.message_id, at=row.died_at, reason=row.reason) for row in buried}
    return pending, dead, full


async def letters_of(
    database: Database,
    places: Collection[tuple[str, int, int]],
    *,
    consumers: Sequence[str],
    key: bytes,
    since: datetime,
    until: datetime,
) -> Sequence[KeptLetter]:
    """What nobody could process: of these places (topic, partition, offset), or with this key between two times."""
    asked = {
        "topics": [topic for topic, _, _ in places],
        "partitions": [partition for _, partition, _ in places],
        "offsets": [offset for _, _, offset in places],
        "consumers": list(consumers),
        "key": key,
        "since": since,
        "until": until,
        "limit": MOST_LETTERS,
    }
    return [KeptLetter(**row._asdict()) for row in await database.run(_SQL["letters"], asked)]


async def rows_of(database: Database, ids: Sequence[str]) -> Sequence[Row]:
    """The rows that these decisions wrote in the tables of domains."""
    found: list[Row] = []
    if not ids:
        return found
    for table in await database.run(_SQL["effect_tables"], {"own": list(OWN_TABLES)}):
        # Both names are quoted by PostgreSQL itself.
        name, column = table.table.replace("%", "%%"), table.column.replace("%", "%%")
        statement = (
            f"SELECT {column}::text AS decision_id, to_jsonb(t)::text AS row FROM {name} AS t"  # noqa: S608
            f" WHERE {column} = ANY (%(ids)s::uuid[]) LIMIT %(limit)s"
        )
        rows = await database.run(statement, {"ids": ids, "limit": MOST_ROWS})
        found += [Row(decision_id=row.decision_id, table=table.table, row=orjson.loads(row.row)) for row in rows]
    return found


def lane(message: KeptMessage) -> int:
    """The lane of the outbox it travels in."""
    return lane_of(message.topic, message.key.encode())


def _decision(row: Found) -> KeptDecision:
    columns = row._asdict()
    history: dict[str, Any] = orjson.loads(columns.pop("history"))
    messages = orjson.loads(columns.pop("messages") or "[]")
    columns["not_kept"] = _not_kept(row)
    code = columns.pop("code")
    return KeptDecision(
        **columns,
        code=None if code is None else DecidedBy(**orjson.loads(code)),
        history_offsets=tuple(history.get("offsets", ())),
        history_sha256=str(history.get("sha256", "")),
        messages=tuple(
            KeptMessage(id=each["id"], topic=each["topic"], key=each["key"], event=kept(each["value"]))
            for each in messages
        ),
    )


def _not_kept(row: Found) -> NotKept | None:
    return None if row.not_kept is None else NotKept.model_validate(row.not_kept)


def _approval(row: Found, effects: KnownEffects) -> KeptApproval:
    columns = row._asdict()
    content = columns.pop("content")
    shown = readable(content, effects)
    return KeptApproval(
        **columns,
        effects=tuple(shown["effects"]),
        otherwise=tuple(
            KeptMessage(
                id=each["id"],
                topic=each["topic"],
                key=each["key"],
                event=told((each["value"] or "").encode()),
                is_otherwise=True,
            )
            for each in orjson.loads(content)["otherwise"]
        ),
    )
