"""Due: recorded decisions in the order of their offsets, handed out as the log is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from agents.replay.records import RecordedDecision


class Due:
    """Takes from `decisions` no further than it is asked."""

    def __init__(self, decisions: AsyncIterator[RecordedDecision]) -> None:
        self._decisions = decisions
        self._next: RecordedDecision | None = None
        self._over = False

    async def before(self, offset: int) -> AsyncIterator[RecordedDecision]:
        """Those not handed out yet on events before this offset."""
        while (found := await self._peek()) is not None and found.offset < offset:
            self._next = None
            yield found

    async def at(self, offset: int) -> Sequence[RecordedDecision]:
        """Those on the event at this offset; whatever is before it must have been taken."""
        found = []
        while (each := await self._peek()) is not None and each.offset == offset:
            self._next = None
            found.append(each)
        return found

    async def _peek(self) -> RecordedDecision | None:
        if self._next is None and not self._over:
            self._next = await anext(self._decisions, None)
            self._over = self._next is None
        return self._next
