"""Circuit: leaves a server alone that failed several times in a row, and asks it again with one request at a time.

    closed ── too many failures in a row ──▶ open ── after a while ──▶ half open
      ▲                                       ▲                          │
      │                                       └── the probe fails ───────┤
      └────────────────────── the probe succeeds ────────────────────────┘

After M. Nygard, "Release It!", 2007. Not for threads: one event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agents.model.errors import SERVER_FAILURES, BrainUnavailable, Unavailable


class Circuit:
    """Guards one server. Opens after `failures` in a row, for `open_seconds` of a clock that does not go back."""

    def __init__(self, *, failures: int, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        if failures < 1 or open_seconds <= 0:
            raise ValueError("a circuit needs at least one failure and some seconds to stay open")
        self._most = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        #: When it is half open; None while it is closed.
        self._open_until: float | None = None
        self._probing = False

    @property
    def lets_through(self) -> bool:
        """Whether a request may go out now."""
        return self._open_until is None or (self._clock() >= self._open_until and not self._probing)

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
        self._probing = probing = self._open_until is not None
        try:
            yield
        except BrainUnavailable as error:
            self._learn(probing, failed=error.reason in SERVER_FAILURES)
            raise
        else:
            self._learn(probing, failed=False)
        finally:
            if probing:
                self._probing = False

    def _learn(self, probing: bool, *, failed: bool) -> None:
        if self._open_until is not None and not probing:
            return
        self._failures = self._failures + 1 if failed else 0
        is_open = failed and (probing or self._failures >= self._most)
        self._open_until = self._clock() + self._open_seconds if is_open else None
