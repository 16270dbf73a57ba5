"""Database: one statement is one transaction, and whatever goes wrong is one of two errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from rows import values
from waiting import PATIENCE_SECONDS

from app.sandbox import Postgres
from outbox.database import Database
from outbox.errors import DatabaseUnavailable, SchemaUnusable, StatementRejected

SLEEPERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%%'"


@pytest.fixture
def notes(query: Callable[..., Any]) -> None:
    query("CREATE TABLE notes (id integer PRIMARY KEY CHECK (id > 0), code varchar(3))")


async def test_a_statement_is_committed_when_run_returns(
    database: Database, query: Callable[..., Any], notes: None
) -> None:
    assert await database.run("INSERT INTO notes VALUES (%(id)s, 'a')", {"id": 1}) == ()

    assert query("SELECT id, code FROM notes") == [(1, "a")]


async def test_a_statement_that_fails_half_way_leaves_nothing(
    database: Database, query: Callable[..., Any], notes: None
) -> None:
    with pytest.raises(StatementRejected):
        await database.run("WITH good AS (INSERT INTO notes VALUES (1)) INSERT INTO notes VALUES (-1)")

    assert query("SELECT count(*) FROM notes") == [(0,)]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("INSERT INTO notes VALUES (1), (1)", "notes_pkey"),
        ("INSERT INTO notes VALUES (0)", "notes_id_check"),
        ("INSERT INTO notes VALUES (1, 'long')", r"character varying\(3\)"),
        ("SELECT 'x'::uuid", "uuid"),
        ("SELECT 1 / 0", "division by zero"),
        (r"""SELECT '"\u0000"'::jsonb""", "Unicode"),
    ],
)
async def test_a_value_postgresql_refuses_is_the_rows_own_fault(
    database: Database, notes: None, statement: str, named: str
) -> None:
    with pytest.raises(StatementRejected, match=named) as refused:
        await database.run(statement)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
async def test_a_text_that_cannot_be_sent_is_the_rows_own_fault(database: Database, text: str) -> None:
    with pytest.raises(StatementRejected):
        await database.run("SELECT %(text)s", {"text": text})


async def test_a_bug_in_a_statement_is_neither_of_the_two_errors(database: Database) -> None:
    with pytest.raises(psycopg2.ProgrammingError):
        await database.run("SELECT 1 FROM")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM no_such_table",
        "SELECT no_such_column",
        "SELECT no_such_function()",
        "SELECT 1 FROM no_such_schema.notes",
        "SELECT 'x'::no_such_type",
    ],
)
async def test_what_is_missing_in_the_database_is_waited_for(database: Database, statement: str) -> None:
    with pytest.raises(SchemaUnusable, match="does not exist"):
        await database.run(statement)


async def test_a_constraint_that_is_missing_is_waited_for(
    database: Database, query: Callable[..., Any], notes: None
) -> None:
    query("CREATE UNIQUE INDEX notes_once ON notes (code)")
    remember = "INSERT INTO notes VALUES (1, 'a') ON CONFLICT (code) DO NOTHING"
    await database.run(remember)
    query("DROP INDEX notes_once")

    with pytest.raises(SchemaUnusable, match="no unique or exclusion constraint"):
        await database.run(remember)


async def test_a_privilege_that_is_missing_is_waited_for(
    database: Database, query: Callable[..., Any], notes: None
) -> None:
    query("DROP ROLE IF EXISTS nobody_special")
    query("CREATE ROLE nobody_special")
    await database.run("SET ROLE nobody_special")

    with pytest.raises(SchemaUnusable, match="permission denied for table notes"):
        await database.run("SELECT * FROM notes")
    await database.run("RESET ROLE")


async def answered(hasty: Database) -> bool:
    """Whether it still answers; on a busy machine not the first time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                return values(await hasty.run("SELECT 1")) == [(1,)]


async def test_a_statement_that_takes_too_long_is_given_up(database_url: str) -> None:
    hasty = Database(database_url, timeout_seconds=0.2)
    try:
        with pytest.raises(DatabaseUnavailable, match=r"no answer within 0\.2 s"):
            await hasty.run("SELECT pg_sleep(60)")

        assert await answered(hasty)
    finally:
        await hasty.close()


async def test_no_free_connection_in_time_is_an_outage(database_url: str) -> None:
    narrow = Database(database_url, connections=1, timeout_seconds=0.5)
    try:
        outcomes = await asyncio.gather(*(narrow.run("SELECT pg_sleep(60)") for _ in range(3)), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
        assert await answered(narrow)
    finally:
        await narrow.close()


async def test_no_more_connections_are_opened_than_allowed(database_url: str, query: Callable[..., Any]) -> None:
    narrow = Database(database_url, connections=2)
    try:
        rows = await asyncio.gather(*(narrow.run("SELECT pg_backend_pid() AS pid, pg_sleep(0.01)") for _ in range(10)))

        assert len({row.pid for [row] in rows}) <= 2
    finally:
        await narrow.close()


async def test_a_statement_the_server_cancels_is_an_outage_and_not_the_end_of_the_task(
    database: Database, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    sleeping = asyncio.create_task(database.run("SELECT pg_sleep(60)"))
    await until(lambda: query(SLEEPERS))

    query(f"SELECT pg_cancel_backend(pid) FROM ({SLEEPERS}) AS sleepers")

    with pytest.raises(DatabaseUnavailable, match="the server cancelled the statement"):
        await sleeping
    assert values(await database.run("SELECT 1")) == [(1,)]


async def test_a_statement_timeout_of_the_server_is_an_outage(database_url: str) -> None:
    database = Database(f"{database_url}?options=-cstatement_timeout%3D100", timeout_seconds=PATIENCE_SECONDS)
    try:
        with pytest.raises(DatabaseUnavailable, match="the server cancelled the statement"):
            await database.run("SELECT pg_sleep(60)")
    finally:
        await database.close()


async def test_a_task_that_is_cancelled_stays_cancelled(
    database: Database, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    sleeping = asyncio.create_task(database.run("SELECT pg_sleep(60)"))
    await until(lambda: query(SLEEPERS))

    sleeping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert sleeping.cancelled()
    assert values(await database.run("SELECT 1")) == [(1,)]


async def test_a_connection_that_is_cut_is_an_outage_and_the_next_statement_has_a_new_one(
    database: Database, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    sleeping = asyncio.create_task(database.run("SELECT pg_sleep(60)"))
    await until(lambda: query(SLEEPERS))

    query(f"SELECT pg_terminate_backend(pid) FROM ({SLEEPERS}) AS sleepers")

    with pytest.raises(DatabaseUnavailable):
        await sleeping
    assert values(await database.run("SELECT 1")) == [(1,)]


async def test_closing_ends_what_is_under_way(
    database: Database, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    sleeping = asyncio.create_task(database.run("SELECT pg_sleep(60)"))
    await until(lambda: query(SLEEPERS))

    await asyncio.wait_for(database.close(), PATIENCE_SECONDS)

    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(sleeping, PATIENCE_SECONDS)


async def test_a_wrong_address_fails_at_the_start(postgres: Postgres) -> None:
    nowhere = Database(f"{postgres.database_url}_is_not_there", timeout_seconds=PATIENCE_SECONDS)
    try:
        with pytest.raises(DatabaseUnavailable, match="does not exist"):
            await nowhere.open()
    finally:
        await nowhere.close()


async def test_a_crash_of_postgresql_is_an_outage_that_heals(
    database: Database, postgres: Postgres, notes: None
) -> None:
    await database.run("INSERT INTO notes VALUES (1)")
    statements = [asyncio.create_task(database.run("SELECT pg_sleep(60)")) for _ in range(3)]

    await asyncio.to_thread(postgres.crash)
    try:
        outcomes = await asyncio.gather(*statements, return_exceptions=True)
        with pytest.raises(DatabaseUnavailable):
            await database.run("SELECT 1")
    finally:
        await asyncio.to_thread(postgres.restart)

    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
    # A pooled connection may still be a dead one: each costs one outage, none costs more.
    for _ in range(8):
        with contextlib.suppress(DatabaseUnavailable):
            await database.run("SELECT 1")
    assert values(await database.run("SELECT id FROM notes")) == [(1,)]
