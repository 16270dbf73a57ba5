"""What is read quickly, because it looks as most events do, is read as everything else is.

An attribute that is null counts as absent. So forty of them change nothing of an event; but nobody sends as many, and
what has them is read the general way.
"""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tables.event import Event, Headers, InvalidEvent, parse, parse_and_write, to_json
from tables.storable import MAX_DEPTH

UNUSUAL = {f"none{number}": None for number in range(40)}
ENVELOPE = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop",
    "type": "PaymentSucceeded",
    "time": "2024-05-01T12:00:00Z",
    "data": {"order_id": "o-1"},
}
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"), ("innervate_origin", b"payments/0/7"))

BINARY = {
    "specversion": b"1.0",
    "id": b"e-1",
    "source": b"/shop",
    "type": b"PaymentSucceeded",
    "time": b"2024-05-01T12:00:00Z",
}

Read = tuple[Event, bytes] | tuple[str, str]


def read(value: bytes, headers: Headers = ()) -> Read:
    """The event and how it is written, or the reason and the message."""
    try:
        return parse_and_write(value, headers)
    except InvalidEvent as error:
        return error.reason, str(error)


def spelled(envelope: dict[str, Any], *, is_ascii: bool, is_spaced: bool) -> bytes:
    separators = (", ", ": ") if is_spaced else (",", ":")
    return json.dumps(envelope, ensure_ascii=is_ascii, separators=separators).encode("utf-8", "surrogatepass")


def json_bytes(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")


def nested(steps: int, bottom: object) -> object:
    for _ in range(steps):
        bottom = [bottom]
    return bottom


TEXTS = st.sampled_from(
    ["x", "é", "€ 🙂", "", "\0", "a\0b", "\ud83d", "\\u0000", "\\ud83d", "n" * 256, "n" * 257, "n" * 1025]
)
STRANGE = st.sampled_from(
    [None, True, False, 0, 7, -1, 2**63, 2**64, -(2**63) - 1, 1.5, 1e300, [], {}, ["x"], {"a": 1}]
)
VALUES = TEXTS | STRANGE
TIMES = st.sampled_from(
    [
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00.5Z",
        "2024-05-01T12:00:00.500000Z",
        "2024-05-01T12:00:00.000000Z",
        "2024-05-01T12:00:00.123456789Z",
        "2024-05-01t12:00:00z",
        "2024-05-01 12:00:00Z",
        "2024-05-01T14:00:00+02:00",
        "2024-05-01T12:00:00+00:00",
        "2024-05-01T12:00:00-00:00",
        "2024-02-30T12:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "soon",
    ]
)
DATA = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
ATTRIBUTES = {
    "specversion": st.sampled_from(["1.0", "0.3", 1.0]),
    "id": VALUES,
    "source": VALUES,
    "type": VALUES,
    "time": TIMES | VALUES,
    "subject": VALUES,
    "correlationid": VALUES,
    "causationid": VALUES,
    "traceparent": VALUES,
    "chaindepth": VALUES,
    "partitionkey": VALUES,
    "datacontenttype": st.sampled_from(["application/json", "text/plain", "application/x+json; v=1"]) | VALUES,
    "data_base64": VALUES,
    "Upper": VALUES,
    "": VALUES,
    "data": st.dictionaries(TEXTS, DATA, max_size=4) | DATA,
}


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """Envelopes with a few things changed, in any order or in the usual one."""
    envelope: dict[str, Any] = dict(ENVELOPE)
    for name in draw(st.lists(st.sampled_from(list(ATTRIBUTES)), max_size=4)):
        envelope[name] = draw(ATTRIBUTES[name])
    if draw(st.booleans()):
        envelope["data"] = envelope.pop("data")
    if draw(st.integers(0, 3)) == 0:
        envelope = {name: envelope[name] for name in draw(st.permutations(list(envelope)))}
    if draw(st.integers(0, 9)) == 0:
        del envelope[draw(st.sampled_from(list(envelope)))]
    return envelope


@given(envelope=envelopes(), is_ascii=st.booleans(), is_spaced=st.booleans())
@example(envelope={**ENVELOPE, "data": {"a": "🙂"}}, is_ascii=True, is_spaced=False)
@example(envelope={**ENVELOPE, "data": {"a": "\ud83d"}}, is_ascii=True, is_spaced=False)
@example(envelope={**ENVELOPE, "data": {"a": "\0"}}, is_ascii=False, is_spaced=True)
@example(envelope={**ENVELOPE, "data": {"a": nested(MAX_DEPTH - 1, 1)}}, is_ascii=False, is_spaced=False)
@example(envelope={**ENVELOPE, "data": {"a": nested(MAX_DEPTH, 1)}}, is_ascii=False, is_spaced=False)
@example(envelope={**ENVELOPE, "data": {"a": nested(MAX_DEPTH, [])}}, is_ascii=False, is_spaced=False)
@example(envelope={**ENVELOPE, "data": {"a": [[]] * 100}}, is_ascii=False, is_spaced=False)
def test_what_looks_as_most_events_do_is_read_as_everything_else_is(
    envelope: dict[str, Any], is_ascii: bool, is_spaced: bool
) -> None:
    usual = read(spelled(envelope, is_ascii=is_ascii, is_spaced=is_spaced))
    assert usual == read(spelled({**envelope, **UNUSUAL}, is_ascii=is_ascii, is_spaced=is_spaced))


@given(
    value=DATA.map(json_bytes) | st.just(b'{"a":"\\u0000"}') | st.just(b"{}"),
    attributes=st.dictionaries(
        st.sampled_from(["specversion", "id", "source", "type", "time", "subject", "zone", "data", "a-b"]),
        st.sampled_from([b"1.0", b"x", b"", b"\0", b"\xff", "é".encode(), b"2024-05-01T12:00:00.000000Z", b"n" * 1025]),
        max_size=3,
    ),
)
def test_binary_mode_is_read_in_one_way_whatever_attributes_it_has(value: bytes, attributes: dict[str, bytes]) -> None:
    headers = [(f"ce_{name}", content) for name, content in {**BINARY, **attributes}.items()]
    # An optional attribute that is empty counts as absent, and is read the general way.
    assert read(value, headers) == read(value, [*headers, ("ce_traceparent", b"")])


@given(envelope=envelopes(), is_spaced=st.booleans())
def test_what_is_written_again_on_reading_is_what_writing_the_event_gives(
    envelope: dict[str, Any], is_spaced: bool
) -> None:
    value = spelled(envelope, is_ascii=False, is_spaced=is_spaced)
    found = read(value)
    if isinstance(found[0], str):
        with pytest.raises(InvalidEvent) as caught:
            parse(value, ())
        assert (caught.value.reason, str(caught.value)) == found
        return
    event = parse(value, ())
    assert found == (event, to_json(event))
    assert parse_and_write(to_json(event), STRUCTURED) == found


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (
            b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z","data":{"a":1}}',
            b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z","data":{"a":1}}',
        ),
        (
            (
                b'{"specversion": "1.0", "id": "e", "source": "s", "type": "T", "time": "2024-05-01T14:00:00.50+02:00",'
                b' "data": {"a": 1.0, "b": "\\u00e9\\/", "a": 2}}'
            ),
            (
                b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00.500000Z",'
                b'"data":{"a":2,"b":"\xc3\xa9/"}}'
            ),
        ),
        (
            b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00.000000Z","data":{}}',
            b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z","data":{}}',
        ),
        (
            (
                b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z",'
                b'"zone":"z","chaindepth":3,"data":{}}'
            ),
            (
                b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z",'
                b'"chaindepth":3,"zone":"z","data":{}}'
            ),
        ),
        (
            (
                b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z",'
                b'"subject":"","causationid":null,"zone":null,"data":{}}'
            ),
            b'{"specversion":"1.0","id":"e","source":"s","type":"T","time":"2024-05-01T12:00:00Z","data":{}}',
        ),
    ],
)
def test_an_event_is_written_in_one_way_however_it_was_spelled(value: bytes, written: bytes) -> None:
    assert parse_and_write(value, ())[1] == written


def test_what_is_read_quickly_cannot_be_changed_and_equals_what_is_built() -> None:
    event = parse(orjson.dumps({**ENVELOPE, "subject": "o-1", "zone": "z"}), ())
    built = Event(
        id="e-1",
        source="/shop",
        type="PaymentSucceeded",
        time=datetime(2024, 5, 1, 12, tzinfo=UTC),
        data={"order_id": "o-1"},
        subject="o-1",
        extensions={"zone": "z"},
    )
    assert event == built
    assert repr(event) == repr(built)
    with pytest.raises(AttributeError):
        event.id = "e-2"  # type: ignore[misc]
