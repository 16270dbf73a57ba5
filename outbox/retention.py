"""Retention: contents leave when they are older than they are to be kept, a partition at a time.

What is recognised stays for ever: the row of a decision, by which its event is not decided on again, and that of a call
to a model. Their contents are apart, in partitions by time (migration 0017). Contents of what is held or disputed stay.

Any worker may do this, and any may die of it: each step is one transaction under one lock, and all it goes by is in the
database. How long contents are kept may be changed by the owner of the tables alone; a worker cannot have anything
dropped that is not due.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from outbox.database import Database, queries
from outbox.errors import Fatal, RowsLocked

log = logging.getLogger(__name__)

_SQL: Final = queries("retention.sql")

#: How often workers see to it, in seconds. Partitions are made three days ahead.
RETENTION_INTERVAL_SECONDS: Final = 600.0
#: How long moving what stays may take, in seconds. Nobody waits for that.
STEP_SECONDS: Final = 600.0
#: How often a drop is tried that somebody is in the way of, and how far apart, in seconds. Each try holds writers up
#: for 0.2 s at most.
TRIES: Final = 5
TRY_AGAIN_SECONDS: Final = 1.0


class NoSuchContents(Fatal):
    """Nothing of this name is kept for a time of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """A partition that is gone."""

    contents: str
    partition: str
    #: Its contents were of before then.
    until_at: datetime
    #: How many of them were moved to what stays.
    stay: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """For how long contents are kept, and what there is of them."""

    name: str
    #: None: for ever.
    keep_days: int | None
    changed_at: datetime | None
    changed_by: str | None
    #: From when until before when there are partitions.
    from_at: datetime | None
    until_at: datetime | None
    partitions: int
    bytes: int
    #: Up to when contents were dropped, and when that was last done; None: never.
    dropped_until: datetime | None
    dropped_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What one round came to."""

    added: Sequence[str]
    dropped: Sequence[Dropped]
    #: Rows of before that were looked at, and contents that stayed until now.
    trimmed: int
    released: int
    #: Why something was put off; empty when nothing was.
    put_off: str


class Retention:
    """Sees to the partitions. `database` should wait for `STEP_SECONDS`."""

    def __init__(self, database: Database, *, try_again_seconds: float = TRY_AGAIN_SECONDS) -> None:
        self._database = database
        self._try_again_seconds = try_again_seconds

    async def maintain(self) -> Done:
        """Make the partitions that are needed next, and let go what is due. Raises `DatabaseUnavailable`.

        Does nothing where somebody else is at it. What is in somebody's way is put off to the next round.
        """
        added: list[str] = []
        dropped: list[Dropped] = []
        trimmed = released = 0
        put_off = ""
        try:
            added = [row.partition for row in await self._database.run(_SQL["add_partitions"])]
            while found := await self._drop():
                dropped.append(found)
            while looked_at := await self._paced(_SQL["trim_rows"]):
                trimmed += looked_at
            while gone := await self._paced(_SQL["release_contents"]):
                released += gone
        except RowsLocked as error:
            put_off = str(error)
        for each in dropped:
            log.info("contents of before %s are dropped: %s", each.until_at, each.partition, extra={"stay": each.stay})
        if put_off:
            log.warning("retention is put off: %s", put_off)
        return Done(added=added, dropped=dropped, trimmed=trimmed, released=released, put_off=put_off)

    async def keep(self, name: str, days: int | None, *, by: str) -> None:
        """Keep contents for so many days from now on, None for ever.

        Raises `NoSuchContents`, `DatabaseUnavailable`, and `SchemaUnusable` for whoever may not change it.
        """
        if not await self._database.run(_SQL["keep"], {"name": name, "keep_days": days, "by": by}):
            raise NoSuchContents(f"{name} has no time of its own; these have: {', '.join(await self.names())}")

    async def kept(self) -> Sequence[Kept]:
        """How long everything is kept. Raises `DatabaseUnavailable`."""
        return [Kept(**row._asdict()) for row in await self._database.run(_SQL["kept"])]

    async def names(self) -> Sequence[str]:
        """What is kept for a time of its own. Raises `DatabaseUnavailable`."""
        return [each.name for each in await self.kept()]

    async def _drop(self) -> Dropped | None:
        """Drop the oldest partition that is due. Raises `RowsLocked` when somebody stays in the way."""
        for left in reversed(range(TRIES)):
            try:
                rows = await self._database.run(_SQL["drop_partition"])
            except RowsLocked:
                if not left:
                    raise
                await asyncio.sleep(self._try_again_seconds)
            else:
                return Dropped(**rows[0]._asdict()) if rows else None
        raise AssertionError  # pragma: no cover - the last try returns or raises

    async def _paced(self, statement: str) -> int:
        """Run a step over some rows, and leave the database to others for as long as it took."""
        began = time.monotonic()
        [row] = await self._database.run(statement)
        if row.handled:
            await asyncio.sleep(time.monotonic() - began)
        return int(row.handled)
