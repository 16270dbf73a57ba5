"""Checker: compares what was sent, what was decided and what was published, and trusts nobody.

Pure: whoever calls it has read Kafka and PostgreSQL itself. A finding is a number that must be zero, with examples.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

#: Examples kept for each kind of finding.
EXAMPLES: Final = 5


#: What tells an event from every other: source and id.
EventKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A row of `decisions`, in the order of the commits."""

    agent: str
    #: Source and id of the event.
    event: EventKey
    #: What has to be in Kafka by it; nothing else may be.
    message_ids: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A message found in Kafka, in the order of its partition's log."""

    message_id: str
    topic: str
    key: bytes


@dataclass(slots=True)
class Findings:
    """What is wrong. Everything empty means that the promises held."""

    undecided: list[str] = field(default_factory=list)
    decided_twice: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Inputs without a decision and committed messages that never left."""
        return len(self.undecided) + len(self.unpublished)

    @property
    def duplicates(self) -> int:
        """Inputs decided more than once and messages published more than once."""
        return len(self.decided_twice) + len(self.repeated)

    @property
    def broken(self) -> bool:
        """Whether any promise was broken."""
        return any(self.examples())

    def examples(self) -> Iterable[str]:
        """A few lines for a person, for each kind of finding."""
        for name in self.__slots__:
            found: list[str] = getattr(self, name)
            if found:
                yield f"{name.replace('_', ' ')}: {len(found)}, for instance {', '.join(found[:EXAMPLES])}"


def check(
    *, due: Mapping[str, Collection[EventKey]], decided: Sequence[Decided], published: Sequence[Published]
) -> Findings:
    """Compare the events each agent had to decide with the decisions, and those with what Kafka holds."""
    findings = Findings()
    decisions = Counter((row.agent, row.event) for row in decided)
    wanted = {(agent, event) for agent, events in due.items() for event in events}
    findings.undecided = sorted(itertools.starmap(_decision, wanted - set(decisions)))
    findings.decided_twice = sorted(_decision(*decision) for decision, times in decisions.items() if times > 1)

    committed = [message_id for row in decided for message_id in row.message_ids]
    seen = Counter(message.message_id for message in published)
    findings.unpublished = [message_id for message_id in committed if message_id not in seen]
    findings.uncommitted = sorted(set(seen) - set(committed))
    findings.repeated = sorted(message_id for message_id, times in seen.items() if times > 1)
    findings.out_of_order = _out_of_order(committed, published)
    return findings


def _decision(agent: str, event: EventKey) -> str:
    source, event_id = event
    return f"{event_id} of {source} by {agent}"


def _out_of_order(committed: Sequence[str], published: Sequence[Published]) -> list[str]:
    """Messages whose first copy comes after one of the same key that was committed later."""
    position = {message_id: number for number, message_id in enumerate(committed)}
    latest: dict[tuple[str, bytes], int] = defaultdict(lambda: -1)
    seen: set[str] = set()
    late = []
    for message in published:
        number = position.get(message.message_id)
        if number is None or message.message_id in seen:
            continue
        seen.add(message.message_id)
        lane = (message.topic, message.key)
        if number < latest[lane]:
            late.append(message.message_id)
        latest[lane] = max(latest[lane], number)
    return late
