"""Pseudonyms: what is redacted is nowhere in the slice, and what does not depend on it is decided as before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from incident import double_refund, one_customer
from replaying import recorded
from shop_catalogue import AGENTS, CATALOGUE, TYPES

from agents.replay.records import Published, RecordedDecision, TimelineRecord
from app.timemachine.pseudonyms import redacted
from app.timemachine.replaying import replay, replay_file
from app.timemachine.slices import Slice, SliceHeader, dump
from outbox.journal import StoredReply

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def hidden(whole: Slice, fields: Collection[str]) -> Slice:
    """The slice with the values of these fields replaced."""
    return redacted(whole, fields, CATALOGUE.entities.values())


def record(data: Any, offset: int = 0, key: bytes = b"o-1", **envelope: Any) -> TimelineRecord:
    document = {"specversion": "1.0", "id": f"e-{offset}", "source": "urn:test:shop", "type": "T", **envelope}
    return TimelineRecord(
        topic="timeline-order",
        partition=0,
        offset=offset,
        at=NOON,
        key=key,
        value=orjson.dumps({**document, "data": data}),
    )


def decision(**changes: Any) -> RecordedDecision:
    made = RecordedDecision(
        agent="recovery",
        event_id="e-0",
        topic="timeline-order",
        partition=0,
        offset=0,
        status="committed",
        brain="gpt",
        model="gpt",
        fallback_reason=None,
        outcome="escalate",
        reason="no reason",
        confidence=1,
        history_offsets=(),
        history_sha256="",
        messages=(),
    )
    return replace(made, **changes)


def cut(*records: TimelineRecord, decisions: tuple[RecordedDecision, ...] = ()) -> Slice:
    return Slice(header=SliceHeader(agents=("recovery",)), records=records, decisions=decisions)


def data_of(found: Slice) -> list[Any]:
    return [orjson.loads(each.value or b"")["data"] for each in found.records]


def test_values_are_replaced_at_any_depth_and_equal_ones_by_the_same() -> None:
    found = hidden(
        cut(
            record({"email": "ada@example.com", "order_id": "o-1"}),
            record({"to": [{"Email": "bob@example.com"}, {"EMAIL": "ada@example.com"}], "email": None}, 1),
        ),
        ["email"],
    )

    assert data_of(found) == [
        {"email": "[redacted 1]", "order_id": "o-1"},
        {"to": [{"Email": "[redacted 2]"}, {"EMAIL": "[redacted 1]"}], "email": None},
    ]
    assert found.header.redacted == ("email",)


def test_everything_within_a_redacted_field_is_replaced_and_keeps_its_kind() -> None:
    [data] = data_of(
        hidden(cut(record({"address": {"street": "Main St", "lat": 1.5, "no": 7, "ok": True}})), ["address"])
    )

    assert data == {"address": {"street": "[redacted 1]", "lat": 1.0, "no": 2, "ok": True}}
    assert type(data["address"]["lat"]) is float


def test_a_quotation_is_replaced_wherever_it_stands() -> None:
    message = Published(id="m", topic="support", key=b"o-1", value=record({"text": "to Main St 5!"}).value)
    reply = StoredReply(prompt_sha256="00", model="gpt", reply='{"rationale":"ships to Main St 5"}')
    broken = StoredReply(prompt_sha256="01", model="gpt", reply="Main St 5? {")
    found = hidden(
        cut(
            record({"text": "Before: Main St 5"}, 0, subject="Main St 5", note="Main St 5"),
            record({"address": "Main St 5"}, 1),
            decisions=(decision(reason="goes to Main St 5", messages=(message,), replies=(reply, broken)),),
        ),
        ["address"],
    )

    [told] = found.decisions
    first = orjson.loads(found.records[0].value or b"")
    assert first["data"] == {"text": "Before: [redacted 1]"}
    assert (first["subject"], first["note"]) == ("[redacted 1]", "[redacted 1]")
    assert told.reason == "goes to [redacted 1]"
    assert orjson.loads(told.messages[0].value or b"")["data"] == {"text": "to [redacted 1]!"}
    assert [each.reply for each in told.replies] == ['{"rationale":"ships to [redacted 1]"}', "[redacted 1]? {"]


def test_of_two_values_the_longer_one_is_recognised() -> None:
    [_, _, data] = data_of(
        hidden(cut(record({"name": "Anna"}), record({"name": "Annabel"}, 1), record({"text": "Annabel"}, 2)), ["name"])
    )

    assert data == {"text": "[redacted 2]"}


def test_short_values_are_not_looked_for_elsewhere() -> None:
    [data] = data_of(hidden(cut(record({"name": "Bo", "text": "Bordeaux, Bo"})), ["name"]))

    assert data == {"name": "[redacted 1]", "text": "Bordeaux, Bo"}


def test_ids_of_events_stay_whatever_they_quote() -> None:
    found = hidden(cut(record({"device_id": "e-77", "culprit": "e-7777"}), record({}, 7777)), ["device_id"])

    assert data_of(found)[0] == {"device_id": "[redacted 1]", "culprit": "e-7777"}
    assert orjson.loads(found.records[1].value or b"")["id"] == "e-7777"


def test_the_id_of_an_entity_is_replaced_in_keys_and_subjects_as_well() -> None:
    message = Published(id="m", topic="support", key=b"ada", value=None)
    found = hidden(
        cut(record({"customer_id": "ada"}, key=b"ada", subject="ada"), decisions=(decision(messages=(message,)),)),
        ["customer_id"],
    )

    assert found.records[0].key == b"[redacted 1]"
    assert orjson.loads(found.records[0].value or b"")["subject"] == "[redacted 1]"
    assert found.decisions[0].messages[0].key == b"[redacted 1]"


def test_what_is_no_event_is_withheld_and_stays_no_event() -> None:
    bad = replace(record({}), value=b"Main St 5 {", headers=(("content-type", b"x"), ("who", b"Main St 5")))
    gone = replace(record({}, 1), value=None)

    found = hidden(cut(bad, gone), ["address"])

    assert [each.value for each in found.records] == [b"[redacted]", None]
    assert found.records[0].headers == (("content-type", b"x"),)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(found.records[0].value or b"")


@pytest.mark.parametrize("field", ["device_id", "country", "method", "no_such_field"])
def test_what_does_not_depend_on_a_field_is_decided_as_before_and_was_known(tmp_path: Path, field: str) -> None:
    path = tmp_path / "slice.jsonl"
    found = hidden(double_refund(), [field])
    dump(found, path)

    result = replay_file(path, CATALOGUE)

    if field == "country":  # no longer a country: no agent can read these payments
        assert not result.is_same
        return
    assert result.is_same, result.explain()
    assert {str(each.history) for each in result.same} == {"same"}


def test_a_history_that_was_not_the_recorded_one_is_not_made_right(tmp_path: Path) -> None:
    path = tmp_path / "slice.jsonl"
    whole = double_refund()
    wrong = replace(whole.decisions[-1], history_sha256="00" * 32)
    found = hidden(replace(whole, decisions=[*whole.decisions[:-1], wrong]), ["device_id"])
    dump(found, path)

    result = replay_file(path, CATALOGUE)

    assert found.decisions[-1].history_sha256 == "00" * 32
    assert [str(each.history) for each in result.same].count("differs") == 1


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    TEXT | st.integers(-5, 5) | st.none(), lambda s: st.lists(s, max_size=3) | st.dictionaries(TEXT, s, max_size=3)
)


@settings(max_examples=150)
@given(secret=st.text("abcXYZ é", min_size=4, max_size=9), before=TEXT, data=JSON)
def test_a_redacted_text_is_nowhere_in_the_slice(secret: str, before: str, data: Any) -> None:
    quoting = {"text": f"{before}{secret}", "more": [secret, {"x": data}]}
    found = hidden(
        cut(record(quoting), record({"name": secret}, 1), decisions=(decision(reason=f"{before} {secret}"),)), ["name"]
    )

    texts = [*_texts(data_of(found)), found.decisions[0].reason]
    assert not [text for text in texts if secret in text and secret not in "[redacted 1]"]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


async def test_what_a_model_decided_is_decided_again_by_its_reply_redacted_or_not() -> None:
    whole, fraud = one_customer(), AGENTS["fraud"]
    [asked] = [each for each in whole.decisions if each.outcome == "review"][:1]
    said = {"rationale": "device-xyz is new", "signs": [], "verdict": "approve", "confidence": 0.5}
    reply = StoredReply(prompt_sha256="00" * 32, model="gpt-1", reply=orjson.dumps(said).decode())
    by_model = replace(asked, brain="gpt", model="gpt-1", replies=(reply,))
    [first] = [each for each in await replay(replace(whole, decisions=[by_model]), [fraud], TYPES) if each.recorded]
    assert first.decided is not None
    assert (str(first.kind), first.decided.brain, first.decided.outcome) == ("changed", "gpt", "approve")
    made = recorded(first.decided, replies=(reply,))

    found = hidden(replace(whole, decisions=[made]), ["device_id"])
    [again] = [each for each in await replay(found, [fraud], TYPES) if each.recorded]

    assert (str(again.kind), str(again.history)) == ("same", "same")
    assert again.decided is not None
    assert again.decided.brain == "gpt"
