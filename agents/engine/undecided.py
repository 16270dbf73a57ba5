"""Undecided: how far each entity was folded beyond its oldest event that is not done.

That event comes again when this worker is killed; its history is whole then as long as the ring still has what was
before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Mark:
    """One event of an entity."""

    entity_id: str
    is_done: bool = False


class Undecided:
    """The events of each entity from its oldest one on that is not done."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[Mark]] = {}

    def add(self, entity_id: str) -> Mark:
        """An event was folded, or read for; the newest of its entity."""
        mark = Mark(entity_id)
        marks = self._marks.get(entity_id)
        if marks is None:
            self._marks[entity_id] = deque([mark])
        else:
            marks.append(mark)
        return mark

    def count(self, entity_id: str) -> int:
        """How many there are of an entity: its oldest event that is not done, and all that are newer."""
        marks = self._marks.get(entity_id)
        return 0 if marks is None else len(marks)

    def done(self, mark: Mark) -> None:
        """An event is done."""
        mark.is_done = True
        marks = self._marks[mark.entity_id]
        while marks and marks[0].is_done:
            marks.popleft()
        if not marks:
            del self._marks[mark.entity_id]
