"""The outbox: what is committed and not yet published, and the messages Kafka refused for good."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from app.reads.contents import Bytes, Header, told_bytes, told_headers
from app.reads.shapes import NotFound, PageQuery, Shape, Term, asked, cut, digits, require_known
from outbox.database import Database, queries
from outbox.relay import Relay
from outbox.watch import OutboxWatch

_SQL: Final = queries("views.sql")
_BURIED_SQL: Final = queries("buried.sql")

#: Messages are counted up to so many.
COUNTED: Final = 10_000

#: What PostgreSQL counts messages with.
Seq = Annotated[int, Field(ge=0, le=2**63 - 1), digits(0, 2**63 - 1)]


class Lane(Shape):
    """A lane with messages that wait."""

    lane: int
    age_seconds: float
    """For how long its first message has waited, in seconds."""


class Outbox(Shape):
    """How much waits to be published, and for how long."""

    pending: int
    """Messages, counted up to 10,000."""
    more_is_pending: bool
    """Whether there are more than that."""
    oldest_seconds: float
    """For how long the oldest has waited, in seconds."""
    dead: int
    """Messages Kafka refused for good, counted up to 10,000."""
    lanes: Sequence[int]
    """The lanes this worker holds."""
    waiting: Sequence[Lane]
    """Lanes with messages that wait, the oldest first."""


class BuriedQuery(PageQuery):
    """A page of buried messages."""

    topic: Term | None = None
    before: Seq | None = None
    """The `seq` of the last one of the page before, also when it was put back in the meantime."""


class BuriedMessage(Shape):
    """A message Kafka refused for good."""

    seq: int
    message_id: str
    topic: str
    reason: str
    committed_at: AwareDatetime
    died_at: AwareDatetime
    value_bytes: int | None
    """None for a tombstone."""


class WholeBuriedMessage(BuriedMessage):
    """A buried message as Kafka refused it."""

    key: Bytes | None
    value: Bytes | None
    headers: Sequence[Header]


class BuriedPage(Shape):
    """Buried messages, the newest first."""

    messages: Sequence[BuriedMessage]
    next: int | None


class BuriedGroup(Shape):
    """Buried messages of one topic with one reason."""

    topic: str
    reason: str
    messages: int
    newest_at: AwareDatetime


class BuriedGroups(Shape):
    """Groups among the newest 10,000 buried messages, the largest first."""

    groups: Sequence[BuriedGroup]
    next: None = None


async def outbox(database: Database, watch: OutboxWatch, relay: Relay | None) -> Outbox:
    """What waits, over all workers; the lanes are those of this one, and none where no worker asks."""
    [counted] = await database.run(_SQL["outbox"], {"at_most": COUNTED})
    waiting = [Lane(lane=one.lane, age_seconds=one.age_seconds) for one in (await watch.look()).lanes]
    waiting.sort(key=attrgetter("age_seconds"), reverse=True)
    return Outbox(
        pending=min(counted.pending, COUNTED),
        more_is_pending=counted.pending > COUNTED,
        oldest_seconds=waiting[0].age_seconds if waiting else 0.0,
        dead=min(counted.dead, COUNTED),
        lanes=[] if relay is None else list(relay.lanes),
        waiting=waiting,
    )


async def buried(database: Database, query: BuriedQuery) -> BuriedPage:
    """The newest messages Kafka refused for good. Raises `NotFound` for a `before` there never was."""
    await require_known(database, _BURIED_SQL["known_seq"], {"seq": query.before}, "message")
    rows = await database.run(_BURIED_SQL["buried_page"], asked(query))
    found = [BuriedMessage(**row._asdict()) for row in rows]
    shown, following = cut(found, query.limit, attrgetter("seq"))
    return BuriedPage(messages=shown, next=following)


async def buried_message(database: Database, seq: int) -> WholeBuriedMessage:
    """One buried message with its bytes. Raises `NotFound`, also when it was put back."""
    rows = await database.run(_BURIED_SQL["buried_message"], {"seq": seq})
    if not rows:
        raise NotFound(f"no buried message {seq}")
    message = rows[0]._asdict()
    key, value, headers = (message.pop(name) for name in ("key", "value", "headers"))
    return WholeBuriedMessage(**message, key=told_bytes(key), value=told_bytes(value), headers=told_headers(headers))


async def buried_groups(database: Database) -> BuriedGroups:
    """What the newest buried messages have in common."""
    rows = await database.run(_BURIED_SQL["buried_groups"], {"at_most": COUNTED})
    return BuriedGroups(groups=[BuriedGroup(**row._asdict()) for row in rows])
