"""What is kept of a dead letter: all of it, or the beginning, length and hash of each part."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from outbox.records import DeadLetter, Origin
from outbox.truncation import HEADERS_BYTES, KEY_BYTES, VALUE_BYTES, WHOLE_BYTES, keep

LETTER = DeadLetter(
    consumer="router",
    reason="too_large",
    detail="",
    origin=Origin(topic="payments", partition=0, offset=0, at=datetime(2024, 5, 1, tzinfo=UTC)),
    key=None,
    value=None,
    headers=(),
)


@pytest.mark.parametrize(
    "letter",
    [
        LETTER,
        replace(LETTER, value=b"x" * WHOLE_BYTES),
        replace(LETTER, key=b"x" * WHOLE_BYTES),
        replace(LETTER, headers=(("h" * 100, b"x" * (WHOLE_BYTES - 108)),)),
    ],
)
def test_a_letter_up_to_the_bound_is_whole(letter: DeadLetter) -> None:
    kept = keep(letter)

    assert (kept.key, kept.value, kept.headers) == (letter.key, letter.value, letter.headers)
    assert kept.truncated == {}


def test_of_a_larger_one_each_long_part_is_cut_and_described() -> None:
    kept = keep(replace(LETTER, key=b"k" * 5_000, value=b"v" * WHOLE_BYTES, headers=(("h", b"x" * 20_000),)))

    assert kept.key == b"k" * KEY_BYTES
    assert kept.value == b"v" * VALUE_BYTES
    assert kept.headers == (("h", b"x" * (HEADERS_BYTES - 1)),)
    assert {part: one.bytes for part, one in kept.truncated.items()} == {
        "key": 5_000,
        "value": WHOLE_BYTES,
        "headers": 20_009,
    }
    assert kept.truncated["value"].sha256 == hashlib.sha256(b"v" * WHOLE_BYTES).hexdigest()
    assert kept.truncated["headers"].sha256 == hashlib.sha256(b"h\0" + b"x" * 20_000 + b"\0").hexdigest()


def test_short_parts_of_a_large_letter_are_whole() -> None:
    kept = keep(replace(LETTER, key=b"k", value=b"v" * (WHOLE_BYTES + 1), headers=(("h", b"x"),)))

    assert (kept.key, kept.headers) == (b"k", (("h", b"x"),))
    assert set(kept.truncated) == {"value"}


def test_a_million_empty_headers_are_bounded() -> None:
    kept = keep(replace(LETTER, headers=(("", b""),) * 1_000_000))

    assert len(kept.headers) == HEADERS_BYTES // 8


def test_a_header_name_is_cut_between_characters() -> None:
    kept = keep(replace(LETTER, headers=(("x" + "é" * WHOLE_BYTES, b"value"), ("next", b""))))

    assert kept.headers == (("x" + "é" * ((HEADERS_BYTES - 1) // 2), b""),)


def test_an_absent_key_or_value_stays_absent() -> None:
    kept = keep(replace(LETTER, headers=(("h", b"x" * WHOLE_BYTES),)))

    assert (kept.key, kept.value) == (None, None)
    assert set(kept.truncated) == {"headers"}
