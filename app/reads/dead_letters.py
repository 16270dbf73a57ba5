"""Dead letters: input nobody could process, with its reason and its origin."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from pydantic import AwareDatetime

from app.reads.contents import Bytes, Header, told_bytes, told_headers
from app.reads.shapes import NotFound, RowId, Shape, Term, TimeQuery, asked, cut, require_known
from outbox.database import Database, queries

_SQL: Final = queries("views.sql")

#: Dead letters that are grouped: the newest ones, so that it costs the same however many there are.
GROUPED: Final = 10_000


class DeadLettersQuery(TimeQuery):
    """Filters of dead letters; one that is not given filters nothing. `since` and `until` are about `died_at`."""

    reason: Term | None = None
    consumer: Term | None = None
    """Who gave it up: `router`, or the name of an agent."""
    topic: Term | None = None
    redriven: bool | None = None
    """Whether it was put back."""
    before: RowId | None = None
    """The id of the last one of the page before."""


class DeadLetter(Shape):
    """A dead letter in short."""

    id: UUID
    consumer: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    recorded_at: AwareDatetime
    """When Kafka got it."""
    died_at: AwareDatetime
    """When it was given up."""
    value_bytes: int | None
    """None for a tombstone."""
    replayed_at: AwareDatetime | None
    """When somebody put it back, and who."""
    replayed_by: str | None
    truncated: dict[str, Any] | None
    """What was cut off because it is larger than any event may be; such a letter cannot be put back."""


class DeadLettersPage(Shape):
    """Dead letters, the newest first."""

    dead_letters: Sequence[DeadLetter]
    next: UUID | None


class WholeDeadLetter(DeadLetter):
    """A dead letter with its bytes."""

    key: Bytes | None
    value: Bytes | None
    headers: Sequence[Header]


class DeadLetterGroup(Shape):
    """Dead letters of one consumer with one reason from one topic."""

    consumer: str
    reason: str
    topic: str
    dead_letters: int
    open: int
    """Of them those that nobody has put back."""
    newest_at: AwareDatetime


class DeadLetterGroups(Shape):
    """Groups, the largest first."""

    groups: Sequence[DeadLetterGroup]
    grouped: int
    """Dead letters that were grouped: the newest of them, at most 10,000."""
    is_capped: bool
    """Whether there are more than were grouped."""
    next: None = None


async def dead_letters(database: Database, query: DeadLettersQuery) -> DeadLettersPage:
    """The newest dead letters that the filters let pass. Raises `NotFound` for a `before` nobody knows."""
    before = None if query.before is None else str(query.before)
    await require_known(database, _SQL["known_dead_letter"], {"id": before}, "dead letter")
    rows = await database.run(_SQL["dead_letters"], asked(query))
    found = [DeadLetter(**row._asdict()) for row in rows]
    shown, following = cut(found, query.limit, attrgetter("id"))
    return DeadLettersPage(dead_letters=shown, next=following)


async def dead_letter(database: Database, letter_id: UUID) -> WholeDeadLetter:
    """One dead letter with its bytes. Raises `NotFound`."""
    rows = await database.run(_SQL["dead_letter"], {"id": str(letter_id)})
    if not rows:
        raise NotFound(f"no dead letter {letter_id}")
    letter = rows[0]._asdict()
    key, value, headers = (letter.pop(name) for name in ("key", "value", "headers"))
    return WholeDeadLetter(**letter, key=told_bytes(key), value=told_bytes(value), headers=told_headers(headers))


async def dead_letter_groups(database: Database) -> DeadLetterGroups:
    """What the newest dead letters have in common."""
    rows = await database.run(_SQL["dead_letter_groups"], {"at_most": GROUPED})
    counted = sum(row.dead_letters for row in rows)
    groups = [DeadLetterGroup(**row._asdict()) for row in rows]
    return DeadLetterGroups(groups=groups, grouped=min(counted, GROUPED), is_capped=counted > GROUPED)
