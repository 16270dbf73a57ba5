"""Approvals on the command line, as it is typed, on a real database; no worker and no Kafka."""

from __future__ import annotations

import asyncio
import os
import pwd
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from refunding import refund

from outbox.records import DecisionRecord, Hold
from outbox.writer import DecisionWriter

NOBODY = uuid.UUID(int=7)
STATUS = "SELECT event_id, status FROM decisions ORDER BY event_id"
ANSWERS = "SELECT answer, answered_by FROM approvals ORDER BY asked_at"
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def held(decision: Callable[..., DecisionRecord], message: Callable[..., Any]) -> Callable[..., DecisionRecord]:
    """A held decision of `recovery` with one message, and another one otherwise."""

    def build(event_id: str, **changes: Any) -> DecisionRecord:
        otherwise = (message(f"escalated-{event_id}", topic="x", value=b'{"why":"no"}'),)
        hold = Hold(reason="amount", expires_in=timedelta(days=1), otherwise=otherwise)
        return decision(event_id, **{"agent": "recovery", "status": "held", "hold": hold} | changes)

    return build


def hashes(query: Callable[..., Any]) -> list[str]:
    return [hashed for (hashed,) in query("SELECT content_sha256 FROM approvals ORDER BY asked_at")]


async def test_what_waits_is_listed(
    typed: Callable[..., Any], writer: DecisionWriter, held: Callable[..., DecisionRecord], query: Callable[..., Any]
) -> None:
    record = held("e-1", outcome="refund", entity_id="\x1b[2Jc\n\u202e1")
    await writer.record(record)

    (code, table, _), (json_code, listed, _) = await asyncio.gather(typed("approvals"), typed("--json", "approvals"))

    [hashed] = hashes(query)
    [line] = [line for line in table.splitlines() if str(record.id) in line]
    assert code == json_code == 0
    cells = [cell.strip() for cell in line.strip("|\u2502").replace("\u2502", "|").split("|")]
    assert cells[:5] == [str(record.id), "recovery", "customer \\u001b[2Jc\\n\\u202e1", "refund", "amount"]
    assert cells[6] == hashed[:12]
    assert [(one["id"], one["content_sha256"]) for one in orjson.loads(listed)] == [(str(record.id), hashed)]


async def test_one_is_shown_with_everything_that_follows_from_an_answer_and_nothing_that_moves_the_cursor(
    typed: Callable[..., Any],
    writer: DecisionWriter,
    held: Callable[..., DecisionRecord],
    message: Callable[..., Any],
    query: Callable[..., Any],
) -> None:
    hostile = message("m-1", value=orjson.dumps({"text": "ä\x9b2J\u202eevil\x7f\U000e0041"}))
    record = held("e-1", reason="a\rb", effects=(refund(1),), messages=(hostile,))
    await writer.record(record)

    (code, shown, _), (unknown, _, error) = await asyncio.gather(
        typed("approval", record.id), typed("approval", NOBODY)
    )

    assert code == 0
    assert all(line.isprintable() for line in shown.split("\n"))
    assert f"sha256    {hashes(query)[0]}\n" in shown
    assert "outcome   approve (0.75): a\\rb\n" in shown
    assert '"text": "ä\\u009b2J\\u202eevil\\u007f\\udb40\\udc41"' in shown
    assert '"amount_minor": 2000' in shown
    assert shown.index("publishes this:") < shown.index('"m-1"') < shown.index("in its place:") < shown.index('"why"')
    assert (unknown, error) == (1, f"innervate: decision {NOBODY} was never held")


async def test_an_approval_that_cannot_be_done_ends_with_what_stays_held_and_why(
    typed: Callable[..., Any], writer: DecisionWriter, held: Callable[..., DecisionRecord], query: Callable[..., Any]
) -> None:
    record = held("e-1", effects=(refund(1),))
    await writer.record(record)
    query("ALTER TABLE refunds RENAME TO away")

    code, _, error = await typed("approve", record.id, "--sha256", hashes(query)[0], "--by", "ada")

    assert (code, error) == (1, 'innervate: it stays held: relation "refunds" does not exist')
    assert query(STATUS) == [("e-1", "held")]


async def test_an_answer_is_given_once_by_whoever_says_who_they_are(
    typed: Callable[..., Any], writer: DecisionWriter, held: Callable[..., DecisionRecord], query: Callable[..., Any]
) -> None:
    first, second = held("e-1"), held("e-2")
    await writer.record(first)
    await writer.record(second)
    one, two = hashes(query)

    assert await typed("approve", first.id, "--sha256", one, "--by", "ada") == (0, "approved by ada\n", "")
    answered, by_user, again = await asyncio.gather(
        typed("reject", second.id, "--sha256", two),
        typed("approval", first.id),
        typed("reject", first.id, "--sha256", one, "--by", "grace"),
    )

    assert answered == (0, f"rejected by {ME}\n", "")
    assert "answer    approved ada 20" in by_user[1]
    assert (again[0], again[1]) == (1, "")
    assert again[2].startswith("innervate: already approved by ada at 20")
    assert query(STATUS) == [("e-1", "committed"), ("e-2", "rejected")]
    assert query(ANSWERS) == [("approved", "ada"), ("rejected", ME)]
    assert query("SELECT message_id FROM outbox_messages ORDER BY seq") == [("m-e-1",), ("escalated-e-2",)]


async def test_an_answer_that_is_not_possible_ends_with_one_line(
    typed: Callable[..., Any], writer: DecisionWriter, held: Callable[..., DecisionRecord], query: Callable[..., Any]
) -> None:
    record, refused = held("e-1"), held("e-2", effects=(refund(2),))
    for one in (record, refused, held("e-3", effects=(refund(3, 4000),), status="committed")):
        await writer.record(one)
    hashed, of_refused = hashes(query)

    done = await asyncio.gather(
        typed("approve", record.id, "--sha256", hashed[:12], "--by", "ada"),
        typed("approve", refused.id, "--sha256", of_refused, "--by", "ada"),
        typed("reject", record.id, "--sha256", hashed, DATABASE_URL="postgresql://127.0.0.1:1/innervate"),
    )

    assert [code for code, _, _ in done] == [1, 1, 1]
    prefix, beyond_the_capture, without_database = [error for _, _, error in done]
    assert prefix == "innervate: content_sha256: String should match pattern '^[0-9a-f]{64}$'"
    assert "refunded_at_most_what_was_captured" in beyond_the_capture
    assert without_database.startswith("innervate: PostgreSQL: ")
    assert query(STATUS) == [("e-1", "held"), ("e-2", "held"), ("e-3", "committed")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve", NOBODY, "--sha256", "0" * 64),
        ("reject", NOBODY, "--sha256", "0" * 64),
        ("dead-letters", "--redrive", NOBODY),
        ("dead-letters", "--redrive-all", "--consumer", "router"),
        ("outbox", "--redrive", "1"),
        ("outbox", "--redrive-all"),
    ],
)
async def test_where_nothing_may_be_changed_no_command_changes_anything(
    typed: Callable[..., Any], arguments: tuple[object, ...]
) -> None:
    code, shown, error = await typed(*arguments, READ_ONLY="true")
    assert (code, shown, error) == (1, "", "innervate: READ_ONLY is set: nothing can be changed here")
