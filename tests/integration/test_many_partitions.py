"""However many partitions there are: a decision is looked up in none, and its contents in one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from llm_calls import call

from outbox.database import Database
from outbox.journal import Journal
from outbox.records import DecisionRecord
from outbox.statements import queries
from outbox.writer import DecisionWriter

PARTITIONS = 300
NOW = datetime.now(UTC)
MADE_AT = NOW - timedelta(days=100)
#: A day each, older than those that are there.
MAKE = """
    DO $$
    DECLARE
        today timestamptz := (SELECT min(from_at) FROM retention);
    BEGIN
        FOR day IN 1..%(partitions)s LOOP
            EXECUTE format(
                'CREATE TABLE decision_contents_%%s PARTITION OF decision_contents FOR VALUES FROM (%%L) TO (%%L)',
                day, today - make_interval(days => day), today - make_interval(days => day - 1)
            );
            EXECUTE format(
                'CREATE TABLE llm_call_contents_%%s PARTITION OF llm_call_contents FOR VALUES FROM (%%L) TO (%%L)',
                day, today - make_interval(days => day), today - make_interval(days => day - 1)
            );
        END LOOP;
        UPDATE retention SET from_at = today - make_interval(days => %(partitions)s);
    END
    $$
"""


@pytest.fixture(autouse=True)
async def made(
    database: Database, writer: DecisionWriter, decision: Callable[..., DecisionRecord], query: Callable[..., Any]
) -> None:
    query(MAKE, {"partitions": PARTITIONS})
    await writer.record_all([decision(f"e-{n}", decided_at=NOW - timedelta(days=n)) for n in range(PARTITIONS - 1)])
    journal = Journal(database)
    await journal.record(call(called_at=MADE_AT))
    await journal.stop()
    query("ANALYZE")


def plan(query: Callable[..., Any], statement: str, parameters: Any = None) -> Any:
    [(found,)] = query(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    return found[0]["Plan"]


def scanned(node: Any) -> list[str]:
    """The tables that were read, whichever way."""
    own = [node["Relation Name"]] if "Relation Name" in node and node["Actual Loops"] else []
    return own + [name for each in node.get("Plans", ()) for name in scanned(each)]


def of_contents(names: list[str]) -> list[str]:
    return [name for name in names if "contents" in name and not name.endswith("_kept")]


def test_whether_an_event_was_decided_on_no_partition_is_asked(query: Callable[..., Any]) -> None:
    asked = {"agents": ["fraud"], "event_sources": ["urn:shop"], "event_ids": ["e-100"]}

    found = scanned(plan(query, queries("writer.sql")["decided"].rstrip("; \n"), asked))

    assert found == ["decisions"]


@pytest.mark.parametrize("column", ["whole_messages", "not_kept"])
def test_a_decision_is_shown_with_one_partition(query: Callable[..., Any], column: str) -> None:
    statement = f"SELECT event_id, {column} FROM whole_decisions WHERE agent = 'fraud' AND event_id = 'e-100'"

    found = plan(query, statement)

    assert found["Actual Rows"] == 1
    assert len(of_contents(scanned(found))) == 1


def test_what_is_not_asked_for_is_looked_for_nowhere(query: Callable[..., Any]) -> None:
    found = scanned(plan(query, "SELECT event_id, outcome FROM whole_decisions WHERE event_id = 'e-100'"))

    assert found == ["decisions"]


def test_a_page_of_decisions_looks_into_the_partitions_of_their_times_alone(query: Callable[..., Any]) -> None:
    statement = "SELECT whole_messages FROM whole_decisions WHERE decided_at >= %s AND decided_at < %s"

    found = plan(query, statement, (NOW - timedelta(days=52.5), NOW - timedelta(days=47.5)))

    assert found["Actual Rows"] == 5
    assert 5 <= len(of_contents(scanned(found))) <= 6


def test_a_call_of_a_model_is_read_with_one_partition(query: Callable[..., Any]) -> None:
    found = plan(query, "SELECT whole_reply FROM whole_llm_calls")

    assert found["Actual Rows"] == 1
    assert len(of_contents(scanned(found))) == 1


def test_contents_are_written_into_one_partition_and_no_other_is_locked(database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO decision_contents VALUES (gen_random_uuid(), %s, '[]')", (NOW,))
        cursor.execute(
            "SELECT count(*) FROM content_partitions('decision_contents') AS p"
            " JOIN pg_locks AS l ON l.relation = to_regclass(p.partition) AND l.pid = pg_backend_pid()"
        )
        assert cursor.fetchall() == [(1,)]
