"""Decision writer: a decision, its effects and its messages in one transaction, many decisions per transaction.

`record` returns only after the commit. While one batch commits the next one gathers, so a lone decision never waits
and a busy worker pays one commit for up to `batch_size` decisions. An outcome that is unknown (connection lost during
the commit) is settled by writing again: the unique row in `decisions` makes the second attempt a no-op. A decision with
effects is written in a savepoint of its own; when it is refused, its batch-mates are not, and when it has to wait for
a table, a privilege, a row that somebody keeps locked or its own slow statements, it waits alone, and the effects of
its agent no longer share batches with others until it goes well again. It does not wait for ever: after a while it is
refused, where it says what is to be published then. A batch of decisions without
effects that PostgreSQL refuses is halved until only the guilty one fails. Batches that share a lane of the outbox
commit one after another, so the order of `seq` within a lane is the order of the commits. A held decision is written
with the question to a person (see `outbox.approvals`) in place of its effects and messages. One whose effects are
refused is written as if a person had rejected it, where it says what is to be published then: so a person hears.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from outbox.backoff import Backoff
from outbox.batching import Batcher
from outbox.chains import ChainLimits
from outbox.content import content_of, sha256_of
from outbox.database import WAITS_ALONE, Database, Row, Transaction, queries
from outbox.effects import run_effects
from outbox.errors import (
    DatabaseUnavailable,
    Echo,
    EffectUnavailable,
    InnervateError,
    OldWorkersRemain,
    StatementRejected,
    Transient,
)
from outbox.parameters import dead_letter_parameters, decision_parameters, lock_parameters
from outbox.records import DeadLetter, DecisionRecord
from outbox.troubles import Troubles, described

log = logging.getLogger(__name__)

_SQL: Final = queries("writer.sql")
#: One round trip: PostgreSQL runs both in one transaction.
_RECORD_DECISIONS: Final = _SQL["lock_lanes"] + _SQL["record_decisions"]
_RECORD_DEAD_LETTER: Final = _SQL["lock_lanes"] + _SQL["record_dead_letter"]
_APPROVALS_SQL: Final = queries("approvals.sql")

#: Batches that are not full are this far apart, in seconds: a transaction costs a worker as much as some decisions.
PACE_SECONDS: Final = 0.02

_ID_IN_USE: Final = "its event's id was used by another source, and older workers remain"

#: The longest pause between attempts of a decision that waits alone, in seconds.
ALONE_CAP_SECONDS: Final = 10.0

#: How long the effects of one batch may take together, in seconds, before what is left of them comes in another batch:
#: others wait for its lanes, and must not wait as long as they would wait for a lock (`outbox.session`).
TURN_SECONDS: Final = 1.0

#: By the ids of decisions that are there: whether their chains went too far, and their numbers in their correlations.
Found = dict[str, tuple[bool, int | None]]
#: The decisions that are new, and those that PostgreSQL refused or that have to wait alone.
Written = tuple[Found, dict[str, InnervateError]]


#: How long the effects of a decision wait for what they need, in seconds, before they are refused and a person hears.
#: Own choice: longer than sessions keep a lock (`outbox.session`) and a migration a table.
EFFECTS_WAIT_SECONDS: Final = 30


class EffectsWait(EffectUnavailable):
    """What the effects need is not there now; the decision itself could be written."""


class NotTried(Transient):
    """The effects of its batch-mates took too long; this decision was left for another batch."""


class DecisionWriter:
    """Writes decisions and dead letters; one per worker, shared by all its agents.

    `on_commit` is called with the lanes of the messages after each commit that brought some. The number of waiting
    decisions is bounded by whoever calls `record`: each caller waits for its own.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[Collection[int]], None],
        batch_size: int = 100,
        limits: ChainLimits = ChainLimits(),  # noqa: B008 - immutable
        effects_wait_seconds: float = EFFECTS_WAIT_SECONDS,
    ) -> None:
        self._database = database
        self._limits = limits
        self._effects_wait_seconds = effects_wait_seconds
        self._on_commit = on_commit
        #: What waits for PostgreSQL, for readiness.
        self.troubles = Troubles()
        self._decisions = Batcher(self._settle, limit=batch_size, name="decision writer", pace_seconds=PACE_SECONDS)
        #: Decisions with effects, one at a time, of agents whose effects had to wait lately.
        self._alone = Batcher(self._settle, limit=1, name="decision writer, alone")

    async def stop(self) -> None:
        """Stop writing; decisions still waiting are given up unwritten (their events come again)."""
        await self._decisions.stop()
        await self._alone.stop()

    async def record(self, record: DecisionRecord) -> bool:
        """Write the decision and wait for the commit.

        Returns True if it is new, False if this (agent, event) had been decided before. One whose effects PostgreSQL
        refuses is written as rejected, with what is to be published otherwise. Raises `Echo` when it is written as
        refused, now or before, because its chain went too far, and another `Permanent` if it can never be written.
        While PostgreSQL is away it waits, and so it does for what it alone needs there and cannot have: a table, a
        privilege, a row that somebody keeps locked, time for its effects, the end of older workers. What its effects
        alone need it waits for until it is written as rejected, if it has something to be published otherwise.
        """
        record = self._limits.applied_to(record)
        backoff = Backoff(cap_seconds=ALONE_CAP_SECONDS)
        gives_up_at = time.monotonic() + self._effects_wait_seconds
        while True:
            try:
                return await self._submit(record)
            except NotTried:
                continue
            except Transient as error:
                self.troubles.note(_trouble(record), _need(error))
                log.warning("the decision of %s on %s waits: %s", record.agent, record.event_id, error)
                is_given_up = isinstance(error, EffectsWait) and time.monotonic() > gives_up_at
                if is_given_up and record.status == "committed" and record.otherwise:
                    record = record.refused(str(error))
                    continue
                await backoff.wait()

    async def _submit(self, record: DecisionRecord) -> bool:
        is_apart = bool(record.effects) and _trouble(record) in self.troubles.current()
        batcher = self._alone if is_apart else self._decisions
        try:
            return await batcher.submit(record)
        except StatementRejected as error:
            if record.status != "committed" or not record.otherwise:
                raise
            log.warning("PostgreSQL refuses the decision of %s on %s: %s", record.agent, record.event_id, error)
            return await self._decisions.submit(record.refused(str(error)))

    async def bury(self, letter: DeadLetter) -> None:
        """Write a dead letter, its message for the topic and what tells of it; waits while PostgreSQL is away."""
        parameters = dead_letter_parameters(letter)
        lanes = {parameters["lane"], *(message.lane for message in letter.tells)}
        backoff = Backoff()
        while True:
            try:
                await self._database.run(_RECORD_DEAD_LETTER, {**parameters, **lock_parameters(lanes)})
            except DatabaseUnavailable as error:
                self.troubles.note("dead letters", error)
                log.warning("dead letter waits for PostgreSQL: %s", error)
                await backoff.wait()
            else:
                self._on_commit(lanes)
                return

    async def _settle(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Exception]:
        try:
            return await self._commit(records)
        except StatementRejected as error:
            if len(records) == 1:
                return [error]
            middle = len(records) // 2
            return [*await self._settle(records[:middle]), *await self._settle(records[middle:])]

    async def _commit(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Exception]:
        """One transaction, again until its outcome is known. Raises `StatementRejected`."""
        first: dict[str, DecisionRecord] = {}
        for record in records:
            first.setdefault(str(record.id), record)
        lanes = {message.lane for record in first.values() for message in record.published}
        new: Found = {}
        backoff = Backoff()
        while True:
            try:
                written, refused = await self._write(list(first.values()), lanes)
                new |= written
                settled = new.keys() | refused.keys()
                there = await self._decided([record for key, record in first.items() if key not in settled])
                blocked = first.keys() - settled - there.keys()
                if blocked and await self._told_apart():
                    continue
            except DatabaseUnavailable as error:
                self.troubles.note("decisions", error)
                log.warning("%d decisions wait for PostgreSQL: %s", len(records), error)
                await backoff.wait()
            else:
                if lanes and (new or backoff.attempts):
                    self._on_commit(lanes)
                errors = refused | {key: OldWorkersRemain(_ID_IN_USE) for key in blocked}
                return [
                    errors.get(key := str(record.id))
                    or self._outcome(record, (new | there)[key], is_new=record is first[key] and key in new)
                    for record in records
                ]

    def _outcome(self, record: DecisionRecord, found: tuple[bool, int | None], *, is_new: bool) -> bool | Echo:
        is_refused, fan_out = found
        if is_refused:
            return Echo(record.correlation_id, self._limits.refusal(record, fan_out))
        return is_new

    async def _write(self, records: Sequence[DecisionRecord], lanes: Collection[int]) -> Written:
        """Try one transaction. Raises `DatabaseUnavailable`, or `StatementRejected` for one that is only a row."""
        if not any(map(_has_more_than_a_row, records)):
            parameters = {**self._parameters(records), **lock_parameters(lanes)}
            return _found(await self._database.run(_RECORD_DECISIONS, parameters)), {}
        new: Found = {}
        refused: dict[str, InnervateError] = {}
        ends_at = time.monotonic() + TURN_SECONDS
        async with self._database.transaction() as transaction:
            await transaction.run(_SQL["lock_lanes"], lock_parameters(lanes))
            # In the order of the batch: the messages of one key leave in the order in which their agent decided.
            for is_more_than_a_row, group in itertools.groupby(records, key=_has_more_than_a_row):
                if not is_more_than_a_row:
                    new |= _found(await transaction.run(_SQL["record_decisions"], self._parameters(list(group))))
                    continue
                for record in group:
                    if time.monotonic() > ends_at:
                        refused[str(record.id)] = NotTried("the effects of its batch-mates took too long")
                        continue
                    try:
                        new |= await self._write_alone(transaction, record)
                    except (StatementRejected, *WAITS_ALONE) as error:
                        refused[str(record.id)] = error
        return new, refused

    async def _write_alone(self, transaction: Transaction, record: DecisionRecord) -> Found:
        async with transaction.savepoint():
            new = _found(await transaction.run(_SQL["record_decisions"], self._parameters([record])))
            is_refused, _ = new.get(str(record.id), (True, None))
            if not is_refused and _is_asked(record):
                await transaction.run(_APPROVALS_SQL["hold"], _question(record))
            elif not is_refused:
                try:
                    await run_effects(transaction, record.effects, record.id)
                except WAITS_ALONE as error:
                    raise EffectsWait(described(error)) from error
        return new

    def _parameters(self, records: Sequence[DecisionRecord]) -> Mapping[str, Any]:
        try:
            return decision_parameters(records, most_messages=self._limits.messages)
        except ValueError as error:
            raise StatementRejected(f"a message cannot be kept with its decision: {error}") from error

    async def _decided(self, records: Sequence[DecisionRecord]) -> Found:
        """Those of the decisions that are there, by the ids they would get today.

        One that was not written and is not there either is in the way of the constraint of before migration 0005,
        which takes it for a copy of another source's event.
        """
        if not records:
            return {}
        rows = await self._database.run(
            _SQL["decided"],
            {
                "agents": [record.agent for record in records],
                "event_sources": [record.event_source for record in records],
                "event_ids": [record.event_id for record in records],
            },
        )
        return {str(records[row.position - 1].id): (row.is_refused, row.fan_out) for row in rows}

    async def _told_apart(self) -> bool:
        """Drop the constraint of before, unless older workers still need it."""
        [row] = await self._database.run(_SQL["tell_sources_apart"])
        return bool(row.is_gone)


def _need(error: Transient) -> BaseException:
    """What is told of a decision that waits: what its effects need, in the words of who cannot have it."""
    return (error.__cause__ if isinstance(error, EffectsWait) else None) or error


def _trouble(record: DecisionRecord) -> str:
    """What readiness calls it when decisions of this agent wait alone."""
    return f"decisions of {record.agent}"


def _has_more_than_a_row(record: DecisionRecord) -> bool:
    return _is_asked(record) or (record.status == "committed" and bool(record.effects))


def _is_asked(record: DecisionRecord) -> bool:
    return record.status == "held" or record.is_refused


def _question(record: DecisionRecord) -> Mapping[str, Any]:
    assert record.hold is not None, "a held decision says why"
    content = content_of(record)
    return {
        "decision_id": str(record.id),
        "reason": record.hold.reason,
        "content": content,
        "content_sha256": sha256_of(content),
        "hold_for": record.hold.expires_in,
        "rejected_by": record.hold.rejected_by,
    }


def _found(rows: Sequence[Row]) -> Found:
    return {row.id: (row.is_refused, row.fan_out) for row in rows}
