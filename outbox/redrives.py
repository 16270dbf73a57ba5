"""Redrives: dead letters put back to where they came from, through the outbox, once.

What was read is written again, the same value, key and headers: for the router to its domain topic, for an agent to the
timeline. The row stays and says when and by whom; that and the message are one transaction. A record without a key
comes back with an empty one. After `DatabaseUnavailable` it may have been redriven: ask again.
What refuses is `NotRedriven` (drawn in `tables.errors`).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from outbox.database import Database, queries
from outbox.errors import Permanent
from outbox.operator_actions import Operator, record_action
from outbox.parameters import lock_parameters
from outbox.records import SHADOW_MARK, lane_of

_SQL: Final = queries("redrives.sql")
#: One round trip.
_REDRIVE: Final = queries("writer.sql")["lock_lanes"] + _SQL["redrive"]

#: Ids read at once.
_PAGE: Final = 500


class NotRedriven(Permanent):
    """The dead letter was not put back, and asking again cannot help."""


class UnknownDeadLetter(NotRedriven):
    """There is no such dead letter."""


class AlreadyRedriven(NotRedriven):
    """Somebody else was first."""


class TruncatedDeadLetter(NotRedriven):
    """It is larger than any event may be, so it was not kept whole."""


class ShadowDeadLetter(NotRedriven):
    """What a shadow cannot decide on is no matter of the topics; start it under another label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDeadLetter:
    """A dead letter, without its content."""

    id: uuid.UUID
    consumer: str
    reason: str
    detail: str
    #: Where it came from, and goes to.
    topic: str
    partition: int
    offset: int
    key: bytes
    redriven_at: datetime | None
    redriven_by: str | None
    #: Whether everything of it was kept; else it cannot go back.
    is_whole: bool


class Redrives:
    """Redrives dead letters. `on_commit` is called with the lane of the message after each one."""

    def __init__(self, database: Database, *, on_commit: Callable[[Collection[int]], None]) -> None:
        self._database = database
        self._on_commit = on_commit

    async def find(self, letter_id: uuid.UUID) -> StoredDeadLetter | None:
        """The dead letter, redriven or not. Raises `DatabaseUnavailable`."""
        rows = await self._database.run(_SQL["dead_letter"], {"id": str(letter_id)})
        if not rows:
            return None
        stored = rows[0]._asdict()
        return StoredDeadLetter(**stored | {"id": letter_id, "key": bytes(stored["key"] or b"")})

    async def redrive(self, letter_id: uuid.UUID, *, by: Operator) -> StoredDeadLetter:
        """Put it back where it came from; returns it as it was before. Raises `NotRedriven`, `DatabaseUnavailable`."""
        letter = await self.find(letter_id)
        if letter is None:
            raise UnknownDeadLetter(f"no dead letter {letter_id}")
        if SHADOW_MARK in letter.consumer:
            raise ShadowDeadLetter(f"it is of the shadow {letter.consumer}: start that under another label")
        if not letter.is_whole:
            origin = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            raise TruncatedDeadLetter(
                f"it is larger than any event may be; its beginning was kept, and Kafka may still have it at {origin}"
            )
        lane = lane_of(letter.topic, letter.key)
        parameters = {"id": str(letter_id), "by": by.name, "lane": lane, "message_id": str(message_id(letter_id))}
        async with self._database.transaction() as transaction:
            is_first = await transaction.run(_REDRIVE, {**parameters, **lock_parameters({lane})})
            if is_first:
                await record_action(transaction, "redrive_dead_letter", [str(letter_id)], by)
        if not is_first:
            raise AlreadyRedriven(_said(await self.find(letter_id)))
        self._on_commit({lane})
        return letter

    async def redrivable(self, consumer: str, reason: str | None = None) -> AsyncIterator[uuid.UUID]:
        """Those of a consumer, or of one of its reasons, that were not redriven, in the order of the records.

        What dies again meanwhile is a dead letter of its own, with a later record, and no part of this.
        Raises `DatabaseUnavailable`.
        """
        [clock] = await self._database.run("SELECT clock_timestamp() AS now")
        after: tuple[datetime, str] = (datetime(1, 1, 1, tzinfo=UTC), str(uuid.UUID(int=0)))
        while True:
            rows = await self._database.run(
                _SQL["redrivable"],
                {
                    "consumer": consumer,
                    "reason": reason,
                    "after_at": after[0],
                    "after_id": after[1],
                    "limit": _PAGE,
                    "until": clock.now,
                },
            )
            for row in rows:
                yield uuid.UUID(row.id)
            if len(rows) < _PAGE:
                return
            after = (rows[-1].recorded_at, rows[-1].id)


def message_id(letter_id: uuid.UUID) -> uuid.UUID:
    """The id of the message a redrive sends, the same whenever it is sent."""
    # What a redrive was called when the first of these ids were given.
    return uuid.uuid5(letter_id, "replay")


def _said(letter: StoredDeadLetter | None) -> str:
    assert letter is not None, "dead letters are never deleted"
    assert letter.redriven_at is not None, "whoever was first has committed"
    return f"already redriven by {letter.redriven_by} at {letter.redriven_at.isoformat(timespec='seconds')}"
