"""Building: a story of its material. Pure: the same material gives the same story."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.model.entity import Entity
from app.story.belonging import Naming, by_id, named_in
from app.story.entries import STORY_BYTES, Entries, answers
from app.story.facts import Fact, Facts, causes_of, decision_entry
from app.story.headline import headline
from app.story.line import in_line, in_order
from app.story.material import EventKey, KeptDecision, Material
from app.story.model import (
    Around,
    EventEntry,
    GapEntry,
    Link,
    Mark,
    Story,
)


def build(material: Material, *, entities: Mapping[str, Entity], naming: Naming) -> Story:
    """Tell the story. `entities` are those of the loaded domains, `naming` is how their events name others."""
    return _Builder(material, entities, naming).story()


class _Builder:
    def __init__(self, material: Material, entities: Mapping[str, Entity], naming: Naming) -> None:
        self._material = material
        self._naming = naming
        self._facts = Facts(material)
        self._by_id = by_id(self._facts.events)
        self._entries = Entries(material, self._facts, entities, self._marks())

    def story(self) -> Story:
        material = self._material
        # What the entity itself says comes first, in case not everything can be shown.
        facts = sorted(self._facts.events.values(), key=lambda fact: (fact.belongs == "context", fact.belongs != "own"))
        events = [self._entries.event(fact) for fact in facts]
        decisions = [self._entries.decision(decision) for decision in material.decisions]
        links = [*self._links(), *self._answer_links()]
        answered = [each for decision in decisions for each in answers(decision)]
        letters = [self._entries.letter(each) for each in material.letters]
        links += [Link(cause=each.event, effect=each.id, kind="died") for each in letters if each.event is not None]
        told = in_order([*events, *decisions, *answered, *letters], links)
        places = {entry.id: place for place, entry in enumerate(told)}
        links.sort(key=lambda link: (places[link.effect], places[link.cause]))
        entries = in_line(told, links, list(self._gaps()))
        left_out = [*material.left_out]
        if self._entries.room.is_full:
            left_out.append(f"contents beyond {STORY_BYTES // 2**20} MiB are not shown")
        head, is_open = headline(material, told, self._marks_by_event())
        times = [each.at for each in told if not isinstance(each, EventEntry) or each.belongs != "context"]
        return Story(
            entity=material.entity,
            entity_id=material.entity_id,
            headline=head,
            is_open=is_open,
            first_at=min(times, default=None),
            last_at=max(times, default=None),
            around=self._around(events),
            entries=entries,
            links=links,
            sources=material.sources,
            left_out=left_out,
            truncated=bool(left_out),
            next=material.next,
            told_at=material.told_at,
        )

    def _links(self) -> Iterator[Link]:
        for fact in self._facts.events.values():
            for decision in fact.decided_on_by:
                yield Link(cause=fact.entry, effect=decision_entry(decision.id), kind="decided")
            if fact.published_by is not None:
                yield Link(cause=decision_entry(fact.published_by.id), effect=fact.entry, kind="published")
            elif (cause := causes_of(self._facts, self._by_id, fact)) is not None:
                yield Link(cause=self._facts.events[cause].entry, effect=fact.entry, kind="caused")

    def _answer_links(self) -> Iterator[Link]:
        for approval in self._material.approvals:
            if approval.answer is not None and approval.decision_id in self._facts.messages:
                entry = decision_entry(approval.decision_id)
                yield Link(cause=entry, effect=f"answer-{approval.decision_id}", kind="answered")

    def _gaps(self) -> Iterator[GapEntry]:
        kafka = next((each.state for each in self._material.sources if each.source == "kafka"), "complete")
        for fact in self._facts.events.values():
            cause = fact.told and fact.told.causation_id
            if cause and fact.published_by is None and fact.belongs != "context" and cause not in self._by_id:
                sentence = f"{fact.type} {fact.key[1]} names {cause} as its cause, which was not found"
                yield _gap("cause_unknown", fact, sentence)
            if fact.state == "dropped":
                sentence = (
                    f"Kafka no longer has {fact.type} {fact.key[1]}: what is known of it is in the decisions on it"
                )
                yield _gap("dropped", fact, sentence)
            elif fact.state == "unread" and fact.told is None and kafka != "absent":
                yield _gap("unread", fact, f"{fact.type} {fact.key[1]} was not looked for in Kafka")
        yield from self._dropped_histories()

    def _dropped_histories(self) -> Iterator[GapEntry]:
        dropped: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        earliest: dict[tuple[str, int], KeptDecision] = {}
        for decision in self._material.decisions:
            place = decision.topic, decision.partition
            first = self._facts.first_of(*place)
            if (decision.entity, decision.entity_id) != (
                self._material.entity,
                self._material.entity_id,
            ) or first is None:
                continue
            if gone := {offset for offset in decision.history_offsets if offset < first}:
                dropped[place] |= gone
                if place not in earliest or decision.decided_at < earliest[place].decided_at:
                    earliest[place] = decision
        for (topic, partition), gone in dropped.items():
            decision = earliest[topic, partition]
            yield GapEntry(
                id=f"gap-dropped-{topic}-{partition}".replace("_", "-"),
                at=decision.decided_at,
                reason="dropped",
                sentence=(
                    f"agents knew {len(gone)} events that Kafka no longer has: {topic}[{partition}], offsets"
                    f" {min(gone)} to {max(gone)}"
                ),
                about=decision_entry(decision.id),
                seconds=None,
            )

    def _around(self, events: Sequence[EventEntry]) -> Sequence[Around]:
        own = (self._material.entity, self._material.entity_id)
        in_events = Counter((each.entity, each.entity_id) for event in events for each in event.entities)
        in_decisions = Counter((each.entity, each.entity_id) for each in self._material.decisions)
        everybody = sorted(
            {*in_events, *in_decisions} - {own}, key=lambda who: (-in_decisions[who], -in_events[who], who)
        )
        return [
            Around(
                entity=who[0], entity_id=who[1], is_own=who == own, events=in_events[who], decisions=in_decisions[who]
            )
            for who in (own, *everybody)
        ]

    def _marks(self) -> Mapping[EventKey, Sequence[Mark]]:
        marks: defaultdict[EventKey, list[Mark]] = defaultdict(list)
        for fact in self._facts.events.values():
            if fact.told is None:
                continue
            for role, event_id in named_in(fact.told, self._naming):
                meant = self._by_id.get(event_id, ())
                if len(meant) == 1:
                    sure = None if fact.published_by is None else fact.published_by.confidence
                    marks[meant[0]].append(Mark(role=role, by=fact.entry, confidence=sure))
        return marks

    def _marks_by_event(self) -> Mapping[str, Sequence[tuple[str, Fact]]]:
        """By the entry of who names others: what it calls them, where it names one alone."""
        found: defaultdict[str, list[tuple[str, Fact]]] = defaultdict(list)
        for fact in self._facts.events.values():
            fields = self._naming.get(fact.type, {})
            for field, role in fields.items():
                value = (fact.told.data or {}).get(field) if fact.told else None
                meant = self._by_id.get(value, ()) if isinstance(value, str) else ()
                if len(meant) == 1:
                    found[fact.entry].append((role, self._facts.events[meant[0]]))
        return found


def _gap(reason: Any, fact: Fact, sentence: str) -> GapEntry:
    return GapEntry(
        id=f"gap-{reason.replace('_', '-')}-{fact.entry}",
        at=fact.at,
        reason=reason,
        sentence=sentence,
        about=fact.entry,
        seconds=None,
    )
