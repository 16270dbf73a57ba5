"""Commands for decisions that wait for a person: `approvals`, `approval`, `approve`, `reject`.

They talk to PostgreSQL alone; a worker publishes what follows from an answer within a second or so. What is not
possible ends with exit code 1 and one line.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import click
from faust.cli import argument, option
from pydantic import ValidationError

from agents.model.text import escaped
from app.commands.terminal import BY, LIMIT, WHY, Terminal, command, document, opened, pretty, refuse_read_only, signed
from app.operators.approvals import AnswerForm, expected
from app.reads.approvals import waiting
from app.settings import Settings
from outbox.approvals import Approval, Approvals
from outbox.content import readable
from outbox.database import WAITS_ALONE
from outbox.errors import StatementRejected
from outbox.records import KnownEffects

_HEADERS: Final = ("id", "agent", "entity", "outcome", "held for", "expires", "sha256")
_ID: Final = argument("decision_id", metavar="ID", type=click.UUID)
_SHA256: Final = option("--sha256", required=True, metavar="HASH", help="The whole hash shown by `approval ID`.")


@command(LIMIT)
async def approvals(terminal: Terminal, settings: Settings, limit: int) -> None:
    """List the decisions that wait for a person, the newest first."""
    async with _held(settings) as held:
        found = await held.waiting(limit=limit)
    if terminal.json:
        terminal.say(document([waiting(one).model_dump() for one in found]))
    else:
        rows = [_row(one) for one in found]
        terminal.say(terminal.tabulate(rows, headers=_HEADERS, title="Waiting for a person"))


@command(_ID)
async def approval(terminal: Terminal, settings: Settings, decision_id: uuid.UUID) -> None:
    """Show everything that follows from an answer, and its hash."""
    async with _held(settings) as held:
        found = await held.find(decision_id)
    if found is None:
        raise SystemExit(f"innervate: decision {decision_id} was never held")
    terminal.say(_shown(found, settings.catalogue.types.effects))


@command(_ID, _SHA256, BY, WHY)
async def approve(
    terminal: Terminal, settings: Settings, decision_id: uuid.UUID, sha256: str, by: str | None, why: str | None
) -> None:
    """Publish and do what is held, if it is what the hash says."""
    refuse_read_only(settings)
    form, operator = _form(sha256), signed(by, why)
    async with _held(settings) as held:
        try:
            await held.approve(decision_id, form.content_sha256, operator)
        except (StatementRejected, *WAITS_ALONE) as error:
            raise SystemExit(f"innervate: it stays held: {escaped(str(error))}") from error
    terminal.say(f"approved by {operator.name}")


@command(_ID, _SHA256, BY, WHY)
async def reject(
    terminal: Terminal, settings: Settings, decision_id: uuid.UUID, sha256: str, by: str | None, why: str | None
) -> None:
    """Give up what is held, if it is what the hash says."""
    refuse_read_only(settings)
    form, operator = _form(sha256), signed(by, why)
    async with _held(settings) as held:
        await held.reject(decision_id, form.content_sha256, operator)
    terminal.say(f"rejected by {operator.name}")


@asynccontextmanager
async def _held(settings: Settings) -> AsyncIterator[Approvals]:
    async with opened(settings.database_url) as database:
        # The relay of a worker looks by itself; there is nobody here to be told.
        yield Approvals(database, effects=settings.catalogue.types.effects, on_commit=lambda _lanes: None)


def _form(sha256: str) -> AnswerForm:
    try:
        return AnswerForm(content_sha256=sha256)
    except ValidationError as error:
        raise SystemExit(f"innervate: {expected(error)}") from error


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


def _shown(approval: Approval, known: KnownEffects) -> str:
    decision, content = approval.decision, readable(approval.content, known)
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
