"""The command `retention`, as it is typed, on a real database; no worker and no Kafka."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import psycopg2
import pytest

from outbox.records import DecisionRecord
from outbox.writer import DecisionWriter

LONG_AGO = datetime.now(UTC) - timedelta(days=45)
#: Contents of before, due when they are kept for 30 days.
DUE = """
    CREATE TABLE decision_contents_due PARTITION OF decision_contents FOR VALUES FROM (%(since)s) TO (%(until)s);
    UPDATE retention SET from_at = %(since)s WHERE name = 'decision_contents';
"""
SAID = "SELECT name, keep_days, partition_days, changed_by FROM retention ORDER BY name"
UNSAID = [("decision_contents", None, 7, None), ("llm_call_contents", None, 7, None)]


@pytest.fixture
async def due(writer: DecisionWriter, decision: Callable[..., DecisionRecord], query: Callable[..., Any]) -> None:
    """A decision whose contents are due when they are kept for 30 days."""
    query(DUE, {"since": LONG_AGO - timedelta(days=5), "until": LONG_AGO + timedelta(days=5)})
    await writer.record(decision("e-1", decided_at=LONG_AGO))


def cells(table: str, name: str) -> list[str]:
    """The cells of the row that begins with this name."""
    [line] = [line for line in table.splitlines() if line.strip("|\u2502 ").startswith(name)]
    return [cell.strip() for cell in line.strip("|\u2502").replace("\u2502", "|").split("|")]


async def test_it_says_how_long_contents_are_kept_and_changes_nothing(
    typed: Callable[..., Any], query: Callable[..., Any]
) -> None:
    code, table, _ = await typed("retention")

    assert code == 0
    for name in ("decision_contents", "llm_call_contents"):
        assert cells(table, name)[:2] == [name, "forever"]
    assert query(SAID) == UNSAID


@pytest.mark.usefixtures("due")
async def test_who_says_it_anew_is_written_down_and_what_is_due_is_dropped_when_asked(
    typed: Callable[..., Any], query: Callable[..., Any]
) -> None:
    keep = ("--keep", "decision_contents=30", "--keep", "llm_call_contents=5", "--by", "ada")
    code, table, _ = await typed("retention", *keep)

    assert (code, cells(table, "decision_contents")[:2]) == (0, ["decision_contents", "30 days"])
    assert query(SAID) == [("decision_contents", 30, 3, "ada"), ("llm_call_contents", 5, 1, "ada")]
    assert query("SELECT count(*) FROM decision_contents_due") == [(1,)]

    code, told, _ = await typed("retention", "--now")

    assert code == 0
    until = (LONG_AGO + timedelta(days=5)).date()
    assert f"dropped decision_contents_due, of before {until}" in told
    assert "; 0 stay\n" in told
    assert query("SELECT to_regclass('decision_contents_due')") == [(None,)]

    _, again, _ = await typed("retention", "--now")
    assert again.endswith("nothing was due\n")
    _, listed, _ = await typed("--json", "retention", "--keep", "decision_contents=forever")
    kept = {each["name"]: each for each in orjson.loads(listed)}
    assert kept["decision_contents"]["keep_days"] is None
    assert datetime.fromisoformat(kept["decision_contents"]["dropped_until"]) == LONG_AGO + timedelta(days=5)
    assert kept["llm_call_contents"]["dropped_until"] is None


@pytest.mark.usefixtures("due")
async def test_who_is_in_the_way_puts_it_off_and_is_told_of(
    typed: Callable[..., Any], query: Callable[..., Any], database_url: str
) -> None:
    query("UPDATE retention SET keep_days = 30")
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT messages FROM decision_contents")

        code, told, _ = await typed("retention", "--now")

    assert code == 0
    [line] = [line for line in told.splitlines() if line.startswith("put off: ")]
    assert "lock timeout" in line
    assert query("SELECT count(*) FROM decision_contents_due") == [(1,)]


@pytest.mark.parametrize(
    "wrong",
    [
        *("decision_contents", "decision_contents=", "decision_contents=0", "decision_contents=-1"),
        *("decision_contents=1.5", "decision_contents=36526", "decision_contents=\u0663", "decision_contents=FOREVER"),
    ],
)
async def test_a_time_that_is_none_is_refused(typed: Callable[..., Any], query: Callable[..., Any], wrong: str) -> None:
    code, _, error = await typed("retention", "--keep", "llm_call_contents=5", "--keep", wrong)

    assert code == 2
    assert "is not NAME=DAYS, with days from 1 to 36525, or NAME=forever" in error
    assert query(SAID) == UNSAID


async def test_contents_that_there_are_not_are_refused_with_the_names_of_those_there_are(
    typed: Callable[..., Any], query: Callable[..., Any]
) -> None:
    code, _, error = await typed("retention", "--keep", "decisions=30")

    assert (code, error) == (
        1,
        "innervate: decisions has no time of its own; these have: decision_contents, llm_call_contents",
    )
    assert query(SAID) == UNSAID


@pytest.mark.parametrize("changes", [("--now",), ("--keep", "decision_contents=30")])
async def test_where_nothing_may_be_changed_it_only_shows(
    typed: Callable[..., Any], query: Callable[..., Any], changes: tuple[str, ...]
) -> None:
    code, _, error = await typed("retention", *changes, READ_ONLY="true")

    assert (code, error) == (1, "innervate: READ_ONLY is set: nothing can be changed here")
    assert query(SAID) == UNSAID
    assert (await typed("retention", READ_ONLY="true"))[0] == 0
