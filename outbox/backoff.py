"""Waiting between attempts: exponential, capped, with equal jitter."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next attempt.

    Equal jitter (between half the ceiling and all of it) keeps workers that failed together from coming back together
    and never comes back at once; see M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    first_seconds: float = 0.05
    cap_seconds: float = 5.0
    attempts: int = 0

    def next_seconds(self) -> float:
        """Count one failure and return the wait before the next attempt, in seconds."""
        ceiling = min(self.cap_seconds, self.first_seconds * 2 ** min(self.attempts, 16))
        self.attempts += 1
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - not a secret

    async def wait(self) -> None:
        """Sleep until the next attempt is due."""
        await asyncio.sleep(self.next_seconds())

    def reset(self) -> None:
        """Forget past failures after a success."""
        self.attempts = 0
