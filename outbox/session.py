"""Session: what every connection to PostgreSQL is set to, whatever the server, the database or the role say.

A client that is frozen in a transaction holds its locks until the server ends its session, and by itself the server
never does. So each session says how long it may hold others up: a transaction that is silent ends after
`IDLE_IN_TRANSACTION_SECONDS`, whoever waits for a lock gives up after `LOCK_SECONDS`. What such an end interrupts is
rolled back, raises `DatabaseUnavailable` and is tried again.

The limits are set after connecting and not with the address, because poolers refuse start-up options they do not know.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import aiopg
import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from outbox.errors import DatabaseUnavailable
from outbox.statements import queries

#: How long the server leaves a session its locks while it waits for the next statement of a transaction, in seconds.
#: Longer than the pauses of a busy worker; a worker that is stopped for longer rolls back and writes again.
IDLE_IN_TRANSACTION_SECONDS: Final = 10
#: How long a statement waits for a lock of somebody else, in seconds: shorter than the time-out of a transaction.
LOCK_SECONDS: Final = 5
#: How often the server looks, while a statement runs, whether its client is still there, in seconds (PostgreSQL 14).
CLIENT_CHECK_SECONDS: Final = 5
#: How long either side waits for the other's TCP acknowledgements before the connection is dead, in seconds.
SILENT_SECONDS: Final = 20
#: How long one server may take to let a client in, in seconds.
CONNECT_SECONDS: Final = 10

_SQL: Final = queries("session.sql")

#: What libpq is told unless the address says something else.
_TRANSPORT: Final[Mapping[str, str]] = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": str(SILENT_SECONDS * 1000),
}

#: Settings by which the same statement would mean, or the same value would look like, something else. Never
#: `standard_conforming_strings`: psycopg2 quotes texts by what it was when it connected.
_MEANING: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # The statement that takes a lock must see, in its next part, what others have committed before they let it go.
    "default_transaction_isolation": "read committed",
}

#: By PostgreSQL's names and in its units: milliseconds, and seconds for the keepalives.
_LIMITS: Final[Mapping[str, int]] = {
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS * 1000,
    "client_connection_check_interval": CLIENT_CHECK_SECONDS * 1000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": SILENT_SECONDS * 1000,
}


def addresses(dsn: str) -> Sequence[str]:
    """One address for each host of a connection string, in its order, with UTF-8 and an end to silence.

    libpq itself would go from host to host, but on another socket than the one aiopg watches.
    """
    parts = parse_dsn(dsn)
    # libpq applies it before anything the database or the role says, and psycopg2 encodes texts by it.
    common = {**_TRANSPORT, **parts, "client_encoding": "UTF8"}
    hosts = _several(parts, "host")
    by_number = _several(parts, "hostaddr")
    ports = _several(parts, "port")
    number = max(len(hosts), len(by_number), 1)
    if len(ports) == 1:
        ports *= number
    found = []
    for position in range(number):
        own = {"host": hosts, "hostaddr": by_number, "port": ports}
        place = {name: values[position] if position < len(values) else None for name, values in own.items()}
        found.append(make_dsn(**{**common, **place}))
    return found


async def connect(dsn: str, *, timeout_seconds: float) -> aiopg.Connection:
    """A connection of aiopg to the first host that lets it in, ready for use.

    Raises what aiopg and psycopg2 raise, or `DatabaseUnavailable` for a database in another encoding than UTF-8.
    """
    problem: Exception = DatabaseUnavailable("the address names no host")
    for address in addresses(dsn):
        try:
            return await _connect_to_any(await _numbered(address), timeout_seconds)
        except (psycopg2.OperationalError, OSError) as error:
            problem = error
    raise problem


def connect_blocking(dsn: str) -> Any:
    """A connection of psycopg2 for migrations: they may wait for locks as long as they need. Raises like `connect`."""
    problem: Exception = DatabaseUnavailable("the address names no host")
    for address in addresses(dsn):
        try:
            connection = psycopg2.connect(address)
        except psycopg2.OperationalError as error:
            problem = error
            continue
        try:
            check_encoding(connection)
            with connection.cursor() as cursor:
                cursor.execute(_SQL["begin_session"], _parameters(_LIMITS))
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection
    raise problem


def check_encoding(connection: Any) -> None:
    """Refuse a database that cannot hold every text. Raises `DatabaseUnavailable`."""
    encoding = connection.get_parameter_status("server_encoding")
    if encoding not in {"UTF8", None}:
        raise DatabaseUnavailable(
            f"the database's encoding is {encoding}, expected UTF8: create one with ENCODING 'UTF8'"
        )


async def _numbered(address: str) -> Sequence[str]:
    """The same address once for each number its host has: libpq would look them up while everything else waits."""
    parts = parse_dsn(address)
    host = parts.get("host", "")
    if not host or host.startswith(("/", "@")) or parts.get("hostaddr"):
        return [address]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    numbers = dict.fromkeys(place[0] for *_, place in found)
    return [make_dsn(address, hostaddr=number) for number in numbers]


async def _connect_to_any(addresses: Sequence[str], timeout_seconds: float) -> aiopg.Connection:
    *others, last = addresses
    for address in others:
        with suppress(psycopg2.OperationalError, OSError):
            return await _connect_to(address, timeout_seconds)
    return await _connect_to(last, timeout_seconds)


async def _connect_to(address: str, timeout_seconds: float) -> aiopg.Connection:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await _begun(address, timeout_seconds)
    except TimeoutError as error:
        raise TimeoutError(f"PostgreSQL did not let a client in within {CONNECT_SECONDS} s") from error


async def _begun(address: str, timeout_seconds: float) -> aiopg.Connection:
    connection = await aiopg.connect(address, timeout=timeout_seconds, enable_hstore=False)
    try:
        check_encoding(connection.raw)
        async with connection.cursor() as cursor:
            await cursor.execute(_SQL["begin_session"], _parameters({**_LIMITS, "lock_timeout": LOCK_SECONDS * 1000}))
    except BaseException:
        await connection.close()
        raise
    return connection


def _parameters(limits: Mapping[str, int]) -> Mapping[str, Sequence[str | int]]:
    return {
        "meaning": list(_MEANING),
        "meanings": list(_MEANING.values()),
        "limits": list(limits),
        "values": list(limits.values()),
    }


def _several(parts: Mapping[str, str], name: str) -> list[str]:
    return parts[name].split(",") if parts.get(name) else []
