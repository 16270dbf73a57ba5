"""Roles of PostgreSQL: who migrates owns the tables, a worker writes what a worker writes, a reader reads."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from psycopg2.extensions import make_dsn
from shop_catalogue import CATALOGUE

from outbox.domain_migrations import Migration
from outbox.migrate import migrate
from outbox.roles import WORKER, Roles, RolesUnusable

DENIED = psycopg2.errors.InsufficientPrivilege

#: One of a domain that is not the shop, with all kinds of things.
OWN = Migration(
    number=1,
    name="0001_own.sql",
    sql="""
CREATE TABLE builds (id serial PRIMARY KEY, name text NOT NULL);
CREATE VIEW build_names AS SELECT name FROM builds;
CREATE TABLE measured (day date NOT NULL, value integer NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE measured_first PARTITION OF measured FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
""",
)
LATER = Migration(number=2, name="0002_later.sql", sql="CREATE TABLE deployments (id integer PRIMARY KEY);")


class Roled:
    """A database that a user who is no superuser owns, with a user for each of the roles."""

    def __init__(self, superuser_url: str, database: str) -> None:
        self.suffix = uuid.uuid4().hex[:8]
        self._url, self._database = superuser_url, database
        self.roles = Roles(worker=f"workers_{self.suffix}", reader=f"readers_{self.suffix}")

    def url(self, user: str) -> str:
        return str(make_dsn(self._url, user=user, dbname=self._database))

    @property
    def owner(self) -> str:
        return f"owner_{self.suffix}"

    def migrate(self, *migrations: Migration) -> None:
        domains = {**CATALOGUE.migrations, **({"own": migrations} if migrations else {})}
        migrate(self.url(self.owner), domains, self.roles)

    def execute(self, user: str, statement: str) -> Sequence[Any]:
        """What the statement returns, in a transaction that is rolled back unless it is the owner's."""
        with closing(psycopg2.connect(self.url(user))) as connection:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                found = cursor.fetchall() if cursor.description else []
            if user == self.owner:
                connection.commit()
            return found


@pytest.fixture
def roled(empty_database_url: str) -> Iterator[Roled]:
    """Migrated; the users `worker` and `reader` are members of the roles."""
    with closing(psycopg2.connect(empty_database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        database = connection.info.dbname
        made = Roled(empty_database_url, database)
        cursor.execute(f"CREATE ROLE {made.owner} LOGIN CREATEROLE")
        cursor.execute(f"ALTER DATABASE {database} OWNER TO {made.owner}")
        made.migrate(OWN)
        for kind, role in (("worker", made.roles.worker), ("reader", made.roles.reader)):
            cursor.execute(f"CREATE ROLE {kind}_{made.suffix} LOGIN IN ROLE {role}")
        try:
            yield made
        finally:
            cursor.execute(f"REASSIGN OWNED BY {made.owner} TO CURRENT_USER")
            everybody = [made.owner, made.roles.worker, made.roles.reader]
            cursor.execute(f"DROP OWNED BY {', '.join(everybody)}")
            users = [f"worker_{made.suffix}", f"reader_{made.suffix}"]
            cursor.execute(f"DROP ROLE {', '.join([*users, *everybody])}")


def tables(roled: Roled) -> list[str]:
    found = roled.execute(
        roled.owner,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition ORDER BY 1",
    )
    return [name for (name,) in found]


def test_every_table_of_the_outbox_is_thought_of(roled: Roled) -> None:
    of_domains = {
        *("builds", "measured"),
        *("captures", "given_back", "ledger_entries", "refunds"),
    }
    assert set(tables(roled)) - of_domains == set(WORKER)


def test_a_reader_reads_every_table_and_view_and_writes_none(roled: Roled) -> None:
    reader = f"reader_{roled.suffix}"
    for table in [*tables(roled), "ledger_balances", "build_names"]:
        if table != "outbox_identity":
            roled.execute(reader, f"SELECT * FROM {table}")
    for table in tables(roled):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
            with pytest.raises(DENIED):
                roled.execute(reader, statement)
    for statement in ("INSERT INTO builds (name) VALUES ('x')", "UPDATE decisions SET status = 'committed'"):
        with pytest.raises(DENIED):
            roled.execute(reader, statement)


def test_a_reader_cannot_sign_sessions_of_the_page(roled: Roled) -> None:
    reader = f"reader_{roled.suffix}"
    assert len(roled.execute(reader, "SELECT id FROM outbox_identity")) == 1
    for columns in ("session_secret", "*"):
        with pytest.raises(DENIED):
            roled.execute(reader, f"SELECT {columns} FROM outbox_identity")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decisions",
        "TRUNCATE decisions CASCADE",
        "UPDATE decisions SET reason = 'another'",
        "UPDATE decisions SET messages = '[]'",
        "DELETE FROM operator_actions",
        "UPDATE operator_actions SET by_whom = 'somebody else'",
        "TRUNCATE operator_actions",
        "DELETE FROM approvals",
        "UPDATE approvals SET content = ''",
        "DELETE FROM dead_letters",
        "UPDATE dead_letters SET value = ''",
        "DELETE FROM llm_calls",
        "UPDATE llm_calls SET reply = ''",
        "UPDATE outbox_messages SET value = ''",
        "UPDATE outbox_identity SET session_secret = ''",
        "DELETE FROM domain_migrations",
        "UPDATE innervate_migrations SET version_num = '0001'",
        "DELETE FROM measured_first",
        "DELETE FROM decision_contents",
        "UPDATE llm_call_contents SET reply = ''",
        "INSERT INTO decision_contents_kept SELECT * FROM decision_contents",
        "UPDATE retention SET keep_days = 1",
        "INSERT INTO retention_disputes VALUES ('pg_class')",
        "DELETE FROM retention_drops",
        "DROP TABLE decisions CASCADE",
        "ALTER TABLE decisions ADD COLUMN extra text",
        "ALTER TABLE operator_actions DISABLE TRIGGER ALL",
        "DROP FUNCTION keep_operator_actions() CASCADE",
        "CREATE TABLE own (id integer)",
        "CREATE ROLE another",
    ],
)
def test_a_worker_is_refused_what_is_none_of_its_work(roled: Roled, statement: str) -> None:
    with pytest.raises(DENIED):
        roled.execute(f"worker_{roled.suffix}", statement)


def test_a_worker_does_to_tables_of_domains_what_effects_may(roled: Roled) -> None:
    worker = f"worker_{roled.suffix}"
    roled.execute(worker, "INSERT INTO builds (name) VALUES ('x') RETURNING id")
    roled.execute(worker, "UPDATE builds SET name = 'y'")
    roled.execute(worker, "DELETE FROM builds")
    roled.execute(worker, "INSERT INTO measured VALUES ('2024-01-05', 1)")
    with pytest.raises(DENIED):
        roled.execute(worker, "ALTER TABLE builds ADD COLUMN extra text")


def test_a_table_that_a_later_migration_brings_is_granted_with_it(roled: Roled) -> None:
    roled.migrate(OWN, LATER)
    roled.execute(f"worker_{roled.suffix}", "INSERT INTO deployments VALUES (1)")
    roled.execute(f"reader_{roled.suffix}", "SELECT * FROM deployments")


def test_partitions_need_no_rights_of_their_own(roled: Roled) -> None:
    roled.execute(
        roled.owner, "CREATE TABLE measured_next PARTITION OF measured FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"
    )
    roled.execute(f"worker_{roled.suffix}", "INSERT INTO measured VALUES ('2024-02-05', 1)")
    roled.execute(f"reader_{roled.suffix}", "SELECT * FROM measured")
    roled.migrate(OWN)
    for partition in ("measured_first", "measured_next"):
        with pytest.raises(DENIED):
            roled.execute(f"worker_{roled.suffix}", f"DELETE FROM {partition}")


def test_a_worker_drops_what_is_due_with_the_rights_of_the_owner_who_says_what_is(roled: Roled) -> None:
    worker = f"worker_{roled.suffix}"
    roled.execute(
        roled.owner,
        "CREATE TABLE decision_contents_old PARTITION OF decision_contents"
        " FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
    )
    drop = "SELECT partition FROM drop_partition()"
    # A table of its own by that name does not stand for the owner's.
    own = (
        "CREATE TEMPORARY TABLE retention AS SELECT * FROM retention;"
        "UPDATE retention SET keep_days = 1; GRANT ALL ON retention TO PUBLIC; "
    )
    assert roled.execute(worker, own + drop) == []

    roled.execute(roled.owner, "UPDATE retention SET keep_days = 30")

    assert [row[0] for row in roled.execute(worker, drop)] == ["decision_contents_old"]


def test_what_was_granted_by_hand_is_taken_away_again(roled: Roled) -> None:
    roled.execute(roled.owner, f"GRANT ALL ON decisions, outbox_identity TO {roled.roles.reader}")
    roled.execute(roled.owner, f"GRANT DELETE ON decisions TO {roled.roles.worker}")
    roled.migrate(OWN)
    with pytest.raises(DENIED):
        roled.execute(f"worker_{roled.suffix}", "DELETE FROM decisions")
    with pytest.raises(DENIED):
        roled.execute(f"reader_{roled.suffix}", "SELECT session_secret FROM outbox_identity")


def test_granting_again_changes_nothing(roled: Roled) -> None:
    privileges = "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = roled.execute(roled.owner, privileges)
    roled.migrate(OWN)
    assert roled.execute(roled.owner, privileges) == before


def test_functions_with_the_owners_rights_are_a_workers_alone(roled: Roled) -> None:
    roled.execute(f"worker_{roled.suffix}", "SELECT tell_sources_apart()")
    with pytest.raises(DENIED):
        roled.execute(f"reader_{roled.suffix}", "SELECT tell_sources_apart()")


def test_functions_with_the_owners_rights_look_into_temporary_tables_last(roled: Roled) -> None:
    found = roled.execute(
        roled.owner,
        """
        SELECT p.oid::regprocedure::text,
            (SELECT setting FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\\_path=%')
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        """,
    )
    assert found
    assert [function for function, path in found if not str(path).endswith(", pg_temp")] == []


#: What a function of the owner's would come upon that asks the temporary schema first.
PUT_BENEATH = """
CREATE TEMP TABLE pg_constraint (conrelid oid, conname text);
INSERT INTO pg_constraint VALUES ('public.decisions'::regclass, 'decisions_agent_event_id_key');
CREATE FUNCTION pg_temp.taken() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM public.domain_migrations;
    RETURN false;
END
$$;
CREATE TEMP VIEW outbox_workers AS
SELECT clock_timestamp() + interval '1 day' AS seen_until, pg_temp.taken() AS tells_sources_apart;
"""


def test_a_worker_gets_nothing_done_with_the_owners_rights_by_tables_of_its_own(roled: Roled) -> None:
    statement = f"{PUT_BENEATH} SELECT tell_sources_apart(), count(*) FROM public.domain_migrations"
    ((is_told, migrations),) = roled.execute(f"worker_{roled.suffix}", statement)
    assert is_told
    assert migrations == len(CATALOGUE.migrations["shop"]) + len([OWN])


def test_a_worker_that_migrates_at_its_start_finds_nothing_to_do(roled: Roled) -> None:
    migrate(roled.url(f"worker_{roled.suffix}"), {**CATALOGUE.migrations, "own": [OWN]}, roled.roles)


def test_rights_are_not_taken_from_who_owns_the_tables(roled: Roled) -> None:
    for unusable in (Roles(worker=roled.owner), Roles(reader=roled.owner)):
        with pytest.raises(RolesUnusable, match=roled.owner):
            migrate(roled.url(roled.owner), {**CATALOGUE.migrations, "own": [OWN]}, unusable)
    roled.execute(roled.owner, "DELETE FROM decisions")
