"""Repair and shadows by HTTP, on a real server and a real database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from agents.engine.shadow import Shadow, ShadowWriter
from app.composition import create_app
from app.settings import Settings
from outbox.records import DeadLetter, Origin
from outbox.writer import DecisionWriter

Client = TestClient[Any, Any]

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
TOKEN = "let-me-in"
LETTER = DeadLetter(
    consumer="fraud",
    reason="decision_failed",
    detail="agent fraud: KeyError while deciding",
    origin=Origin(topic="timeline-customer", partition=2, offset=7, at=NOON),
    key=b"customer-1",
    value=b"{}",
    headers=(),
)
PATH = f"/dead-letters/{LETTER.id}/redrive"
PENDING = "SELECT topic FROM outbox_messages WHERE topic <> 'dead-letters'"
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
    SELECT n, n, 'm-' || n, 'payments', 'k', 'value', '[]', '2024-05-01T12:00:00Z', 'too large'
    FROM generate_series(1, 3) AS n
"""


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    """A worker that is not started: it has its database and nothing else."""
    settings = Settings(
        _env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path, api_token=TOKEN
    )
    app = create_app(settings)
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


async def post(client: Client, path: str, **options: Any) -> tuple[int, Any]:
    options = {"json": {"by": "ada"}, "headers": {"Authorization": f"Bearer {TOKEN}"}} | options
    async with client.post(path, **options) as response:
        return response.status, await response.json()


async def test_a_dead_letter_is_redriven_once(
    client: Client, writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)

    assert await post(client, PATH) == (202, {"id": str(LETTER.id), "topic": "timeline-customer", "by": "ada"})
    status, body = await post(client, PATH, json={"by": "bob"})

    assert (status, body["detail"][:27]) == (409, "already redriven by ada at ")
    assert query(PENDING) == [("timeline-customer",)]
    async with client.get("/dead-letters") as response:
        [listed] = (await response.json())["dead_letters"]
    assert (listed["id"], listed["replayed_by"]) == (str(LETTER.id), "ada")
    assert datetime.fromisoformat(listed["replayed_at"])


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        (PATH, {"headers": {}}, 401),
        (PATH, {"json": None, "data": "by=ada"}, 415),
        (PATH, {"json": {}}, 422),
        (PATH, {"json": {"by": "a\nb"}}, 422),
        (PATH, {"json": {"by": "ada", "and": 1}}, 422),
        ("/dead-letters/17/redrive", {}, 400),
        (f"/dead-letters/{uuid.UUID(int=1)}/redrive", {}, 404),
        ("/outbox/dead/1/redrive", {"headers": {}}, 401),
        ("/outbox/dead/1/redrive", {"json": None, "data": "x"}, 415),
        ("/outbox/dead/9/redrive", {}, 404),
        ("/outbox/dead/x/redrive", {}, 400),
        ("/outbox/dead/9223372036854775808/redrive", {}, 400),
    ],
)
async def test_what_cannot_be_asked_for_changes_nothing(
    client: Client,
    writer: DecisionWriter,
    query: Callable[..., Any],
    path: str,
    options: dict[str, Any],
    status: int,
) -> None:
    await writer.bury(LETTER)
    query(BURIED)

    found, body = await post(client, path, **options)

    assert (found, body["status"], list(body)) == (status, status, ["type", "title", "status", "detail"])
    assert query(PENDING) == []
    assert query("SELECT count(*) FROM outbox_dead") == [(3,)]


async def test_a_shadows_dead_letter_is_refused_with_what_to_do(client: Client, writer: DecisionWriter) -> None:
    letter = replace(LETTER, consumer="fraud@v2", is_published=False)
    await writer.bury(letter)

    assert await post(client, f"/dead-letters/{letter.id}/redrive") == (
        409,
        problem(409, "it is of the shadow fraud@v2: start that under another label"),
    )


async def test_buried_messages_are_listed_and_put_back_one_by_one(client: Client, query: Callable[..., Any]) -> None:
    query(BURIED)
    async with client.get("/outbox/dead?limit=2") as response:
        page = (await response.json())["messages"]
    async with client.get("/outbox/dead?before=2") as response:
        last = (await response.json())["messages"]

    assert [(one["seq"], one["reason"], one["value_bytes"]) for one in page] == [
        (3, "too large", 5),
        (2, "too large", 5),
    ]
    assert [one["seq"] for one in last] == [1]
    async with client.get("/outbox/dead/2") as response:
        whole = await response.json()
    assert (whole["message_id"], whole["value"]) == ("m-2", {"encoding": "utf-8", "text": "value"})
    assert await post(client, "/outbox/dead/2/redrive") == (202, {"seq": 2, "message_id": "m-2"})
    assert query("SELECT message_id FROM outbox_messages") == [("m-2",)]
    assert (await post(client, "/outbox/dead/2/redrive"))[0] == 404


async def test_what_is_put_back_answers_by_its_older_name_too(
    client: Client, writer: DecisionWriter, query: Callable[..., Any]
) -> None:
    await writer.bury(LETTER)
    query(BURIED)

    assert await post(client, f"/dead-letters/{LETTER.id}/replay") == (
        202,
        {"id": str(LETTER.id), "topic": "timeline-customer", "by": "ada"},
    )
    assert await post(client, "/outbox/dead/2/replay") == (202, {"seq": 2, "message_id": "m-2"})
    assert (await post(client, "/outbox/dead/2/redrive"))[0] == 404


async def test_shadows_are_shown_with_their_disagreements(
    client: Client, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for event_id in ("e-1", "e-2"):
        await writer.record(decision(event_id))
    shadow = ShadowWriter(Shadow("v2"), writer)
    await shadow.record(decision("e-1"))
    await shadow.record(decision("e-2", outcome="block", reason="large"))

    async with client.get("/shadows") as response:
        [found] = (await response.json())["shadows"]
    async with client.get("/shadows?label=v3") as response:
        none = await response.json()

    assert (found["agent"], found["label"], found["compared"], found["same"], found["rate"]) == (
        "fraud",
        "v2",
        2,
        1,
        0.5,
    )
    [one] = found["disagreements"]
    assert (one["event_id"], one["live"]["reason"], one["shadow"]["reason"]) == ("e-2", "nothing unusual", "large")
    assert none == {"shadows": [], "next": None}
