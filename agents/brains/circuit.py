"""Circuit: leaves a server alone that failed several times in a row, and asks it again with one request at a time.

    closed ── too many failures in a row ──▶ open ── after a while ──▶ half open
      ▲                                       ▲                          │
      │                                       └── the probe fails ───────┤
      └────────────────────── the probe succeeds ────────────────────────┘

After M. Nygard, "Release It!", 2007. The counting and the clock are the library's; that half open lets one probe
through, where the library lets everybody through, is added here. Not for threads: one event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from circuitbreaker import STATE_HALF_OPEN, CircuitBreaker

from agents.model.errors import SERVER_FAILURES, BrainUnavailable, Unavailable


class Circuit:
    """Guards one server. Opens after `failures` in a row, for `open_seconds`."""

    def __init__(self, *, failures: int, open_seconds: float) -> None:
        if failures < 1 or open_seconds <= 0:
            raise ValueError("a circuit needs at least one failure and some seconds to stay open")
        self._breaker = CircuitBreaker(
            failure_threshold=failures, recovery_timeout=open_seconds, expected_exception=BrainUnavailable
        )
        self._probing = False

    @property
    def lets_through(self) -> bool:
        """Whether a request may go out now."""
        return not (self._breaker.opened or self._probing)

    def check(self) -> None:
        """Raise `BrainUnavailable` (circuit_open) when no request may go out."""
        if not self.lets_through:
            raise BrainUnavailable(Unavailable.CIRCUIT_OPEN, "the server failed too often lately")

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Around one request; a `BrainUnavailable` from inside may open the circuit.

        A cancelled request says nothing about the server. Neither does one that was sent before the circuit opened
        and ends after it: only the probe closes it. Raises as `check` does.
        """
        self.check()
        self._probing = probing = self._breaker.state == STATE_HALF_OPEN
        try:
            yield
        except BrainUnavailable as error:
            self._learn(probing, failed=error if error.reason in SERVER_FAILURES else None)
            raise
        else:
            self._learn(probing, failed=None)
        finally:
            if probing:
                self._probing = False

    def _learn(self, probing: bool, *, failed: BrainUnavailable | None) -> None:
        if not (probing or self._breaker.closed):
            return
        if failed is None:
            self._breaker.reset()
            return
        # The library keeps what it is told; a new error has no traceback that would keep the prompt alive with it.
        with suppress(BrainUnavailable), self._breaker:
            raise BrainUnavailable(failed.reason, "counted")
