"""Event: the CloudEvents 1.0 envelope every message travels in.

An `Event` that exists is valid: it can be written as JSON, stored by PostgreSQL and read back equal.
Reading or building one fails with `InvalidEvent`, whose reason says what kind of dead letter the message
becomes. Its message names the place and what was expected, never the value: personal data stays out of logs.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final, Literal, Self

import orjson

from tables.errors import Permanent

Reason = Literal[
    "tombstone", "too_large", "unreadable", "invalid_utf8", "invalid_json", "invalid_envelope", "invalid_data"
]

#: Kafka record headers as the client hands them over; a header may have no value.
Headers = Sequence[tuple[str, bytes | None]]

#: Steps from `data` down to its deepest value. orjson 3.13 reads 1,024 levels but writes only 254 (measured).
MAX_DEPTH: Final = 64

_REQUIRED: Final = {"id": 256, "source": 1024, "type": 256}
_OPTIONAL: Final = {"subject": 1024, "correlationid": 256, "causationid": 256, "traceparent": 256}
#: Names an extension must not take: they are fields here or have a meaning of their own in CloudEvents.
_RESERVED: Final = frozenset({*_REQUIRED, *_OPTIONAL, "specversion", "time", "data"})

#: The extension that says how many decisions of agents lie between an event and one from outside.
CHAIN_DEPTH: Final = "chaindepth"
#: What stands for every depth that is larger, and for what is no depth: no chain begins anew by a forged one.
MAX_CHAIN_DEPTH: Final = 1_000_000

_NAME: Final = re.compile(r"[a-z0-9]+")
_JSON_MEDIA_TYPE: Final = re.compile(r"[^/\s;]+/(?:[^/\s;]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
#: What JSON can escape but PostgreSQL's text and jsonb cannot hold: NUL and lone surrogates.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: The integers orjson reads and writes: signed or unsigned, 64 bits.
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1
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
        for name, limit in _REQUIRED.items():
            _check_text(name, getattr(self, name), limit)
        for name, limit in _OPTIONAL.items():
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name), limit)
        if self.time.utcoffset() != timedelta(0) or self.time.year not in _YEARS:
            raise InvalidEvent("invalid_envelope", "time must be in UTC, between the years 1970 and 9998")
        _check_extensions(self.extensions)
        _check_data(self.data)


def parse(value: bytes | None, headers: Headers) -> Event:
    """Read a Kafka message as an event, in structured or binary content mode.

    A content-type of `application/cloudevents+json` means structured mode; else any `ce_` header means binary
    mode (value = data, content-type = its media type); else the value is read as structured. Other headers
    are ignored. Source: CloudEvents Kafka protocol binding 1.0.2, section 3.

    An attribute that is null, or optional and empty, counts as absent. Extensions of binary mode are texts.
    An integer of `data` beyond 64 bits becomes the nearest double; of two equal keys the last one holds.

    Raises `InvalidEvent`.
    """
    if value is None:
        raise InvalidEvent("tombstone", "value is null: expected a CloudEvent")
    if isinstance(value, Unreadable):
        raise InvalidEvent("unreadable", value.problem)
    content_type, attributes = _read_headers(headers)
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        if media_type != "application/cloudevents+json":
            raise InvalidEvent("invalid_envelope", "content-type must be application/cloudevents+json")
        return _parse_structured(value)
    if not attributes:
        return _parse_structured(value)
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return _build(attributes, _load_object(value, "invalid_data", "data must be a JSON object"))


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
    document: dict[str, Any] = {"specversion": "1.0"}
    document.update((name, getattr(event, name)) for name in _REQUIRED)
    document["time"] = event.time.isoformat().replace("+00:00", "Z")
    document.update((name, getattr(event, name)) for name in _OPTIONAL if getattr(event, name) is not None)
    document.update(sorted(event.extensions.items()))
    document["data"] = event.data
    return orjson.dumps(document)


def _read_headers(headers: Headers) -> tuple[str | None, dict[str, Any]]:
    texts: dict[str, str] = {}
    for key, raw in headers:
        name = key.lower()
        if raw is None or not (name == "content-type" or name.startswith("ce_")):
            continue
        text = _decode(f"header {_shown(name)}", raw)
        if texts.setdefault(name, text) != text:
            raise InvalidEvent("invalid_envelope", f"header {_shown(name)} must be given once")
    content_type = texts.pop("content-type", None)
    return content_type, {name.removeprefix("ce_"): text for name, text in texts.items()}


def _parse_structured(value: bytes) -> Event:
    envelope = _load_object(value, "invalid_envelope", "value must be a JSON object: a structured CloudEvent")
    if envelope.pop("data_base64", None) is not None:
        raise InvalidEvent("invalid_data", "data_base64 is not supported: expected a JSON object in data")
    return _build(envelope, envelope.pop("data", None))


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
    required = {name: attributes.pop(name, None) for name in _REQUIRED}
    optional = {name: attributes.pop(name, None) for name in _OPTIONAL}
    return Event(
        **required,
        **{name: value for name, value in optional.items() if value != ""},
        time=time,
        data=data,
        extensions={name: value for name, value in attributes.items() if value is not None},
    )


def _parse_time(text: object) -> datetime:
    if isinstance(text, str) and _RFC3339.fullmatch(text):
        with suppress(ValueError, OverflowError):
            # fromisoformat drops the digits beyond microseconds.
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise InvalidEvent("invalid_envelope", "time must be an RFC 3339 time with a zone")


def _check_text(name: str, value: object, limit: int) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= limit or _UNSTORABLE.search(value):
        raise InvalidEvent("invalid_envelope", f"{name} must be a text of 1 to {limit} characters without NUL")


def _check_extensions(extensions: Mapping[str, object]) -> None:
    for name, value in extensions.items():
        if not _NAME.fullmatch(name) or name in _RESERVED:
            problem = "must be a free name of lower-case letters and digits"
        elif isinstance(value, str):
            problem = "must not hold NUL or a lone surrogate" if _UNSTORABLE.search(value) else ""
        else:
            problem = "" if _is_integer(value) else "must be a text, integer or boolean"
        if problem:
            raise InvalidEvent("invalid_envelope", f"attribute {_shown(name)} {problem}")
    if not _JSON_MEDIA_TYPE.fullmatch(str(extensions.get("datacontenttype", "application/json"))):
        raise InvalidEvent("invalid_data", "datacontenttype must be a JSON media type")


def _check_data(data: object) -> None:
    if not isinstance(data, dict):
        raise InvalidEvent("invalid_data", "data must be a JSON object")
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                for key in node:
                    _check_leaf(key if isinstance(key, str) else object())
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
            else:
                _check_leaf(node)
        if not below:
            return
        level = below
    raise InvalidEvent("invalid_data", f"data must not hold a value more than {MAX_DEPTH} levels down")


def _check_leaf(leaf: object) -> None:
    if isinstance(leaf, str):
        if _UNSTORABLE.search(leaf):
            raise InvalidEvent("invalid_data", "data must not hold NUL or a lone surrogate")
    elif isinstance(leaf, float):
        if not isfinite(leaf):
            raise InvalidEvent("invalid_data", "data must hold finite numbers only")
    elif leaf is not None and not _is_integer(leaf):
        raise InvalidEvent("invalid_data", "data must be plain JSON with integers of 64 bits")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and _INTEGER_MIN <= value <= _INTEGER_MAX


def _shown(name: str) -> str:
    return ascii(name[:40])
