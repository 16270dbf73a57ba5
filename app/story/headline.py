"""The headline of a story: what happened, what was done, what is open, in plain sentences. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from app.story.facts import Fact
from app.story.material import Material
from app.story.model import AnswerEntry, DecisionEntry, Entry, EventEntry, Headline, LetterEntry

#: Sentences of one kind; what there is more of is counted.
MOST_SENTENCES: Final = 6


def headline(
    material: Material, told: Sequence[Entry], naming: Mapping[str, Sequence[tuple[str, Fact]]]
) -> tuple[Headline, bool]:
    """The headline of entries in their order, and whether something is open.

    `naming` is what each event calls another one, by its entry.
    """
    events = [each for each in told if isinstance(each, EventEntry)]
    decisions = [each for each in told if isinstance(each, DecisionEntry)]
    letters = [each for each in told if isinstance(each, LetterEntry)]
    waits = [*_waiting(material, decisions), *_letters(letters)]
    missing = [sentence for source in material.sources for sentence in source.details]
    return (
        Headline(
            happened=[*_happened(material, events), *_named(events, naming)],
            done=[*_done(decisions), *_answered(told, decisions)] or ["Nothing was done."],
            open=[
                *(waits or ["Nothing is open."]),
                *(f"Not all could be looked at: {each}." for each in missing),
            ],
        ),
        bool(waits),
    )


def moment(at: datetime) -> str:
    """An instant for a person: UTC, to the second."""
    return at.astimezone(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC")


def counted(number: int, word: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{count} times {name}"


def _happened(material: Material, events: Sequence[EventEntry]) -> Iterator[str]:
    own = [each for each in events if each.belongs == "own"]
    who = f"{material.entity} {material.entity_id}"
    if not own:
        yield f"Nothing is known of {who}."
        return
    types = Counter(each.type for each in own)
    kinds = ", ".join(_times(name, count) for name, count in types.most_common(8))
    more = f" and {len(types) - 8} more types" if len(types) > 8 else ""
    yield (f"{who} had {counted(len(own), 'event')} from {moment(own[0].at)} to {moment(own[-1].at)}: {kinds}{more}.")
    yield f"The last one is {own[-1].type} {own[-1].event_id}."


def _named(events: Sequence[EventEntry], naming: Mapping[str, Sequence[tuple[str, Fact]]]) -> Iterator[str]:
    saying = [each for each in events if each.id in naming and each.belongs != "context"]
    for event in saying[-MOST_SENTENCES:]:
        sure = _sure(event)
        named = " and ".join(f"{fact.type} {fact.key[1]} the {role}" for role, fact in naming[event.id])
        yield f"{event.type} calls {named}{sure}."


def _sure(event: EventEntry) -> str:
    confidence = (event.data or {}).get("confidence")
    if not isinstance(confidence, int | float) or isinstance(confidence, bool) or not 0 <= confidence <= 1:
        return ""
    return f", {confidence:.0%} sure"


def _done(decisions: Sequence[DecisionEntry]) -> Iterator[str]:
    acted = [each for each in decisions if each.status == "committed" and (each.messages or each.effects)]
    # Of one whose messages are no longer kept nobody knows that it changed nothing.
    idle = [
        each
        for each in decisions
        if each.status == "committed" and not (each.messages or each.effects or each.not_kept)
    ]
    if len(acted) > MOST_SENTENCES:
        yield f"Agents acted {len(acted)} times; the last ones:"
    for decision in acted[-MOST_SENTENCES:]:
        yield f"{_decided(decision)}{_followed(decision)}"
    if idle:
        yield f"{counted(len(idle), 'more decision')} changed nothing."
    refused = [each for each in decisions if each.status == "refused"]
    if refused:
        yield f"{counted(len(refused), 'decision')} came to nothing, because a chain of decisions went too far."


def _decided(decision: DecisionEntry) -> str:
    reason = decision.reason.rstrip(". ")
    return f"{decision.agent} decided {decision.outcome} on {decision.event_type} {decision.event_id}: {reason}."


def _followed(decision: DecisionEntry) -> str:
    rows = Counter(each.table for each in decision.effects)
    published = [each for each in decision.messages if each.state not in {"given_up", "withheld"}]
    types = Counter(each.type or "a message" for each in published)
    wrote = [f"{counted(count, 'row')} in {table}" for table, count in rows.items()]
    sent = [_times(name, count) for name, count in types.items()]
    parts = [f"wrote {', '.join(wrote)}" if wrote else "", f"published {', '.join(sent)}" if sent else ""]
    said = " and ".join(filter(None, parts))
    return f" It {said}." if said else ""


def _answered(told: Sequence[Entry], decisions: Sequence[DecisionEntry]) -> Iterator[str]:
    by_entry = {each.id: each for each in decisions}
    answers = [each for each in told if isinstance(each, AnswerEntry)]
    for answer in answers[-MOST_SENTENCES:]:
        decision = by_entry[answer.decision]
        what = f"what {decision.agent} had decided ({decision.outcome})"
        if answer.by is None:
            yield f"Nobody answered about {what} until {moment(answer.at)}."
        else:
            yield f"{answer.by} {answer.answer} {what} at {moment(answer.at)}."


def _waiting(material: Material, decisions: Sequence[DecisionEntry]) -> Iterator[str]:
    for decision in decisions:
        if decision.status == "held" and decision.approval is not None and decision.approval.answer is None:
            asked = decision.approval
            yield (
                f"{decision.agent} waits for a person ({asked.reason}) since {moment(asked.asked_at)}, until"
                f" {moment(asked.expires_at)}: {decision.outcome}, {decision.reason.rstrip('. ')}."
            )
        for one in decision.expects:
            if one.state == "missed":
                yield f"What {decision.agent} expects ({one.name}) did not happen by {moment(one.due_at)}."
    messages = [each for decision in decisions for each in decision.messages]
    pending = [each for each in messages if each.state == "pending"]
    if pending:
        since = min((each.at for each in pending if each.at is not None), default=material.told_at)
        yield f"{counted(len(pending), 'message')} of the outbox not yet in Kafka, since {moment(since)}."
    buried = [each for each in messages if each.state == "buried"]
    if buried:
        yield f"{counted(len(buried), 'message')} refused by Kafka: {buried[0].reason}."


def _letters(letters: Sequence[LetterEntry]) -> Iterator[str]:
    open_ones = [each for each in letters if each.redriven_at is None]
    if open_ones:
        reasons = ", ".join(sorted({f"{each.consumer} {each.reason}" for each in open_ones}))
        yield f"{counted(len(open_ones), 'dead letter')} not put back: {reasons}."
