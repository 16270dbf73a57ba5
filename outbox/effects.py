"""Effects: the statements of one decision's effects, run as one in its transaction.

They are a domain's own, so nothing is relied on: an effect may raise, return what are no statements, take for ever, or
say COMMIT. PostgreSQL runs them within a block of PL/pgSQL, where none can end the transaction or go beyond it; a block
has one limit of time, and checks its deferred constraints and the settings of the session at its end.

Whatever fails is one of two: what will fail again (`StatementRejected`), or what may succeed when something there has
changed (`SchemaUnusable`, `RowsLocked`, `EffectUnavailable`): then this decision waits, and no other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psycopg2
import psycopg2.errors

from outbox.database import UNUSABLE, Transaction, queries
from outbox.errors import DatabaseUnavailable, EffectUnavailable, RowsLocked, SchemaUnusable, StatementRejected
from outbox.records import Effect, Statement

#: How long all effects of one decision may take, in seconds. They are single rows, and others wait meanwhile.
EFFECT_SECONDS: Final = 2

_SQL: Final = queries("effects.sql")

#: What the block raises when it was cancelled, by the limit or by somebody; PostgreSQL knows no such class.
_TOOK_TOO_LONG: Final = "IN001"
#: Classes of what is wrong with the world and not with the statement: connections of PostgreSQL's own to elsewhere (08,
#: HV), a deadlock or conflict (40), resources (53), an operator (57), the system (58).
_WORLD: Final = frozenset({"08", "40", "53", "57", "58", "HV"})
#: A text instead of statements, and the like, would be taken for a sequence.
_STATEMENT_PARTS: Final = 2


async def run_effects(transaction: Transaction, effects: Sequence[Effect], decision_id: uuid.UUID) -> None:
    """Make these state changes, in this order, as far as the savepoint around them is concerned.

    Raises `StatementRejected`, `SchemaUnusable`, `RowsLocked` or `EffectUnavailable`, after which the savepoint must be
    rolled back; or another `DatabaseUnavailable`, after which the transaction is lost.
    """
    if not effects:
        return
    texts = [
        _filled(transaction, effect, statement, parameters)
        for effect in effects
        for statement, parameters in _statements(effect, decision_id)
    ]
    lines = [transaction.filled(_SQL["execute"], {"statement": text}) for text in texts]
    body = _SQL["body"].replace("%(statements)s", "\n".join(lines))
    block = transaction.filled(_SQL["perform"], {"seconds": f"{EFFECT_SECONDS}s", "body": body})
    try:
        await transaction.run(block)
    except (DatabaseUnavailable, StatementRejected, psycopg2.Error) as error:
        cause = error if isinstance(error, psycopg2.Error) else error.__cause__
        if not isinstance(cause, psycopg2.Error) or cause.pgcode is None:
            raise
        raise _failure(cause) from cause


def _statements(effect: Effect, decision_id: uuid.UUID) -> Sequence[Statement]:
    statements = _asked(effect, lambda: list(effect.statements(decision_id)))
    for statement in statements:
        is_pair = isinstance(statement, tuple) and len(statement) == _STATEMENT_PARTS
        if not is_pair or not isinstance(statement[0], str) or not isinstance(statement[1], Mapping):
            raise StatementRejected(f"effect {_name(effect)}: expected pairs of SQL and its parameters by name")
    return statements


def _filled(transaction: Transaction, effect: Effect, statement: str, parameters: Mapping[str, Any]) -> str:
    try:
        return transaction.filled(statement, parameters)
    except Exception as error:
        # What stands between parameters and their places is psycopg2's, and an adapter may be anybody's.
        raise StatementRejected(
            f"effect {_name(effect)}: a statement and its parameters do not fit: {_said(error)}"
        ) from error


def _asked(effect: Effect, ask: Callable[[], list[Statement]]) -> Sequence[Statement]:
    try:
        return ask()
    except Exception as error:
        raise StatementRejected(f"effect {_name(effect)}: it does not say what is written: {_said(error)}") from error


def _name(effect: object) -> str:
    return str(getattr(effect, "kind", None) or type(effect).__name__)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _failure(error: psycopg2.Error) -> DatabaseUnavailable | StatementRejected:
    code = error.pgcode or ""
    # Not `str(error)`: its context repeats the whole statement, with the values in it.
    said = " ".join(f"{error.diag.message_primary or ''} {error.diag.message_detail or ''}".split()) or code
    if code == _TOOK_TOO_LONG:
        return EffectUnavailable(f"the effects took longer than {EFFECT_SECONDS} s, or were cancelled")
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return RowsLocked(said)
    if isinstance(error, UNUSABLE):
        return SchemaUnusable(said)
    if code[:2] in _WORLD:
        return EffectUnavailable(said)
    return StatementRejected(said)
