"""Replays of dead letters: back to where they came from, through the outbox, once.

What was read is written again, the same value, key and headers: for the router to its domain topic, for an agent to the
timeline. The row stays and says when and by whom; that and the message are one transaction. A record without a key
comes back with an empty one. After `DatabaseUnavailable` it may have been replayed: ask again.

NotReplayed           nothing was written, and asking again cannot help
├── UnknownLetter     there is no such dead letter
├── AlreadyReplayed   somebody else was first
├── LetterTruncated   it is larger than any event may be, so it was not kept whole
└── LetterOfShadow    what a shadow cannot decide on is no matter of the topics; start it under another label
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from outbox.database import Database, queries
from outbox.errors import Permanent
from outbox.parameters import lock_parameters
from outbox.records import SHADOW_MARK, lane_of

_SQL: Final = queries("repair.sql")
#: One round trip: PostgreSQL runs both in one transaction.
_REPLAY: Final = queries("writer.sql")["lock_lanes"] + _SQL["replay"]

#: Ids read at once.
_PAGE: Final = 500


class NotReplayed(Permanent):
    """The dead letter was not replayed."""


class UnknownLetter(NotReplayed):
    """There is no such dead letter."""


class AlreadyReplayed(NotReplayed):
    """Somebody else was first."""


class LetterTruncated(NotReplayed):
    """It was not kept whole."""


class LetterOfShadow(NotReplayed):
    """It came from a shadow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
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
    replayed_at: datetime | None
    replayed_by: str | None
    #: Whether everything of it was kept; else it cannot go back.
    is_whole: bool


class Replays:
    """Replays dead letters. `on_commit` is called with the lane of the message after each one."""

    def __init__(self, database: Database, *, on_commit: Callable[[Collection[int]], None]) -> None:
        self._database = database
        self._on_commit = on_commit

    async def find(self, letter_id: uuid.UUID) -> Letter | None:
        """The dead letter, replayed or not. Raises `DatabaseUnavailable`."""
        rows = await self._database.run(_SQL["letter"], {"id": str(letter_id)})
        if not rows:
            return None
        [(_, consumer, reason, detail, topic, partition, offset, key, replayed_at, replayed_by, is_whole)] = rows
        return Letter(
            id=letter_id,
            consumer=consumer,
            reason=reason,
            detail=detail,
            topic=topic,
            partition=partition,
            offset=offset,
            key=bytes(key or b""),
            replayed_at=replayed_at,
            replayed_by=replayed_by,
            is_whole=is_whole,
        )

    async def replay(self, letter_id: uuid.UUID, *, by: str) -> Letter:
        """Put it back where it came from; returns it as it was before. Raises `NotReplayed`, `DatabaseUnavailable`."""
        letter = await self.find(letter_id)
        if letter is None:
            raise UnknownLetter(f"no dead letter {letter_id}")
        if SHADOW_MARK in letter.consumer:
            raise LetterOfShadow(f"it is of the shadow {letter.consumer}: start that under another label")
        if not letter.is_whole:
            place = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            raise LetterTruncated(
                f"it is larger than any event may be; its beginning was kept, and Kafka may still have it at {place}"
            )
        lane = lane_of(letter.topic, letter.key)
        parameters = {"id": str(letter_id), "by": by, "lane": lane, "message_id": str(message_id(letter_id))}
        if not await self._database.run(_REPLAY, {**parameters, **lock_parameters({lane})}):
            raise AlreadyReplayed(_said(await self.find(letter_id)))
        self._on_commit({lane})
        return letter

    async def replayable(self, consumer: str, reason: str | None = None) -> AsyncIterator[uuid.UUID]:
        """Those of a consumer, or of one of its reasons, that were not replayed, in the order of the records.

        What dies again meanwhile is a dead letter of its own, with a later record, and no part of this.
        Raises `DatabaseUnavailable`.
        """
        [(until,)] = await self._database.run("SELECT clock_timestamp()")
        after: tuple[datetime, str] = (datetime(1, 1, 1, tzinfo=UTC), str(uuid.UUID(int=0)))
        while True:
            rows = await self._database.run(
                _SQL["letters_to_replay"],
                {
                    "consumer": consumer,
                    "reason": reason,
                    "after_at": after[0],
                    "after_id": after[1],
                    "limit": _PAGE,
                    "until": until,
                },
            )
            for letter_id, _ in rows:
                yield uuid.UUID(letter_id)
            if len(rows) < _PAGE:
                return
            after = (rows[-1][1], rows[-1][0])


def message_id(letter_id: uuid.UUID) -> uuid.UUID:
    """The id of the message a replay is, the same whenever it is sent."""
    return uuid.uuid5(letter_id, "replay")


def _said(letter: Letter | None) -> str:
    assert letter is not None, "dead letters are never deleted"
    assert letter.replayed_at is not None, "whoever was first has committed"
    return f"already replayed by {letter.replayed_by} at {letter.replayed_at.isoformat(timespec='seconds')}"
