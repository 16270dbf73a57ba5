"""Approvals: what becomes of held decisions. The decision writer holds them; nothing is published or done until then.

An answer is bound to the hash of exactly what follows from it. Each held decision is answered once, however many
people press at the same time; the row says who and when. One that nobody answers in time expires, which rejects it:
what was to be published otherwise is, in the transaction of the answer. An answer that PostgreSQL refuses (the capture
was given back in the meantime) raises `StatementRejected` with the reason and leaves the decision held. After
`DatabaseUnavailable` the answer may have been given: ask again.

NotAnswered           the answer was not given, and giving it again cannot help
├── UnknownApproval   no such decision was held
├── AlreadyAnswered   somebody else was first, or it expired
└── AnotherContent    the hash is of something else than what is held
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from outbox.content import content_from, otherwise_from
from outbox.counts import OnEffects, tell_nobody
from outbox.database import Database, Row, queries
from outbox.effects import run_effects
from outbox.errors import Permanent, StatementRejected
from outbox.operator_actions import Action, Operator, record_action
from outbox.parameters import lock_parameters, message_parameters
from outbox.records import Effect, KnownEffects, Message
from outbox.tally import Tally

log = logging.getLogger(__name__)

_SQL: Final = queries("approvals.sql")
_LOCK_LANES: Final = queries("writer.sql")["lock_lanes"]
#: The columns of a decision in short, but for its reason: what is held has one of its own.
_DECIDED: Final = ("agent", "event_source", "event_id", "entity", "entity_id", "outcome", "confidence", "brain")
_UNKNOWN: Final = "decision {} was never held"

Answer = Literal["approved", "rejected", "expired"]
#: What people do; nobody does what expires.
_ACTIONS: Final[Mapping[Answer, Action]] = {"approved": "approve", "rejected": "reject"}


class NotAnswered(Permanent):
    """The answer was not given."""


class UnknownApproval(NotAnswered):
    """No such decision was held."""


class AnotherContent(NotAnswered):
    """The hash is not that of what is held."""


class AlreadyAnswered(NotAnswered):
    """The decision is not held any more; `approval` says what was answered, by whom and when."""

    def __init__(self, approval: Approval) -> None:
        who = f" by {approval.answered_by}" if approval.answered_by else ""
        at = approval.answered_at or approval.expires_at
        super().__init__(f"already {approval.answer}{who} at {at.astimezone(UTC).isoformat(timespec='seconds')}")
        self.approval = approval


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The decision that is held, in short; its fields are those of `DecisionRecord`."""

    agent: str
    event_source: str
    event_id: str
    entity: str
    entity_id: str
    outcome: str
    reason: str
    confidence: float
    brain: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A decision that is or was held."""

    decision_id: uuid.UUID
    #: Why it is held; one short word.
    reason: str
    #: Canonical JSON of what follows from an answer; see `outbox.content`.
    content: str
    content_sha256: str
    asked_at: datetime
    #: From this instant on it is expired.
    expires_at: datetime
    #: None while it is held.
    answer: Answer | None
    #: None while it is held, and when it expired.
    answered_by: str | None
    #: None while it is held, and until the expiry is written down.
    answered_at: datetime | None
    decision: Summary


class Approvals:
    """Answers held decisions.

    `on_commit` is called with the lanes of what an answer published, `on_effects` with what an approval has done.
    """

    def __init__(
        self,
        database: Database,
        *,
        effects: KnownEffects,
        on_commit: Callable[[Collection[int]], None],
        on_effects: OnEffects = tell_nobody,
    ) -> None:
        self._database = database
        self._on_effects = on_effects
        #: Answers given here since the start, by answer.
        self.answers = Tally()
        #: Those of the loaded domains, by kind.
        self.effects = effects
        self._on_commit = on_commit
        #: What could not be expired, so that it is said once.
        self._stuck: set[uuid.UUID] = set()

    async def find(self, decision_id: uuid.UUID) -> Approval | None:
        """What was held under this id, and its answer. Raises `DatabaseUnavailable`."""
        rows = await self._database.run(_SQL["approval"], {"decision_id": str(decision_id)})
        return _approval(rows[0]) if rows else None

    async def waiting(self, *, limit: int, before: str | None = None) -> Sequence[Approval]:
        """The newest of those that wait for an answer, or those held before that decision.

        Raises `DatabaseUnavailable`.
        """
        rows = await self._database.run(_SQL["waiting"], {"limit": limit, "before": before})
        return [_approval(row) for row in rows]

    async def approve(self, decision_id: uuid.UUID, content_sha256: str, by: Operator) -> None:
        """Publish the messages and make the state changes of a held decision, all or nothing.

        Raises `NotAnswered`, `StatementRejected` (it stays held) or `DatabaseUnavailable`; it stays held as well when
        that is one of `outbox.database.WAITS_ALONE`.
        """
        content = content_from(await self._content(decision_id), self.effects)
        await self._answer("approved", decision_id, content_sha256, by, content.messages, content.effects)

    async def reject(self, decision_id: uuid.UUID, content_sha256: str, by: Operator) -> None:
        """Give a held decision up and publish what is to be published otherwise. Raises like `approve`."""
        otherwise = otherwise_from(await self._content(decision_id))
        await self._answer("rejected", decision_id, content_sha256, by, otherwise)

    async def expire(self, *, page: int = 100) -> Sequence[uuid.UUID]:
        """Reject what is overdue, each in a transaction of its own, and return the ids of those expired here.

        One that cannot be expired stays overdue, which nobody can approve, and is tried again next time. Raises
        `DatabaseUnavailable`.
        """
        expired = []
        async for decision_id, content, content_sha256 in self._overdue(page):
            try:
                await self._answer("expired", decision_id, content_sha256, None, otherwise_from(content))
            except NotAnswered:
                # A worker beside this one was faster.
                continue
            except StatementRejected as error:
                if decision_id not in self._stuck:
                    self._stuck.add(decision_id)
                    log.warning(
                        "held decision %s is overdue and cannot be expired: %s",
                        decision_id,
                        error,
                        extra={"decision_id": str(decision_id)},
                    )
            else:
                expired.append(decision_id)
        return expired

    async def _content(self, decision_id: uuid.UUID) -> str:
        approval = await self.find(decision_id)
        if approval is None:
            raise UnknownApproval(_UNKNOWN.format(decision_id))
        return approval.content

    async def _overdue(self, page: int) -> AsyncIterator[tuple[uuid.UUID, str, str]]:
        after = {"after_at": "-infinity", "after_id": str(uuid.UUID(int=0)), "limit": page}
        while rows := await self._database.run(_SQL["overdue"], after):
            for row in rows:
                yield uuid.UUID(row.decision_id), row.content, row.content_sha256
                after |= {"after_at": row.expires_at, "after_id": row.decision_id}

    async def _answer(
        self,
        answer: Answer,
        decision_id: uuid.UUID,
        content_sha256: str,
        by: Operator | None,
        messages: Sequence[Message],
        effects: Sequence[Effect] = (),
    ) -> None:
        """Answer, publish and make the changes in one transaction, or raise `NotAnswered` with the reason."""
        lanes = {message.lane for message in messages}
        parameters = {
            "decision_id": str(decision_id),
            "content_sha256": content_sha256,
            "answer": answer,
            "by": by and by.name,
            "status": "committed" if answer == "approved" else "rejected",
        }
        async with self._database.transaction() as transaction:
            # Lanes come first, as in the writer: while it holds them it may wait for the row of this decision.
            await transaction.run(_LOCK_LANES, lock_parameters(lanes))
            if not await transaction.run(_SQL["answer"], parameters):
                raise _why_not(decision_id, await transaction.run(_SQL["approval"], parameters))
            if by is not None:
                await record_action(transaction, _ACTIONS[answer], [str(decision_id)], by)
            await transaction.run(_SQL["publish"], message_parameters(messages))
            async with transaction.savepoint():
                await run_effects(transaction, effects, decision_id)
        self.answers.add([(answer,)])
        self._on_effects(effects)
        if lanes:
            self._on_commit(lanes)


def _why_not(decision_id: uuid.UUID, rows: Sequence[Row]) -> NotAnswered:
    if not rows:
        return UnknownApproval(_UNKNOWN.format(decision_id))
    approval = _approval(rows[0])
    if approval.answer is not None:
        return AlreadyAnswered(approval)
    return AnotherContent(f"what is held has the hash {approval.content_sha256}")


def _approval(row: Row) -> Approval:
    held = row._asdict()
    decision_id, reason = uuid.UUID(held.pop("decision_id")), held.pop("decision_reason")
    summary = Summary(**{name: held.pop(name) for name in _DECIDED}, reason=reason)
    return Approval(**held, decision_id=decision_id, decision=summary)
