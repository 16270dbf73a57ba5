"""Migrations after the release before this one only add: its statements run on the new schema."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from previous import Release
from psycopg2 import Error
from shop_catalogue import CATALOGUE
from witness import rows

from outbox.migrate import migrate

#: The named statements of a release, by file and name.
STATEMENTS = """
import json
from importlib import resources
from outbox.statements import queries
files = sorted(file.name for file in resources.files("outbox").joinpath("sql").iterdir())
print(json.dumps({f"{file}: {name}": sql for file in files for name, sql in queries(file).items()}))
"""
PARAMETER = re.compile(r"%\(\w+\)s")

COLUMNS = """
    SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           a.atthasdef OR a.attidentity <> ''
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped
"""
FUNCTIONS = """
    SELECT oid::regprocedure::text, format_type(prorettype, NULL) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
"""


#: What rows are unique by: `ON CONFLICT` names it.
CONSTRAINTS = """
    SELECT conrelid::regclass::text || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u') AND conparentid = 0
"""


def refusal(url: str, statement: str) -> str:
    """Why PostgreSQL cannot plan a statement; empty when it can."""
    try:
        rows(url, "EXPLAIN " + PARAMETER.sub("NULL", statement))
    except Error as error:
        return str(error)
    return ""


def single(statements: str) -> Sequence[str]:
    """The statements of one text, each by itself, without comments."""
    code = re.sub(r"^\s*--.*$", "", statements, flags=re.MULTILINE)
    return [one.strip() for one in re.split(r";(?:\n|$)", code) if one.strip()]


def test_what_the_release_before_says_to_postgresql_runs_on_the_new_schema(
    empty_database_url: str, before: Release
) -> None:
    url = empty_database_url
    before.migrate(url)
    named: dict[str, str] = json.loads(before.run(STATEMENTS))
    said = {f"{name} {number}": one for name, text in named.items() for number, one in enumerate(single(text))}
    planned = {name: statement for name, statement in said.items() if not refusal(url, statement)}
    columns = {name: rest for name, *rest in rows(url, COLUMNS)}
    functions, constraints = set(rows(url, FUNCTIONS)), set(rows(url, CONSTRAINTS))
    assert {"writer.sql: record_decisions 0", "relay.sql: next_messages 0"} <= planned.keys(), sorted(said)

    migrate(url, CATALOGUE.migrations)

    assert {name: why for name, statement in planned.items() if (why := refusal(url, statement))} == {}
    now = {name: rest for name, *rest in rows(url, COLUMNS)}
    assert {name: (was, now.get(name)) for name, was in columns.items() if now.get(name) != was} == {}
    # A row that older code inserts has none of them.
    tables = {name.partition(".")[0] for name in columns}
    added = {name: rest for name, rest in now.items() if name not in columns and name.partition(".")[0] in tables}
    assert [
        name for name, (_, must_be_there, comes_by_itself) in added.items() if must_be_there and not comes_by_itself
    ] == []
    assert functions - set(rows(url, FUNCTIONS)) == set()
    assert constraints - set(rows(url, CONSTRAINTS)) == set()
