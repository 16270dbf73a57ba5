"""Finding: which stories a text belongs to.

It may be the id of an entity, an event, a message, a correlation or a decision; a value that a domain keeps in an
indexed column beside the decision that wrote it; or one that was published lately.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Final, Literal

from app.reads.shapes import Shape
from app.story.log import read_entity
from app.story.sources import Sources
from app.story.stored import OWN_TABLES
from outbox.database import Database, queries
from outbox.database import Row as Found

_SQL: Final = queries("story.sql")

#: Stories found at most; whoever finds more asks for something else.
MOST_FOUND: Final = 20
#: The newest decisions that are looked through for a value that no index has.
LOOKED_THROUGH: Final = 2_000
#: Records at the end of a partition that are looked through for an entity nobody decided about, and for how long, in
#: seconds.
TAIL_RECORDS: Final = 5_000
KAFKA_SECONDS: Final = 5.0

#: What the text is to the entity: its id; that of a decision about it, or of an event, a message or a correlation of
#: one; a value in a row that such a decision wrote; a value it published.
Why = Literal["entity", "id", "row", "message"]


class FoundStory(Shape):
    """A story that a text belongs to."""

    entity: str
    entity_id: str
    why: Why


class FoundStories(Shape):
    """Stories that a text belongs to, those it names itself first."""

    stories: Sequence[FoundStory]


async def find(sources: Sources, text: str) -> FoundStories:
    """The stories that this text belongs to, at most `MOST_FOUND`. Raises `outbox.errors.DatabaseUnavailable`."""
    database, kinds = sources.database, list(sources.catalogue.entities)
    asked = {"text": text, "id": _uuid(text), "limit": MOST_FOUND, "at_most": LOOKED_THROUGH, "kinds": kinds}
    named = await database.run(_SQL["find_entities"], asked)
    found = [FoundStory(entity=row.entity, entity_id=text, why="entity") for row in named]
    found += _stories(await database.run(_SQL["find_by_term"], asked), "id")
    found += _stories(await _by_rows(database, text), "row")
    if not found:
        found += _stories(await database.run(_SQL["find_in_messages"], asked), "message")
    if not found:
        found += await _in_the_log(sources, text)
    first: dict[tuple[str, str], FoundStory] = {}
    for each in found:
        first.setdefault((each.entity, each.entity_id), each)
    return FoundStories(stories=list(first.values())[:MOST_FOUND])


def _stories(rows: Sequence[Found], why: Why) -> list[FoundStory]:
    return [FoundStory(entity=row.entity, entity_id=row.entity_id, why=why) for row in rows]


async def _by_rows(database: Database, text: str) -> Sequence[Found]:
    ids: list[str] = []
    for each in await database.run(_SQL["searched_columns"], {"own": list(OWN_TABLES)}):
        if each.type == "uuid" and _uuid(text) is None:
            continue
        # All names are quoted by PostgreSQL itself.
        table, column, searched = (name.replace("%", "%%") for name in (each.table, each.column, each.searched))
        statement = (
            f"SELECT {column}::text AS decision_id FROM {table}"  # noqa: S608
            f" WHERE {searched} = %(text)s::{each.type} LIMIT %(limit)s"
        )
        rows = await database.run(statement, {"text": text, "limit": MOST_FOUND})
        ids += [row.decision_id for row in rows]
    return await database.run(_SQL["find_by_decisions"], {"ids": ids}) if ids else ()


async def _in_the_log(sources: Sources, text: str) -> list[FoundStory]:
    """Entities with this id that nobody has decided about, if something of them happened lately."""
    deadline = asyncio.get_running_loop().time() + KAFKA_SECONDS
    logs = await asyncio.gather(
        *(
            read_entity(sources.reader_of(kind), kind, text, known=(), most_records=TAIL_RECORDS, deadline=deadline)
            for kind in sources.catalogue.entities
        )
    )
    return [FoundStory(entity=log.entity, entity_id=text, why="entity") for log in logs if log.records]


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
