"""Contents: keys, values and headers of records, as bytes that anybody may have written."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal

from app.reads.shapes import Shape
from outbox.parameters import headers_from


class Bytes(Shape):
    """Bytes as they came: as the text they are, or in base64 when they are none."""

    encoding: Literal["utf-8", "base64"]
    text: str


class Header(Shape):
    """A header of a record."""

    name: str
    value: Bytes


def told_bytes(stored: memoryview | None) -> Bytes | None:
    """What PostgreSQL has; None for none."""
    return None if stored is None else _told(bytes(stored))


def told_headers(stored: Any) -> Sequence[Header]:
    """Headers as they are kept in a row."""
    return [Header(name=name, value=_told(content)) for name, content in headers_from(stored)]


def _told(content: bytes) -> Bytes:
    try:
        return Bytes(encoding="utf-8", text=content.decode())
    except UnicodeDecodeError:
        return Bytes(encoding="base64", text=base64.b64encode(content).decode())
