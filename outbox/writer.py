"""Decision writer: a decision, its effects and its messages in one transaction, many decisions per transaction.

`record` and `record_all` return only after the commit. While one batch commits the next one gathers, so a lone decision
never waits and a busy worker pays one commit for up to `batch_size` decisions, of all agents together. An outcome that
is unknown (connection lost during the commit) is settled by writing again: the unique row in `decisions` makes the
second attempt a no-op. A decision that has to wait for a table, a privilege, a row that somebody keeps locked or its
own slow statements waits alone (its batch-mates are committed meanwhile, but for those after it on the same entity),
and the effects of its agent no longer share batches with others until it goes well again. It does not wait for ever:
after a while it is refused, where it says what is to be published then. Batches that share a lane of the outbox commit
one after another, so the order of `seq` within a lane is the order of the commits. A decision whose effects are refused
is written as if a person had rejected it, where it says what is to be published then: so a person hears. How a batch is
committed is in `outbox.commits`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from outbox.backoff import Backoff
from outbox.batching import Batcher
from outbox.chains import ChainLimits
from outbox.commits import Commits, EffectsWait, NotTried, Succession, is_settled, may_be_refused, succession
from outbox.counts import Counts, OnEffects, tell_nobody
from outbox.database import Database, queries
from outbox.errors import DatabaseUnavailable, Permanent, StatementRejected, Transient
from outbox.parameters import dead_letter_parameters, lock_parameters
from outbox.records import DeadLetter, DecisionRecord
from outbox.troubles import Troubles

log = logging.getLogger(__name__)

_SQL: Final = queries("writer.sql")
#: One round trip: PostgreSQL runs both in one transaction.
_RECORD_DEAD_LETTER: Final = _SQL["lock_lanes"] + _SQL["record_dead_letter"]

#: Decisions of one transaction: by then its fixed cost is below a hundredth of the decisions' own. Own measurement.
BATCH_SIZE: Final = 500

#: Batches of a busy worker are this far apart, in seconds, until they are full: a transaction costs it as much as some
#: decisions. A decision that comes alone waits for none (`outbox.batching`).
PACE_SECONDS: Final = 0.02

#: Why a decision is not in the first batch.
_ALONE: Final = "the effects of its agent had to wait lately"

#: The longest pause between attempts of a decision that waits alone, in seconds.
ALONE_CAP_SECONDS: Final = 10.0

#: How long the effects of a decision wait for what they need, in seconds, before they are refused and a person hears.
#: Own choice: longer than sessions keep a lock (`outbox.session`) and a migration a table.
EFFECTS_WAIT_SECONDS: Final = 30


class DecisionWriter:
    """Writes decisions and dead letters; one per worker, shared by all its agents.

    `on_commit` is called with the lanes of the messages after each commit that brought some, `on_effects` with what a
    decision has done. The number of waiting decisions is bounded by whoever calls `record`: each waits for its own.
    `codes` are the ids of what decides, by agent (`outbox.codes`); it may be filled later, before the first decision.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[Collection[int]], None],
        on_effects: OnEffects = tell_nobody,
        batch_size: int = BATCH_SIZE,
        limits: ChainLimits = ChainLimits(),  # noqa: B008 - immutable
        effects_wait_seconds: float = EFFECTS_WAIT_SECONDS,
        codes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._limits = limits
        self._effects_wait_seconds = effects_wait_seconds
        self._on_commit = on_commit
        #: What waits for PostgreSQL, for readiness.
        self.troubles = Troubles()
        #: What was committed since the start.
        self.counts = Counts(on_effects)
        commit = Commits(
            database, limits=limits, on_commit=on_commit, troubles=self.troubles, codes=codes, counts=self.counts
        ).commit
        self._decisions = Batcher(commit, limit=batch_size, name="decision writer", pace_seconds=PACE_SECONDS)
        #: Decisions with effects, one at a time, of agents whose effects had to wait lately.
        self._alone = Batcher(commit, limit=1, name="decision writer, alone")

    async def stop(self) -> None:
        """Stop writing; decisions still waiting are given up unwritten (their events come again)."""
        await self._decisions.stop()
        await self._alone.stop()

    async def record(self, record: DecisionRecord) -> bool:
        """Write one decision like `record_all`, and raise what that would return."""
        [outcome] = await self.record_all([record])
        if isinstance(outcome, Permanent):
            raise outcome
        return outcome

    async def record_all(self, records: Sequence[DecisionRecord]) -> Sequence[bool | Permanent]:
        """Write decisions in their order and wait for the commits; one outcome each.

        True if it is new, False if this (agent, event) had been decided before. One whose effects PostgreSQL refuses is
        written as rejected, with what is to be published otherwise. An `Echo` when it is written as refused, now or
        before, because its chain went too far, and another `Permanent` if it can never be written.

        While PostgreSQL is away it waits, and so it does for what one of them alone needs there and cannot have: a
        table, a privilege, a row that somebody keeps locked, time for its effects, the end of older workers. The others
        are committed meanwhile, but for later ones of the same agent on the same entity, which follow it. What its
        effects alone need it waits for until it is written as rejected, if it has something to be published otherwise.
        """
        limited = [self._limits.applied_to(record) for record in records]
        gives_up_at = time.monotonic() + self._effects_wait_seconds
        outcomes = await self._commit_those_that_can(limited)
        _raise_bugs(outcomes)
        unsettled: dict[Succession, list[int]] = {}
        for position, (record, outcome) in enumerate(zip(limited, outcomes, strict=True)):
            if not is_settled(record, outcome):
                unsettled.setdefault(succession(record), []).append(position)

        async def settle(positions: Sequence[int]) -> None:
            for position in positions:
                outcomes[position] = await self._insist(limited[position], outcomes[position], gives_up_at)

        await asyncio.gather(*map(settle, unsettled.values()))
        _raise_bugs(outcomes)
        return cast("list[bool | Permanent]", outcomes)

    async def _commit_those_that_can(self, records: Sequence[DecisionRecord]) -> list[bool | Exception]:
        """The outcomes of a first attempt; what is to wait alone, and what follows it, is not tried."""
        troubled = self.troubles.current()
        if not troubled:
            return list(await self._decisions.submit_all(records))
        behind: set[Succession] = set()
        for record in records:
            if _is_apart(record, troubled):
                behind.add(succession(record))
        tried = [record for record in records if succession(record) not in behind]
        outcomes = iter(await self._decisions.submit_all(tried))
        return [NotTried(_ALONE) if succession(record) in behind else next(outcomes) for record in records]

    async def _insist(self, record: DecisionRecord, outcome: bool | Exception, gives_up_at: float) -> bool | Exception:
        """Try one decision, whose last outcome this was, until it is settled."""
        backoff = Backoff(cap_seconds=ALONE_CAP_SECONDS)
        while not is_settled(record, outcome):
            if isinstance(outcome, StatementRejected):
                log.warning(
                    "PostgreSQL refuses the decision of %s on %s: %s",
                    record.agent,
                    record.event_id,
                    outcome,
                    extra=record.log_fields(),
                )
                record = record.refused(str(outcome))
            elif isinstance(outcome, Transient) and not isinstance(outcome, NotTried):
                self.troubles.note(_trouble(record), _need(outcome))
                log.warning(
                    "the decision of %s on %s waits: %s",
                    record.agent,
                    record.event_id,
                    outcome,
                    extra=record.log_fields(),
                )
                is_given_up = isinstance(outcome, EffectsWait) and time.monotonic() > gives_up_at
                if is_given_up and may_be_refused(record):
                    record = record.refused(str(outcome))
                else:
                    await backoff.wait()
            batcher = self._alone if _is_apart(record, self.troubles.current()) else self._decisions
            [outcome] = await batcher.submit_all([record])
        return outcome

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
                log.warning(
                    "dead letter waits for PostgreSQL: %s", error, extra=letter.origin.log_fields(letter.consumer)
                )
                await backoff.wait()
            else:
                self.counts.buried(letter)
                self._on_commit(lanes)
                return


def _is_apart(record: DecisionRecord, troubled: Collection[str]) -> bool:
    """Whether its effects share no batch now: those of its agent had to wait lately."""
    return bool(record.effects) and _trouble(record) in troubled


def _trouble(record: DecisionRecord) -> str:
    """What readiness calls it when decisions of this agent wait alone."""
    return f"decisions of {record.agent}"


def _need(error: Transient) -> BaseException:
    """What is told of a decision that waits: what its effects need, in the words of who cannot have it."""
    return (error.__cause__ if isinstance(error, EffectsWait) else None) or error


def _raise_bugs(outcomes: Sequence[bool | Exception]) -> None:
    """Raise what is no outcome of a decision, but something nobody expects."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, (Permanent, Transient)):
            raise outcome
