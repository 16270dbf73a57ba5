"""Pauses: which topics wait for Kafka, why, since when, and when they are tried again.

What lies with a topic (a right, the topic itself) holds up this topic in every lane and no other topic; what lies with
the moment (a broker that is away) holds up the topics it met, in the lane where it met them. Each pause is longer than
the one before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from outbox.backoff import Backoff
from outbox.outcomes import Aborted, NotPublished, Outcome, Unwritable

#: The longest pause between attempts, in seconds.
BACKOFF_CAP_SECONDS: Final = 30.0
#: The same for what an operator mends and then waits for; Kafka answers such an attempt at once.
UNWRITABLE_CAP_SECONDS: Final = 5.0

#: Stands for every lane.
_ALL: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Why a topic waits."""

    reason: str
    since: datetime
    #: Whether it waits until somebody changes something at Kafka; else it is a matter of time.
    needs_operator: bool


@dataclass(slots=True)
class _Pause:
    waiting: Waiting
    backoff: Backoff
    not_before: float = 0.0


class Pauses:
    """The topics of lanes that wait. `clock` is in seconds; `cap_seconds` bounds a pause."""

    def __init__(
        self, *, cap_seconds: float = BACKOFF_CAP_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cap_seconds = cap_seconds
        self._clock = clock
        self._pauses: dict[tuple[int, str], _Pause] = {}

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """Why each topic waits that does: what an operator has to do, else what has lasted longest."""
        found: dict[str, Waiting] = {}
        for (_, topic), pause in sorted(self._pauses.items(), key=lambda item: _weight(item[1].waiting), reverse=True):
            found[topic] = pause.waiting
        return found

    def note(self, lane: int, outcomes: Iterable[tuple[str, Outcome]]) -> float | None:
        """Take in what became of a lane's messages, by topic; returns after how many seconds to look again."""
        by_topic: dict[str, list[Outcome]] = {}
        for topic, outcome in outcomes:
            by_topic.setdefault(topic, []).append(outcome)
        pauses = [self._note(lane, topic, found) for topic, found in by_topic.items()]
        return min((seconds for seconds in pauses if seconds is not None), default=None)

    def held_up(self, lanes: Collection[int]) -> list[tuple[int, str]]:
        """The topics of these lanes that are not to be tried yet; forgets what was noted of all other lanes."""
        now = self._clock()
        self._pauses = {key: pause for key, pause in self._pauses.items() if key[0] in (*lanes, _ALL)}
        resting = [key for key, pause in self._pauses.items() if pause.not_before > now]
        return [(lane, topic) for scope, topic in resting for lane in (lanes if scope == _ALL else [scope])]

    def forget(self, pending: Collection[tuple[int, str]]) -> None:
        """Forget what is due and not `pending` in any lane: somebody has deleted the messages."""
        now = self._clock()
        topics = {topic for _, topic in pending}
        for key, pause in list(self._pauses.items()):
            lane, topic = key
            is_there = topic in topics if lane == _ALL else key in pending
            if pause.not_before <= now and not is_there:
                del self._pauses[key]

    def _note(self, lane: int, topic: str, outcomes: Collection[Outcome]) -> float | None:
        failures = [outcome for outcome in outcomes if isinstance(outcome, NotPublished)]
        if not failures:
            self._pauses.pop((lane, topic), None)
            self._pauses.pop((_ALL, topic), None)
            return None
        to_blame = [failure for failure in failures if not isinstance(failure, Aborted)]
        return self._fail(lane, topic, to_blame[0]) if to_blame else 0.0

    def _fail(self, lane: int, topic: str, failure: NotPublished) -> float:
        now = self._clock()
        is_unwritable = isinstance(failure, Unwritable)
        key = (_ALL if is_unwritable else lane, topic)
        known = self._pauses.get(key)
        since = datetime.now(UTC) if known is None else known.waiting.since
        waiting = Waiting(reason=str(failure), since=since, needs_operator=is_unwritable)
        cap = UNWRITABLE_CAP_SECONDS if is_unwritable else self._cap_seconds
        pause = self._pauses.setdefault(key, _Pause(waiting, Backoff(cap_seconds=cap)))
        pause.waiting = waiting
        # Lanes that met the same refusal together count as one failure.
        if pause.not_before <= now:
            pause.not_before = now + pause.backoff.next_seconds()
        return pause.not_before - now


def _weight(waiting: Waiting) -> tuple[bool, float]:
    return not waiting.needs_operator, waiting.since.timestamp()
