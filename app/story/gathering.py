"""Gathering: finds what a story is made of, in PostgreSQL and in Kafka, within bounds of number and time.

Each of the two is told of when it is away, and the other tells what it knows. Own events come first, then what is
linked to them, level by level, then the entities around: what does not fit any more is the farthest away, and is said.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from agents.engine.router import ROUTER
from agents.replay.records import TimelineRecord
from app.kafka.timelines import TimelineReader
from app.story import stored
from app.story.belonging import Belongings
from app.story.log import LogOfEntity, read_entity
from app.story.material import EventKey, KeptDecision, KeptMessage, Material, Told, Who, places_of, told
from app.story.model import Belonging, SourceState
from app.story.sources import Sources
from outbox.errors import DatabaseUnavailable, StatementRejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


#: Events of the entity itself when nobody asks for more or fewer, and the most there are.
DEFAULT_EVENTS: Final = 200
MAX_EVENTS: Final = 1_000
#: Decisions of a story, and events around the entity that only happened meanwhile, of each entity.
MOST_DECISIONS: Final = 300
MOST_CONTEXT: Final = 50
#: Entities whose timelines are looked at around the entity.
MOST_AROUND: Final = 6
#: Decisions in a row that are followed beyond the entity's own.
MOST_LEVELS: Final = 6
#: Ids looked for at a time.
MOST_TERMS: Final = 1_000
#: Records looked at in the partition of the entity, and of each one around it.
OWN_RECORDS: Final = 60_000
AROUND_RECORDS: Final = 20_000
#: Context is what happened so long before the first and after the last event, at most.
SLACK: Final = timedelta(minutes=5)


async def gather(sources: Sources, entity: str, entity_id: str, *, events: int, before: int | None) -> Material:
    """Find the story's material; it never fails for a source that is away."""
    return await _Gathering(sources, entity, entity_id, events, before).run()


class _Gathering:
    def __init__(self, sources: Sources, entity: str, entity_id: str, events: int, before: int | None) -> None:
        self._sources = sources
        self._who: Who = (entity, entity_id)
        self._events = events
        self._before = before
        self._belongings = Belongings(sources.naming)
        self._readers: dict[str, TimelineReader] = {}
        self._logs: list[LogOfEntity] = []
        self._found: dict[tuple[str, int, int], tuple[TimelineRecord, Told]] = {}
        #: What was decided about the entity itself, the newest event first.
        self._own: list[KeptDecision] = []
        self._postgresql: list[str] = []
        self._database_seconds = sources.database_seconds
        #: Events that are context: nothing belongs to the story because of them.
        self._meanwhile: dict[EventKey, Belonging] = {}
        self._left_out: list[str] = []
        self._asked_for: set[str] = set()
        self._next: int | None = None

    async def run(self) -> Material:
        entity, entity_id = self._who
        async with self._asking():
            await self._own_decisions()
        deadline = asyncio.get_running_loop().time() + self._sources.kafka_seconds
        async with self._turn(deadline) as is_ours:
            if is_ours:
                await self._own_log(deadline)
            self._own_so_far()
            await self._follow()
            if is_ours:
                await self._around(deadline)
        await self._follow()
        material = Material(
            entity=entity,
            entity_id=entity_id,
            records=self._belonging_records(),
            decisions=list(self._belongings.decisions.values()),
            belongs={**self._meanwhile, **self._belongings.events},
            parts=[log.part for log in self._logs if log.part is not None],
            next=self._next,
            told_at=datetime.now(UTC),
        )
        material = await self._with_details(material)
        return replace(material, sources=self._states(), left_out=tuple(dict.fromkeys(self._left_out)))

    async def _own_decisions(self) -> None:
        entity, entity_id = self._who
        limit = min(self._events, MOST_DECISIONS)
        found = await stored.own_decisions(
            self._sources.database, entity, entity_id, before=self._before, limit=limit + 1
        )
        self._own = list(found[:limit])
        if len(found) > limit:
            self._left_out.append(f"of the decisions about {entity} {entity_id} only the newest {limit} are told")
            # Decisions on one event are on one page, unless they alone are more than a page.
            self._next = min(found[limit].offset + 1, found[0].offset)

    async def _own_log(self, deadline: float) -> None:
        entity, entity_id = self._who
        log = await self._read(self._who, deadline, OWN_RECORDS, before=self._before)
        first = self._next or 0
        events = [
            (record, event)
            for record in log.in_order()
            if record.offset >= first and (event := told(record.value)) is not None
        ]
        shown = events[-self._events :]
        if len(events) > len(shown):
            self._left_out.append(f"of the events of {entity} {entity_id} only the newest {self._events} are told")
            self._next = shown[0][0].offset
        for record, event in shown:
            self._keep(record, event)
            self._belongings.own(event)

    def _own_so_far(self) -> None:
        """Add the entity's decisions, but for those on events of the page before this one."""
        for decision in self._own:
            if decision.offset >= (self._next or 0):
                self._belongings.own_decision(decision)

    async def _follow(self) -> None:
        """Find what is linked, level by level."""
        for _ in range(MOST_LEVELS):
            terms = sorted(self._belongings.terms - self._asked_for)[:MOST_TERMS]
            room = MOST_DECISIONS - len(self._belongings.decisions)
            if not terms:
                return
            if room <= 0:
                self._left_out.append(f"only {MOST_DECISIONS} decisions are told")
                return
            self._asked_for.update(terms)
            found: Sequence[KeptDecision] = ()
            async with self._asking():
                found = await stored.decisions_by_terms(
                    self._sources.database, terms, known=self._belongings.decisions, limit=MOST_DECISIONS
                )
            # An own decision that was left out is earlier than the story.
            chosen = [each for each in found if not self._is_cut(each)][:room]
            if not [each for each in sorted(chosen, key=_decided_at) if self._belongings.decision(each)]:
                return

    def _is_cut(self, decision: KeptDecision) -> bool:
        is_earlier = self._next is not None and decision.offset < self._next
        is_later = self._before is not None and decision.offset >= self._before
        return self._is_own(decision) and (is_earlier or is_later)

    def _is_own(self, decision: KeptDecision) -> bool:
        return (decision.entity, decision.entity_id) == self._who

    async def _around(self, deadline: float) -> None:
        around = self._named()
        if len(around) > MOST_AROUND:
            self._left_out.append(f"{len(around) - MOST_AROUND} more entities are named, and not looked at")
        logs = await asyncio.gather(*(self._read(who, deadline, AROUND_RECORDS) for who in around[:MOST_AROUND]))
        candidates = [
            (record, event) for log in logs for record in log.in_order() if (event := told(record.value)) is not None
        ]
        candidates += await self._named_in_histories({event.key[1] for _, event in candidates}, deadline)
        # One may lead to the next, and they are in the order of their timelines only.
        for _ in range(MOST_LEVELS):
            before = len(self._found)
            for record, event in candidates:
                if self._belongings.event(event):
                    self._keep(record, event)
            if len(self._found) == before:
                break
        self._context(candidates)

    async def _named_in_histories(self, met: set[str], deadline: float) -> Sequence[tuple[TimelineRecord, Told]]:
        """Events that are named and were not met: whoever names one knew it, so it is in the decision's history."""
        missing = (self._belongings.named | self._belongings.causes) - met - self._met_ids()
        found: list[tuple[TimelineRecord, Told]] = []
        if not missing:
            return found
        for decision in list(self._belongings.decisions.values()):
            names = {each for message in decision.messages if message.event for each in _texts(message.event)}
            if not names & missing or not decision.history_offsets:
                continue
            who = (decision.topic.removeprefix("timeline-"), decision.entity_id)
            place = decision.topic, decision.partition
            known = [each for each in decision.history_offsets if (*place, each) not in self._found]
            log = await self._read(who, deadline, len(known) + 1, known=known)
            for record in log.in_order():
                event = told(record.value)
                if event is not None and event.key[1] in missing:
                    found.append((record, event))
                    missing.discard(event.key[1])
            if not missing:
                break
        return found

    def _context(self, candidates: Sequence[tuple[TimelineRecord, Told]]) -> None:
        """What happened around the entity between its first and its last event."""
        own = [record.at for record, event in self._found.values() if self._belongings.events.get(event.key) == "own"]
        own += [each.decided_at for each in self._belongings.decisions.values() if self._is_own(each)]
        if not own:
            return
        since, until = min(own) - SLACK, max(own) + SLACK
        left: Counter[str] = Counter()
        taken: Counter[Who] = Counter()
        for record, event in sorted(candidates, key=lambda each: each[0].at, reverse=True):
            if event.key in self._belongings.events or not since <= record.at <= until:
                continue
            who = (record.topic, (record.key or b"").decode(errors="replace"))
            taken[who] += 1
            if taken[who] > MOST_CONTEXT:
                left[f"{who[0].removeprefix('timeline-')} {who[1]}"] += 1
                continue
            self._meanwhile[event.key] = "context"
            self._keep(record, event)
        for name, count in left.items():
            self._left_out.append(f"{count} more events of {name} happened meanwhile")

    async def _with_details(self, material: Material) -> Material:
        database, effects = self._sources.database, self._sources.catalogue.types.effects
        ids = [each.id for each in material.decisions]
        async with self._asking():
            material = replace(material, approvals=await stored.approvals_of(database, ids, effects))
            material = replace(material, expectations=await stored.expectations_of(database, material.decisions))
            material = replace(material, calls=await stored.calls_of(database, material.decisions))
            pending, buried, full = await stored.waiting_of(database, _messages(material))
            material = replace(material, pending=pending, buried=buried, full_lanes=full)
            times = [record.at for record, _ in material.records] + [each.decided_at for each in material.decisions]
            if times:
                letters = await stored.letters_of(
                    database,
                    _places(material),
                    consumers=[ROUTER, *self._sources.catalogue.agents],
                    key=self._who[1].encode(),
                    since=min(times) - SLACK,
                    until=material.told_at + SLACK,
                )
                material = replace(material, letters=letters)
        async with self._asking():
            rows = await stored.rows_of(database, ids)
            return replace(material, rows=rows)
        return material

    async def _read(
        self, who: Who, deadline: float, most: int, *, known: Sequence[int] | None = None, before: int | None = None
    ) -> LogOfEntity:
        entity, entity_id = who
        if entity not in self._readers:
            self._readers[entity] = self._sources.reader_of(entity)
        if known is None:
            decisions = [*self._own, *self._belongings.decisions.values()]
            about = [each for each in decisions if (each.entity, each.entity_id) == who]
            known = [offset for each in about for offset in (each.offset, *each.history_offsets)]
        log = await read_entity(
            self._readers[entity], entity, entity_id, known=known, most_records=most, deadline=deadline, before=before
        )
        self._logs.append(log)
        return log

    def _named(self) -> Sequence[Who]:
        """Whom the story names besides its own, those most is decided about first, then those named most."""
        entities = self._sources.catalogue.entities
        named: Counter[Who] = Counter()
        for _, event in self._found.values():
            named.update(event.entities(entities))
        for decision in self._belongings.decisions.values():
            named[decision.entity, decision.entity_id] += 100
            for message in decision.messages:
                if message.event is not None:
                    named.update(message.event.entities(entities))
        named.pop(self._who, None)
        return [who for who, _ in named.most_common() if who[0] in entities]

    def _keep(self, record: TimelineRecord, event: Told) -> None:
        self._found[record.topic, record.partition, record.offset] = (record, event)

    def _belonging_records(self) -> Sequence[tuple[TimelineRecord, Told]]:
        known = {**self._meanwhile, **self._belongings.events}
        return [pair for pair in self._found.values() if pair[1].key in known]

    def _met_ids(self) -> set[str]:
        return {event.key[1] for _, event in self._found.values()}

    def _states(self) -> Sequence[SourceState]:
        problems = list(dict.fromkeys(log.problem for log in self._logs if log.problem))
        read = any(log.read for log in self._logs)
        if not self._logs:
            problems = ["Kafka was not read: other stories are being read, try again"]
        return (
            SourceState(
                source="postgresql",
                state=_state(self._postgresql, has_some=bool(self._belongings.decisions)),
                details=list(dict.fromkeys(self._postgresql)),
            ),
            SourceState(
                source="kafka",
                state=_state(problems, has_some=read),
                details=problems,
            ),
        )

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Ask PostgreSQL, all in all not longer than it may take; what goes wrong is kept for the story."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(self._database_seconds, 0)):
                yield
        except TimeoutError:
            self._postgresql.append(f"PostgreSQL did not answer within {self._sources.database_seconds:g} s")
        except (DatabaseUnavailable, StatementRejected) as error:
            self._postgresql.append(f"PostgreSQL: {' '.join(str(error).split())[:200]}")
        finally:
            self._database_seconds -= time.monotonic() - began

    @asynccontextmanager
    async def _turn(self, deadline: float) -> AsyncIterator[bool]:
        """Whether it is this story's turn to read Kafka before the deadline."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._sources.turn.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self._sources.turn.release()


def _messages(material: Material) -> Sequence[KeptMessage]:
    otherwise = [message for approval in material.approvals for message in approval.otherwise]
    return [*(message for each in material.decisions for message in each.messages), *otherwise]


def _places(material: Material) -> Sequence[tuple[str, int, int]]:
    """Where the events of the story stand, in timelines and where they came from."""
    return sorted({place for record, _ in material.records for place in places_of(record)})


def _state(problems: Sequence[str], *, has_some: bool) -> Literal["complete", "partial", "absent"]:
    if not problems:
        return "complete"
    return "partial" if has_some else "absent"


def _decided_at(decision: KeptDecision) -> datetime:
    return decision.decided_at


def _texts(event: Told) -> set[str]:
    """The texts in an event's data, in lists as well."""
    found: set[str] = set()
    for value in (event.data or {}).values():
        found.update(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    return found
