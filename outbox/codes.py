"""Codes: which code an agent decides by, one row for each that ever did; decisions name it by its id.

A worker adds what it runs before it decides, and reads the ids of what is there; two workers that start at once get the
same id for the same code. A decision without one is of a worker of before migration 0015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from outbox.database import Database, queries

_SQL: Final = queries("codes.sql")

#: The columns that tell one code from another, as people are told of them.
TOLD_APART: Final = ("version", "rules_hash", "settings_hash", "release", "libraries")


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """What one agent decides by."""

    #: As in `decisions.agent`: of a shadow with its label.
    agent: str
    #: What the agent declares; empty when it declares none.
    version: str
    #: SHA-256 of its rules, in hex.
    rules_hash: str
    #: SHA-256 of the settings that its judgement depends on, in hex.
    settings_hash: str
    #: These settings; nothing secret.
    settings: Mapping[str, Any]
    #: SHA-256 of the modules that `rules_hash` covers, by their names.
    sources: Mapping[str, str]
    #: Which Innervate it runs on.
    release: str
    #: Versions of Python and of the libraries that its rules use.
    libraries: Mapping[str, str]


async def register(database: Database, codes: Sequence[Code]) -> Mapping[str, int]:
    """Add the codes that are new; the ids of all of them by agent. Raises like `Database.run`."""
    ids: dict[str, int] = {}
    for code in codes:
        parameters = {
            "agent": code.agent,
            "version": code.version,
            "rules_hash": code.rules_hash,
            "settings_hash": code.settings_hash,
            "settings": _json(code.settings),
            "sources": _json(code.sources),
            "release": code.release,
            "libraries": _json(code.libraries),
        }
        found = await database.run(_SQL["register_code"], parameters)
        # What another worker added meanwhile is seen by the next statement only.
        [row] = found or await database.run(_SQL["register_code"], parameters)
        ids[code.agent] = row.id
    return ids


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
