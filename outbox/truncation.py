"""Truncation: what is kept of a dead letter, whose record may be as large as Kafka lets anything in.

A letter of up to `WHOLE_BYTES` is kept whole. Of a larger one the beginnings of its value, its headers and its key are
kept, and of each that is longer its length and SHA-256: enough to see what it was and to recognise the record, which
Kafka has at the letter's origin as long as it keeps it there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from outbox.records import DeadLetter

#: Above everything `MAX_EVENT_BYTES` can allow (900 KiB), so that whatever can be put back is whole; below the 1 MiB
#: that Kafka takes unless told otherwise, with room for where the letter came from.
WHOLE_BYTES: Final = 960 * 1024
#: What is kept of each part of a larger letter.
VALUE_BYTES: Final = 64 * 1024
HEADERS_BYTES: Final = 16 * 1024
KEY_BYTES: Final = 4 * 1024
#: What is kept of the line for a person, in characters.
DETAIL_CHARACTERS: Final = 2000
#: What a header costs besides its name and value: about what the brackets and quotes around it do.
_HEADER_OVERHEAD: Final = 8

Headers = tuple[tuple[str, bytes], ...]
Part = Literal["key", "value", "headers"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Truncated:
    """What is known of a part that is not kept whole. The hash of headers is of names and values, each ended by NUL."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is kept of a letter."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    #: The parts of which this is only the beginning; none of a letter that is whole.
    truncated: Mapping[Part, Truncated]


def keep(letter: DeadLetter) -> Kept:
    """Say what is kept of a letter."""
    parts: Mapping[Part, int] = {
        "key": len(letter.key or b""),
        "value": len(letter.value or b""),
        "headers": sum(map(_size, letter.headers)),
    }
    if sum(parts.values()) <= WHOLE_BYTES:
        return Kept(key=letter.key, value=letter.value, headers=letter.headers, truncated={})
    limits: Mapping[Part, int] = {"key": KEY_BYTES, "value": VALUE_BYTES, "headers": HEADERS_BYTES}
    return Kept(
        key=None if letter.key is None else letter.key[:KEY_BYTES],
        value=None if letter.value is None else letter.value[:VALUE_BYTES],
        headers=_beginning(letter.headers),
        truncated={
            part: Truncated(bytes=size, sha256=_sha256(letter, part))
            for part, size in parts.items()
            if size > limits[part]
        },
    )


def _beginning(headers: Headers) -> Headers:
    kept: list[tuple[str, bytes]] = []
    room = HEADERS_BYTES
    for name, value in headers:
        if room <= 0:
            break
        beginning = _encoded(name)[:room].decode("utf-8", "ignore")
        kept.append((beginning, value[: max(0, room - len(_encoded(name)))]))
        room -= _size((name, value))
    return tuple(kept)


def _size(header: tuple[str, bytes]) -> int:
    name, value = header
    return len(_encoded(name)) + len(value) + _HEADER_OVERHEAD


def _sha256(letter: DeadLetter, part: Part) -> str:
    content: Mapping[Part, Sequence[bytes]] = {
        "key": [letter.key or b""],
        "value": [letter.value or b""],
        "headers": [text + b"\0" for name, value in letter.headers for text in (_encoded(name), value)],
    }
    digest = hashlib.sha256()
    for piece in content[part]:
        digest.update(piece)
    return digest.hexdigest()


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "backslashreplace")
