"""Address: whether an order's address is one the carrier knows, and whether a correction of it is waited for."""

from __future__ import annotations

from datetime import datetime


class Address:
    """The address of one order; grows by `change`, `fail` and `count`, in log order."""

    def __init__(self) -> None:
        #: Whether the newest address is valid, by the clock and by the log; one that never changed is.
        self._by_clock: tuple[datetime, bool] | None = None
        self._by_log: tuple[datetime, bool] | None = None
        self._asked = self._answered = 0
        self._has_failed = False
        self._retried = self._retried_before = 0

    @property
    def is_valid(self) -> bool:
        """Whether the newest address known is one the carrier knows."""
        return self._by_clock is None or self._by_clock[1]

    @property
    def is_contradicted(self) -> bool:
        """Whether clock and log disagree on whether the newest address is valid."""
        return self._by_clock is not None and self._by_log is not None and self._by_clock[1] is not self._by_log[1]

    @property
    def is_awaited(self) -> bool:
        """Whether a valid address is waited for: a label failed on the invalid one, or the customer was asked."""
        is_wrong = self._by_log is not None and not self._by_log[1]
        return is_wrong and (self._has_failed or self._asked > self._answered)

    @property
    def is_tried_again(self) -> bool:
        """Whether the shipment was tried again since the address was last a wrong one."""
        return self._retried > self._retried_before

    def is_corrected_at(self, at: datetime) -> bool:
        """Whether a valid address of this time is the newest by the clock too."""
        return self._by_clock is None or at > self._by_clock[0]

    def change(self, at: datetime, *, is_valid: bool) -> None:
        """Take in the next address."""
        if is_valid:
            self._answered = self._asked
        else:
            self._retried_before = self._retried
        self._has_failed = False
        self._by_log = (at, is_valid)
        if self._by_clock is None or at > self._by_clock[0]:
            self._by_clock = (at, is_valid)

    def fail(self) -> None:
        """Take in a label that failed."""
        self._has_failed = self._by_log is not None and not self._by_log[1]

    def count(self, *, asked: int, retried: int) -> None:
        """Count what was decided, or count it no longer where it is below 0."""
        self._asked += asked
        self._retried += retried
