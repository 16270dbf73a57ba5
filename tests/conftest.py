"""What every tier shares: the sandbox of the session, and a fresh database for each test that asks for one.

PostgreSQL is started once. A test's database is a copy of one that was migrated once, so it costs a tenth of a second.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from domains import installed
from hypothesis import HealthCheck, settings
from shop_catalogue import CATALOGUE

from app.sandbox import PROVIDERS, Postgres, Sandbox
from outbox.migrate import migrate

# A slow machine is no failure: what comes out is examined, never how long it took.
settings.register_profile("innervate", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("innervate")

TEMPLATE = "innervate_template"

_numbers = itertools.count(1)

#: Runs one statement in a transaction of its own and returns its rows.
Query = Callable[..., list[tuple[Any, ...]]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--provider", choices=sorted(PROVIDERS), default="tansu", help="which Kafka broker workers meet")


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """PostgreSQL and the broker of `--provider`, for tests that run whole workers."""
    with Sandbox(tmp_path_factory.mktemp("sandbox"), request.config.getoption("--provider")) as running:
        yield running


@pytest.fixture(scope="session")
def installed_ci(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the domain of `tests/domains/myci` is installed."""
    return installed("myci", tmp_path_factory.mktemp("myci"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL of the session; a test that crashes it restarts it."""
    server = Postgres(tmp_path_factory.mktemp("postgres") / "postgresql")
    try:
        server.start()
        yield server
    finally:
        server.release()


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database with the newest schema and no rows."""
    run(postgres.database_url, f"CREATE DATABASE {TEMPLATE}")
    migrate(sibling(postgres, TEMPLATE), CATALOGUE.migrations)
    return TEMPLATE


@pytest.fixture
def database_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """Address of a fresh database with the newest schema."""
    with _fresh(postgres, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """Address of a fresh database without any schema."""
    with _fresh(postgres, "template0") as url:
        yield url


@pytest.fixture
def query(database_url: str) -> Query:
    """Look into the test's database on a connection of its own, beside the product's pool."""
    return lambda statement, parameters=None: run(database_url, statement, parameters)


def run(url: str, statement: str, parameters: object = None) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


def sibling(postgres: Postgres, name: str) -> str:
    """Address of another database of the same server."""
    return f"{postgres.database_url.rpartition('/')[0]}/{name}"


@contextlib.contextmanager
def _fresh(postgres: Postgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    postgres.start()  # a test that failed may have left it crashed
    run(postgres.database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield sibling(postgres, name)
    finally:
        postgres.start()
        run(postgres.database_url, f"DROP DATABASE {name} WITH (FORCE)")
