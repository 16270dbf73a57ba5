"""Migrations on PostgreSQL: once, however many start together, and all or nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from shop_catalogue import CATALOGUE
from sqlalchemy.exc import ProgrammingError
from waiting import PATIENCE_SECONDS, eventually

from outbox.domain_migrations import Migration, MigrationChanged, MigrationRefused
from outbox.errors import DatabaseUnavailable
from outbox.migrate import is_current, migrate
from outbox.schema import MIGRATIONS, SchemaTooNew, newest

ROOT = Path(__file__).parents[2]
TABLES = [
    "approvals",
    "code_versions",
    "dead_letters",
    "decision_contents",
    "decision_contents_kept",
    "decisions",
    "domain_migrations",
    "expectations",
    "innervate_migrations",
    "innervate_schema",
    "llm_budgets",
    "llm_call_contents",
    "llm_call_contents_kept",
    "llm_calls",
    "llm_reservations",
    "operator_actions",
    "outbox_dead",
    "outbox_identity",
    "outbox_lanes",
    "outbox_messages",
    "outbox_workers",
    "retention",
    "retention_disputes",
    "retention_drops",
    "workers",
]

#: Takes away what migration 0017 made.
FROM_BEFORE_RETENTION = """
    DROP VIEW disputed_decisions, whole_decisions, whole_llm_calls;
    DROP TABLE retention, retention_drops, retention_disputes;
    DROP TABLE decision_contents, decision_contents_kept, llm_call_contents, llm_call_contents_kept;
    DROP FUNCTION message_ids, message_contents, whole_messages, not_kept, decisions_to_keep, contents_to_keep;
    DROP FUNCTION is_turn_of_retention, content_partitions, add_partitions, drop_partition, trim_rows, release_contents;
    ALTER TABLE decisions DROP COLUMN is_apart;
    ALTER TABLE llm_calls DROP COLUMN is_apart;
    ALTER TABLE outbox_workers DROP COLUMN reads_contents;
"""

MIGRATE = "import sys; from outbox.migrate import migrate; migrate(sys.argv[1])"
#: And says which of the two came with it.
LOADED = MIGRATE + "; print(sorted({'alembic', 'sqlalchemy'} & sys.modules.keys()))"


def rows(url: str, statement: str) -> list[Any]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []
    finally:
        connection.close()


def tables(url: str) -> list[Any]:
    return rows(
        url,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
    )


def test_an_empty_database_gets_the_newest_schema_and_is_current_from_then_on(empty_database_url: str) -> None:
    assert not is_current(empty_database_url)

    migrate(empty_database_url)

    assert is_current(empty_database_url)
    assert tables(empty_database_url) == TABLES
    assert rows(empty_database_url, "SELECT lane FROM outbox_lanes ORDER BY lane") == list(range(64))


def test_domains_bring_their_tables_and_their_version_stands_in_the_database(empty_database_url: str) -> None:
    migrate(empty_database_url)
    assert not is_current(empty_database_url, CATALOGUE.migrations)

    migrate(empty_database_url, CATALOGUE.migrations)

    assert is_current(empty_database_url, CATALOGUE.migrations)
    assert tables(empty_database_url) == sorted([*TABLES, "captures", "given_back", "ledger_entries", "refunds"])
    assert rows(empty_database_url, "SELECT domain || number || name FROM domain_migrations") == [
        "shop10001_refunds",
        "shop20002_given_back",
        "shop30003_listings",
        "shop40004_own_refunds",
        "shop (only adds)50005_disputes",
    ]


def test_what_a_domain_needs_and_is_there_from_before_it_was_one_stays(database_url: str, query: Any) -> None:
    query("INSERT INTO captures (payment_id, order_id, currency, captured_minor) VALUES ('p', 'o', 'EUR', 7)")
    query(FROM_BEFORE_RETENTION)
    query("DROP TABLE domain_migrations, given_back")
    query("DROP FUNCTION lock_payment CASCADE")
    query("DROP TABLE workers; DROP FUNCTION plain_history; ALTER TABLE outbox_workers DROP COLUMN reads_steps")
    query("ALTER TABLE outbox_identity DROP COLUMN session_secret")
    query("DROP TABLE operator_actions; DROP FUNCTION keep_operator_actions")
    query("DROP TABLE expectations")
    query("DROP TABLE code_versions; ALTER TABLE decisions DROP COLUMN code_id")
    query("DROP TABLE innervate_schema; UPDATE innervate_migrations SET version_num = '0007'")

    migrate(database_url, CATALOGUE.migrations)

    assert is_current(database_url, CATALOGUE.migrations)
    assert query("SELECT captured_minor FROM captures") == [(7,)]


FIRST = Migration(number=1, name="0001_first", sql="CREATE TABLE one (percent text DEFAULT '5%'); SELECT 1 % 1")
SECOND = Migration(number=2, name="0002_second", sql="CREATE TABLE two (id integer REFERENCES one)")


def test_the_migrations_of_a_domain_that_fail_leave_nothing_of_it_and_all_of_the_others(
    empty_database_url: str,
) -> None:
    with pytest.raises(MigrationRefused, match=r"^domain ci: migration 0002_second: there is no primary key[^\n]*$"):
        migrate(empty_database_url, {"shop": CATALOGUE.migrations["shop"], "ci": [FIRST, SECOND]})

    applied = rows(empty_database_url, "SELECT DISTINCT domain FROM domain_migrations ORDER BY domain")
    assert applied == ["shop", "shop (only adds)"]
    assert "one" not in tables(empty_database_url)


def test_a_domain_adds_migrations_and_runs_each_once(empty_database_url: str) -> None:
    third = Migration(number=2, name="0002_third", sql="INSERT INTO one VALUES (DEFAULT)")
    migrate(empty_database_url, {"ci": [FIRST]})
    assert not is_current(empty_database_url, {"ci": [FIRST, third]})

    migrate(empty_database_url, {"ci": [FIRST, third]})
    migrate(empty_database_url, {"ci": [FIRST, third]})

    assert rows(empty_database_url, "SELECT percent FROM one") == ["5%"]


@pytest.mark.parametrize("ask", [migrate, is_current])
@pytest.mark.parametrize(
    ("now", "why"),
    [
        ([replace(FIRST, sql="SELECT 2")], "migration 0001_first is not what was applied"),
        (
            [],
            "the database has its migration 0001_first, which a newer version brought and older code does not underst",
        ),
    ],
)
def test_what_was_applied_must_not_change(
    empty_database_url: str, ask: Callable[..., object], now: list[Migration], why: str
) -> None:
    migrate(empty_database_url, {"ci": [FIRST]})

    with pytest.raises(MigrationChanged, match=f"domain ci: {why}"):
        ask(empty_database_url, {"ci": now})


def adding(number: int, sql: str) -> Migration:
    return Migration(number=number, name=f"{number:04}_adding", sql=f"-- innervate: only adds\n{sql}")


def test_a_newer_migration_of_a_domain_that_only_adds_is_worked_on_and_left_as_it_is(empty_database_url: str) -> None:
    before, now = {"ci": [FIRST]}, {"ci": [FIRST, adding(2, "ALTER TABLE one ADD COLUMN note text")]}
    migrate(empty_database_url, before)
    assert not is_current(empty_database_url, now)

    migrate(empty_database_url, now)
    for release in (before, now):
        migrate(empty_database_url, release)
        assert is_current(empty_database_url, release)

    assert rows(empty_database_url, "SELECT domain || ': ' || name FROM domain_migrations ORDER BY number") == [
        "ci: 0001_first",
        "ci (only adds): 0002_adding",
    ]
    with pytest.raises(MigrationChanged, match="domain ci: migration 0002_adding is not what was applied"):
        migrate(empty_database_url, {"ci": [FIRST, adding(2, "SELECT 3")]})


@pytest.mark.parametrize("ask", [migrate, is_current])
def test_one_that_does_not_only_add_is_refused_whatever_only_adds_around_it(
    empty_database_url: str, ask: Callable[..., object]
) -> None:
    second, last = adding(2, "SELECT 2"), adding(4, "SELECT 4")
    third = Migration(number=3, name="0003_taking", sql="ALTER TABLE one DROP COLUMN percent")
    migrate(empty_database_url, {"ci": [FIRST, second, third, last]})

    assert is_current(empty_database_url, {"ci": [FIRST, second, third]})
    for before in ([FIRST], [FIRST, second]):
        with pytest.raises(MigrationChanged, match=r"^domain ci: the database has its migration 0003_taking, [^\n]*$"):
            ask(empty_database_url, {"ci": before})


def test_a_second_time_changes_nothing(database_url: str, query: Callable[..., Any]) -> None:
    query("UPDATE outbox_lanes SET epoch = 7")

    migrate(database_url, CATALOGUE.migrations)

    assert query("SELECT DISTINCT epoch FROM outbox_lanes") == [(7,)]


def test_workers_that_start_together_migrate_once(empty_database_url: str) -> None:
    # The lock of migrations is held here until all of them are there.
    holder = psycopg2.connect(empty_database_url)
    with holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(7294655102)")
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", MIGRATE, empty_database_url], cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: rows(empty_database_url, waiting), lambda found: len(found) == 3)
        assert tables(empty_database_url) == []
    holder.close()

    errors = [worker.communicate(timeout=PATIENCE_SECONDS)[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0, 0], errors
    assert rows(empty_database_url, "SELECT version_num FROM innervate_schema") == [newest()]
    assert rows(empty_database_url, "SELECT count(*) FROM outbox_lanes") == [64]


def test_a_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    # The last table of the first migration is there already.
    rows(empty_database_url, "CREATE TABLE dead_letters (id integer)")

    with pytest.raises(ProgrammingError, match="dead_letters"):
        migrate(empty_database_url)

    assert tables(empty_database_url) == ["dead_letters"]
    assert not is_current(empty_database_url)

    rows(empty_database_url, "DROP TABLE dead_letters")
    migrate(empty_database_url)

    assert tables(empty_database_url) == TABLES


@pytest.mark.parametrize("since", ["0001", newest()])
def test_a_newer_schema_that_only_adds_is_worked_on_and_left_as_it_is(
    database_url: str, query: Callable[..., Any], since: str
) -> None:
    query("UPDATE innervate_schema SET version_num = '9999'")
    query(f"UPDATE innervate_migrations SET version_num = '{since}'")

    migrate(database_url, CATALOGUE.migrations)

    assert is_current(database_url, CATALOGUE.migrations)
    assert query("SELECT version_num FROM innervate_schema") == [("9999",)]


@pytest.mark.parametrize("ask", [migrate, is_current])
def test_a_newer_schema_that_took_something_away_is_refused_in_one_line(
    database_url: str, query: Callable[..., Any], ask: Callable[[str], object]
) -> None:
    query("UPDATE innervate_schema SET version_num = '9999'; UPDATE innervate_migrations SET version_num = '9998'")

    with pytest.raises(SchemaTooNew, match=r"^the database has schema 9999, which code from schema 9998 on[^\n]*$"):
        ask(database_url)


def test_releases_that_know_one_table_alone_read_the_version_there_that_they_have_to_have(
    empty_database_url: str,
) -> None:
    migrate(empty_database_url)

    assert rows(empty_database_url, "SELECT version_num FROM innervate_migrations") == ["0014"]


@pytest.mark.parametrize("ask", [migrate, is_current])
def test_a_database_that_is_away_is_said_to_be_so(database_url: str, ask: Callable[[str], object]) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not exist") as unavailable:
        ask(f"{database_url}_is_not_there")

    assert "\n" not in str(unavailable.value)


def test_any_connection_string_of_libpq_will_do(database_url: str) -> None:
    address, _, name = database_url.rpartition("/")
    user, _, host = address.removeprefix("postgresql://").partition("@")
    host, _, port = host.partition(":")

    assert is_current(f"host={host} port={port} user={user} dbname={name} password='a%b:c@d/'")
    assert is_current(f"postgresql://{user}:a%25b%40c@{host}:{port}/{name}?application_name=100%25")


def test_a_worker_that_finds_the_newest_schema_imports_neither_alembic_nor_sqlalchemy(
    database_url: str, empty_database_url: str
) -> None:
    def loaded(url: str) -> str:
        command = [sys.executable, "-c", LOADED, url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
        return done.stdout

    assert loaded(database_url) == "[]\n"
    assert loaded(empty_database_url) == "['alembic', 'sqlalchemy']\n"


def test_the_version_that_the_code_is_written_for_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert newest() == ScriptDirectory.from_config(config).get_current_head()
