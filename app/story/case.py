"""A case: a story with the records behind it and what each agent knew, verified; what a case file holds.

Records are kept as the bytes they are, so that whoever has the file can check every hash in it. A case is bounded like
a story: so many decisions are looked into, so many bytes, so long Kafka is read; what is missing is said.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final, Literal

import orjson
from aiokafka.errors import KafkaError
from pydantic import AwareDatetime, BaseModel

from agents.model.history import digest_of
from agents.replay.records import RecordedDecision, TimelineRecord
from app.kafka.timelines import TimelineUnreadable
from app.reads.shapes import Shape
from app.story.model import DecisionEntry, EventEntry, GroupEntry, Story
from app.story.sources import Sources
from app.timemachine.recorded import RecordedDecisions
from outbox.errors import DatabaseUnavailable

#: Decisions whose knowledge is looked into, the newest first, and bytes of all records.
MOST_KNOWN: Final = 100
MOST_BYTES: Final = 32 * 1024 * 1024
#: How long Kafka is read for a case, in seconds.
READ_SECONDS: Final = 30.0

#: `same`: the hash of these records is the one that was recorded with the decision; `differs`; `dropped`: some are
#: gone; `unread`: nobody could look; `redacted`: it was `same` before values were replaced.
KnownKind = Literal["same", "differs", "dropped", "unread", "redacted"]

Place = tuple[str, int, int]


class CaseRecord(Shape):
    """A record of a timeline."""

    topic: str
    partition: int
    offset: int
    recorded_at: AwareDatetime
    value: str
    """Its bytes as a text; in base64 where they are none."""
    is_base64: bool
    sha256: str
    """Of its bytes in Kafka, lower-case hex; also where values were replaced."""
    is_redacted: bool = False


class CaseKnowledge(Shape):
    """What an agent knew when it decided."""

    decision_id: str
    topic: str
    partition: int
    offsets: Sequence[int]
    """Of the events it knew, oldest first; the records are those of the case."""
    dropped: Sequence[int]
    """Offsets that Kafka no longer has."""
    sha256: str
    """Of the history, as it was recorded with the decision."""
    kind: KnownKind


class Hashed(Shape):
    """An entry of the manifest."""

    what: Literal["record", "decision", "story"]
    name: str
    sha256: str
    """Of a record: of its bytes in Kafka. Else of what is in this case, as JSON with sorted keys and no blanks."""
    original_sha256: str | None = None
    """The same before values were replaced."""


class Case(Shape):
    """Everything in a case file."""

    format: Literal["innervate-case-file/1"] = "innervate-case-file/1"
    innervate: str
    story: Story
    records: Sequence[CaseRecord]
    knowledge: Sequence[CaseKnowledge]
    missing: Sequence[str]
    """What could not be looked into, in sentences."""
    redacted: Sequence[str]
    """Fields whose values were replaced by pseudonyms."""
    manifest: Sequence[Hashed]


async def case_of(sources: Sources, story: Story) -> Case:
    """The case of a story. What goes wrong with Kafka or PostgreSQL is said in it."""
    missing: list[str] = []
    decisions = await _recorded(sources, story, missing)
    wanted: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for decision in decisions:
        wanted[decision.topic, decision.partition].update(decision.history_offsets)
    for event in events_of(story):
        for place in event.places:
            wanted[place.topic, place.partition].add(place.offset)
    records = await _read(sources, wanted, missing)
    kept, dropped = _bounded(records)
    if dropped:
        missing.append(f"{dropped} records beyond {MOST_BYTES // 2**20} MiB are left out")
    return sealed(
        Case(
            innervate=version("innervate"),
            story=story,
            records=[_record(each) for each in kept.values()],
            knowledge=[_knowledge(each, kept, is_whole=not missing) for each in decisions],
            missing=missing,
            redacted=(),
            manifest=(),
        )
    )


def sealed(case: Case) -> Case:
    """The case with the manifest of what it holds."""
    manifest = [
        *(Hashed(what="record", name=place_name(each), sha256=each.sha256) for each in case.records),
        *(Hashed(what="decision", name=each.decision_id, sha256=hash_of(each)) for each in decisions_of(case.story)),
        Hashed(what="story", name=f"{case.story.entity} {case.story.entity_id}", sha256=hash_of(case.story)),
    ]
    return case.model_copy(update={"manifest": manifest})


def hash_of(shape: BaseModel) -> str:
    """SHA-256 of a shape as JSON with sorted keys and no blanks, lower-case hex."""
    text = orjson.dumps(shape.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def bytes_of(record: CaseRecord) -> bytes:
    """What the record holds. Raises ValueError where its base64 is none."""
    return base64.b64decode(record.value, validate=True) if record.is_base64 else record.value.encode()


def place_name(record: CaseRecord) -> str:
    """Where a record stands, for a person."""
    return f"{record.topic}[{record.partition}]@{record.offset}"


def decisions_of(story: Story) -> Sequence[DecisionEntry]:
    """The decisions in a story, oldest first."""
    return [each for each in story.entries if isinstance(each, DecisionEntry)]


def events_of(story: Story) -> Iterator[EventEntry]:
    """The events in a story, also those in groups."""
    for entry in story.entries:
        if isinstance(entry, EventEntry):
            yield entry
        elif isinstance(entry, GroupEntry):
            yield from entry.entries


async def _recorded(sources: Sources, story: Story, missing: list[str]) -> Sequence[RecordedDecision]:
    decisions = decisions_of(story)[-MOST_KNOWN:]
    if len(decisions) < len(decisions_of(story)):
        missing.append(f"what agents knew is shown for the newest {MOST_KNOWN} decisions only")
    recorded = RecordedDecisions(sources.database, sources.catalogue.types)
    found = []
    try:
        async with asyncio.timeout(READ_SECONDS):
            for each in decisions:
                decision = await recorded.of(uuid.UUID(each.decision_id))
                if decision is not None:
                    found.append(decision)
    except (TimeoutError, DatabaseUnavailable) as error:
        missing.append(f"what agents knew could not be looked up: {type(error).__name__}")
    return found


async def _read(
    sources: Sources, wanted: Mapping[tuple[str, int], set[int]], missing: list[str]
) -> Sequence[TimelineRecord]:
    found: list[TimelineRecord] = []
    try:
        async with asyncio.timeout(READ_SECONDS), sources.turn:
            for (topic, partition), offsets in sorted(wanted.items()):
                reader = sources.reader_of(topic.removeprefix("timeline-"))
                found += await reader.read_offsets(partition, offsets)
    except TimeoutError:
        missing.append(f"Kafka was not read to the end within {READ_SECONDS:.0f} s")
    except (KafkaError, TimelineUnreadable, OSError) as error:
        missing.append(f"Kafka could not be read: {' '.join(str(error).split())[:200] or type(error).__name__}")
    return found


def _bounded(records: Sequence[TimelineRecord]) -> tuple[Mapping[Place, TimelineRecord], int]:
    kept: dict[Place, TimelineRecord] = {}
    room, dropped = MOST_BYTES, 0
    for record in records:
        size = len(record.value or b"")
        if size > room:
            dropped += 1
            continue
        room -= size
        kept[record.topic, record.partition, record.offset] = record
    return kept, dropped


def _record(record: TimelineRecord) -> CaseRecord:
    value = record.value or b""
    try:
        text, is_base64 = value.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(value).decode(), True
    return CaseRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=record.at,
        value=text,
        is_base64=is_base64,
        sha256=hashlib.sha256(value).hexdigest(),
    )


def _knowledge(decision: RecordedDecision, kept: Mapping[Place, TimelineRecord], *, is_whole: bool) -> CaseKnowledge:
    place = decision.topic, decision.partition
    known = [
        (offset, kept[*place, offset].value or b"") for offset in decision.history_offsets if (*place, offset) in kept
    ]
    gone = [offset for offset in decision.history_offsets if (*place, offset) not in kept]
    kind: KnownKind = "same" if digest_of(known) == decision.history_sha256 else "differs"
    if gone:
        kind = "dropped" if is_whole else "unread"
    return CaseKnowledge(
        decision_id=str(decision.id),
        topic=decision.topic,
        partition=decision.partition,
        offsets=[offset for offset, _ in known],
        dropped=gone,
        sha256=decision.history_sha256,
        kind=kind,
    )
