"""Budget of tokens: what an agent's calls of a language model may use on one day, over all workers.

Tokens are reserved before a call and settled after it. Reservations are counted in PostgreSQL under a lock per agent
and in one round trip, so workers together never have more than the limit used and reserved, and one that stops in
between holds nobody up. A worker that is killed leaves its reservations: they count until they expire. A call that used
more than it reserved is counted in full, so only such calls can go beyond the limit. Days are UTC days by the
database's clock; a call counts for the day it was reserved on.

Calls that come together share a transaction. While PostgreSQL is away both raise `DatabaseUnavailable`: without a
reservation nobody calls, and what was not settled stays reserved until it expires.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from outbox.batching import Batcher
from outbox.database import Database, queries
from outbox.journal import PACE_SECONDS

_SQL: Final = queries("budget.sql")
#: One round trip: PostgreSQL runs all of it in one transaction.
_RESERVE: Final = _SQL["lock_budgets"] + _SQL["forget"] + _SQL["reserve"]

#: Names the locks of budgets among PostgreSQL's two-part advisory locks; an arbitrary number.
BUDGET_LOCK: Final = 729_466


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """Tokens set aside for one call."""

    id: str
    agent: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Use:
    reservation: Reservation
    tokens: int


class Budget:
    """The budgets of all agents of this worker.

    `limits` are tokens per day by agent; an agent that is not in there has none. `expires_in` must be longer than any
    call with its attempts, or workers may exceed the limit by calls that are still under way.
    """

    def __init__(
        self,
        database: Database,
        limits: Mapping[str, int],
        *,
        expires_in: timedelta = timedelta(minutes=10),
        batch_size: int = 100,
    ) -> None:
        self._database = database
        self._limits = limits
        self._expires_in = expires_in
        self._reservations = Batcher(
            self._reserve, limit=batch_size, name="budget reservations", pace_seconds=PACE_SECONDS
        )
        self._uses = Batcher(self._settle, limit=batch_size, name="budget settlements", pace_seconds=PACE_SECONDS)

    async def stop(self) -> None:
        """Stop counting; calls that wait here are cancelled."""
        await self._reservations.stop()
        await self._uses.stop()

    async def reserve(self, agent: str, tokens: int) -> Reservation | None:
        """Set tokens (more than 0) aside for a call; None when they are beyond what is left of the day's limit.

        Raises `DatabaseUnavailable`.
        """
        if tokens <= 0:
            raise ValueError(f"a reservation must be of more than 0 tokens, got {tokens}")
        # Nobody reserves beyond the limit, and this one may be too large for PostgreSQL.
        if tokens > self._limits.get(agent, 0):
            return None
        reservation = Reservation(id=str(uuid.uuid4()), agent=agent, tokens=tokens)
        return reservation if await self._reservations.submit(reservation) else None

    async def settle(self, reservation: Reservation, used_tokens: int) -> None:
        """Count what the call used (0 or more) in place of what was reserved; a second time changes nothing.

        It counts also after the reservation expired, for a day. Raises `DatabaseUnavailable`.
        """
        if used_tokens < 0:
            raise ValueError(f"a call cannot use {used_tokens} tokens")
        await self._uses.submit(_Use(reservation, used_tokens))

    async def _reserve(self, asked: Sequence[Reservation]) -> Sequence[bool]:
        rows = await self._database.run(
            _RESERVE,
            {
                "budget_lock": BUDGET_LOCK,
                "keys": sorted({_lock_key(r.agent) for r in asked}),
                "ids": [r.id for r in asked],
                "agents": [r.agent for r in asked],
                "tokens": [r.tokens for r in asked],
                "limits": [self._limits[r.agent] for r in asked],
                "expires_in": self._expires_in,
            },
        )
        granted = {row.id for row in rows}
        return [r.id in granted for r in asked]

    async def _settle(self, uses: Sequence[_Use]) -> Sequence[None]:
        await self._database.run(
            _SQL["settle"],
            {"ids": [use.reservation.id for use in uses], "used_tokens": [use.tokens for use in uses]},
        )
        return [None] * len(uses)


def _lock_key(agent: str) -> int:
    """A positive number of 32 bits with a sign; agents that share one only wait for each other."""
    return zlib.crc32(agent.encode()) >> 1
