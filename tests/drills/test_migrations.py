"""Migrations after the release before this one only add: its statements run on the new schema."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from decisions import decision
from previous import Release
from psycopg2 import Error
from shop_catalogue import CATALOGUE
from witness import rows

from outbox.database import Database
from outbox.migrate import migrate
from outbox.writer import DecisionWriter

#: The named statements of a release, by file and name.
STATEMENTS = """
import json
from importlib import resources
from outbox.statements import queries
files = sorted(file.name for file in resources.files("outbox").joinpath("sql").iterdir())
print(json.dumps({f"{file}: {name}": sql for file in files for name, sql in queries(file).items()}))
"""
#: Has a relay of that release say that it lives, and its writer and journal write, two decisions as one batch.
WRITES = """
import asyncio
from datetime import UTC, datetime
from outbox.database import Database
from outbox.journal import Journal, LlmCall
from outbox.leases import LaneLeases
from outbox.records import DecisionRecord, Message, Origin
from outbox.writer import DecisionWriter

NOW = datetime.now(UTC)

def decision(event_id):
    return DecisionRecord(
        agent="fraud", event_id=event_id, event_source="urn:shop", event_type="PaymentSucceeded", event_at=NOW,
        entity="customer", entity_id="customer-1",
        origin=Origin(topic="timeline-customer", partition=2, offset=7, at=NOW),
        history={{"offsets": [5, 6], "sha256": "00ff"}}, brain="rules", model=None, outcome="approve",
        reason="nothing unusual", confidence=0.75, fallback_reason=None, status="committed", decided_at=NOW,
        messages=(Message(id="m-" + event_id, topic="payments", key=b"customer-1", value=b'{{"n":1}}', headers=()),),
    )

async def write():
    database = Database({url!r})
    await LaneLeases(database, "before").renew()
    writer, journal = DecisionWriter(database, on_commit=lambda lanes: None), Journal(database)
    print(await writer.record_all([decision("e-1"), decision("e-2")]), await writer.record(decision("e-1")))
    call = dict(
        agent="fraud", event_source="urn:shop", event_id="e-1", attempt=1, model="small", prompt_sha256="0" * 64,
        prompt="score", reply="approve", prompt_tokens=1, completion_tokens=1, latency_ms=1, error=None, called_at=NOW
    )
    await journal.record(LlmCall(**call))
    print({{each.reply for each in (await journal.replies("fraud", "urn:shop", "e-1")).values()}})
    await journal.stop()
    await writer.stop()
    await database.close()

asyncio.run(write())
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


async def test_what_both_releases_write_on_the_new_schema_each_of_them_reads(
    empty_database_url: str, before: Release
) -> None:
    url = empty_database_url
    before.migrate(url)
    migrate(url, CATALOGUE.migrations)

    said = before.run(WRITES.format(url=url)).splitlines()

    assert said == ["[True, True] False", "{'approve'}"]
    # While that worker lives, this release writes where it reads; afterwards where retention drops.
    await write(url, "e-3")
    rows(url, "UPDATE outbox_workers SET seen_until = clock_timestamp()")
    await write(url, "e-4")
    whole = "SELECT event_id, is_apart, whole_messages -> 0 -> 'value' FROM whole_decisions ORDER BY event_id"
    assert rows(url, whole) == [
        *((event_id, False, {"n": 1}) for event_id in ("e-1", "e-2", "e-3")),
        ("e-4", True, {"n": 1}),
    ]


async def write(url: str, event_id: str) -> None:
    database = Database(url)
    writer = DecisionWriter(database, on_commit=lambda _lanes: None)
    try:
        assert await writer.record(decision(event_id, decided_at=datetime.now(UTC)))
    finally:
        await writer.stop()
        await database.close()
