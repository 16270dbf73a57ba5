"""Lane leases: which of the 64 lanes this worker may publish, until when by the database's clock.

A lease lasts `LEASE_SECONDS` and is renewed every `RENEW_SECONDS`; a worker that dies is succeeded when its lease runs
out, so within `LEASE_SECONDS + RENEW_SECONDS`. Lanes are shared fairly over the workers that are alive. The time since
the last renewal is taken from before the question was asked, so this worker always thinks its lease shorter than the
database does.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

from outbox.database import Database, queries

#: How long a lease lasts without renewal, in seconds.
LEASE_SECONDS: Final = 15.0
#: How often it is renewed, in seconds: two renewals may fail before it is lost.
RENEW_SECONDS: Final = 5.0
#: Names the turn of leasing among PostgreSQL's advisory locks; an arbitrary number.
LEASING_LOCK: Final = 7_294_655_103

_SQL: Final = queries("leases.sql")


class LaneLeases:
    """The lanes leased by one worker; `owner` names the worker and is unique for each start of a process."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._epochs: Mapping[int, int] = {}
        #: Leases that another worker took over before this one renewed them, since the start.
        self.lost = 0
        self._renewed_at = float("-inf")

    def held(self, seconds: float) -> Mapping[int, int]:
        """Lane to epoch of the lanes that stay leased for at least `seconds` from now."""
        expires_in = self._renewed_at + LEASE_SECONDS - time.monotonic()
        return self._epochs if expires_in >= seconds else {}

    async def renew(self, busy: Collection[int] = ()) -> None:
        """Renew, give back what is over the fair share except `busy` lanes, and take what is free.

        Raises `DatabaseUnavailable`; what is held then runs out by itself.
        """
        asked_at = time.monotonic()
        rows = await self._database.run(
            _SQL["lease_lanes"],
            {"lock": LEASING_LOCK, "owner": self._owner, "busy": list(busy), "lease_seconds": LEASE_SECONDS},
        )
        # Whoever takes a lane gives it a new epoch; one that is given back here keeps its own.
        epochs = {row.lane: row.epoch for row in rows}
        self.lost += sum(epochs.get(lane) != epoch for lane, epoch in self._epochs.items())
        self._epochs = {row.lane: row.epoch for row in rows if row.is_held}
        self._renewed_at = asked_at

    async def release(self) -> None:
        """Give every lane back at once, so that another worker need not wait. Raises `DatabaseUnavailable`."""
        self._epochs = {}
        await self._database.run(_SQL["release_lanes"], {"owner": self._owner})
