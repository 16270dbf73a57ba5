"""Ids and lanes never change between releases; records become parameters without losing a byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.parameters import (
    JsonLiteral,
    dead_letter_parameters,
    decision_parameters,
    headers_from,
    stored_history,
)
from outbox.records import DeadLetter, DecisionRecord, Message, Origin, decision_id, lane_of, sourceless_decision_id

NOON = datetime(2024, 5, 1, 12, 0, 0, 5000, UTC)
ORIGIN = Origin(topic="payments", partition=3, offset=17, at=NOON)
LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=ORIGIN,
    key=b"\xff",
    value=b"{\xff",
    headers=(("content-type", b"application/json"),),
)


def decision(event_id: str, *messages: Message, **changes: Any) -> DecisionRecord:
    record = DecisionRecord(
        agent="fraud",
        event_id=event_id,
        event_source="urn:test:shop",
        event_type="PaymentSucceeded",
        event_at=NOON,
        entity="customer",
        entity_id="ada",
        origin=ORIGIN,
        history={"offsets": [3], "sha256": "0"},
        brain="rules",
        model=None,
        outcome="approve",
        reason="score 0",
        confidence=0.9,
        fallback_reason=None,
        status="committed",
        decided_at=NOON,
        messages=messages,
    )
    return replace(record, **changes)


def message(message_id: str, key: bytes = b"o-1", value: bytes | None = b'{"a":1}') -> Message:
    return Message(id=message_id, topic="payments", key=key, value=value, headers=(("h", b"\xff"),))


def raw(parameter: Any) -> bytes | None:
    return None if parameter is None else parameter.adapted


def test_the_id_of_a_decision_is_fixed_for_ever() -> None:
    assert str(decision_id("fraud", "urn:test:shop", "e-1")) == "4973901c-cb19-5cbe-83f6-b53d0a2153d6"
    assert decision("e-1").id == decision_id("fraud", "urn:test:shop", "e-1")


def test_the_id_that_a_decision_got_without_the_source_can_still_be_told() -> None:
    assert str(sourceless_decision_id("fraud", "e-1")) == "2aeee0c8-4e1a-53a9-967f-662ab0cdf059"


def test_agents_sources_and_events_cannot_be_mistaken_for_each_other() -> None:
    decisions = [
        ("fraud", "urn:a", "e-1"),
        ("frau", "durn:a", "e-1"),
        ("fraud", "urn:a", "e-2"),
        ("fraud", "urn:b", "e-1"),
        ("fraud", "urn:", "ae-1"),
        ("refund", "urn:a", "e-1"),
        ("f", "5:", "urn:ae-1"),
    ]
    assert len({decision_id(*each) for each in decisions}) == len(decisions)


def test_lanes_are_fixed_for_ever() -> None:
    assert [lane_of("payments", key) for key in (b"", b"o-1", b"o-2")] == [50, 40, 18]
    assert lane_of("orders", b"o-1") != lane_of("payments", b"o-1")
    assert message("m", key=b"o-1").lane == lane_of("payments", b"o-1")


def test_keys_spread_over_all_lanes() -> None:
    lanes = [lane_of("payments", f"o-{number}".encode()) for number in range(6400)]
    assert set(lanes) == set(range(64))
    assert max(lanes.count(lane) for lane in range(64)) < 200


def test_a_dead_letter_is_the_same_for_the_same_input_and_reason_and_another_otherwise() -> None:
    others = [
        replace(LETTER, consumer="fraud"),
        replace(LETTER, reason="invalid_data"),
        replace(LETTER, origin=replace(ORIGIN, topic="orders")),
        replace(LETTER, origin=replace(ORIGIN, partition=4)),
        replace(LETTER, origin=replace(ORIGIN, offset=18)),
        replace(LETTER, origin=replace(ORIGIN, at=NOON.replace(microsecond=6000))),
    ]
    assert replace(LETTER, detail="said otherwise").id == LETTER.id
    assert len({LETTER.id, *(other.id for other in others)}) == 7


def test_an_origin_reads_like_a_place_in_kafka() -> None:
    assert str(ORIGIN) == "payments[3]@17"


def rows(parameters: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(parameters[name].text)
    return found


def test_a_batch_of_decisions_has_one_row_per_decision() -> None:
    first, second = rows(
        decision_parameters([decision("e-1"), decision("e-2", model="m", entity_id="bob")]), "decisions"
    )
    assert first.keys() == second.keys()
    assert (first["event_id"], first["entity_id"], first["model"], first["offset"]) == ("e-1", "ada", None, 17)
    assert (second["event_id"], second["entity_id"], second["model"], second["offset"]) == ("e-2", "bob", "m", 17)
    assert orjson.loads(first["history"]) == {"steps": "3", "sha256": "0"}


@pytest.mark.parametrize(
    ("offsets", "steps"),
    [
        ([], ""),
        ([0], "0"),
        ([7], "7"),
        ([5, 6, 9], "5 1 3"),
        ([9, 5], "9 -4"),
        ([4, 4], "4 0"),
        ([2**63 - 1], f"{2**63 - 1}"),
    ],
)
def test_the_offsets_of_a_history_are_stored_as_steps_from_one_to_the_next(offsets: list[int], steps: str) -> None:
    assert stored_history({"offsets": offsets, "sha256": "ff"}) == {"sha256": "ff", "steps": steps}


def test_a_history_of_another_kind_is_stored_as_it_is() -> None:
    assert stored_history({"note": "none"}) == {"note": "none"}


def test_messages_stand_in_the_order_of_their_decisions_and_point_at_them() -> None:
    first, second = decision("e-1", message("m-1"), message("m-2", b"o-2")), decision("e-2", message("m-3"))
    found = rows(decision_parameters([first, second]), "messages")
    assert [each["message_id"] for each in found] == ["m-1", "m-2", "m-3"]
    assert [each["decision_id"] for each in found] == [str(first.id), str(first.id), str(second.id)]
    assert [each["key"] for each in found] == ["o-1", "o-2", "o-1"]
    assert [each["value"] for each in found] == ['{"a":1}'] * 3
    assert [each["lane"] for each in found] == [lane_of("payments", key) for key in (b"o-1", b"o-2", b"o-1")]


def test_the_decision_row_keeps_its_messages() -> None:
    [row] = rows(decision_parameters([decision("e-1", message("m-1"), message("m-2", value=None))]), "decisions")
    assert orjson.loads(row["messages"]) == [
        {"id": "m-1", "topic": "payments", "key": "o-1", "value": {"a": 1}},
        {"id": "m-2", "topic": "payments", "key": "o-1", "value": None},
    ]


@pytest.mark.parametrize("text", ["plain", "it's $json0$ and $json1$", "$", "a\\b", "%s %(x)s"])
def test_a_literal_ends_where_its_json_does(text: str) -> None:
    literal = JsonLiteral([text]).getquoted()
    tag = literal[: literal.index(b"$", 1) + 1]
    assert literal.endswith(tag)
    assert tag not in literal[len(tag) : -len(tag)]
    assert orjson.loads(literal[len(tag) : -len(tag)]) == [text]


def test_a_dead_letter_keeps_its_bytes_and_its_message_says_where_they_came_from() -> None:
    parameters = dead_letter_parameters(LETTER)
    assert (raw(parameters["key"]), raw(parameters["value"])) == (b"\xff", b"{\xff")
    assert headers_from(orjson.loads(parameters["headers"])) == [("content-type", b"application/json")]
    assert parameters["message_topic"] == "dead-letters"
    assert parameters["lane"] == lane_of("dead-letters", b"\xff")
    assert parameters["message_id"] == parameters["id"] == str(LETTER.id)
    assert headers_from(orjson.loads(parameters["message_headers"])) == [
        ("content-type", b"application/json"),
        ("reason", b"invalid_json"),
        ("detail", b"value must be JSON"),
        ("consumer", b"router"),
        ("topic", b"payments"),
        ("partition", b"3"),
        ("offset", b"17"),
        ("time", b"2024-05-01T12:00:00.005000Z"),
    ]


def test_a_dead_tombstone_without_a_key_has_an_empty_key_as_a_message() -> None:
    parameters = dead_letter_parameters(replace(LETTER, key=None, value=None))
    assert (parameters["key"], parameters["value"]) == (None, None)
    assert raw(parameters["message_key"]) == b""


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary())))
def test_headers_come_back_as_they_were(headers: list[tuple[str, bytes]]) -> None:
    stored = dead_letter_parameters(replace(LETTER, headers=tuple(headers)))["headers"]
    assert headers_from(orjson.loads(stored)) == headers


@pytest.mark.parametrize("name", ["\0", "a\0b"])
def test_a_header_name_loses_what_postgresql_cannot_hold(name: str) -> None:
    stored = dead_letter_parameters(replace(LETTER, headers=((name, b"x"),)))["headers"]
    assert headers_from(orjson.loads(stored)) == [(name.replace("\0", ""), b"x")]
