"""Now: what is open and what was decided last, in one statement that is cheap enough to be asked every second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict

from app.reads.shapes import Shape
from outbox.database import Database, queries
from outbox.records import Status

_SQL: Final = queries("now.sql")

#: What is open is counted up to so many; beyond, a person does not read the number any more.
COUNTED: Final = 1000
#: The newest decisions that are told: more than a screen shows.
NEWEST: Final = 50
#: Decisions of an agent in a minute are counted up to so many.
MOST_A_MINUTE: Final = 6000


class Decided(Shape):
    """A decision, as much of it as a line of a list shows."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    agent: str
    event_type: str
    entity: str
    entity_id: str
    outcome: str
    status: Status
    brain: str
    decided_at: AwareDatetime


class Now(Shape):
    """What is open at a moment, counted up to 1,001 each, and the newest decisions."""

    at: AwareDatetime
    #: Held decisions that wait for a person.
    waiting: int
    #: Dead letters that nobody has put back.
    dead_letters: int
    #: Messages that Kafka refused for good.
    buried: int
    #: Messages that are not yet published.
    pending: int
    #: The newest first.
    decisions: Sequence[Decided]


async def now(database: Database) -> Now:
    """What is open and what was decided last."""
    [row] = await database.run(_SQL["now"], {"at_most": COUNTED, "newest": NEWEST})
    return Now(**row._asdict())


async def rates(database: Database, agents: Sequence[str]) -> Mapping[str, int]:
    """Decisions of each of these agents in the last minute, counted up to 6,000: a hundred a second."""
    rows = await database.run(_SQL["rates"], {"agents": list(agents), "at_most": MOST_A_MINUTE})
    return {row.agent: row.decisions for row in rows}
