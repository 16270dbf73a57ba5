"""Buried messages: what Kafka refused for good, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from outbox.database import Database, queries

_SQL: Final = queries("buried.sql")


class BuriedMessage(NamedTuple):
    """A message that Kafka refused, without its content."""

    seq: int
    message_id: str
    topic: str
    reason: str


async def buried(database: Database) -> Sequence[BuriedMessage]:
    """Every buried message. Raises `DatabaseUnavailable`."""
    return [BuriedMessage(**row._asdict()) for row in await database.run(_SQL["buried"])]


async def redrive_buried(database: Database, seq: int | None = None) -> Sequence[str]:
    """Put buried messages back into the outbox, under their old ids and behind what their lanes hold by now.

    All of them, or the one with this `seq`. Returns the ids of the messages. Raises `DatabaseUnavailable`.
    """
    return [row.message_id for row in await database.run(_SQL["redrive"], {"seq": seq})]
