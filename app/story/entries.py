"""Entries: the facts of a story as they are shown, as far as there is room. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from agents.model.entity import Entity
from app.story.facts import Fact, Facts, decision_entry
from app.story.material import (
    EventKey,
    KeptApproval,
    KeptCall,
    KeptDecision,
    KeptExpectation,
    KeptLetter,
    KeptMessage,
    Material,
    Who,
    places_of,
)
from app.story.model import (
    AnswerEntry,
    Asked,
    Awaited,
    DecisionEntry,
    EffectRow,
    EntityName,
    EventEntry,
    Knew,
    LetterEntry,
    Mark,
    MessageFate,
    ModelCall,
    Place,
)

#: Bytes of the data of one event, and of everything that a story shows.
DATA_BYTES: Final = 16 * 1024
STORY_BYTES: Final = 8 * 1024 * 1024


class Room:
    """How much more may be shown."""

    def __init__(self) -> None:
        self._left = STORY_BYTES
        self.is_full = False

    def has(self, size: int, most: int = STORY_BYTES) -> bool:
        """Whether so many bytes may be shown as well."""
        if size > most or size > self._left:
            self.is_full = self.is_full or size <= most
            return False
        self._left -= size
        return True


class Entries:
    """Makes the entries of one story. `marks` are what other events call each one."""

    def __init__(
        self, material: Material, facts: Facts, entities: Mapping[str, Entity], marks: Mapping[EventKey, Sequence[Mark]]
    ) -> None:
        self._facts = facts
        self._entities = entities
        self._marks = marks
        self._material = material
        self._approvals = {each.decision_id: each for each in material.approvals}
        self._places = {
            place: fact.entry
            for fact in facts.events.values()
            for record in fact.records
            for place in places_of(record)
        }
        self.room = Room()

    def event(self, fact: Fact) -> EventEntry:
        """An event."""
        told = fact.told
        by_timeline = Counter((record.topic, record.partition) for record in fact.records)
        shows = told is not None and told.data is not None and self.room.has(told.bytes, DATA_BYTES)
        return EventEntry(
            id=fact.entry,
            at=fact.at,
            event_source=fact.key[0],
            event_id=fact.key[1],
            type=fact.type,
            happened_at=fact.happened_at,
            recorded_at=fact.recorded_at,
            subject=told and told.subject,
            correlation_id=told and told.correlation_id,
            causation_id=told and told.causation_id,
            data=told.data if told is not None and shows else None,
            data_bytes=told and told.bytes,
            sha256=told and told.sha256,
            entities=[EntityName(entity=kind, entity_id=name) for kind, name in self._whom(fact)],
            belongs=fact.belongs,
            state=fact.state,
            places=[
                Place(topic=each.topic, partition=each.partition, offset=each.offset, recorded_at=each.at)
                for each in sorted(fact.records, key=lambda each: (each.at, each.topic, each.offset))
            ],
            copies=max(by_timeline.values(), default=1) - 1,
            marks=self._marks.get(fact.key, ()),
        )

    def decision(self, decision: KeptDecision) -> DecisionEntry:
        """A decision, with all that PostgreSQL has about it."""
        approval = self._approvals.get(decision.id)
        calls = [each for each in self._material.calls if _is_about(each, decision)]
        rows = [each for each in self._material.rows if each.decision_id == decision.id]
        return DecisionEntry(
            id=decision_entry(decision.id),
            at=decision.decided_at,
            decision_id=decision.id,
            agent=decision.agent,
            entity=decision.entity,
            entity_id=decision.entity_id,
            event_source=decision.event_source,
            event_id=decision.event_id,
            event_type=decision.event_type,
            outcome=decision.outcome,
            reason=decision.reason,
            confidence=decision.confidence,
            brain=decision.brain,
            model=decision.model,
            fallback_reason=decision.fallback_reason,
            status=decision.status,
            decided_at=decision.decided_at,
            committed_at=decision.committed_at,
            correlation_id=decision.correlation_id,
            chain_depth=decision.chain_depth,
            knew=Knew(
                topic=decision.topic,
                partition=decision.partition,
                offset=decision.offset,
                events=len(decision.history_offsets),
                sha256=decision.history_sha256,
                dropped=self._facts.dropped_of(decision),
                link=f"/decisions/{decision.id}/history",
            ),
            calls=[self._call(each) for each in calls],
            effects=[EffectRow(table=each.table, row=each.row) for each in rows],
            messages=[self._message(each) for each in self._facts.messages[decision.id]],
            approval=None if approval is None else _asked(approval),
            code=decision.code,
            expects=[_awaited(each) for each in self._material.expectations if each.decision_id == decision.id],
            not_kept=decision.not_kept,
        )

    def _call(self, call: KeptCall) -> ModelCall:
        size = len(call.prompt.encode()) + len((call.reply or "").encode())
        shows = self.room.has(size)
        return ModelCall(
            attempt=call.attempt,
            model=call.model,
            prompt_sha256=call.prompt_sha256,
            prompt=call.prompt if shows else "",
            reply=call.reply if shows or call.reply is None else "",
            is_cut=call.is_cut or not shows,
            prompt_tokens=call.prompt_tokens,
            completion_tokens=call.completion_tokens,
            latency_ms=call.latency_ms,
            error=call.error,
            called_at=call.called_at,
            not_kept=call.not_kept,
        )

    def _message(self, message: KeptMessage) -> MessageFate:
        fate = self._facts.fates[message.id]
        event = message.event
        fact = None if event is None else self._facts.events.get(event.key)
        shows = fact is None and event is not None and self.room.has(event.bytes, DATA_BYTES)
        return MessageFate(
            message_id=message.id,
            topic=message.topic,
            key=message.key,
            type=event and event.type,
            is_otherwise=message.is_otherwise,
            state=fate.state,
            at=fate.at,
            reason=fate.reason,
            entry=fact and fact.entry,
            data=event.data if event is not None and shows else None,
        )

    def letter(self, letter: KeptLetter) -> LetterEntry:
        """A dead letter."""
        place = (letter.topic, letter.partition, letter.offset)
        return LetterEntry(
            id=f"dead-letter-{letter.id}",
            at=letter.died_at,
            letter_id=letter.id,
            consumer=letter.consumer,
            reason=letter.reason,
            detail=letter.detail,
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            event=self._places.get(place),
            redriven_at=letter.redriven_at,
            redriven_by=letter.redriven_by,
        )

    def _whom(self, fact: Fact) -> Sequence[Who]:
        named = [] if fact.told is None else list(fact.told.entities(self._entities))
        return list(dict.fromkeys([*named, *((each.entity, each.entity_id) for each in fact.decided_on_by)]))


def answers(decision: DecisionEntry) -> Iterator[AnswerEntry]:
    """The answer about a decision, if it was held and answered."""
    asked = decision.approval
    if asked is not None and asked.answer is not None:
        yield AnswerEntry(
            id=f"answer-{decision.decision_id}",
            at=_answered_at(asked),
            decision=decision.id,
            answer=asked.answer,
            by=asked.answered_by,
        )


def _answered_at(asked: Asked) -> datetime:
    return asked.answered_at or asked.expires_at


def _asked(approval: KeptApproval) -> Asked:
    return Asked(
        reason=approval.reason,
        content_sha256=approval.content_sha256,
        asked_at=approval.asked_at,
        expires_at=approval.expires_at,
        answer=approval.answer,
        answered_by=approval.answered_by,
        answered_at=approval.answered_at,
        effects=approval.effects,
    )


def _is_about(call: KeptCall, decision: KeptDecision) -> bool:
    is_event = call.event_id == decision.event_id and call.event_source in {None, decision.event_source}
    return call.agent == decision.agent and is_event


def _awaited(kept: KeptExpectation) -> Awaited:
    return Awaited(
        name=kept.name,
        due_at=kept.due_at,
        state=kept.state,
        missed_at=kept.missed_at,
        ended_at=kept.ended_at,
        ended_by=kept.ended_by,
    )
