"""Metrics of the cluster: what only PostgreSQL knows, asked at most every few seconds, whoever and however many scrape.

A question is bounded in rows and time. Where it is not answered that is what is told, and nothing older in its place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from app.reads.workers import WorkersQuery, workers
from app.telemetry.metrics import catalogue as of
from app.telemetry.metrics.metric import Family, family, single
from outbox.database import Database, Row, queries

log = logging.getLogger(__name__)

_SQL: Final = queries("metrics.sql")

#: For how long an answer, or that there was none, is told again, in seconds.
KEPT_SECONDS: Final = 10.0
#: How long all questions may take, in seconds: shorter than a scrape.
ASKED_SECONDS: Final = 3.0
#: Up to how many is counted.
MESSAGES: Final = 10_000
DECISIONS: Final = 1_000
LETTERS: Final = 1_000
EXPECTATIONS: Final = 1_000
#: Workers whose states are counted.
_MOST_WORKERS: Final = 500
_STATES: Final = ("alive", "silent", "stopped")


class ClusterMetrics:
    """What PostgreSQL knows of the cluster, for one worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._families: Sequence[Family] = ()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        #: The last reason for not knowing that was logged.
        self._told = ""

    async def look(self) -> None:
        """Ask, unless somebody did a moment ago. Never raises for what PostgreSQL does not answer."""
        async with self._asking:
            if time.monotonic() - self._asked_at < KEPT_SECONDS:
                return
            self._families = await self._asked()
            self._asked_at = time.monotonic()

    def families(self) -> Iterable[Family]:
        """What was last answered."""
        return self._families

    async def _asked(self) -> Sequence[Family]:
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(ASKED_SECONDS):
                known = list(await self._known())
        except Exception as error:  # noqa: BLE001 - a scrape tells of everything else all the same
            if repr(error) != self._told:
                self._told = repr(error)
                log.warning("the metrics of the cluster are not known: %r", error)
            return [single(of.DATABASE_UP, 0)]
        self._told = ""
        return [*known, single(of.DATABASE_SECONDS, time.monotonic() - began_at)]

    async def _known(self) -> Iterable[Family]:
        [row] = await self._database.run(_SQL["measured"], {"messages": MESSAGES, "decisions": DECISIONS})
        letters = await self._database.run(_SQL["open_letters"], {"letters": LETTERS})
        missed = await self._database.run(_SQL["missed_expectations"], {"expectations": EXPECTATIONS})
        kept = await self._database.run(_SQL["retention"])
        heard = await workers(self._database, WorkersQuery(limit=_MOST_WORKERS))
        states = Counter(each.status for each in heard.workers)
        return [
            single(of.DATABASE_UP, float(row.takes_writes)),
            *_open_work(row),
            family(of.OPEN_LETTERS, [((each.consumer, each.reason), each.letters) for each in letters]),
            family(of.EXPECTATIONS_MISSED, [((each.agent, each.name), each.expectations) for each in missed]),
            family(of.RETENTION_DUE, [((each.name,), each.due_seconds) for each in kept]),
            family(of.RETENTION_AHEAD, [((each.name,), each.ahead_seconds) for each in kept]),
            family(of.WORKERS, [((state,), states[state]) for state in _STATES]),
            single(of.STUCK, len(heard.stuck)),
        ]


def _open_work(row: Row) -> Iterable[Family]:
    yield single(of.PENDING, row.pending)
    yield single(of.BURIED, row.buried)
    yield single(of.BURIED_OLDEST, row.buried_oldest_seconds)
    yield single(of.HELD, row.held)
    yield single(of.HELD_OLDEST, row.held_oldest_seconds)
    yield single(of.HELD_OVERDUE, row.overdue)
    yield single(of.EXPECTATIONS_OVERDUE, row.expectation_overdue_seconds)
    if row.expires_in_seconds is not None:
        yield single(of.HELD_EXPIRES_IN, row.expires_in_seconds)
