"""Statements: the SQL of `outbox/sql`, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_NAMED_QUERY: Final = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def queries(filename: str) -> Mapping[str, str]:
    """Read the named statements (`-- name: x`) of one file in `outbox/sql`."""
    text = resources.files("outbox").joinpath("sql", filename).read_text(encoding="utf-8")
    return {name: statement.strip() for name, statement in _NAMED_QUERY.findall(text)}
