"""Operator actions: who changed what, when and why, in the transaction of the change and never changed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from outbox.database import Transaction, queries

_SQL: Final = queries("operator_actions.sql")

#: What somebody did.
Action = Literal["approve", "reject", "redrive_dead_letter", "redrive_buried_message"]
#: What says that a name is theirs: a token of their own, a proxy that knows its users, nothing but their own account,
#: or that they may run commands where the database is.
KnownBy = Literal["token", "proxy", "own_account", "command_line"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """Who changes something, and why."""

    name: str
    known_by: KnownBy = "own_account"
    #: What they may do, where that is known.
    role: str | None = None
    reason: str | None = None


async def record_action(transaction: Transaction, action: Action, targets: Sequence[str], operator: Operator) -> None:
    """Write down what the transaction does to each target. Raises like `Database.run`."""
    await transaction.run(
        _SQL["record"],
        {
            "action": action,
            "targets": list(targets),
            "by_whom": operator.name,
            "known_by": operator.known_by,
            "role": operator.role,
            "reason": operator.reason,
        },
    )
