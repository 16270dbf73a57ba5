"""Commands for decisions that wait for a person: `approvals`, `approval`, `approve`, `reject`.

They talk to PostgreSQL alone; a worker publishes what follows from an answer within a second or so. What is not
possible ends with exit code 1 and one line.
"""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from faust.cli import AppCommand, argument, option
from pydantic import ValidationError

from agents.model.text import escaped
from app.operators.approvals import AnswerForm, document, expected, pretty, summary
from outbox.approvals import Approval, Approvals, NotAnswered
from outbox.content import readable
from outbox.database import Database
from outbox.errors import DatabaseUnavailable, StatementRejected

if TYPE_CHECKING:
    from app.worker.application import Innervate

_HEADERS: Final = ("id", "agent", "entity", "outcome", "held for", "expires", "sha256")
_ID: Final = argument("decision_id", metavar="ID", type=click.UUID)
_SHA256: Final = option("--sha256", required=True, metavar="HASH", help="The whole hash shown by `approval ID`.")
BY: Final = option("--by", metavar="NAME", help="Who answers; your user unless told otherwise.")


def register_approval_commands(app: Innervate) -> None:
    """Add the commands to Faust's own."""

    @asynccontextmanager
    async def held() -> AsyncIterator[Approvals]:
        database = Database(app.settings.database_url)
        try:
            # The relay of a worker looks by itself; there is nobody here to be told.
            yield Approvals(database, on_commit=lambda _lanes: None)
        except DatabaseUnavailable as error:
            raise SystemExit(f"innervate: PostgreSQL: {escaped(str(error))}") from error
        except (NotAnswered, StatementRejected) as error:
            raise SystemExit(f"innervate: {escaped(str(error))}") from error
        finally:
            await database.close()

    @app.command(option("--limit", default=50, type=click.IntRange(1, 500), help="How many at most."))
    async def approvals(self: AppCommand, limit: int) -> None:
        """List the decisions that wait for a person, the newest first."""
        async with held() as desk:
            waiting = await desk.waiting(limit=limit)
        if self.json:
            self.say(document([summary(one) for one in waiting]))
        else:
            self.say(self.tabulate([_row(one) for one in waiting], headers=_HEADERS, title="Waiting for a person"))

    @app.command(_ID)
    async def approval(self: AppCommand, decision_id: uuid.UUID) -> None:
        """Show everything that follows from an answer, and its hash."""
        async with held() as desk:
            found = await desk.find(decision_id)
        if found is None:
            raise SystemExit(f"innervate: decision {decision_id} was never held")
        self.say(_shown(found))

    @app.command(_ID, _SHA256, BY)
    async def approve(self: AppCommand, decision_id: uuid.UUID, sha256: str, by: str | None) -> None:
        """Publish and do what is held, if it is what the hash says."""
        form = _form(sha256, by)
        async with held() as desk:
            await desk.approve(decision_id, form.content_sha256, form.by)
        self.say(f"approved by {form.by}")

    @app.command(_ID, _SHA256, BY)
    async def reject(self: AppCommand, decision_id: uuid.UUID, sha256: str, by: str | None) -> None:
        """Give up what is held, if it is what the hash says."""
        form = _form(sha256, by)
        async with held() as desk:
            await desk.reject(decision_id, form.content_sha256, form.by)
        self.say(f"rejected by {form.by}")


def _form(sha256: str, by: str | None) -> AnswerForm:
    try:
        return AnswerForm(content_sha256=sha256, by=_user() if by is None else by)
    except ValidationError as error:
        raise SystemExit(f"innervate: {expected(error)}") from error


def _user() -> str:
    """The user of the operating system, whatever the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _row(approval: Approval) -> tuple[str, ...]:
    decision = approval.decision
    row = (
        str(approval.decision_id),
        decision.agent,
        f"{decision.entity} {decision.entity_id}",
        decision.outcome,
        approval.reason,
        approval.expires_at.isoformat(timespec="seconds"),
        approval.content_sha256[:12],
    )
    return tuple(map(escaped, row))


def _shown(approval: Approval) -> str:
    decision, content = approval.decision, readable(approval.content)
    answer: dict[str, Any] = {
        "answer": approval.answer or "none yet",
        "by": approval.answered_by,
        "at": approval.answered_at,
    }
    lines = {
        "decision": str(approval.decision_id),
        "agent": f"{decision.agent}, by {decision.brain}, on event {decision.event_id} of {decision.event_source}",
        "entity": f"{decision.entity} {decision.entity_id}",
        "outcome": f"{decision.outcome} ({decision.confidence:.2f}): {decision.reason}",
        "held for": approval.reason,
        "expires": approval.expires_at.isoformat(timespec="seconds"),
        "answer": " ".join(str(value) for value in answer.values() if value is not None),
        "sha256": approval.content_sha256,
    }
    return "\n".join(
        [
            *(f"{name:9} {escaped(text)}" for name, text in lines.items()),
            f"\nApproved, it does this:\n{pretty(content['effects'])}",
            f"\nand publishes this:\n{pretty(content['messages'])}",
            f"\nRejected or expired, it publishes this in its place:\n{pretty(content['otherwise'])}",
        ]
    )
