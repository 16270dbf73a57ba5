"""Buried messages: what Kafka refused for good, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from outbox.database import Database, queries
from outbox.operator_actions import Operator, record_action

_SQL: Final = queries("buried.sql")


async def redrive_buried(database: Database, seq: int | None = None, *, by: Operator) -> Sequence[str]:
    """Put buried messages back into the outbox, under their old ids and behind what their lanes hold by now.

    All of them, or the one with this `seq`. Returns the ids of the messages, which is what is written down of it.
    Raises `DatabaseUnavailable`.
    """
    async with database.transaction() as transaction:
        ids = [row.message_id for row in await transaction.run(_SQL["redrive"], {"seq": seq})]
        if ids:
            await record_action(transaction, "redrive_buried_message", ids, by)
    return ids
