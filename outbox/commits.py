"""Commits: one transaction for a batch of decisions, again until its outcome is known, and an outcome for each.

A decision with effects is written in a savepoint of its own; when it is refused, its batch-mates are not. A batch of
decisions without effects that PostgreSQL refuses is halved until only the guilty one fails. A held decision is written
with the question to a person (see `outbox.approvals`) in place of its effects and messages. Decisions of one agent on
one entity are committed in their order: those behind one that is not settled yet are left for another batch.
"""

from __future__ import annotations

import itertools
import logging
import operator
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from outbox.backoff import Backoff
from outbox.chains import ChainLimits
from outbox.content import content_of, sha256_of
from outbox.counts import Counts
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
from outbox.parameters import JsonLiteral, decision_parameters, expected_rows, lock_parameters
from outbox.records import DecisionRecord
from outbox.troubles import Troubles, described

log = logging.getLogger(__name__)

_SQL: Final = queries("writer.sql")
#: One round trip: PostgreSQL runs both in one transaction.
_RECORD_DECISIONS: Final = _SQL["lock_lanes"] + _SQL["record_decisions"]
_APPROVALS_SQL: Final = queries("approvals.sql")
#: Asked of every record, so not by a function of ours.
_EXPECTED: Final = operator.attrgetter("expected")
_EXPECTATIONS_SQL: Final = queries("expectations.sql")

_ID_IN_USE: Final = "its event's id was used by another source, and older workers remain"

#: How long the effects of one batch may take together, in seconds, before what is left of them comes in another batch:
#: others wait for its lanes, and must not wait as long as they would wait for a lock (`outbox.session`).
TURN_SECONDS: Final = 1.0

_BEHIND: Final = "the decision before it, on the same entity, is not settled"

#: Whose decisions are committed in their order: agent, entity type and entity.
Succession = tuple[str, str, str]

#: By the ids of decisions that are there: whether their chains went too far, and their numbers in their correlations.
Found = dict[str, tuple[bool, int | None]]
#: The decisions that are new, and those that PostgreSQL refused or that have to wait alone.
Written = tuple[Found, dict[str, InnervateError]]


class EffectsWait(EffectUnavailable):
    """What the effects need is not there now; the decision itself could be written."""


class NotTried(Transient):
    """Something before it in its batch is not settled; this decision was left for another batch."""


def succession(record: DecisionRecord) -> Succession:
    """The succession a decision belongs to."""
    return record.agent, record.entity, record.entity_id


def may_be_refused(record: DecisionRecord) -> bool:
    """Whether it says what is to be published when PostgreSQL refuses it."""
    return record.status == "committed" and bool(record.otherwise)


def is_settled(record: DecisionRecord, outcome: bool | Exception) -> bool:
    """Whether nothing is left to be written of a decision with this outcome."""
    if isinstance(outcome, StatementRejected):
        return not may_be_refused(record)
    return not isinstance(outcome, Transient)


class Commits:
    """Commits batches of decisions; `troubles` is told what waits for PostgreSQL, `counts` what was committed.

    `on_commit` is called with the lanes of the messages after each commit that brought some. `codes` are the ids of
    what decides, by agent (`outbox.codes`).
    """

    def __init__(
        self,
        database: Database,
        *,
        limits: ChainLimits,
        on_commit: Callable[[Collection[int]], None],
        troubles: Troubles,
        codes: Mapping[str, int],
        counts: Counts,
    ) -> None:
        self._database = database
        self._codes = codes
        self._limits = limits
        self._on_commit = on_commit
        self._troubles = troubles
        self._counts = counts

    async def commit(
        self, records: Sequence[DecisionRecord], *, behind: Collection[Succession] = ()
    ) -> Sequence[bool | Exception]:
        """Write all of these decisions that can be written now, in their order; one outcome each.

        True: it is new; False: decided before; a `Permanent`: never; a `Transient`: to be tried again. Those of the
        successions `behind` are not tried. Waits while PostgreSQL is away.
        """
        tried = [record for record in records if succession(record) not in behind] if behind else records
        outcomes = iter(await self._commit_or_halve(tried))
        return [NotTried(_BEHIND) if succession(record) in behind else next(outcomes) for record in records]

    async def _commit_or_halve(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Exception]:
        if not records:
            return []
        try:
            return await self._commit_together(records)
        except StatementRejected as error:
            if len(records) == 1:
                return [error]
            middle = len(records) // 2
            first = await self._commit_or_halve(records[:middle])
            behind = {
                succession(one) for one, outcome in zip(records, first, strict=False) if not is_settled(one, outcome)
            }
            return [*first, *await self.commit(records[middle:], behind=behind)]

    async def _commit_together(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Exception]:
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
                self._troubles.note("decisions", error)
                log.warning("%d decisions wait for PostgreSQL: %s", len(records), error)
                await backoff.wait()
            else:
                if lanes and (new or backoff.attempts):
                    self._on_commit(lanes)
                errors = refused | {key: OldWorkersRemain(_ID_IN_USE) for key in blocked}
                outcomes = [
                    errors.get(key := str(record.id))
                    or self._outcome(record, (new | there)[key], is_new=record is first[key] and key in new)
                    for record in records
                ]
                copies = [record for record, outcome in zip(records, outcomes, strict=True) if outcome is False]
                self._counts.committed(first, new, copies)
                return outcomes

    def _outcome(self, record: DecisionRecord, found: tuple[bool, int | None], *, is_new: bool) -> bool | Echo:
        is_refused, fan_out = found
        if is_refused:
            return Echo(record.correlation_id, self._limits.refusal(record, fan_out))
        return is_new

    async def _write(self, records: Sequence[DecisionRecord], lanes: Collection[int]) -> Written:
        """Try one transaction. Raises `DatabaseUnavailable`, or `StatementRejected` for one that is only a row."""
        if not any(map(_has_more_than_a_row, records)) and not any(map(_EXPECTED, records)):
            parameters = {**self._parameters(records), **lock_parameters(lanes)}
            return _found(await self._database.run(_RECORD_DECISIONS, parameters)), {}
        new: Found = {}
        refused: dict[str, InnervateError] = {}
        behind: set[Succession] = set()
        ends_at = time.monotonic() + TURN_SECONDS
        async with self._database.transaction() as transaction:
            await transaction.run(_SQL["lock_lanes"], lock_parameters(lanes))
            # In the order of the batch: the messages of one key leave in the order in which their agent decided.
            for is_more_than_a_row, group in itertools.groupby(records, key=_has_more_than_a_row):
                in_turn: list[DecisionRecord] = []
                for record in group:
                    outcome: Found | InnervateError
                    if succession(record) in behind:
                        outcome = NotTried(_BEHIND)
                    elif is_more_than_a_row:
                        outcome = await self._try_alone(transaction, record, ends_at)
                    else:
                        in_turn.append(record)
                        continue
                    if isinstance(outcome, InnervateError):
                        refused[str(record.id)] = outcome
                        if not is_settled(record, outcome):
                            behind.add(succession(record))
                    else:
                        new |= outcome
                if in_turn:
                    found = _found(await transaction.run(_SQL["record_decisions"], self._parameters(in_turn)))
                    await _expect(transaction, in_turn, found)
                    new |= found
        return new, refused

    async def _try_alone(
        self, transaction: Transaction, record: DecisionRecord, ends_at: float
    ) -> Found | StatementRejected | DatabaseUnavailable | NotTried:
        if time.monotonic() > ends_at:
            return NotTried("the effects of its batch-mates took too long")
        try:
            return await self._write_alone(transaction, record)
        except (StatementRejected, *WAITS_ALONE) as error:
            return error

    async def _write_alone(self, transaction: Transaction, record: DecisionRecord) -> Found:
        async with transaction.savepoint():
            new = _found(await transaction.run(_SQL["record_decisions"], self._parameters([record])))
            await _expect(transaction, [record], new)
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
            return decision_parameters(records, most_messages=self._limits.messages, codes=self._codes)
        except (ValueError, TypeError) as error:
            raise StatementRejected(f"a value cannot be kept: {error}") from error

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


async def _expect(transaction: Transaction, records: Sequence[DecisionRecord], new: Found) -> None:
    """Write down what has to follow those of the decisions that are new and were not refused."""
    rows = [
        row
        for record in records
        if record.expected and not new.get(str(record.id), (True, None))[0]
        for row in expected_rows(record)
    ]
    if rows:
        await transaction.run(_EXPECTATIONS_SQL["expect"], {"expected": JsonLiteral(rows)})


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
