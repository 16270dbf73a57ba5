"""The connection pool: one statement, one transaction, one of two errors.

aiopg runs in autocommit, so every `run` is a transaction of its own; `transaction` is for several statements. Whatever
goes wrong with the connection is `DatabaseUnavailable` (the outcome may be unknown), whatever is wrong with the values
is `StatementRejected`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import resources
from typing import Any, Final

import aiopg
import psycopg2
import psycopg2.errors
import psycopg2.extras

from outbox.errors import DatabaseUnavailable, OutboxError, StatementRejected

Row = tuple[Any, ...]

_NAMED_QUERY: Final = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)

#: Errors of class 22 (data), 23 (integrity), 54 (program limit) and what a trigger raises come from the rows and will
#: come again. psycopg2 itself refuses texts with NUL or a lone surrogate, as a ValueError.
_REJECTED: Final = (
    psycopg2.DataError,
    psycopg2.IntegrityError,
    psycopg2.errors.ProgramLimitExceeded,
    psycopg2.errors.RaiseException,
    ValueError,
)


def queries(filename: str) -> Mapping[str, str]:
    """Read the named statements (`-- name: x`) of one file in `outbox/sql`."""
    text = resources.files("outbox").joinpath("sql", filename).read_text(encoding="utf-8")
    return {name: statement.strip() for name, statement in _NAMED_QUERY.findall(text)}


class Transaction:
    """Statements that are committed together; made by `Database.transaction`."""

    def __init__(self, cursor: aiopg.Cursor) -> None:
        self._cursor = cursor

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Run one statement and return its rows. Raises like `Database.run`."""
        return await _fetched(self._cursor, statement, parameters)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is refused in here is undone alone, deferred constraints included; `StatementRejected` passes on."""
        await self.run("SAVEPOINT part; SET CONSTRAINTS ALL DEFERRED")
        try:
            yield
            await self.run("SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT part")
        except StatementRejected:
            await self.run("ROLLBACK TO SAVEPOINT part")
            raise


class Database:
    """A pool of PostgreSQL connections.

    `timeout_seconds` bounds each transaction and each wait for a free connection; one that takes longer has its
    connection closed, so its outcome is unknown.
    """

    def __init__(self, dsn: str, *, connections: int = 8, timeout_seconds: float = 30.0) -> None:
        self._dsn = dsn
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._pool: aiopg.Pool | None = None

    async def open(self) -> None:
        """Connect once, so that a wrong address fails at the start. Raises `DatabaseUnavailable`."""
        await self.run("SELECT 1")

    async def close(self) -> None:
        """Close every connection; statements under way end with `DatabaseUnavailable`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()
            await pool.wait_closed()

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Run one statement in a transaction of its own and return its rows.

        Raises `DatabaseUnavailable` or `StatementRejected`. A programming error (unknown column, bad syntax) is
        raised as psycopg2 raises it: it is a bug, not a state of the world.
        """
        async with self._cursor() as cursor:
            return await _fetched(cursor, statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction and commit it at the end of the block; an exception rolls it back. Raises like `run`."""
        async with self._cursor() as cursor:
            transaction = Transaction(cursor)
            await transaction.run("BEGIN")
            try:
                yield transaction
                await transaction.run("COMMIT")
            except Exception:
                # A lost connection has rolled back by itself; any other must not return to the pool as it is.
                with suppress(OutboxError):
                    await transaction.run("ROLLBACK")
                raise

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[aiopg.Cursor]:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                with _translated():
                    pool = await self._connected()
                    connection = await pool.acquire()
                try:
                    with _translated():
                        cursor = await connection.cursor()
                    try:
                        yield cursor
                    finally:
                        cursor.close()
                finally:
                    await pool.release(connection)
        except TimeoutError as error:
            raise DatabaseUnavailable(f"no answer within {self._timeout_seconds:g} s: {error!r}") from error

    async def _connected(self) -> aiopg.Pool:
        if self._pool is None:
            self._pool = await aiopg.create_pool(
                self._dsn,
                minsize=0,
                maxsize=self._connections,
                timeout=self._timeout_seconds,
                enable_hstore=False,
            )
        return self._pool


async def _fetched(cursor: aiopg.Cursor, statement: str, parameters: Mapping[str, Any] | None) -> Sequence[Row]:
    with _translated():
        await cursor.execute(statement, parameters)
        if cursor.description is None:
            return ()
        rows: Sequence[Row] = await cursor.fetchall()
        return rows


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what aiopg and psycopg2 raise as one of ours."""
    try:
        yield
    except _REJECTED as error:
        raise StatementRejected(_one_line(error)) from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError) as error:
        raise DatabaseUnavailable(_one_line(error)) from error
    except OSError as error:
        raise DatabaseUnavailable(repr(error)) from error
    except asyncio.CancelledError as error:
        # aiopg turns a statement cancelled by the server (statement_timeout, pg_cancel_backend) into the
        # cancellation of this task; only a task that somebody here cancelled may end as cancelled.
        if _is_being_cancelled():
            raise
        raise DatabaseUnavailable("the server cancelled the statement") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
