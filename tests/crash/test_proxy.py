"""The proxy does to a connection what it is told, and a swallowed commit really is committed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg2
import psycopg2.extensions
import pytest
from proxy import Proxy

from app.sandbox import Postgres

#: The statement the proxy looks for, on a table of the test's own.
INSERT = "INSERT INTO decisions VALUES (%s)"


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def url(empty_database_url: str, postgres: Postgres, proxy: Proxy) -> str:
    """The test's database, through the proxy."""
    return empty_database_url.replace(f":{postgres.port}/", f":{proxy.port}/")


@pytest.fixture
def table(empty_database_url: str) -> Iterator[psycopg2.extensions.cursor]:
    """A table of decisions, on a connection past the proxy."""
    with contextlib.closing(psycopg2.connect(empty_database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE decisions (id integer)")
            yield cursor


@pytest.fixture
def connection(url: str, table: psycopg2.extensions.cursor) -> Iterator[psycopg2.extensions.connection]:
    with contextlib.closing(psycopg2.connect(url)) as through:
        through.autocommit = True
        yield through


def run(connection: psycopg2.extensions.connection, statement: str, *parameters: object) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone() if cursor.description else None


def count(table: psycopg2.extensions.cursor) -> int:
    table.execute("SELECT count(*) FROM decisions")
    [number] = table.fetchone() or [0]
    return int(number)


def test_everything_passes_until_told_otherwise(connection: psycopg2.extensions.connection) -> None:
    assert run(connection, "SELECT repeat('x', 200000)") == ("x" * 200_000,)


def test_a_cut_ends_every_connection_and_welcomes_new_ones(
    connection: psycopg2.extensions.connection, proxy: Proxy, url: str
) -> None:
    proxy.cut()
    with pytest.raises(psycopg2.OperationalError):
        run(connection, "SELECT 1")
    with contextlib.closing(psycopg2.connect(url)) as again:
        assert run(again, "SELECT 1") == (1,)


def test_refused_connections_come_back_when_it_is_healed(
    connection: psycopg2.extensions.connection, proxy: Proxy, url: str
) -> None:
    proxy.refuse()
    with pytest.raises(psycopg2.OperationalError):
        run(connection, "SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
    proxy.heal()
    with contextlib.closing(psycopg2.connect(url)) as again:
        assert run(again, "SELECT 1") == (1,)


def test_a_delay_holds_back_both_directions(connection: psycopg2.extensions.connection, proxy: Proxy) -> None:
    proxy.delay(0.2)
    began_at = time.monotonic()
    run(connection, "SELECT 1")
    assert time.monotonic() - began_at >= 0.4
    proxy.heal()


def test_a_swallowed_commit_is_committed_and_its_answer_never_comes(
    connection: psycopg2.extensions.connection, proxy: Proxy, table: psycopg2.extensions.cursor
) -> None:
    proxy.swallow_next_commit()
    run(connection, "SELECT 1")
    with pytest.raises(psycopg2.OperationalError):
        run(connection, INSERT, 1)
    assert (count(table), proxy.swallowed) == (1, 1)


def test_a_transaction_is_answered_until_its_commit_is_swallowed(
    connection: psycopg2.extensions.connection, proxy: Proxy, table: psycopg2.extensions.cursor
) -> None:
    proxy.swallow_next_commit()
    run(connection, "BEGIN")
    run(connection, INSERT, 1)
    assert run(connection, "SELECT count(*) FROM decisions") == (1,)
    with pytest.raises(psycopg2.OperationalError):
        run(connection, "COMMIT")
    assert count(table) == 1


def test_only_one_commit_is_swallowed(url: str, proxy: Proxy, table: psycopg2.extensions.cursor) -> None:
    proxy.swallow_next_commit()
    for number in (1, 2):
        with contextlib.closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            with contextlib.suppress(psycopg2.OperationalError):
                run(connection, INSERT, number)
    assert (count(table), proxy.swallowed) == (2, 1)
