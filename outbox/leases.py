"""Lane leases: which of the 64 lanes this worker may publish, until when by the database's clock.

A lease lasts `LEASE_SECONDS` and is renewed when `RENEW_SECONDS` old; a worker that dies is succeeded when its lease
runs out. A lane is published only while the time since its renewal, by this process's monotonic clock, leaves room
for one whole batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from outbox.database import Database, queries

#: How long a lease lasts without renewal, in seconds: the longest a killed worker can delay its lanes.
LEASE_SECONDS: Final = 15.0
#: The age at which a lease is renewed, in seconds: two renewals may fail before it is lost.
RENEW_SECONDS: Final = 5.0

_SQL: Final = queries("relay.sql")


class LaneLeases:
    """The lanes leased by one worker; `owner` names the worker and is unique for each start of a process."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._lanes: tuple[int, ...] = ()
        self._renewed_at = float("-inf")

    @property
    def lanes(self) -> Sequence[int]:
        """The lanes held when last asked."""
        return self._lanes

    async def held(self) -> Sequence[int]:
        """The lanes that may be published now, renewing first when due. Raises `DatabaseUnavailable`."""
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            asked_at = time.monotonic()
            rows = await self._database.run(_SQL["lease_lanes"], {"owner": self._owner, "lease_seconds": LEASE_SECONDS})
            self._lanes = tuple(lane for lane, _epoch in rows)
            self._renewed_at = asked_at
        return self._lanes

    async def release(self) -> None:
        """Give every lane back at once, so that another worker need not wait. Raises `DatabaseUnavailable`."""
        self._lanes = ()
        self._renewed_at = float("-inf")
        await self._database.run(_SQL["release_lanes"], {"owner": self._owner})
