"""Rests: topics that cannot be read for now, and when to ask for them again. Cannot fail.

What changes is logged, and not each attempt: the first failure, and that a topic is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final

log = logging.getLogger(__name__)

#: How long a topic is left alone after a failure, in seconds.
REST_SECONDS: Final = 5.0


class Rests:
    """Which topics fail. `now` is in seconds of any clock that does not go back."""

    def __init__(self) -> None:
        #: Until when each topic that fails rests; None while it is asked for again.
        self._until: dict[str, float | None] = {}

    def begin(self, topic: str, error: Exception, *, now: float) -> None:
        """Leave the topic alone for a while."""
        if topic not in self._until:
            told = {"topic": topic}
            log.warning("%s cannot be read, the other topics go on without it: %r", topic, error, extra=told)
        self._until[topic] = now + REST_SECONDS

    def due(self, *, now: float) -> Collection[str]:
        """The topics that have rested long enough and are to be asked for again: each is named once for each rest."""
        due = [topic for topic, until in self._until.items() if until is not None and until <= now]
        self._until.update(dict.fromkeys(due))
        return due

    def topics(self) -> Collection[str]:
        """The topics that rest."""
        return {topic for topic, until in self._until.items() if until is not None}

    def failing(self) -> Collection[str]:
        """The topics that rest, or are asked for again and have not answered yet."""
        return set(self._until)

    def end(self, topic: str) -> None:
        """Records of the topic have come."""
        if topic in self._until:
            del self._until[topic]
            log.info("%s is read again", topic)
