"""What an event envelope accepts, refuses and looks like when written."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from tables.event import Event, Headers, InvalidEvent, chain_depth, parse, to_json
from tables.storable import MAX_DEPTH

ENVELOPE = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop",
    "type": "PaymentSucceeded",
    "time": "2024-05-01T12:00:00Z",
    "data": {"order_id": "o-1"},
}
HEADERS: dict[str, bytes | None] = {
    "ce_specversion": b"1.0",
    "ce_id": b"e-1",
    "ce_source": b"/shop",
    "ce_type": b"PaymentSucceeded",
    "ce_time": b"2024-05-01T12:00:00Z",
    "content-type": b"application/json",
}
EVENT = Event(
    id="e-1",
    source="/shop",
    type="PaymentSucceeded",
    time=datetime(2024, 5, 1, 12, tzinfo=UTC),
    data={"order_id": "o-1"},
)


def structured(**changes: object) -> bytes:
    return orjson.dumps({**ENVELOPE, **changes})


def binary(**changes: bytes | None) -> Headers:
    return tuple({**HEADERS, **changes}.items())


def refusal(value: bytes | None, headers: Headers = ()) -> tuple[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        parse(value, headers)
    return caught.value.reason, str(caught.value)


def nested(steps: int) -> bytes:
    """Write data whose deepest value, a 1, is this many steps down."""
    lists = steps - 1
    return b'{"a":' + b"[" * lists + b"1" + b"]" * lists + b"}"


def test_structured_and_binary_mode_give_the_same_event() -> None:
    assert parse(structured(), ()) == EVENT
    assert parse(structured(), [("content-type", b"application/cloudevents+json; charset=UTF-8")]) == EVENT
    typed = structured(datacontenttype="application/json")
    assert parse(typed, ()) == parse(b'{"order_id":"o-1"}', binary())


def test_every_attribute_is_carried_on() -> None:
    event = parse(
        structured(
            subject="order o-1",
            correlationid="c-1",
            causationid="e-0",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            dataschema="https://example.com/schema",
            partitionkey="o-1",
            sequence=7,
            sampled=True,
        ),
        (),
    )
    assert event.subject == "order o-1"
    assert event.correlationid == "c-1"
    assert event.causationid == "e-0"
    assert event.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert event.extensions == {
        "dataschema": "https://example.com/schema",
        "partitionkey": "o-1",
        "sequence": 7,
        "sampled": True,
    }


def test_a_content_type_of_cloudevents_decides_for_structured_mode_whatever_other_headers_say() -> None:
    headers = binary(ce_id=b"another", **{"content-type": b"application/cloudevents+json"})
    assert parse(structured(), headers) == EVENT


def test_header_names_may_be_in_any_case() -> None:
    headers = [(name.upper(), content) for name, content in HEADERS.items()]
    assert parse(b'{"order_id":"o-1"}', headers) == parse(b'{"order_id":"o-1"}', binary())


def test_headers_of_others_are_ignored() -> None:
    assert parse(structured(), [("trace", b"\xff"), ("empty", None)]) == EVENT


def test_an_absent_null_or_empty_optional_attribute_is_none() -> None:
    assert parse(structured(subject=None, correlationid="", flag=None), ()) == EVENT
    headers = binary(ce_subject=b"", ce_causationid=None, **{"content-type": None})
    assert parse(b'{"order_id":"o-1"}', headers) == EVENT


def test_a_json_media_type_with_a_suffix_is_json() -> None:
    event = parse(b'{"order_id":"o-1"}', binary(**{"content-type": b"application/vnd.shop+json; v=1"}))
    assert event.data == {"order_id": "o-1"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T12:00:00.123456789Z", datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2024-05-01T14:00:00+02:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01t12:00:00.5z", datetime(2024, 5, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2024-05-01 12:00:00-00:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9998-12-31T23:59:59Z", datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_normalised_to_utc_and_microseconds(text: str, expected: datetime) -> None:
    event = parse(structured(time=text), ())
    assert event.time == expected
    assert event.time.utcoffset() == timedelta(0)


def test_an_integer_beyond_64_bits_becomes_a_double() -> None:
    value = structured().replace(b'"o-1"', b"18446744073709551616")
    assert parse(value, ()).data == {"order_id": 18446744073709551616.0}


def test_a_null_value_is_a_tombstone() -> None:
    assert refusal(None) == ("tombstone", "value is null: expected a CloudEvent")
    assert refusal(None, [("ce_id", b"\xff")])[0] == "tombstone"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"{",
        b"hello",
        b"NaN",
        b'{"a":1e999}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
    ],
)
def test_what_is_no_json_is_invalid_json(value: bytes) -> None:
    assert refusal(value)[0] == "invalid_json"
    assert refusal(value, binary())[0] == "invalid_json"


def test_bytes_that_are_not_utf8_are_named_by_their_position() -> None:
    assert refusal(b'{"id":"\xff"}') == ("invalid_utf8", "value must be UTF-8: byte 7 is not")
    assert refusal(b"\xff\xfe") == ("invalid_utf8", "value must be UTF-8: byte 0 is not")
    assert refusal(b"{}", binary(ce_source=b"/caf\xe9")) == (
        "invalid_utf8",
        "header 'ce_source' must be UTF-8: byte 4 is not",
    )


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time"])
@pytest.mark.parametrize("wrong", [None, "", 1, True, ["x"], {"x": "y"}])
def test_a_required_attribute_is_a_text_that_is_there(name: str, wrong: object) -> None:
    reason, message = refusal(structured(**{name: wrong}))
    assert reason == "invalid_envelope"
    assert message.startswith(f"{name} must be")


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"])
def test_binary_mode_requires_the_same_attributes(name: str) -> None:
    reason, message = refusal(b"{}", binary(**{name: None}))
    assert reason == "invalid_envelope"
    assert message.startswith(f"{name.removeprefix('ce_')} must be")


@pytest.mark.parametrize("value", [b"[]", b"null", b"1", b'"text"'])
def test_the_value_of_structured_mode_is_an_object(value: bytes) -> None:
    assert refusal(value)[0] == "invalid_envelope"


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01",
        "2024-05-01T12:00:00",
        "2024-05-01T12:00Z",
        "2024-02-30T12:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T23:59:60Z",
        "2024-05-01T12:00:00+0200",
        "2024-05-01T12:00:00+99:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "12024-05-01T12:00:00Z",
        "٢٠٢٤-05-01T12:00:00Z",
        "1714564800",
        "soon",
    ],
)
def test_a_time_without_zone_or_out_of_range_is_refused(text: str) -> None:
    assert refusal(structured(time=text))[0] == "invalid_envelope"


@pytest.mark.parametrize("version", ["0.3", "1.0.2", "2.0", 1.0])
def test_only_version_1_0_is_read(version: object) -> None:
    assert refusal(structured(specversion=version)) == ("invalid_envelope", 'specversion must be "1.0"')


@pytest.mark.parametrize(
    ("name", "limit"), [("id", 256), ("source", 1024), ("type", 256), ("subject", 1024), ("traceparent", 256)]
)
def test_attributes_are_bounded_in_characters(name: str, limit: int) -> None:
    assert getattr(parse(structured(**{name: "é" * limit}), ()), name) == "é" * limit
    assert refusal(structured(**{name: "é" * (limit + 1)}))[0] == "invalid_envelope"


@pytest.mark.parametrize("data", [None, [], "text", 1, True])
def test_data_is_an_object(data: object) -> None:
    assert refusal(structured(data=data)) == ("invalid_data", "data must be a JSON object")
    assert refusal(orjson.dumps(data), binary()) == ("invalid_data", "data must be a JSON object")


def test_encoded_data_is_not_supported() -> None:
    without = {name: content for name, content in ENVELOPE.items() if name != "data"}
    reason, message = refusal(orjson.dumps({**without, "data_base64": "e30="}))
    assert reason == "invalid_data"
    assert message == "data_base64 is not supported: expected a JSON object in data"


@pytest.mark.parametrize("media_type", [b"application/xml", b"text/plain", b"json", b"application/jsonp", b""])
def test_data_that_is_declared_something_else_than_json_is_refused(media_type: bytes) -> None:
    expected = ("invalid_data", "datacontenttype must be a JSON media type")
    assert refusal(b"{}", binary(**{"content-type": media_type})) == expected
    assert refusal(structured(datacontenttype=media_type.decode())) == expected


@pytest.mark.parametrize("media_type", [b"application/cloudevents-batch+json", b"application/cloudevents+avro"])
def test_other_event_formats_are_refused(media_type: bytes) -> None:
    assert refusal(structured(), [("content-type", media_type)]) == (
        "invalid_envelope",
        "content-type must be application/cloudevents+json",
    )


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "correlationid", "ext"])
def test_nul_in_an_attribute_is_refused(name: str) -> None:
    assert refusal(structured(**{name: "a\0b"}))[0] == "invalid_envelope"
    assert refusal(b"{}", binary(**{f"ce_{name}": b"a\0b"}))[0] == "invalid_envelope"


@pytest.mark.parametrize("data", [{"a": "\0"}, {"\0": 1}, {"a": [{"b": ["x\0"]}]}])
def test_nul_anywhere_in_data_is_refused(data: object) -> None:
    expected = ("invalid_data", "data must not hold NUL or a lone surrogate")
    assert refusal(structured(data=data)) == expected
    assert refusal(orjson.dumps(data), binary()) == expected


def test_the_six_characters_of_an_escape_are_no_nul() -> None:
    assert parse(structured(data={"a": "\\u0000"}), ()).data == {"a": "\\u0000"}


def test_data_is_bounded_in_depth() -> None:
    deepest = nested(MAX_DEPTH)
    assert to_json(parse(deepest, binary())).endswith(b'"data":' + deepest + b"}")
    assert refusal(nested(MAX_DEPTH + 1), binary())[0] == "invalid_data"
    assert refusal(nested(1000), binary())[0] == "invalid_data"


@pytest.mark.parametrize("name", ["correlationId", "partition_key", "tenant-id", "", "é", "x\ny"])
def test_attribute_names_are_lower_case_letters_and_digits(name: str) -> None:
    reason, message = refusal(structured(**{name: "x"}))
    assert reason == "invalid_envelope"
    assert message == f"attribute {name!a} must be a free name of lower-case letters and digits"


@pytest.mark.parametrize("content", [1.5, [], {}, ["x"]])
def test_an_extension_is_a_text_an_integer_or_a_boolean(content: object) -> None:
    reason, message = refusal(structured(ext=content))
    assert reason == "invalid_envelope"
    assert message == "attribute 'ext' must be a text, integer or boolean"


def test_two_different_headers_of_one_name_are_refused() -> None:
    assert refusal(b"{}", [*binary(), ("CE_ID", b"e-2")]) == (
        "invalid_envelope",
        "header 'ce_id' must be given once",
    )
    assert parse(b"{}", [*binary(), ("CE_ID", b"e-1")]).id == "e-1"


def test_a_message_never_repeats_what_was_refused() -> None:
    private = "Jane Doe, 4929 1234"
    for value in (
        structured(time=private),
        structured(id=private * 20),
        structured(ext=[private]),
        structured(data={"a": private + "\0"}),
        structured() + private.encode(),
    ):
        with pytest.raises(InvalidEvent) as caught:
            parse(value, ())
        assert "Jane" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert private not in repr(parse(structured(data={"a": private}), ()))


@given(st.binary(max_size=60) | st.none(), st.lists(st.tuples(st.sampled_from(list(HEADERS)), st.binary())))
def test_no_bytes_whatever_raise_anything_but_invalid_event(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(InvalidEvent):
        parse(value, headers)


@pytest.mark.parametrize(
    "data",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 2**64},
        {"a": -(2**63) - 1},
        {"a": "\udc00"},
        {"a": ("x",)},
        {"a": {"x"}},
        {"a": b"x"},
        {1: "x"},
    ],
)
def test_an_event_that_could_not_be_written_cannot_be_built(data: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidEvent) as caught:
        Event(id="e", source="s", type="t", time=EVENT.time, data=data)
    assert caught.value.reason == "invalid_data"


@pytest.mark.parametrize(
    "time",
    [datetime(2024, 5, 1), datetime.fromisoformat("2024-05-01T12:00:00+02:00")],  # noqa: DTZ001
)
def test_an_event_is_built_with_a_time_in_utc(time: datetime) -> None:
    with pytest.raises(InvalidEvent, match="time must be in UTC"):
        Event(id="e", source="s", type="t", time=time, data={})


@pytest.mark.parametrize("name", ["id", "time", "data", "specversion", "subject"])
def test_an_extension_cannot_take_the_name_of_a_field(name: str) -> None:
    with pytest.raises(InvalidEvent, match="must be a free name"):
        Event(id="e", source="s", type="t", time=EVENT.time, data={}, extensions={name: "x"})


def test_an_event_is_written_in_one_order_only() -> None:
    event = parse(
        b'{"data":{"z":1,"a":[2.5,null]},"zone":"x","sampled":true,"causationid":"e-0","subject":"s",'
        b'"time":"2024-05-01T12:00:00.000000Z","type":"T","source":"/s","id":"e","specversion":"1.0"}',
        (),
    )
    assert to_json(event) == (
        b'{"specversion":"1.0","id":"e","source":"/s","type":"T","time":"2024-05-01T12:00:00Z","subject":"s",'
        b'"causationid":"e-0","sampled":true,"zone":"x","data":{"z":1,"a":[2.5,null]}}'
    )


def test_microseconds_are_written_when_there_are_some() -> None:
    event = parse(structured(time="2024-05-01T12:00:00.5Z"), ())
    assert orjson.loads(to_json(event))["time"] == "2024-05-01T12:00:00.500000Z"


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=10,
)
NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).map(lambda name: "x" + name)
EVENTS = st.builds(
    Event,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    time=st.datetimes(datetime(1970, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    data=st.dictionaries(TEXT, JSON, max_size=4),
    subject=st.none() | TEXT,
    correlationid=st.none() | TEXT,
    causationid=st.none() | TEXT,
    traceparent=st.none() | TEXT,
    extensions=st.dictionaries(NAMES, st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text("ab"), max_size=3),
)


@given(EVENTS)
def test_what_is_written_is_read_back_equal(event: Event) -> None:
    written = to_json(event)
    assert parse(written, ()) == event
    assert to_json(parse(written, ())) == written


# Messages made by someone else: the CloudEvents SDK.
FOREIGN = CloudEvent(
    attributes={
        "id": "e-1",
        "source": "/shop",
        "type": "PaymentSucceeded",
        "specversion": "1.0",
        "time": datetime(2024, 5, 1, 12, 0, 0, 250000, tzinfo=UTC),
        "datacontenttype": "application/json",
        "subject": "café",
        "correlationid": "c-1",
    },
    data={"order_id": "o-1", "note": "50 €"},
)
FOREIGN_AS_EVENT = Event(
    id="e-1",
    source="/shop",
    type="PaymentSucceeded",
    time=datetime(2024, 5, 1, 12, 0, 0, 250000, tzinfo=UTC),
    data={"order_id": "o-1", "note": "50 €"},
    subject="café",
    correlationid="c-1",
    extensions={"datacontenttype": "application/json"},
)


def test_messages_of_the_cloudevents_sdk_are_read_in_both_modes() -> None:
    for message in (kafka.to_structured_event(FOREIGN), kafka.to_binary_event(FOREIGN)):
        assert parse(message.value, tuple(message.headers.items())) == FOREIGN_AS_EVENT


def test_the_cloudevents_sdk_reads_what_is_written() -> None:
    message = kafka.KafkaMessage(headers={}, key=None, value=to_json(FOREIGN_AS_EVENT))
    event = kafka.from_structured_event(message)
    assert event.get_attributes() == FOREIGN.get_attributes()
    assert event.get_data() == FOREIGN.get_data()


@pytest.mark.parametrize(
    ("said", "depth"),
    [
        (0, 0),
        (16, 16),
        ("16", 16),
        ("007", 7),
        (10**6 + 1, 10**6),
        (2**63 - 1, 10**6),
        ("9" * 200, 10**6),
        (-1, 10**6),
        (True, 10**6),
        (False, 10**6),
        ("", 10**6),
        ("1.0", 10**6),
        ("+1", 10**6),
        ("\N{SUPERSCRIPT TWO}", 10**6),
        ("sixteen", 10**6),
    ],
)
def test_a_depth_is_read_as_said_and_what_is_none_counts_as_the_deepest(said: Any, depth: int) -> None:
    event = Event(
        id="e", source="s", type="T", time=datetime(2024, 5, 1, tzinfo=UTC), data={}, extensions={"chaindepth": said}
    )
    assert chain_depth(event) == depth
    assert chain_depth(parse(to_json(event), ())) == depth


def test_an_event_that_says_no_depth_begins_a_chain() -> None:
    assert chain_depth(Event(id="e", source="s", type="T", time=datetime(2024, 5, 1, tzinfo=UTC), data={})) == 0
