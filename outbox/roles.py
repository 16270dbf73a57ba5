"""Roles: what PostgreSQL lets a worker do, and who only reads, when the tables belong to somebody else.

The owner migrates. `worker` writes what a worker writes: it can neither delete nor rewrite what was decided, answered
or done by a person, and it changes no table. `reader` reads everything but the secret of the page's sessions. Both are
roles to be a member of, and cannot log in themselves.

Granted anew with each migration, exactly: what is not said here is taken away. There are no default privileges: a
partition, which needs none of its own, would get them beside those of its table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from psycopg2 import sql

from outbox.errors import Fatal

#: What a worker may do with the outbox's own tables.
WORKER: Final[Mapping[str, str]] = MappingProxyType(
    {
        # An answer settles a held decision; nothing else of it changes.
        "decisions": "SELECT, INSERT, UPDATE (status, committed_at)",
        "approvals": "SELECT, INSERT, UPDATE (answer, answered_by, answered_at)",
        "operator_actions": "SELECT, INSERT",
        # What became of it is told once and stays; what was met in time is removed.
        "expectations": "SELECT, INSERT, UPDATE (state, missed_at, ended_at, ended_by), DELETE",
        "outbox_messages": "SELECT, INSERT, UPDATE (batch_id), DELETE",
        "outbox_lanes": "SELECT, UPDATE",
        "outbox_workers": "SELECT, INSERT, UPDATE, DELETE",
        "outbox_identity": "SELECT",
        "outbox_dead": "SELECT, INSERT, DELETE",
        "dead_letters": "SELECT, INSERT, UPDATE (replayed_at, replayed_by)",
        "code_versions": "SELECT, INSERT",
        "llm_calls": "SELECT, INSERT",
        "decision_contents": "SELECT, INSERT",
        "llm_call_contents": "SELECT, INSERT",
        # Written and dropped by functions of the owner, which take no word of a worker for it.
        "decision_contents_kept": "SELECT",
        "llm_call_contents_kept": "SELECT",
        "retention": "SELECT",
        "retention_drops": "SELECT",
        "retention_disputes": "SELECT",
        "llm_budgets": "SELECT, INSERT, UPDATE",
        "llm_reservations": "SELECT, INSERT, DELETE",
        "workers": "SELECT, INSERT, UPDATE, DELETE",
        "innervate_migrations": "SELECT",
        "innervate_schema": "SELECT",
        "domain_migrations": "SELECT",
    }
)
#: The same with the tables of domains, whose effects may be any statement: what has to stay they keep by triggers.
WORKER_OF_DOMAINS: Final = "SELECT, INSERT, UPDATE, DELETE"
#: What a reader may read of a table, where it is not everything.
READER: Final[Mapping[str, str]] = MappingProxyType({"outbox_identity": "SELECT (id)"})
READER_OF_OTHERS: Final = "SELECT"

#: Tables of all kinds, views among them, that whoever asks owns, in the schema of the outbox. A partition is reached by
#: the rights of its table.
_TABLES: Final = """
SELECT c.relname AS name, c.relkind::text AS kind, c.relispartition AS is_part,
    EXISTS (
        SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
    ) AS is_identity
FROM pg_class AS c
WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'decisions'::regclass)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relname
"""
#: Functions that run with their owner's rights.
_OF_THE_OWNER: Final = """
SELECT p.oid::regprocedure::text AS signature
FROM pg_proc AS p
WHERE p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'decisions'::regclass)
  AND p.prosecdef AND pg_has_role(p.proowner, 'USAGE')
"""
_SCHEMA: Final = """
SELECT n.nspname AS schema, pg_has_role(c.relowner, 'USAGE') AS is_ours
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = 'decisions'::regclass
"""
_ROLE: Final = """
SELECT r.rolsuper OR pg_has_role(r.oid, c.relowner, 'MEMBER') AS may_everything
FROM pg_roles AS r, pg_class AS c
WHERE r.rolname = %(role)s AND c.oid = 'decisions'::regclass
"""


class RolesUnusable(Fatal):
    """A role is one that may everything with the tables already; the message says which one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Names of roles; an empty one is granted nothing."""

    worker: str = ""
    reader: str = ""

    def __bool__(self) -> bool:
        """Whether anybody is granted anything."""
        return bool(self.worker or self.reader)


NOBODY: Final = Roles()


def grant(cursor: Any, roles: Roles) -> bool:
    """Create the roles that are missing and grant them what they need, in the transaction of the cursor.

    Returns False, with nothing done, for whoever does not own the tables. Raises `RolesUnusable`, and psycopg2's
    `InsufficientPrivilege` where a role is missing and must not be created.
    """
    cursor.execute(_SCHEMA)
    place = cursor.fetchone()
    if not place.is_ours:
        return False
    for role in filter(None, (roles.worker, roles.reader)):
        _ensure(cursor, role)
        cursor.execute(_said("GRANT USAGE ON SCHEMA {schema} TO {role}", schema=place.schema, role=role))
    cursor.execute(_TABLES)
    for found in cursor.fetchall():
        for role, privileges in _privileges(roles, found):
            kind = sql.SQL("SEQUENCE" if found.kind == "S" else "TABLE")
            on = {"schema": place.schema, "name": found.name, "role": role}
            cursor.execute(_said("REVOKE ALL ON {kind} {schema}.{name} FROM {role}", kind=kind, **on))
            if privileges:
                granted = sql.SQL(privileges)
                cursor.execute(
                    _said("GRANT {granted} ON {kind} {schema}.{name} TO {role}", granted=granted, kind=kind, **on)
                )
    cursor.execute(_OF_THE_OWNER)
    for function in cursor.fetchall():
        signature = sql.SQL(function.signature)
        cursor.execute(_said("REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC", signature=signature))
        if roles.worker:
            cursor.execute(
                _said("GRANT EXECUTE ON FUNCTION {signature} TO {role}", signature=signature, role=roles.worker)
            )
    return True


def _ensure(cursor: Any, role: str) -> None:
    cursor.execute(_ROLE, {"role": role})
    known = cursor.fetchone()
    if known is None:
        cursor.execute(_said("CREATE ROLE {role} NOLOGIN", role=role))
    elif known.may_everything:
        raise RolesUnusable(f"role {role} may do everything with the tables already: name one that owns nothing")


def _privileges(roles: Roles, found: Any) -> Sequence[tuple[str, str]]:
    """What each role may do with a table, a view or a sequence; empty for nothing."""
    if found.kind == "S":
        # That of an identity is used with the right to insert.
        both = ("" if found.is_identity else "USAGE", "")
    elif found.is_part:
        both = ("", "")
    elif found.kind in {"v", "m"}:
        both = ("SELECT", "SELECT")
    else:
        both = (WORKER.get(found.name, WORKER_OF_DOMAINS), READER.get(found.name, READER_OF_OTHERS))
    return [(role, privileges) for role, privileges in zip((roles.worker, roles.reader), both, strict=True) if role]


def _said(statement: str, **parts: str | sql.Composable) -> sql.Composed:
    """The statement with names quoted."""
    return sql.SQL(statement).format(
        **{name: part if isinstance(part, sql.Composable) else sql.Identifier(part) for name, part in parts.items()}
    )
