"""Audit: compares all that Kafka and PostgreSQL hold with the promises, and trusts nobody.

Pure: whoever calls it has read everything (`witness`). What had to be decided, and by whom, is taken from the domain
topics themselves: the events of a trade and those of the agents. The effects are a matter of their own (`audit_money`,
`audit_quarantines`).

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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from audit_money import check_money
from audit_quarantines import check_quarantines
from evidence import DecisionRow, Disturbance, Evidence, Logged, Place
from findings import Findings
from recomputed import MEMORIES, recompute, who_decides
from sale import name_of

from app.demo.checker import Decided, EventKey, Published, check
from app.demo.evidence import is_decided
from outbox.records import lane_of

#: The relay's own bound of a batch, written down here a second time on purpose.
LANE_BATCH: Final = 200
#: What a disturbance set off may end a little after it, in seconds: a producer that is replaced, a lease that runs out.
AFTERMATH_SECONDS: Final = 20.0


def audit(evidence: Evidence, disturbances: Sequence[Disturbance], *, fenced: bool = False) -> Findings:
    """Compare everything with everything."""
    findings = Findings()
    there = {name_of(event["source"], event["id"]) for event in _events(evidence)}
    findings.lost_by_kafka = sorted(set(evidence.acknowledged) - there)
    findings.left_in_outbox = list(evidence.unpublished)
    findings.refused = list(evidence.refused)
    _check_routing(evidence, findings)
    _check_messages(evidence, findings)
    _check_dead_letters(evidence, findings)
    _check_repeats(evidence, disturbances, findings, fenced=fenced)
    _check_histories(evidence, findings)
    check_money(evidence, findings)
    check_quarantines(evidence, findings)
    return findings


def _events(evidence: Evidence) -> Iterator[Mapping[str, Any]]:
    # Read again each time: all of a long run at once would be a lot of memory.
    return (event for record in evidence.domain if (event := record.event) is not None)


def _messages(evidence: Evidence) -> Iterator[tuple[Logged, Mapping[str, Any]]]:
    """What decisions brought; a miss is told by the clock, whenever it is noticed."""
    return (
        (record, message)
        for record in evidence.domain
        if (message := record.message) is not None and is_decided(message["type"])
    )


def _due(evidence: Evidence) -> Mapping[str, Collection[EventKey]]:
    """The events each agent had to decide on."""
    due: dict[str, set[EventKey]] = defaultdict(set)
    for event in _events(evidence):
        for agent in who_decides(event["type"], event.get("data", {})):
            due[agent].add((event["source"], event["id"]))
    return due


def _check_routing(evidence: Evidence, findings: Findings) -> None:
    """Only what is in a domain topic, and committed, is in a timeline."""
    sent = {name_of(event["source"], event["id"]) for event in _events(evidence)}
    events = (event for log in evidence.timelines.values() for record in log if (event := record.event) is not None)
    findings.routed_from_nothing = sorted({name_of(event["source"], event["id"]) for event in events} - sent)


def _check_messages(evidence: Evidence, findings: Findings) -> None:
    """Decisions against inputs, messages against decisions, and their order."""
    due = _due(evidence)
    found = check(
        due=due,
        decided=[
            Decided(agent=row.agent, event=row.event, message_ids=[message["id"] for message in row.messages])
            for row in evidence.decisions
        ],
        published=[
            Published(message_id=message["id"], topic=record.topic, key=record.key or b"")
            for record, message in _messages(evidence)
        ],
    )
    findings.undecided = found.undecided
    findings.decided_twice = found.decided_twice
    findings.decided_on_nothing = sorted(
        str(row) for row in evidence.decisions if row.event not in due.get(row.agent, ())
    )
    findings.unpublished = found.unpublished
    findings.uncommitted = found.uncommitted
    findings.out_of_order = found.out_of_order
    committed = {
        message["id"]: _fingerprint(message["topic"], message["key"].encode(), message["value"])
        for row in evidence.decisions
        for message in row.messages
    }
    for record, message in _messages(evidence):
        said = _fingerprint(record.topic, record.key, message)
        if committed.get(message["id"], said) != said:
            findings.altered.append(message["id"])


def _fingerprint(topic: str, key: bytes | None, value: Any) -> int:
    return hash((topic, key, json.dumps(value, sort_keys=True)))


def _check_dead_letters(evidence: Evidence, findings: Findings) -> None:
    """Every broken input has one dead letter, of the same bytes, in PostgreSQL and in Kafka; no good input has any."""
    broken = {record.place for record in evidence.domain if record.is_broken}
    rows = Counter(row.place for row in evidence.dead_rows)
    findings.dropped = [_shown(place) for place in sorted(broken - rows.keys())]
    findings.buried_alive = [_shown(place) for place in sorted(rows.keys() - broken)]
    findings.decided_twice += [_shown(place) for place, times in sorted(rows.items()) if times > 1]

    committed = {_letter(row.consumer, row.reason, row.place) for row in evidence.dead_rows}
    published = {_dead_letter_id(record) for record in evidence.dead_letters}
    findings.unpublished += sorted(committed - published)
    findings.uncommitted += sorted(published - committed)
    buried = {_origin(record) for record in evidence.dead_letters}
    originals = {record.place: record for record in evidence.domain if record.place in buried}
    for record in evidence.dead_letters:
        original = originals.get(_origin(record))
        if original is not None and (original.value, original.key or b"") != (record.value, record.key):
            findings.altered.append(_dead_letter_id(record))


def _check_repeats(
    evidence: Evidence, disturbances: Sequence[Disturbance], findings: Findings, *, fenced: bool
) -> None:
    copies: dict[str, list[Logged]] = defaultdict(list)
    for record, message in _messages(evidence):
        copies[message["id"]].append(record)
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
    """Every agent's, one agent after another: all at once would be a lot of memory."""
    rows: dict[str, list[DecisionRow]] = defaultdict(list)
    for row in evidence.decisions:
        rows[row.agent].append(row)
    for agent, decided in rows.items():
        timeline = MEMORIES[agent].timeline
        expected = recompute(agent, evidence.timelines.get(timeline, ()))
        for row in decided:
            topic, partition, offset = row.place
            found = expected.get((partition, offset)) if topic == timeline else None
            if found is None or found.event != row.event:
                findings.wrong_history.append(str(row))
                findings.details.append(f"{row} is not at {_shown(row.place)}")
            elif found.history != row.history:
                findings.wrong_history.append(str(row))
                known, due = set(row.history["offsets"]), set(found.history["offsets"])
                what = f"does not know {sorted(due - known)}, knows {sorted(known - due)} instead"
                findings.details.append(f"{row} at {_shown(row.place)} {what}")


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
