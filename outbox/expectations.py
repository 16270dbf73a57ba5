"""Expectations: what has to follow a decision. Written with it (`outbox.commits`); here is what becomes of them.

One that was met in time, or is void, is removed. One that was not is called missed once, whoever asks: its row changes
from `open` in the transaction that brings the message which tells of it. Whether it was met is for others to say. After
`DatabaseUnavailable` it may have been written: ask again.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from outbox.database import Database, Row, queries
from outbox.parameters import JsonLiteral, lock_parameters, message_parameters
from outbox.records import Message
from outbox.tally import Tally

_SQL: Final = queries("expectations.sql")
_LOCK_LANES: Final = queries("writer.sql")["lock_lanes"]

#: Rows that are looked at, and settled, at once (own choice): others wait for its lanes meanwhile.
PAGE: Final = 100

#: missed: nothing ended it. met_late, void_late: something did, after it was due. unknown: nobody remembers.
State = Literal["missed", "met_late", "void_late", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An expectation that is open or was missed."""

    #: Also that of the event which tells of a miss.
    id: str
    #: Of the decision it was written with.
    decision_id: str
    name: str
    agent: str
    entity: str
    entity_id: str
    #: The event it began with.
    event_source: str
    event_id: str
    event_at: datetime
    partition: int
    due_at: datetime
    missed_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What becomes of one that was not met in time."""

    #: The expectation's.
    id: str
    state: State
    #: The event that ended it after all.
    ended_at: datetime | None = None
    ended_by: str | None = None
    #: Published with it, if it is new.
    tells: Message | None = None


class Expectations:
    """Those in one database. `on_commit` is called with the lanes of what was told."""

    def __init__(self, database: Database, *, on_commit: Callable[[Collection[int]], None]) -> None:
        self._database = database
        self._on_commit = on_commit
        #: Settled here since the start, by agent, expectation and state.
        self.counts = Tally()

    async def due(self, agent: str, name: str, partition: int, *, until: datetime) -> AsyncIterator[Sequence[Kept]]:
        """Those that were due by then, page by page, the oldest first. Raises `DatabaseUnavailable`."""
        async for page in self._pages(
            _SQL["due"], {"agent": agent, "name": name, "partition": partition, "until": until}
        ):
            yield page

    async def missed(self, agent: str, name: str, partition: int, *, since: datetime) -> AsyncIterator[Sequence[Kept]]:
        """Those missed since then that nothing has ended, page by page. Raises `DatabaseUnavailable`."""
        async for page in self._pages(
            _SQL["missed"], {"agent": agent, "name": name, "partition": partition, "since": since}
        ):
            yield page

    async def met(self, ids: Sequence[str]) -> None:
        """Remove open ones. Raises `DatabaseUnavailable`."""
        if ids:
            await self._database.run(_SQL["met"], {"ids": list(ids)})

    async def settle(
        self, agent: str, name: str, settled: Sequence[Settled], *, was: Literal["open", "missed"]
    ) -> Sequence[str]:
        """Settle those that are still as they were, and tell of each; the ids of those settled here.

        Raises `DatabaseUnavailable`.
        """
        if not settled:
            return []
        told = [(one.id, one.tells) for one in settled if one.tells is not None]
        messages = [message for _, message in told]
        lanes = {message.lane for message in messages}
        rows = [
            {
                "id": one.id,
                "state": one.state,
                "ended_at": one.ended_at,
                "ended_by": one.ended_by,
            }
            for one in sorted(settled, key=lambda one: one.id)
        ]
        parameters = {
            "settled": JsonLiteral(rows),
            "from": was,
            "expectation_ids": [one_id for one_id, _ in told],
            **message_parameters(messages),
        }
        async with self._database.transaction() as transaction:
            # Lanes come first, as in the writer: nobody who has these rows waits for a lane.
            await transaction.run(_LOCK_LANES, lock_parameters(lanes))
            written = await transaction.run(_SQL["settle"], parameters)
        self.counts.add([(agent, name, row.state) for row in written])
        if lanes:
            self._on_commit(lanes)
        return [row.id for row in written]

    async def _pages(self, statement: str, asked: dict[str, object]) -> AsyncIterator[Sequence[Kept]]:
        after: dict[str, object] = {"after_at": "-infinity", "after_id": str(uuid.UUID(int=0)), "limit": PAGE}
        while rows := await self._database.run(statement, asked | after):
            yield list(map(_kept, rows))
            after |= {"after_at": rows[-1].place_at, "after_id": rows[-1].id}


def _kept(row: Row) -> Kept:
    columns = row._asdict()
    del columns["place_at"]
    return Kept(**columns)
