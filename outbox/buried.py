"""Buried messages: what Kafka refused for good, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from outbox.database import Database, queries

_SQL: Final = queries("buried.sql")


async def redrive_buried(database: Database, seq: int | None = None) -> Sequence[str]:
    """Put buried messages back into the outbox, under their old ids and behind what their lanes hold by now.

    All of them, or the one with this `seq`. Returns the ids of the messages. Raises `DatabaseUnavailable`.
    """
    return [row.message_id for row in await database.run(_SQL["redrive"], {"seq": seq})]
