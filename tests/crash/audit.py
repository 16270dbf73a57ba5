"""Audit: compares all that Kafka and PostgreSQL hold with the promises, and trusts nobody.

Pure: whoever calls it has read everything (`witness`). What had to be decided is taken from the input topic itself.
A finding is a list that must be empty.

Repeats. The outbox is at least once, so a message may be in Kafka more than once, but only
* with the same id and the very same bytes,
* when a disturbance (a fault, or a worker that ended unasked) lies between two of its copies: without one a message
  that is published is also deleted,
* at most `LANE_BATCH` messages per lane and disturbance: a lane has one batch under way, so no more than one batch can
  be published and not deleted. With fenced workers and a `read_committed` witness there may be none at all.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from load import BROKEN
from recomputed import recompute

from app.checker import Decided, Published, check
from outbox.records import lane_of

AGENT: Final = "fraud"
OURS: Final = "urn:innervate:"
TIMELINE: Final = "timeline-customer"
#: The relay's own bound of a batch, written down here a second time on purpose.
LANE_BATCH: Final = 200
#: What a disturbance set off may end a little after it, in seconds: a producer that is replaced, a lease that runs out.
AFTERMATH_SECONDS: Final = 20.0

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Logged:
    """A record in Kafka; `at` is its timestamp in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    at: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, kw_only=True, slots=True)
class DecisionRow:
    """A row of `decisions`; `committed_at` in seconds since the epoch."""

    agent: str
    event_id: str
    place: Place
    history: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    committed_at: float


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row of `dead_letters`."""

    consumer: str
    reason: str
    place: Place


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that was done to the system, or a worker that ended unasked, in seconds since the epoch."""

    what: str
    began_at: float
    ended_at: float


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All there is. Logs in the order of each partition, decisions in the order of the commits."""

    acknowledged: Collection[str]
    payments: Sequence[Logged]
    dead_letters: Sequence[Logged]
    timeline: Sequence[Logged]
    decisions: Sequence[DecisionRow]
    dead_rows: Sequence[DeadRow]
    unpublished: Sequence[str] = ()
    refused: Sequence[str] = ()


@dataclass
class Findings:
    """Everything empty means that the promises held."""

    #: Kafka acknowledged an event that is not in it: then nothing else here means anything.
    lost_by_kafka: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    decided_twice: list[str] = field(default_factory=list)
    decided_on_nothing: list[str] = field(default_factory=list)
    left_in_outbox: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    repeated_for_no_reason: list[str] = field(default_factory=list)
    repeated_too_often: list[str] = field(default_factory=list)
    wrong_history: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    buried_alive: list[str] = field(default_factory=list)
    #: How many messages are in Kafka more than once, all of them allowed unless they are above.
    repeats: int = 0
    #: What is wrong with the histories, one line each.
    details: list[str] = field(default_factory=list)

    def broken(self) -> dict[str, list[str]]:
        """What is not empty."""
        lists = {name: found for name, found in vars(self).items() if isinstance(found, list) and name != "details"}
        return {name: found for name, found in lists.items() if found}


def audit(evidence: Evidence, disturbances: Sequence[Disturbance], *, fenced: bool = False) -> Findings:
    """Compare everything with everything."""
    findings = Findings()
    inputs = {record.place: _identified(record) for record in evidence.payments if not _is_ours(record)}
    due = {event["id"] for event in inputs.values() if event is not None and event["type"] == "PaymentSucceeded"}
    findings.lost_by_kafka = sorted(set(evidence.acknowledged) - due)
    findings.left_in_outbox = list(evidence.unpublished)
    findings.refused = list(evidence.refused)
    _check_messages(evidence, due, findings)
    _check_dead_letters(evidence, inputs, findings)
    _check_repeats(evidence, disturbances, findings, fenced=fenced)
    _check_histories(evidence, findings)
    return findings


def _check_messages(evidence: Evidence, due: Collection[str], findings: Findings) -> None:
    """Decisions against inputs, messages against decisions, and their order."""
    published = [record for record in evidence.payments if _is_ours(record)]
    found = check(
        agent=AGENT,
        due=due,
        decided=[
            Decided(agent=row.agent, event_id=row.event_id, message_ids=[message["id"] for message in row.messages])
            for row in evidence.decisions
        ],
        published=[
            Published(message_id=_parsed(record)["id"], topic=record.topic, key=record.key or b"")
            for record in published
        ],
    )
    findings.undecided = found.undecided
    findings.decided_twice = found.decided_twice
    findings.decided_on_nothing = sorted({row.event_id for row in evidence.decisions} - set(due))
    findings.unpublished = found.unpublished
    findings.uncommitted = found.uncommitted
    findings.out_of_order = found.out_of_order
    committed = {message["id"]: message for row in evidence.decisions for message in row.messages}
    for record in published:
        event = _parsed(record)
        message = committed.get(event["id"])
        if message is not None and (message["value"], message["topic"], message["key"].encode()) != (
            event,
            record.topic,
            record.key,
        ):
            findings.altered.append(event["id"])


def _check_dead_letters(evidence: Evidence, inputs: Mapping[Place, dict[str, Any] | None], findings: Findings) -> None:
    """Every broken input has one dead letter, of the same bytes, in PostgreSQL and in Kafka; no good input has any."""
    originals = {record.place: record for record in evidence.payments}
    broken = {place for place, event in inputs.items() if event is None}
    rows = Counter(row.place for row in evidence.dead_rows)
    findings.dropped = [_shown(place) for place in sorted(broken - rows.keys())]
    findings.buried_alive = [_shown(place) for place in sorted(rows.keys() - broken)]
    findings.decided_twice += [_shown(place) for place, times in sorted(rows.items()) if times > 1]

    committed = {_letter(row.consumer, row.reason, row.place) for row in evidence.dead_rows}
    published = {_dead_letter_id(record) for record in evidence.dead_letters}
    findings.unpublished += sorted(committed - published)
    findings.uncommitted += sorted(published - committed)
    for record in evidence.dead_letters:
        original = originals.get(_origin(record))
        if original is not None and (original.value, original.key or b"") != (record.value, record.key):
            findings.altered.append(_dead_letter_id(record))


def _check_repeats(
    evidence: Evidence, disturbances: Sequence[Disturbance], findings: Findings, *, fenced: bool
) -> None:
    copies: dict[str, list[Logged]] = defaultdict(list)
    for record in evidence.payments:
        if _is_ours(record):
            copies[_parsed(record)["id"]].append(record)
    for record in evidence.dead_letters:
        copies[_dead_letter_id(record)].append(record)

    charged: Counter[tuple[Disturbance, int]] = Counter()
    for message_id, found in copies.items():
        findings.repeats += len(found) > 1
        for before, after in itertools.pairwise(found):
            if (before.key, before.value, before.headers) != (after.key, after.value, after.headers):
                findings.altered.append(message_id)
            cause = None if fenced else _cause(disturbances, before, after)
            if cause is None:
                findings.repeated_for_no_reason.append(message_id)
            else:
                charged[cause, lane_of(after.topic, after.key or b"")] += 1
    findings.repeated_too_often = [
        f"{times} in lane {lane} after {cause.what}" for (cause, lane), times in charged.items() if times > LANE_BATCH
    ]


def _cause(disturbances: Sequence[Disturbance], before: Logged, after: Logged) -> Disturbance | None:
    """The last disturbance that overlaps the time between two copies."""
    # A worker that was frozen between send and network publishes with an old timestamp: either copy may be the older.
    first, last = sorted((before.at, after.at))
    possible = [one for one in disturbances if one.began_at <= last and first <= one.ended_at + AFTERMATH_SECONDS]
    return max(possible, key=lambda one: one.began_at, default=None)


def _check_histories(evidence: Evidence, findings: Findings) -> None:
    expected = recompute(evidence.timeline)
    for row in evidence.decisions:
        topic, partition, offset = row.place
        found = expected.get((partition, offset)) if topic == TIMELINE else None
        if found is None or found.event_id != row.event_id:
            findings.wrong_history.append(row.event_id)
            findings.details.append(f"{row.event_id} is not at {_shown(row.place)}")
        elif found.history != row.history:
            findings.wrong_history.append(row.event_id)
            known, due = set(row.history["offsets"]), set(found.history["offsets"])
            what = f"does not know {sorted(due - known)}, knows {sorted(known - due)} instead"
            findings.details.append(f"{row.event_id} at {_shown(row.place)} {what}")


def _is_ours(record: Logged) -> bool:
    event = _structured(record.value)
    return event is not None and str(event.get("source", "")).startswith(OURS)


def _identified(record: Logged) -> dict[str, Any] | None:
    """Id and type of an input, or None for one that was made to become a dead letter."""
    if BROKEN in record.headers:
        return None
    headers = dict(record.headers)
    if "ce_id" in headers:
        return {"id": headers["ce_id"].decode(), "type": headers["ce_type"].decode()}
    return _parsed(record)


def _parsed(record: Logged) -> dict[str, Any]:
    event = _structured(record.value)
    assert event is not None, f"no event in {record.place}"
    return event


def _structured(value: bytes | None) -> dict[str, Any] | None:
    try:
        event = json.loads(value or b"")
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _origin(record: Logged) -> Place:
    headers = dict(record.headers)
    return headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])


def _dead_letter_id(record: Logged) -> str:
    headers = dict(record.headers)
    return _letter(headers["consumer"].decode(), headers["reason"].decode(), _origin(record))


def _letter(consumer: str, reason: str, place: Place) -> str:
    return f"{reason} at {consumer}: {_shown(place)}"


def _shown(place: Iterable[object]) -> str:
    return "/".join(map(str, place))
