"""PostgreSQL over TLS: whatever libpq takes in `DATABASE_URL` holds for migrations, pool and notifications alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from authority import Authority, Issued
from psycopg2.extensions import make_dsn
from shop_catalogue import CATALOGUE
from tls_front import TlsFront
from waiting import PATIENCE_SECONDS

from outbox.database import Database
from outbox.errors import DatabaseUnavailable
from outbox.migrate import migrate
from outbox.notify import Notifications


class Guarded:
    """An empty database behind TLS, and who signs for whom."""

    def __init__(self, directory: Path, plain_url: str, *, asks: bool = False, host: str = "127.0.0.1") -> None:
        self.authority = Authority(directory / "authority")
        self.stranger = Authority(directory / "stranger")
        self.plain_url = plain_url
        port = int(psycopg2.extensions.parse_dsn(plain_url)["port"])
        self.front = TlsFront(port, self.authority, asks=asks, host=host)

    def url(self, **parameters: str) -> str:
        """With everything checked, but for what is said."""
        verified = {"sslmode": "verify-full", "sslrootcert": str(self.authority.cafile)}
        return str(make_dsn(self.plain_url, **{"port": str(self.front.port), **verified, **parameters}))

    def shown(self, issued: Issued) -> str:
        """With a certificate of one's own."""
        issued.keyfile.chmod(0o600)
        return self.url(sslcert=str(issued.certfile), sslkey=str(issued.keyfile))


@pytest.fixture
def guarded(tmp_path: Path, empty_database_url: str) -> Iterator[Guarded]:
    made = Guarded(tmp_path, empty_database_url)
    with made.front:
        yield made


@pytest.fixture
def asking(tmp_path: Path, empty_database_url: str) -> Iterator[Guarded]:
    """One where clients show a certificate."""
    made = Guarded(tmp_path, empty_database_url, asks=True)
    with made.front:
        yield made


async def asked(url: str) -> int:
    database = Database(url, timeout_seconds=PATIENCE_SECONDS)
    try:
        [row] = await database.run("SELECT 1 AS one")
        return int(row.one)
    finally:
        await database.close()


async def test_migrations_pool_and_notifications_are_all_encrypted(guarded: Guarded) -> None:
    await asyncio.to_thread(migrate, guarded.url(), CATALOGUE.migrations)
    assert await asked(guarded.url()) == 1
    listening, hints = len(guarded.front.seen), []
    database = Database(guarded.url(), timeout_seconds=PATIENCE_SECONDS)
    notifications = Notifications(database, guarded.url(), on_hint=lambda: hints.append(True))
    notifications.start()
    try:

        async def hinted() -> bool:
            await database.run("SELECT pg_notify('innervate_outbox', '')::text AS told")
            return bool(hints)

        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await hinted():  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.05)
    finally:
        await notifications.stop()
        await database.close()
    assert len(guarded.front.seen) > listening
    assert {version for version, _ in guarded.front.seen} == {"TLSv1.3"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sslrootcert": "stranger"}, "certificate verify failed"),
        ({"host": "localhost"}, 'does not match host name "localhost"'),
        ({"sslmode": "disable"}, "server closed the connection"),
    ],
)
async def test_a_database_that_cannot_be_trusted_is_told_nothing_and_the_line_says_why(
    guarded: Guarded, wrong: dict[str, str], said: str
) -> None:
    parameters = {name: str(guarded.stranger.cafile) if value == "stranger" else value for name, value in wrong.items()}
    url = guarded.url(**parameters)
    with pytest.raises(DatabaseUnavailable, match=said):
        await asyncio.to_thread(migrate, url, CATALOGUE.migrations)
    with pytest.raises(DatabaseUnavailable, match=said):
        await asked(url)
    assert guarded.front.seen == []


async def test_a_certificate_is_shown_where_the_address_names_one(asking: Guarded) -> None:
    url = asking.shown(asking.authority.issue("worker"))
    await asyncio.to_thread(migrate, url, CATALOGUE.migrations)
    assert await asked(url) == 1
    assert {name for _, name in asking.front.seen} == {"worker"}


async def test_without_one_that_is_trusted_nobody_gets_in(asking: Guarded) -> None:
    for url in (asking.url(), asking.shown(asking.stranger.issue("worker"))):
        with pytest.raises(DatabaseUnavailable):
            await asked(url)
    assert asking.front.seen == []


async def test_a_password_is_in_no_line_about_a_database_that_is_away(guarded: Guarded) -> None:
    url = guarded.url(password="sesame-5e5a3e", sslrootcert=str(guarded.stranger.cafile))
    with pytest.raises(DatabaseUnavailable) as told:
        await asked(url)
    assert "5e5a3e" not in str(told.value)
