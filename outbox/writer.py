"""Decision writer: a decision and its messages in one transaction, many decisions per transaction (group commit).

`record` returns only after the commit. While one batch commits the next one gathers, so a lone decision never waits
and a busy worker pays one commit for up to `batch_size` decisions. An outcome that is unknown (connection lost during
the commit) is settled by writing again: the unique row in `decisions` makes the second attempt a no-op. When
PostgreSQL refuses a batch its decisions are written one by one, and only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from outbox.backoff import Backoff
from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable, Permanent, StatementRejected
from outbox.parameters import dead_letter_parameters, decision_parameters
from outbox.records import DeadLetter, DecisionRecord

log = logging.getLogger(__name__)

_SQL: Final = queries("writer.sql")


class EventIdReused(Permanent):
    """Another source has already sent an event with this id, so this one cannot be told from a copy."""


class DecisionWriter:
    """Writes decisions and dead letters; one per worker, shared by all its agents.

    `on_commit` is called after each commit that brought messages (the relay's kick). The number of waiting decisions
    is bounded by whoever calls `record`: each caller waits for its own.
    """

    def __init__(self, database: Database, *, on_commit: Callable[[], None], batch_size: int = 100) -> None:
        self._database = database
        self._on_commit = on_commit
        self._batch_size = batch_size
        self._waiting: asyncio.Queue[tuple[DecisionRecord, asyncio.Future[bool]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write. The event loop must be running."""
        self._task = asyncio.create_task(self._write_for_ever(), name="decision writer")

    async def stop(self) -> None:
        """Stop writing; decisions still waiting are given up unwritten (their events come again)."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def record(self, record: DecisionRecord) -> bool:
        """Write the decision and wait for the commit.

        Returns True if it is new, False if this (agent, event) had been decided before. Raises `Permanent` if it can
        never be written. While PostgreSQL is away it waits.
        """
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((record, outcome))
        return await outcome

    async def bury(self, letter: DeadLetter) -> None:
        """Write a dead letter and its message for the topic; waits while PostgreSQL is away."""
        backoff = Backoff()
        while True:
            try:
                await self._database.run(_SQL["record_dead_letter"], dead_letter_parameters(letter))
            except DatabaseUnavailable as error:
                log.warning("dead letter waits for PostgreSQL: %s", error)
                await backoff.wait()
            else:
                self._on_commit()
                return

    async def _write_for_ever(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._batch_size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._settle(batch)

    async def _settle(self, batch: Sequence[tuple[DecisionRecord, asyncio.Future[bool]]]) -> None:
        try:
            outcomes = await self._commit([record for record, _ in batch])
        except StatementRejected as error:
            if len(batch) == 1:
                _set(batch[0][1], error)
                return
            for one in batch:
                await self._settle([one])
        else:
            for (_, waiting), outcome in zip(batch, outcomes, strict=True):
                _set(waiting, outcome)

    async def _commit(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        """One transaction, again until its outcome is known. Raises `StatementRejected`."""
        backoff = Backoff()
        attempts = 0
        while True:
            attempts += 1
            try:
                rows = await self._database.run(_SQL["record_decisions"], decision_parameters(records))
                inserted = {row[0] for row in rows}
                outcomes = await self._outcomes(records, inserted)
            except DatabaseUnavailable as error:
                log.warning("%d decisions wait for PostgreSQL (attempt %d): %s", len(records), attempts, error)
                await backoff.wait()
            else:
                if inserted or attempts > 1:
                    self._on_commit()
                return outcomes

    async def _outcomes(self, records: Sequence[DecisionRecord], inserted: set[str]) -> Sequence[bool | Permanent]:
        """True for a new decision, False for one that was there, `EventIdReused` for a stranger with its id."""
        known = [str(record.id) for record in records if str(record.id) not in inserted]
        sources: dict[str, str] = {}
        if known:
            rows = await self._database.run(_SQL["sources_of_decisions"], {"ids": known})
            sources = dict(rows)
        outcomes: list[bool | Permanent] = []
        for record in records:
            source = sources.get(str(record.id), record.event_source)
            if source != record.event_source:
                outcomes.append(EventIdReused(f"event id {record.event_id} was decided for source {source}"))
            else:
                outcomes.append(str(record.id) in inserted)
        return outcomes


def _set(waiting: asyncio.Future[bool], outcome: bool | Permanent) -> None:
    if waiting.done():
        return
    if isinstance(outcome, Permanent):
        waiting.set_exception(outcome)
    else:
        waiting.set_result(outcome)
