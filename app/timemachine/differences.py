"""Differences: comparisons that did not come out the same, as JSON. Plain values, everything of both sides in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from agents.replay.comparison import Comparison, differing, same_message
from agents.replay.records import Published, RecordedDecision
from outbox.records import DecisionRecord, Message


def difference(comparison: Comparison, code: Sequence[str] | None = None) -> Mapping[str, Any]:
    """One difference, both sides beside each other; `messages` has those that are not the same.

    `code` is what of the code is another one now than when it was decided, None when that is not known.
    """
    recorded, decided = comparison.recorded, comparison.decided
    return {
        "kind": comparison.kind.value,
        "agent": comparison.agent,
        "event_source": comparison.event_source,
        "event_id": comparison.event_id,
        "event_type": comparison.event_type,
        "entity_id": comparison.entity_id,
        "topic": comparison.topic,
        "partition": comparison.partition,
        "offset": comparison.offset,
        "history": None if comparison.history is None else comparison.history.value,
        "problem": comparison.problem,
        "code_changed": None if code is None else list(code),
        "differing": [] if recorded is None or decided is None else list(differing(recorded, decided)),
        "recorded": None if recorded is None else _recorded(recorded),
        "replayed": None if decided is None else _replayed(decided),
        "messages": _messages(
            recorded.messages if recorded else (),
            decided.messages if decided else (),
            contents_kept=recorded is None or recorded.contents_kept,
        ),
    }


def _recorded(decision: RecordedDecision) -> Mapping[str, Any]:
    kept = {} if decision.contents_kept else {"messages": "no longer kept"}
    return {**_said(decision), "status": decision.status, **kept}


def _replayed(decision: DecisionRecord) -> Mapping[str, Any]:
    return {**_said(decision), "status": decision.status}


def _said(decision: RecordedDecision | DecisionRecord) -> Mapping[str, Any]:
    names = ("outcome", "reason", "confidence", "brain", "model", "fallback_reason")
    return {name: getattr(decision, name) for name in names}


def _messages(
    recorded: Sequence[Published], decided: Sequence[Message], *, contents_kept: bool
) -> Sequence[Mapping[str, Any]]:
    """Messages that are on one side only, or not the same on both; by their ids, in the order of the record."""
    before: Mapping[str, Published] = {message.id: message for message in recorded}
    after: Mapping[str, Message] = {message.id: message for message in decided}
    return [
        {"id": each, "recorded": _message(before.get(each)), "replayed": _message(after.get(each))}
        for each in dict.fromkeys((*before, *after))
        if each not in before or each not in after or (contents_kept and not same_message(before[each], after[each]))
    ]


def _message(message: Published | Message | None) -> Mapping[str, Any] | None:
    if message is None:
        return None
    value = None if message.value is None else orjson.loads(message.value)
    return {"topic": message.topic, "key": message.key.decode(errors="replace"), "value": value}
