"""Event: the CloudEvents 1.0 envelope every message travels in.

An `Event` that exists is valid: it can be written as JSON, stored by PostgreSQL and read back equal.
Reading or building one fails with `InvalidEvent`, whose reason says what kind of dead letter the message
becomes. Its message names the place and what was expected, never the value: personal data stays out of logs.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Self

import orjson

from tables.attributes import NAME, OPTIONAL, REQUIRED, RESERVED, Layout, layout_of
from tables.errors import Permanent
from tables.storable import is_integer, is_storable, is_surely_storable, problem_of

Reason = Literal[
    "tombstone", "too_large", "unreadable", "invalid_utf8", "invalid_json", "invalid_envelope", "invalid_data"
]

#: Kafka record headers as the client hands them over; a header may have no value.
Headers = Sequence[tuple[str, bytes | None]]

#: The extension that says how many decisions of agents lie between an event and one from outside.
CHAIN_DEPTH: Final = "chaindepth"
#: What stands for every depth that is larger, and for what is no depth: no chain begins anew by a forged one.
MAX_CHAIN_DEPTH: Final = 1_000_000

_JSON_MEDIA_TYPE: Final = re.compile(r"[^/\s;]+/(?:[^/\s;]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
#: What JSON gives of the values that an extension can have.
_EXTENSION_TYPES: Final = frozenset({str, int, bool})
#: Leaves room on both sides to add or subtract the age of a window without leaving datetime's range.
_YEARS: Final = range(1970, 9999)


class InvalidEvent(Permanent):
    """A message that is no event and never becomes one by trying again: a dead letter."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Take the machine-readable reason and a sentence saying where and what was expected."""
        super().__init__(message)
        self.reason: Reason = reason


class Unreadable(bytes):
    """Stands where a record's value would be: the raw bytes of what Kafka has there, which follow no layout."""

    #: What is wrong with them.
    problem: str

    def __new__(cls, raw: bytes, problem: str) -> Self:
        """Take the bytes and one line for a person, without any of them."""
        made = super().__new__(cls, raw)
        made.problem = problem
        return made


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A fact in its CloudEvents 1.0 envelope. Raises `InvalidEvent` when it breaks a rule below.

    Texts hold no NUL and no lone surrogate. Lengths are in characters.
    """

    #: With the source it identifies the event for ever, 1 to 256 characters; a copy carries the same two.
    id: str
    #: The producer, 1 to 1024 characters.
    source: str
    #: The bare name of what happened, 1 to 256 characters: `ServiceDeployed`.
    type: str
    #: When it happened, in UTC, years 1970 to 9998.
    time: datetime
    #: What happened: a JSON object of plain dicts, lists, texts, numbers, booleans and nulls.
    data: Mapping[str, Any] = field(repr=False)
    #: 1 to 1024 characters, or None.
    subject: str | None = None
    #: Groups the events of one story, 1 to 256 characters, or None.
    correlationid: str | None = None
    #: The id of the event that caused this one, or None. It does not say of which source.
    causationid: str | None = None
    #: W3C Trace Context, carried on unread; at most 256 characters, or None.
    traceparent: str | None = None
    #: Every other attribute, carried on as it came (`datacontenttype`, `dataschema`, extensions).
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Source and id: what tells this event from every other."""
        return self.source, self.id

    def __post_init__(self) -> None:
        """Check every rule, so that nobody has to check again."""
        for name, limit in REQUIRED.items():
            _check_text(name, getattr(self, name), limit)
        for name, limit in OPTIONAL.items():
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name), limit)
        if self.time.utcoffset() != timedelta(0) or self.time.year not in _YEARS:
            raise InvalidEvent("invalid_envelope", "time must be in UTC, between the years 1970 and 9998")
        _check_extensions(self.extensions)
        if (problem := problem_of(self.data)) is not None:
            raise InvalidEvent("invalid_data", problem)


def parse(value: bytes | None, headers: Headers) -> Event:
    """Read a Kafka message as an event, in structured or binary content mode.

    A content-type of `application/cloudevents+json` means structured mode; else any `ce_` header means binary
    mode (value = data, content-type = its media type); else the value is read as structured. Other headers
    are ignored. Source: CloudEvents Kafka protocol binding 1.0.2, section 3.

    An attribute that is null, or optional and empty, counts as absent. Extensions of binary mode are texts.
    An integer of `data` beyond 64 bits becomes the nearest double; of two equal keys the last one holds.

    Raises `InvalidEvent`.
    """
    return _read(value, headers)[0]


def parse_and_write(value: bytes | None, headers: Headers) -> tuple[Event, bytes]:
    """Read a Kafka message as `parse` does; returns the event, and the same bytes that `to_json` gives for it.

    Cheaper than both: what came in the order in which it is written is not put together again. Raises `InvalidEvent`.
    """
    event, document = _read(value, headers)
    return event, to_json(event) if document is None else orjson.dumps(document)


def _read(value: bytes | None, headers: Headers) -> tuple[Event, dict[str, Any] | None]:
    """The event, and the document that `to_json` would write for it, if there is one already."""
    if value is None:
        raise InvalidEvent("tombstone", "value is null: expected a CloudEvent")
    if isinstance(value, Unreadable):
        raise InvalidEvent("unreadable", value.problem)
    content_type, attributes = _read_headers(headers) if headers else (None, {})
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        if media_type != "application/cloudevents+json":
            raise InvalidEvent("invalid_envelope", "content-type must be application/cloudevents+json")
        return _read_structured(value)
    if not attributes:
        return _read_structured(value)
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return _read_binary(value, attributes)


def source_of(payload: bytes) -> str | None:
    """The source of an event in structured JSON, without checking anything else; None when it cannot be read."""
    return _attribute(payload, "source")


def type_of(payload: bytes | None) -> str | None:
    """The type of an event in structured JSON, without checking anything else; None when it cannot be read."""
    return _attribute(payload or b"", "type")


def _attribute(payload: bytes, name: str) -> str | None:
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else None


def chain_depth(event: Event) -> int:
    """How many decisions of agents led to the event, as it says itself: 0 without a word, 0 to `MAX_CHAIN_DEPTH`."""
    said = event.extensions.get(CHAIN_DEPTH, 0)
    if isinstance(said, str) and said.isascii() and said.isdecimal() and len(said) < len(str(MAX_CHAIN_DEPTH)):
        said = int(said)  # in binary mode every extension is a text
    is_depth = isinstance(said, int) and not isinstance(said, bool) and said >= 0
    return min(int(said), MAX_CHAIN_DEPTH) if is_depth else MAX_CHAIN_DEPTH


def to_json(event: Event) -> bytes:
    """Write an event as structured JSON, always the same bytes for the same event.

    `specversion` first, then the attributes in a fixed order, extensions by name, `data` last in its order.
    The time ends in `Z` and has microseconds only when they are not zero. Reading it gives an equal event.
    """
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": _written_time(event.time),
    }
    if event.subject is not None:
        document["subject"] = event.subject
    if event.correlationid is not None:
        document["correlationid"] = event.correlationid
    if event.causationid is not None:
        document["causationid"] = event.causationid
    if event.traceparent is not None:
        document["traceparent"] = event.traceparent
    if event.extensions:
        document.update(sorted(event.extensions.items()))
    document["data"] = event.data
    return orjson.dumps(document)


def _read_headers(headers: Headers) -> tuple[str | None, dict[str, Any]]:
    texts: dict[str, str] = {}
    for key, raw in headers:
        name = key.lower()
        if raw is None or not (name == "content-type" or name.startswith("ce_")):
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = _decode(f"header {_shown(name)}", raw)
        if texts.setdefault(name, text) != text:
            raise InvalidEvent("invalid_envelope", f"header {_shown(name)} must be given once")
    content_type = texts.pop("content-type", None)
    return content_type, {name.removeprefix("ce_"): text for name, text in texts.items()}


def _read_structured(value: bytes) -> tuple[Event, dict[str, Any] | None]:
    envelope = _load_object(value, "invalid_envelope", "value must be a JSON object: a structured CloudEvent")
    if is_surely_storable(value) and (known := _known(envelope)):
        return known
    if envelope.pop("data_base64", None) is not None:
        raise InvalidEvent("invalid_data", "data_base64 is not supported: expected a JSON object in data")
    return _build(envelope, envelope.pop("data", None)), None


def _read_binary(value: bytes, attributes: dict[str, Any]) -> tuple[Event, dict[str, Any] | None]:
    data = _load_object(value, "invalid_data", "data must be a JSON object")
    is_free = "data" not in attributes and all(map(is_storable, attributes.values()))
    if is_free and is_surely_storable(value) and (known := _known({**attributes, "data": data})):
        return known
    return _build(attributes, data), None


def _known(envelope: dict[str, Any]) -> tuple[Event, dict[str, Any] | None] | None:
    """The event in a storable envelope that is as most are; None when it is left to the general way."""
    layout = layout_of(envelope)
    event = None if layout is None else _usual(envelope, layout)
    if layout is None or event is None:
        return None
    return event, envelope if layout.is_as_written(envelope) else None


def _usual(envelope: Mapping[str, Any], layout: Layout) -> Event | None:
    event_id, source, kind, data = envelope["id"], envelope["source"], envelope["type"], envelope["data"]
    if not (
        type(event_id) is type(source) is type(kind) is str
        and 0 < len(event_id) <= REQUIRED["id"]
        and 0 < len(source) <= REQUIRED["source"]
        and 0 < len(kind) <= REQUIRED["type"]
        and type(data) is dict
        and envelope["specversion"] == "1.0"
    ):
        return None
    for name, limit in layout.optional:
        text = envelope[name]
        if type(text) is not str or not 0 < len(text) <= limit:
            return None
    extensions = {name: envelope[name] for name in layout.extensions}
    if extensions:
        if any(type(content) not in _EXTENSION_TYPES for content in extensions.values()):
            return None
        if not _JSON_MEDIA_TYPE.fullmatch(str(extensions.get("datacontenttype", "application/json"))):
            return None
    time = _parse_time(envelope["time"])
    if time.year not in _YEARS:
        return None
    get = envelope.get
    optional = get("subject"), get("correlationid"), get("causationid"), get("traceparent")
    return _made(event_id, source, kind, time, data, *optional, extensions)


def _made(*values: Any) -> Event:
    """An event of values, in the order of its fields, that follow every rule: nothing is checked again."""
    event = Event.__new__(Event)
    for put, value in zip(_PUT, values, strict=True):
        put(event, value)
    return event


#: Set the fields of an event, which is frozen, in their order.
_PUT: Final = tuple(getattr(Event, each.name).__set__ for each in fields(Event))


def _load_object(value: bytes, reason: Reason, expected: str) -> dict[str, Any]:
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        # orjson has one message for bytes that are not UTF-8 and several for the rest: ask the codec itself.
        _decode("value", value)
        problem = f"value must be JSON: {error.msg} at character {error.pos}"
        raise InvalidEvent("invalid_json", problem) from None
    if not isinstance(document, dict):
        raise InvalidEvent(reason, expected)
    return document


def _decode(where: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidEvent("invalid_utf8", f"{where} must be UTF-8: byte {error.start} is not") from None


def _build(attributes: dict[str, Any], data: Mapping[str, Any]) -> Event:
    if attributes.pop("specversion", None) != "1.0":
        raise InvalidEvent("invalid_envelope", 'specversion must be "1.0"')
    time = _parse_time(attributes.pop("time", None))
    required = {name: attributes.pop(name, None) for name in REQUIRED}
    optional = {name: attributes.pop(name, None) for name in OPTIONAL}
    return Event(
        **required,
        **{name: value for name, value in optional.items() if value != ""},
        time=time,
        data=data,
        extensions={name: value for name, value in attributes.items() if value is not None},
    )


def _parse_time(text: object) -> datetime:
    time = read_time(text)
    if time is None:
        raise InvalidEvent("invalid_envelope", "time must be an RFC 3339 time with a zone")
    return time


def read_time(text: object) -> datetime | None:
    """The time, UTC, that an RFC 3339 text with a zone says; None for anything else."""
    if isinstance(text, str) and _RFC3339.fullmatch(text):
        try:
            # fromisoformat drops the digits beyond microseconds.
            time = datetime.fromisoformat(text if text[-1] == "Z" else text.upper())
            return time if time.tzinfo is UTC else time.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    return None


def _written_time(time: datetime) -> str:
    return time.isoformat().removesuffix("+00:00") + "Z"


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= limit or not is_storable(value):
        raise InvalidEvent("invalid_envelope", f"{name} must be a text of 1 to {limit} characters without NUL")


def _check_extensions(extensions: Mapping[str, object]) -> None:
    for name, value in extensions.items():
        if not NAME.fullmatch(name) or name in RESERVED:
            problem = "must be a free name of lower-case letters and digits"
        elif isinstance(value, str):
            problem = "" if is_storable(value) else "must not hold NUL or a lone surrogate"
        else:
            problem = "" if is_integer(value) else "must be a text, integer or boolean"
        if problem:
            raise InvalidEvent("invalid_envelope", f"attribute {_shown(name)} {problem}")
    if not _JSON_MEDIA_TYPE.fullmatch(str(extensions.get("datacontenttype", "application/json"))):
        raise InvalidEvent("invalid_data", "datacontenttype must be a JSON media type")


def _shown(name: str) -> str:
    return ascii(name[:40])
