"""Rows as plain tuples, for expectations that are written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outbox.database import Row


def values(rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """The values of each row in the order of the statement's columns."""
    return [tuple(row._asdict().values()) for row in rows]
