"""The database: one statement, one transaction, one of two errors.

aiopg runs in autocommit, so every `run` is a transaction of its own; `transaction` is for several statements. Whatever
goes wrong with the connection, the server or the schema is `DatabaseUnavailable` (the outcome may be unknown): it is
waited for. Whatever is wrong with the values is `StatementRejected`: it will be refused again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import aiopg
import psycopg2
import psycopg2.errors

from outbox.errors import (
    DatabaseReadOnly,
    DatabaseUnavailable,
    EffectUnavailable,
    InnervateError,
    RowsLocked,
    SchemaUnusable,
    StatementRejected,
)
from outbox.pool import Pool
from outbox.rows import Row as Row  # noqa: PLC0414 - and their rows
from outbox.rows import named
from outbox.session import connect
from outbox.statements import queries as queries  # noqa: PLC0414 - who runs statements names them from here
from outbox.supervision import cancellations, is_being_cancelled, keeping_cancellations, raise_newer

#: Errors of class 22 (data), 23 (integrity), 54 (program limit) and what a trigger raises come from the rows and will
#: come again. psycopg2 itself refuses texts with NUL or a lone surrogate, as a ValueError.
_REJECTED: Final = (
    psycopg2.DataError,
    psycopg2.IntegrityError,
    psycopg2.errors.ProgramLimitExceeded,
    psycopg2.errors.RaiseException,
    ValueError,
)

#: Others wait for this transaction, so it does not wait long for a row that somebody else holds.
_BEGIN_PART: Final = "SAVEPOINT part; SET CONSTRAINTS ALL DEFERRED; SET LOCAL lock_timeout = '1s'"

#: What somebody has taken away, or not given yet, and may give: it is there again without a change of the statement.
UNUSABLE: Final = (
    psycopg2.errors.UndefinedTable,
    psycopg2.errors.UndefinedColumn,
    psycopg2.errors.UndefinedFunction,
    psycopg2.errors.UndefinedObject,
    psycopg2.errors.WrongObjectType,
    # The constraint that ON CONFLICT relies on was dropped.
    psycopg2.errors.InvalidColumnReference,
    psycopg2.errors.InvalidSchemaName,
    psycopg2.errors.InsufficientPrivilege,
)


#: What is undone alone, and may succeed another time.
WAITS_ALONE: Final = (SchemaUnusable, RowsLocked, EffectUnavailable)


class Transaction:
    """Statements that are committed together; made by `Database.transaction`."""

    def __init__(self, cursor: aiopg.Cursor) -> None:
        self._cursor = cursor

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Run one statement and return its rows. Raises like `Database.run`."""
        return await _fetched(self._cursor, statement, parameters)

    def filled(self, statement: str, parameters: Mapping[str, Any]) -> str:
        """The statement with its parameters in it, as `run` would send it. Raises what psycopg2 and adapters raise."""
        text: bytes = self._cursor.mogrify(statement, parameters)
        return text.decode()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails in here is undone alone, deferred constraints included, and passes on.

        Raises `StatementRejected`, also for a statement that is wrong in itself, `SchemaUnusable`, `RowsLocked` or
        `EffectUnavailable`; after any other error the whole transaction has failed.
        """
        await self.run(_BEGIN_PART)
        try:
            yield
            await self.run("SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT part")
        except (StatementRejected, *WAITS_ALONE):
            await self.run("ROLLBACK TO SAVEPOINT part")
            raise
        except psycopg2.ProgrammingError as error:
            await self.run("ROLLBACK TO SAVEPOINT part")
            raise StatementRejected(_one_line(error)) from error


class Database:
    """A pool of PostgreSQL connections.

    `timeout_seconds` bounds each transaction and each wait for a free connection; one that takes longer has its
    connection closed, so its outcome is unknown.
    """

    def __init__(self, dsn: str, *, connections: int = 8, timeout_seconds: float = 30.0) -> None:
        self._dsn = dsn
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._pool: Pool | None = None
        self._only_reads = False

    def only_read(self) -> None:
        """Let no statement write from now on: PostgreSQL refuses those that would (`DatabaseReadOnly`)."""
        self._only_reads = True

    async def open(self) -> None:
        """Connect once, so that a wrong address fails at the start. Raises `DatabaseUnavailable`."""
        await self.run("SELECT 1")

    async def close(self) -> None:
        """Close every connection; statements under way end with `DatabaseUnavailable`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    async def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Run one statement in a transaction of its own and return its rows.

        Raises `DatabaseUnavailable` or `StatementRejected`. A table, column or privilege that is missing is a state of
        the world: `SchemaUnusable`, which is waited for like an outage. A statement that is wrong in itself (bad
        syntax, types that do not fit) is raised as psycopg2 raises it: it is a bug, and nothing to wait for.
        """
        if self._only_reads:
            async with self.transaction() as transaction:
                return await transaction.run(statement, parameters)
        async with self._cursor() as cursor:
            return await _fetched(cursor, statement, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Begin a transaction and commit it at the end of the block; an exception rolls it back. Raises like `run`."""
        async with self._cursor() as cursor:
            transaction = Transaction(cursor)
            # For each transaction: a setting of the session would stay behind at a pooler.
            await transaction.run("BEGIN READ ONLY" if self._only_reads else "BEGIN")
            try:
                yield transaction
                await transaction.run("COMMIT")
            except Exception:
                # A lost connection has rolled back by itself; any other must not return to the pool as it is.
                with suppress(InnervateError):
                    await transaction.run("ROLLBACK")
                raise

    async def is_read_only(self) -> bool:
        """Whether PostgreSQL takes no writes; new connections are used then. Raises `DatabaseUnavailable`."""
        [row] = await self.run("SELECT current_setting('transaction_read_only')::boolean AS is_read_only")
        if row.is_read_only:
            self.renew()
        return bool(row.is_read_only)

    def renew(self) -> None:
        """Use new connections from now on: those there are do not lead where they should."""
        if self._pool is not None:
            self._pool.renew()

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[aiopg.Cursor]:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._connection() as connection:
                with _translated():
                    cursor = await connection.cursor()
                try:
                    yield cursor
                finally:
                    cursor.close()
        except TimeoutError as error:
            raise DatabaseUnavailable(f"no answer within {self._timeout_seconds:g} s: {error!r}") from error
        except DatabaseReadOnly:
            # After a failover the old connections lead to what is a standby now.
            self.renew()
            raise

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiopg.Connection]:
        before = cancellations()
        async with self._connected().connection() as connection:
            # Not while it is made: it has to be taken back or closed.
            raise_newer(before)
            yield connection

    def _connected(self) -> Pool:
        if self._pool is None:
            self._pool = Pool(self._connect, self._connections)
        return self._pool

    async def _connect(self) -> aiopg.Connection:
        with _translated():
            return await connect(self._dsn, timeout_seconds=self._timeout_seconds)


async def _fetched(cursor: aiopg.Cursor, statement: str, parameters: Mapping[str, Any] | None) -> Sequence[Row]:
    with _translated(), keeping_cancellations():
        await cursor.execute(statement, parameters)
        if cursor.description is None:
            return ()
        return named([column.name for column in cursor.description], await cursor.fetchall())


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what aiopg and psycopg2 raise as one of ours."""
    try:
        yield
    except _REJECTED as error:
        raise _refusal(error) from error
    except (*UNUSABLE, psycopg2.NotSupportedError) as error:
        raise SchemaUnusable(_one_line(error)) from error
    except psycopg2.errors.ReadOnlySqlTransaction as error:
        raise DatabaseReadOnly(_one_line(error)) from error
    except psycopg2.errors.LockNotAvailable as error:
        raise RowsLocked(_one_line(error)) from error
    except (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.InternalError) as error:
        raise DatabaseUnavailable(_one_line(error)) from error
    except OSError as error:
        raise DatabaseUnavailable(repr(error)) from error
    except asyncio.CancelledError as error:
        # aiopg turns a statement cancelled by the server (statement_timeout, pg_cancel_backend) into the
        # cancellation of this task; only a task that somebody here cancelled may end as cancelled.
        if is_being_cancelled():
            raise
        raise DatabaseUnavailable("the server cancelled the statement") from error


def _refusal(error: Exception) -> SchemaUnusable | StatementRejected:
    """What is wrong with the values; or, where no partition takes a row, with the table: it may get one."""
    if isinstance(error, psycopg2.errors.CheckViolation) and error.diag.constraint_name is None:
        return SchemaUnusable(_one_line(error))
    return StatementRejected(_one_line(error))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
