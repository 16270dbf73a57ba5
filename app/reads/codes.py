"""Codes: by which code agents decided, since when and until when, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

from pydantic import AwareDatetime

from app.reads.shapes import NotFound, PageQuery, Shape, Term, asked, cut, digits
from outbox.codes import TOLD_APART
from outbox.database import Database, Row, queries

_SQL: Final = queries("codes.sql")

#: The largest id: it is PostgreSQL's `integer`.
MOST_CODES: Final = 2**31 - 1

CodeId = Annotated[int, digits(1, MOST_CODES)]


class CodesQuery(PageQuery):
    """Codes of one agent or of all."""

    agent: Term | None = None
    """As in its decisions: of a shadow with its label."""
    before: CodeId | None = None
    """The id of the last code of the page before."""


class CodeVersion(Shape):
    """What an agent decides by."""

    id: int
    agent: str
    version: str
    """What the agent declares; empty when it declares none."""
    rules_hash: str
    """SHA-256 of its functions and of every module of the domain that they reach."""
    settings_hash: str
    """SHA-256 of the settings that its judgement depends on."""
    settings: Mapping[str, Any]
    sources: Mapping[str, str]
    """SHA-256 of each module that is covered, by its name."""
    release: str
    """Which Innervate it ran on."""
    libraries: Mapping[str, str]
    """Versions of Python and of the libraries that its modules import."""
    first_seen_at: AwareDatetime
    """When a worker first ran it."""
    first_decision_at: AwareDatetime | None
    last_decision_at: AwareDatetime | None
    previous: int | None
    """The code of the agent that was first seen before it."""
    changed: Sequence[str]
    """What differs from that: `version`, `rules`, `settings`, `release`, `libraries`."""
    changed_names: Sequence[str]
    """The modules and the settings that differ."""


class CodesPage(Shape):
    """Codes, those first seen last at the beginning."""

    codes: Sequence[CodeVersion]
    next: int | None
    """What to give as `before` for the next page."""


async def codes(database: Database, query: CodesQuery) -> CodesPage:
    """The codes that the filter lets pass."""
    rows = await database.run(_SQL["code_versions"], asked(query, id=None))
    shown, following = cut(list(map(_code, rows)), query.limit, attrgetter("id"))
    return CodesPage(codes=shown, next=following)


async def code(database: Database, code_id: int) -> CodeVersion:
    """One code. Raises `NotFound`."""
    rows = await database.run(_SQL["code_versions"], {"agent": None, "before": None, "id": code_id, "limit": 1})
    if not rows:
        raise NotFound(f"no code version {code_id}")
    return _code(rows[0])


async def known_code(database: Database, code_id: int | None) -> CodeVersion | None:
    """One code, if it is known."""
    return None if code_id is None else await code(database, code_id)


def differing_names(one: Mapping[str, Any], other: Mapping[str, Any]) -> Sequence[str]:
    """The names whose values are not the same in both, in their order."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _code(row: Row) -> CodeVersion:
    columns = row._asdict()
    before = {name: columns.pop(f"previous_{name}") for name in (*TOLD_APART, "sources", "settings")}
    changed = [name.removesuffix("_hash") for name in TOLD_APART if columns[name] != before[name]]
    names = [name for each in ("sources", "settings") for name in differing_names(columns[each], before[each] or {})]
    if columns["previous"] is None:
        changed, names = [], []
    return CodeVersion(**columns, changed=changed, changed_names=names)
