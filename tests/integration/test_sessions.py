"""Sessions: whatever a server, a database, a role or an address say, texts, times and limits are ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from refunding import refund
from rows import values

from app.sandbox import Postgres
from outbox.database import Database
from outbox.errors import DatabaseReadOnly, DatabaseUnavailable, RowsLocked
from outbox.migrate import migrate
from outbox.notify import Notifications
from outbox.parameters import LANE_LOCK
from outbox.session import connect_blocking
from outbox.writer import DecisionWriter

LETTERS = "Zoë 東京 € \N{PILE OF POO}"


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Database]]:
    """Opens databases, which are closed afterwards."""
    async with contextlib.AsyncExitStack() as stack:

        def open_database(url: str, **options: Any) -> Database:
            pool = Database(url, **{"timeout_seconds": 20, **options})
            stack.push_async_callback(pool.close)
            return pool

        yield open_database


@pytest.fixture
def set_database(database_url: str) -> Callable[[str, str], None]:
    """Sets something for every new session of the test's database."""
    name = database_url.rpartition("/")[2]
    return lambda setting, value: run(_writable(database_url), f"ALTER DATABASE {name} SET {setting} = '{value}'")


def run(url: str, statement: str) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(statement)


def set_server(url: str, change: str) -> None:
    """Change a setting of the whole server."""
    run(_writable(url), f"ALTER SYSTEM {change}")
    run(url, "SELECT pg_reload_conf()")


def _writable(url: str) -> str:
    """An administrator may write where it says so."""
    return f"{url}?options=-cdefault_transaction_read_only%3Doff"


async def shows(database: Database, name: str) -> str:
    [row] = await database.run("SELECT current_setting(%(name)s) AS value", {"name": name})
    return str(row.value)


@pytest.mark.parametrize("where", ["database", "role", "environment", "address", "options"])
async def test_texts_are_utf8_whatever_encoding_clients_are_said_to_have(
    where: str,
    database_url: str,
    query: Callable[..., Any],
    opened: Callable[..., Database],
    decision: Callable[..., Any],
    writing: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [(name,)] = query("SELECT current_database()")
    if where == "database":
        query(f"ALTER DATABASE {name} SET client_encoding = 'LATIN1'")
    elif where == "role":
        query(f"ALTER ROLE CURRENT_USER IN DATABASE {name} SET client_encoding = 'LATIN1'")
    elif where == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    elif where == "address":
        database_url += "?client_encoding=LATIN1"
    else:
        database_url += "?options=-cclient_encoding%3DLATIN1"
    database = opened(database_url)

    async with writing(database) as writer:
        assert await asyncio.wait_for(writer.record(decision("pay-1", reason=LETTERS)), 15) is True

    assert query("SELECT encode(convert_to(reason, 'UTF8'), 'hex') FROM decisions") == [(LETTERS.encode().hex(),)]
    assert values(await database.run("SELECT reason FROM decisions")) == [(LETTERS,)]


@pytest.mark.parametrize(
    ("name", "value", "statement", "expected"),
    [
        ("TimeZone", "Asia/Tokyo", "SELECT date_trunc('day', timestamptz '2024-05-01T23:30Z')",
         datetime(2024, 5, 1, tzinfo=UTC)),
        ("DateStyle", "SQL, DMY", "SELECT timestamptz '2024-05-01T12:00Z'", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("DateStyle", "ISO, DMY", "SELECT date '03/02/2024'::text", "2024-03-02"),
        ("IntervalStyle", "iso_8601", "SELECT interval '1 day 2 hours'", timedelta(days=1, hours=2)),
        ("bytea_output", "escape", r"SELECT '\x00ff5c'::bytea::text", r"\x00ff5c"),
        ("extra_float_digits", "-15", "SELECT 0.1::double precision + 0.2", 0.30000000000000004),
        ("default_transaction_isolation", "serializable", "SHOW transaction_isolation", "read committed"),
        ("default_transaction_isolation", "repeatable read", "SHOW transaction_isolation", "read committed"),
        ("synchronous_commit", "off", "SHOW synchronous_commit", "on"),
    ],
)  # fmt: skip
async def test_a_setting_of_the_database_does_not_change_what_is_meant(
    name: str,
    value: str,
    statement: str,
    expected: object,
    database: Database,
    set_database: Callable[[str, str], None],
) -> None:
    set_database(name, value)

    assert values(await database.run(statement)) == [(expected,)]


async def test_a_text_with_backslashes_is_kept_where_strings_do_not_conform(
    database: Database, set_database: Callable[[str, str], None]
) -> None:
    set_database("standard_conforming_strings", "off")

    assert values(await database.run("SELECT %(text)s", {"text": "a\\' OR 1=1 --\\"})) == [("a\\' OR 1=1 --\\",)]


async def test_tables_are_found_where_the_role_looks_for_them(
    empty_database_url: str, opened: Callable[..., Database]
) -> None:
    url = f"{empty_database_url}?options=-csearch_path%3Dinnervate"
    with contextlib.closing(psycopg2.connect(empty_database_url)) as connection, connection, connection.cursor() as sql:
        sql.execute("CREATE SCHEMA innervate")
    await asyncio.to_thread(migrate, url)

    assert values(await opened(url).run("SELECT count(*) FROM innervate.outbox_lanes")) == [(64,)]
    assert values(await opened(url).run("SELECT count(*) FROM outbox_lanes")) == [(64,)]


async def test_every_session_ends_a_silent_transaction_and_a_long_wait(database: Database) -> None:
    assert await shows(database, "idle_in_transaction_session_timeout") == "10s"
    assert await shows(database, "lock_timeout") == "5s"
    assert await shows(database, "client_connection_check_interval") == "5s"
    assert await shows(database, "tcp_user_timeout") == "20000"
    assert await shows(database, "statement_timeout") == "0"


async def test_a_shorter_limit_of_the_database_holds_and_a_longer_one_does_not(
    database: Database, set_database: Callable[[str, str], None]
) -> None:
    set_database("idle_in_transaction_session_timeout", "3s")
    set_database("lock_timeout", "1h")

    assert await shows(database, "idle_in_transaction_session_timeout") == "3s"
    assert await shows(database, "lock_timeout") == "5s"


async def test_what_the_address_says_about_limits_holds(database_url: str, opened: Callable[..., Database]) -> None:
    database = opened(
        f"{database_url}?options=-clock_timeout%3D7s%20-cstatement_timeout%3D9s&keepalives_idle=60&application_name=x"
    )

    assert await shows(database, "lock_timeout") == "7s"
    assert await shows(database, "statement_timeout") == "9s"
    assert await shows(database, "idle_in_transaction_session_timeout") == "10s"
    assert await shows(database, "application_name") == "x"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_that_cannot_hold_every_text_is_refused_in_one_line(
    encoding: str, postgres: Postgres, empty_database_url: str, opened: Callable[..., Database]
) -> None:
    name = f"encoded_in_{encoding.lower()}"
    url = f"{empty_database_url.rpartition('/')[0]}/{name}"
    with contextlib.closing(psycopg2.connect(empty_database_url)) as connection, connection.cursor() as sql:
        connection.autocommit = True
        sql.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            asks: Sequence[Callable[[], Awaitable[Any]]] = (lambda: asyncio.to_thread(migrate, url), opened(url).open)
            for ask in asks:
                with pytest.raises(DatabaseUnavailable, match=f"encoding is {encoding}, expected UTF8") as refused:
                    await ask()
                assert "\n" not in str(refused.value)
        finally:
            sql.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def frozen(database_url: str, statement: str, parameters: object = None) -> Iterator[None]:
    """A worker that was stopped in a transaction: its session is ours, it holds what it locked, and it says no more."""
    with contextlib.closing(connect_blocking(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        yield


async def test_a_worker_that_freezes_in_a_transaction_stops_others_for_seconds_only(
    database: Database, database_url: str, decision: Callable[..., Any], writing: Callable[..., Any]
) -> None:
    record = decision("pay-1", effects=(refund(1, payment_id="p-1"),))
    locks = f"SELECT pg_advisory_xact_lock({LANE_LOCK}, lane) FROM generate_series(0, 63) AS lane"
    with frozen(database_url, locks):
        async with writing(database) as writer:
            assert await asyncio.wait_for(writer.record(record), 60) is True


async def test_a_lock_that_is_not_let_go_is_no_refusal(
    database: Database, database_url: str, postgres: Postgres
) -> None:
    await database.run("CREATE TABLE notes (id integer)")
    with frozen(database_url, "LOCK TABLE notes"):
        async with database.transaction() as transaction:
            with pytest.raises(RowsLocked, match="lock timeout"):
                async with transaction.savepoint():
                    await transaction.run("INSERT INTO notes VALUES (1)")


async def test_a_transaction_that_was_silent_for_too_long_is_no_refusal(
    database_url: str, opened: Callable[..., Database]
) -> None:
    database = opened(f"{database_url}?options=-cidle_in_transaction_session_timeout%3D100")

    async def silent() -> None:
        async with database.transaction() as transaction:
            await asyncio.sleep(0.5)
            await transaction.run("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await silent()
    assert values(await database.run("SELECT 1")) == [(1,)]


async def test_a_refund_that_waits_for_a_strangers_lock_waits_alone(
    database: Database,
    database_url: str,
    query: Callable[..., Any],
    decision: Callable[..., Any],
    writing: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with writing(database) as writer:
        await writer.record(decision("pay-0", effects=(refund(0, payment_id="p-1", captured_minor=9000),)))
        with contextlib.closing(psycopg2.connect(database_url)) as stranger, stranger.cursor() as cursor:
            cursor.execute("SELECT * FROM captures FOR UPDATE")
            waits = asyncio.create_task(
                writer.record(decision("pay-1", effects=(refund(1, payment_id="p-1", captured_minor=9000),)))
            )
            assert await asyncio.wait_for(writer.record(decision("pay-2")), 20) is True
            async with asyncio.timeout(30):
                while "the decision of fraud on pay-1 waits" not in caplog.text:  # noqa: ASYNC110 - the log tells
                    await asyncio.sleep(0.05)
            assert not waits.done()

        assert await asyncio.wait_for(waits, 60) is True
    assert query("SELECT count(*) FROM refunds") == [(2,)]


@pytest.mark.parametrize("taken", ["table", "privilege"])
async def test_a_decision_whose_effect_has_no_table_waits_alone_and_is_written_when_it_is_back(
    taken: str,
    database_url: str,
    opened: Callable[..., Database],
    query: Callable[..., Any],
    decision: Callable[..., Any],
    writing: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    query("DROP ROLE IF EXISTS clerk")
    query("CREATE ROLE clerk LOGIN")
    query("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
    take, give = {
        "table": ("ALTER TABLE refunds RENAME TO away", "ALTER TABLE away RENAME TO refunds"),
        "privilege": ("REVOKE ALL ON refunds FROM clerk", "GRANT ALL ON refunds TO clerk"),
    }[taken]
    try:
        query(take)
        async with writing(opened(database_url.replace("innervate@", "clerk@"))) as writer:
            waits = asyncio.create_task(writer.record(decision("pay-1", effects=(refund(1, payment_id="p-1"),))))
            await until(lambda: "the decision of fraud on pay-1 waits" in caplog.text)
            assert await asyncio.wait_for(writer.record(decision("pay-2")), 20) is True

            query(give)

            assert await asyncio.wait_for(waits, 60) is True
    finally:
        query("DROP OWNED BY clerk")
        query("DROP ROLE clerk")


async def test_decisions_wait_for_a_table_that_is_away(
    writer: DecisionWriter,
    query: Callable[..., Any],
    decision: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    query("ALTER TABLE decisions RENAME TO away")
    waits = asyncio.create_task(writer.record(decision("pay-1")))
    await until(lambda: "1 decisions wait for PostgreSQL" in caplog.text)

    query("ALTER TABLE away RENAME TO decisions")

    assert await asyncio.wait_for(waits, 60) is True


class Wrong:
    """An effect whose statement nobody can run."""

    def statements(self, _decision: object) -> list[tuple[str, dict[str, Any]]]:
        return [("INSERT INTO", {})]


async def test_an_effect_that_is_no_sql_is_refused_alone(
    writer: DecisionWriter, decision: Callable[..., Any], settle: Callable[..., Any]
) -> None:
    outcomes = await settle(writer, decision("pay-1", effects=(Wrong(),)), decision("pay-2"))

    assert [str(outcomes[0]).partition(":")[0], outcomes[1]] == ["syntax error at end of input", True]


@pytest.mark.parametrize("when", ["before it connected", "after it connected"])
async def test_decisions_wait_for_a_database_that_is_read_only(
    when: str,
    database: Database,
    database_url: str,
    query: Callable[..., Any],
    decision: Callable[..., Any],
    writing: Callable[..., Any],
    until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with writing(database) as writer:
        if when == "after it connected":
            await writer.record(decision("pay-0"))
        set_server(database_url, "SET default_transaction_read_only = on")
        try:
            await until(lambda: query("SHOW default_transaction_read_only") == [("on",)])
            waits = asyncio.create_task(writer.record(decision("pay-1")))
            await until(lambda: "1 decisions wait for PostgreSQL: cannot execute" in caplog.text)
            assert await database.is_read_only()
        finally:
            set_server(database_url, "RESET default_transaction_read_only")

        assert await asyncio.wait_for(waits, 60) is True
        await until(lambda: query("SHOW default_transaction_read_only") == [("off",)])
        assert not await database.is_read_only()


async def test_connections_of_a_database_that_was_read_only_are_renewed(
    database: Database, set_database: Callable[[str, str], None]
) -> None:
    await database.run("CREATE TABLE notes (id integer)")
    set_database("default_transaction_read_only", "on")
    database.renew()
    with pytest.raises(DatabaseReadOnly):
        await database.run("INSERT INTO notes VALUES (1)")
    # A session of psql may write where it says so.
    await database.run("SET default_transaction_read_only = off")
    set_database("default_transaction_read_only", "off")
    database.renew()

    await database.run("INSERT INTO notes VALUES (1)")


@pytest.fixture
def second_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A server of its own, with a database of the same name as the first one's."""
    server = Postgres(tmp_path / "postgresql")
    try:
        server.start()
        yield server
    finally:
        server.release()


async def test_after_a_failover_the_address_leads_to_the_server_that_takes_writes(
    postgres: Postgres, second_postgres: Postgres, opened: Callable[..., Database]
) -> None:
    user, _, place = postgres.database_url.removeprefix("postgresql://").partition("@")
    name = place.partition("/")[2]
    hosts = f"127.0.0.1:{second_postgres.port},127.0.0.1:{postgres.port}"
    database = opened(f"postgresql://{user}@{hosts}/{name}?target_session_attrs=read-write")
    port = "SELECT inet_server_port()"
    assert values(await database.run(port)) == [(second_postgres.port,)]
    set_server(second_postgres.database_url, "SET default_transaction_read_only = on")
    async with asyncio.timeout(30):
        while values(await database.run("SHOW default_transaction_read_only")) != [("on",)]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    with pytest.raises(DatabaseReadOnly):
        await database.run("CREATE TABLE notes (id integer)")

    assert values(await database.run(port)) == [(postgres.port,)]


async def test_a_host_that_is_away_does_not_keep_from_the_next(
    database_url: str, postgres: Postgres, opened: Callable[..., Database]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
        url = database_url.replace(f"127.0.0.1:{postgres.port}", f"127.0.0.1:{nobody},127.0.0.1:{postgres.port}")
        assert values(await opened(url).run("SELECT inet_server_port()")) == [(postgres.port,)]


async def test_every_number_of_a_host_is_tried(
    database_url: str, opened: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def two_numbers(host: str, _port: None, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        # PostgreSQL listens on the second one alone.
        return [(2, 1, 6, "", ("127.0.0.2", 0)), (2, 1, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_numbers)

    assert values(await opened(database_url.replace("127.0.0.1", "db.example")).run("SELECT 1")) == [(1,)]
    assert asked == ["db.example"]


async def test_a_host_nobody_knows_is_an_outage(
    database_url: str, opened: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nobody)

    with pytest.raises(DatabaseUnavailable, match="not known"):
        await opened(database_url.replace("127.0.0.1", "db.example")).open()


async def test_a_statement_that_is_given_up_leaves_no_backend(
    database_url: str, query: Callable[..., Any], opened: Callable[..., Database], until: Callable[..., Any]
) -> None:
    hasty = opened(database_url, timeout_seconds=1)
    with pytest.raises(DatabaseUnavailable):
        await hasty.run("SELECT pg_sleep(300)")

    await until(lambda: not query("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)'"))


async def test_no_connection_is_lost_to_those_who_did_not_wait(
    database_url: str, opened: Callable[..., Database], query: Callable[..., Any]
) -> None:
    database = opened(database_url, connections=3)
    for round_ in range(20):
        impatient = [asyncio.create_task(database.run("SELECT pg_sleep(0.02)")) for _ in range(12)]
        await asyncio.sleep(0.003 * round_)
        for task in impatient:
            task.cancel()
        await asyncio.gather(*impatient, return_exceptions=True)

    # All three are to be had at the same time, or these would wait for one another for ever.
    async with asyncio.timeout(15), contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            transaction = await stack.enter_async_context(database.transaction())
            assert values(await transaction.run("SELECT 1")) == [(1,)]
    assert len(query("SELECT 1 FROM pg_stat_activity WHERE datname = current_database()")) <= 4


async def test_the_listener_has_our_session_as_well(
    database: Database, database_url: str, query: Callable[..., Any], until: Callable[..., Any]
) -> None:
    heard = asyncio.Event()
    notifications = Notifications(database, f"{database_url}?client_encoding=LATIN1", on_hint=heard.set)
    notifications.start()
    try:
        await asyncio.wait_for(heard.wait(), 30)
    finally:
        await notifications.stop()
