"""Statements: the SQL of `outbox/sql`, by name.

A file holds statements (`-- name: x`) and parts that several of them share (`-- part: y`, used as `{y}`), such as a
list of columns: one that is added is added once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_NAMED: Final = re.compile(r"^-- (name|part): (\w+)\n(.*?)(?=^-- (?:name|part): |\Z)", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)
_USE: Final = re.compile(r"\{(\w+)\}")


def queries(filename: str) -> Mapping[str, str]:
    """Read the named statements of one file in `outbox/sql`, their parts in place.

    Raises FileNotFoundError, or KeyError for a part that is not in the file.
    """
    text = resources.files("outbox").joinpath("sql", filename).read_text(encoding="utf-8")
    found = [(kind, name, body.strip()) for kind, name, body in _NAMED.findall(text)]
    parts = {name: _COMMENT.sub("", body) for kind, name, body in found if kind == "part"}
    return {name: _USE.sub(lambda use: parts[use[1]], body) for kind, name, body in found if kind == "name"}
