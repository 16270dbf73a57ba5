"""Ids and lanes never change between releases; records become parameters without losing a byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.parameters import dead_letter_parameters, decision_parameters, headers_from
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


def test_a_batch_of_decisions_has_one_value_per_column_and_decision() -> None:
    parameters = decision_parameters([decision("e-1"), decision("e-2", model="m", entity_id="bob")])
    others = ("message_", "lane", "most_messages")
    columns = {name: values for name, values in parameters.items() if not name.startswith(others)}
    assert {name: len(values) for name, values in columns.items()} == dict.fromkeys(columns, 2)
    assert parameters["event_ids"] == ["e-1", "e-2"]
    assert parameters["entity_ids"] == ["ada", "bob"]
    assert parameters["models"] == [None, "m"]
    assert parameters["offsets"] == [17, 17]
    assert orjson.loads(parameters["histories"][0]) == {"offsets": [3], "sha256": "0"}


def test_messages_stand_in_the_order_of_their_decisions_and_point_at_them() -> None:
    first, second = decision("e-1", message("m-1"), message("m-2", b"o-2")), decision("e-2", message("m-3"))
    parameters = decision_parameters([first, second])
    assert parameters["message_ids"] == ["m-1", "m-2", "m-3"]
    assert parameters["message_decision_ids"] == [str(first.id), str(first.id), str(second.id)]
    assert [raw(key) for key in parameters["message_keys"]] == [b"o-1", b"o-2", b"o-1"]
    assert [raw(value) for value in parameters["message_values"]] == [b'{"a":1}'] * 3
    assert parameters["message_lanes"] == [lane_of("payments", key) for key in (b"o-1", b"o-2", b"o-1")]


def test_the_decision_row_keeps_its_messages() -> None:
    [kept] = decision_parameters([decision("e-1", message("m-1"), message("m-2", value=None))])["messages"]
    assert orjson.loads(kept) == [
        {"id": "m-1", "topic": "payments", "key": "o-1", "value": {"a": 1}},
        {"id": "m-2", "topic": "payments", "key": "o-1", "value": None},
    ]


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
