"""Approvals by HTTP, on real servers and a real database: seen whole, and answered once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from problems import problem
from refunding import refund

from app.composition import create_app
from app.settings import Settings
from outbox.records import DecisionRecord, Hold
from outbox.writer import DecisionWriter

Client = TestClient[Any, Any]
Answered = tuple[int, Any]
#: Answers held decisions: decision, `approve` or `reject`, fields of the body.
Press = Callable[..., Awaitable[Answered]]
HeldOf = Callable[..., DecisionRecord]

ROUNDS = 40
NOBODY = uuid.UUID(int=7)
PUBLISHED = "SELECT message_id FROM outbox_messages ORDER BY seq"
STATUS = "SELECT event_id, status FROM decisions ORDER BY event_id"


@pytest.fixture
async def start(database_url: str, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Each client asks a worker of its own that is not started: it has its database and nothing else."""
    settings: dict[str, Any] = {"kafka_broker": "127.0.0.1:1", "database_url": database_url, "datadir": tmp_path}
    async with AsyncExitStack() as stack:

        async def run(**more: Any) -> Client:
            app = create_app(Settings(_env_file=None, **settings, **more))
            stack.push_async_callback(app.runtime.database.close)
            return await stack.enter_async_context(TestClient(TestServer(await app.web.wsgi())))

        yield run


@pytest.fixture
async def client(start: Callable[..., Awaitable[Client]]) -> Client:
    return await start()


@pytest.fixture
def press(client: Client) -> Press:
    return lambda record, answer, **body: pressed(client, record, answer, **body)


@pytest.fixture
def held(decision: Callable[..., DecisionRecord], message: Callable[..., Any]) -> HeldOf:
    """A held decision of `recovery` with a refund, one message, and another one otherwise."""

    def build(event_id: str, **changes: Any) -> DecisionRecord:
        hold = Hold(
            reason="amount", expires_in=timedelta(days=1), otherwise=(message(f"escalated-{event_id}", topic="x"),)
        )
        given = {"agent": "recovery", "status": "held", "effects": (refund(1),), "hold": hold}
        return decision(event_id, **given | changes)

    return build


async def pressed(client: Client, record: DecisionRecord, answer: str, **body: Any) -> Answered:
    async with client.post(f"/decisions/{record.id}/{answer}", json=body) as response:
        return response.status, await response.json()


async def asked(client: Client, path: str) -> Answered:
    async with client.get(path) as response:
        return response.status, await response.json()


async def hash_of(client: Client, record: DecisionRecord) -> str:
    _, body = await asked(client, f"/decisions/{record.id}")
    hashed: str = body["approval"]["content_sha256"]
    return hashed


async def test_what_waits_is_listed_with_its_decision(client: Client, writer: DecisionWriter, held: HeldOf) -> None:
    for record in (held("e-1"), held("e-2", outcome="refund", effects=()), held("e-3", status="committed")):
        await writer.record(record)

    status, body = await asked(client, "/approvals")

    assert (status, [one["event_id"] for one in body["approvals"]]) == (200, ["e-2", "e-1"])
    first = body["approvals"][0]
    waited = datetime.fromisoformat(first.pop("expires_at")) - datetime.fromisoformat(first.pop("asked_at"))
    assert timedelta(days=1) - timedelta(seconds=1) < waited <= timedelta(days=1)
    assert first == {
        "id": str(held("e-2").id),
        "agent": "recovery",
        "event_source": "urn:shop",
        "event_id": "e-2",
        "entity": "customer",
        "entity_id": "customer-1",
        "outcome": "refund",
        "reason": "nothing unusual",
        "confidence": 0.75,
        "brain": "rules",
        "hold_reason": "amount",
        "content_sha256": await hash_of(client, held("e-2")),
    }
    assert [one["event_id"] for one in (await asked(client, "/approvals?limit=1"))[1]["approvals"]] == ["e-2"]
    assert await asked(client, "/approvals?limit=0") == (400, problem(400, "limit: expected a number from 1 to 500"))


async def test_a_held_decision_shows_everything_that_follows_from_an_answer(
    client: Client, writer: DecisionWriter, held: HeldOf
) -> None:
    record = held("e-1")
    await writer.record(record)

    _, body = await asked(client, f"/decisions/{record.id}")

    approval = body["approval"]
    headers = [["content-type", "text/x"]]
    assert body["status"] == "held"
    assert approval["content"]["messages"] == [
        {"id": "m-e-1", "topic": "payments", "key": "customer-1", "value": {"n": 1}, "headers": headers}
    ]
    assert approval["content"]["otherwise"] == [
        {"id": "escalated-e-1", "topic": "x", "key": "customer-1", "value": {"n": 1}, "headers": headers}
    ]
    [effect] = approval["content"]["effects"]
    assert (effect["kind"], effect["payment_id"], effect["amount_minor"]) == ("refund", "p-1", 2000)
    assert len(approval["content_sha256"]) == 64
    assert (approval["reason"], approval["answer"], approval["answered_by"], approval["answered_at"]) == (
        "amount",
        None,
        None,
        None,
    )


async def test_a_decision_nobody_has_to_agree_to_has_no_approval(
    client: Client, writer: DecisionWriter, decision: Callable[..., DecisionRecord]
) -> None:
    record = decision("e-1")
    await writer.record(record)

    assert (await asked(client, f"/decisions/{record.id}"))[1]["approval"] is None


@pytest.mark.parametrize(
    ("answer", "written", "done"),
    [("approve", "approved", [("m-e-1", 1)]), ("reject", "rejected", [("escalated-e-1", 0)])],
)
async def test_an_answer_is_given_and_says_who_and_when(
    client: Client,
    press: Press,
    writer: DecisionWriter,
    held: HeldOf,
    query: Callable[..., Any],
    answer: str,
    written: str,
    done: list[tuple[str, int]],
) -> None:
    record = held("e-1")
    await writer.record(record)
    hashed = await hash_of(client, record)

    status, body = await press(record, answer, content_sha256=hashed, by=" Ada Löwe ")

    assert (status, body["id"]) == (200, str(record.id))
    assert (body["answer"], body["answered_by"], body["content_sha256"]) == (written, "Ada Löwe", hashed)
    assert datetime.fromisoformat(body["answered_at"]) >= datetime.fromisoformat(body["asked_at"])
    assert query("SELECT message_id, (SELECT count(*) FROM refunds) FROM outbox_messages") == done
    assert await asked(client, "/approvals") == (200, {"approvals": [], "next": None})


async def test_an_answer_that_comes_second_says_who_was_first_and_when(
    client: Client, press: Press, writer: DecisionWriter, held: HeldOf
) -> None:
    record = held("e-1")
    await writer.record(record)
    hashed = await hash_of(client, record)
    _, first = await press(record, "reject", content_sha256=hashed, by="ada")

    status, body = await press(record, "approve", content_sha256=hashed, by="grace")

    assert status == 409
    answered_at = datetime.fromisoformat(first["answered_at"]).astimezone(UTC).isoformat(timespec="seconds")
    assert body["detail"] == f"already rejected by ada at {answered_at}"
    assert body["approval"] == first


async def test_an_answer_to_something_else_than_what_is_held_is_none(
    client: Client, press: Press, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1")
    await writer.record(record)
    hashed = await hash_of(client, record)

    status, body = await press(record, "approve", content_sha256="0" * 64, by="ada")

    assert (status, body["detail"]) == (409, f"what is held has the hash {hashed}")
    assert body["approval"]["answer"] is None
    assert query(STATUS) == [("e-1", "held")]


async def test_an_approval_that_postgresql_refuses_stays_held_and_says_why(
    client: Client, press: Press, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1")
    await writer.record(record)
    await writer.record(held("e-2", effects=(refund(2, 4000),), status="committed"))

    status, body = await press(record, "approve", content_sha256=await hash_of(client, record), by="ada")

    assert status == 409
    assert body["detail"].startswith("it stays held: ")
    assert "refunded_at_most_what_was_captured" in body["detail"]
    assert body["approval"]["answer"] is None
    assert query(STATUS) == [("e-1", "held"), ("e-2", "committed")]
    assert (await press(record, "reject", content_sha256=await hash_of(client, record), by="ada"))[0] == 200


async def test_an_approval_that_needs_what_is_not_there_yet_stays_held_and_says_what(
    client: Client, press: Press, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any]
) -> None:
    record = held("e-1")
    await writer.record(record)
    query("ALTER TABLE refunds RENAME TO away")

    status, body = await press(record, "approve", content_sha256=await hash_of(client, record), by="ada")

    assert (status, body["detail"]) == (503, 'it stays held: relation "refunds" does not exist')
    assert body["approval"]["answer"] is None
    assert query(STATUS) == [("e-1", "held")]
    query("ALTER TABLE away RENAME TO refunds")
    assert (await press(record, "approve", content_sha256=await hash_of(client, record), by="ada"))[0] == 200


async def test_what_was_never_held_is_not_found(
    client: Client, press: Press, writer: DecisionWriter, decision: Callable[..., DecisionRecord]
) -> None:
    record = decision("e-1")
    await writer.record(record)

    for answer in ("approve", "reject"):
        for decision_id in (record.id, NOBODY):
            path = f"/decisions/{decision_id}/{answer}"
            async with client.post(path, json={"content_sha256": "0" * 64, "by": "ada"}) as response:
                assert (response.status, await response.json()) == (
                    404,
                    problem(404, f"decision {decision_id} was never held"),
                )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "body: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"[]", "body: Input should be an object"),
        (b"\xff", "body: Invalid JSON: "),
        (b'{"by": "ada"}', "content_sha256: Field required"),
        (b'{"content_sha256": "%s"}' % (b"0" * 64), "by: Field required"),
        (b'{"content_sha256": "%s", "by": "ada"}' % (b"0" * 12), "content_sha256: String should match pattern"),
        (b'{"content_sha256": "%s", "by": "ada"}' % (b"A" * 64), "content_sha256: String should match pattern"),
        (b'{"content_sha256": "%s\\n", "by": "ada"}' % (b"0" * 64), "content_sha256: String should match pattern"),
        (b'{"content_sha256": 5, "by": "ada"}', "content_sha256: Input should be a valid string"),
        (b'{"content_sha256": "%s", "by": " "}' % (b"0" * 64), "by: String should have at least 1 character"),
        (b'{"content_sha256": "%s", "by": "%s"}' % (b"0" * 64, b"a" * 201), "by: String should have at most 200"),
        (b'{"content_sha256": "%s", "by": "a\\u0000"}' % (b"0" * 64), "by: only printable characters"),
        (b'{"content_sha256": "%s", "by": "a\\u202eb"}' % (b"0" * 64), "by: only printable characters"),
        (b'{"content_sha256": "%s", "by": "a", "x\\ny": 1}' % (b"0" * 64), "x\\ny: Extra inputs are not permitted"),
    ],
)
async def test_a_body_that_is_not_right_is_answered_with_what_was_expected(
    client: Client, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any], body: bytes, error: str
) -> None:
    record = held("e-1")
    await writer.record(record)
    path = f"/decisions/{record.id}/approve"

    async with client.post(path, data=body, headers={"Content-Type": "application/json"}) as response:
        status, said = response.status, (await response.json())["detail"]

    assert status == 422
    assert said.startswith(error)
    assert query(STATUS) == [("e-1", "held")]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_what_a_foreign_page_can_make_a_browser_send_is_no_answer(
    client: Client, writer: DecisionWriter, held: HeldOf, query: Callable[..., Any], content_type: str
) -> None:
    record = held("e-1")
    await writer.record(record)
    body = b'{"content_sha256": "%s", "by": "ada"}' % (await hash_of(client, record)).encode()
    path = f"/decisions/{record.id}/approve"

    async with client.post(path, data=body, headers={"Content-Type": content_type}) as response:
        assert (response.status, await response.json()) == (415, problem(415, "the body is application/json"))
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with client.options(path, headers=preflight) as response:
        assert response.status >= 400
        assert "Access-Control-Allow-Origin" not in response.headers

    assert query(STATUS) == [("e-1", "held")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_an_answer_is_posted(client: Client, method: str) -> None:
    async with client.request(method, f"/decisions/{NOBODY}/approve") as response:
        assert response.status == 405


async def test_only_a_uuid_is_the_id_of_a_decision(client: Client) -> None:
    async with client.post("/decisions/x/reject", json={"content_sha256": "0" * 64, "by": "ada"}) as response:
        assert (response.status, await response.json()) == (400, problem(400, "decision_id: expected a UUID"))


async def test_an_answer_needs_the_token_when_there_is_one(start: Callable[..., Awaitable[Client]]) -> None:
    client = await start(api_token="let-me-in")
    path, body = f"/decisions/{NOBODY}/approve", {"content_sha256": "0" * 64, "by": "ada"}

    async with client.post(path, json=body) as response:
        assert response.status == 401
    async with client.post(path, json=body, headers={"Authorization": "Bearer let-me-in"}) as response:
        assert response.status == 404


async def test_of_two_who_press_at_the_same_time_exactly_one_wins_every_time(
    client: Client,
    start: Callable[..., Awaitable[Client]],
    writer: DecisionWriter,
    held: HeldOf,
    query: Callable[..., Any],
) -> None:
    other = await start()
    winners = set()
    for number in range(ROUNDS):
        record = held(f"e-{number}", effects=())
        await writer.record(record)
        hashed = await hash_of(client, record)
        order = [(client, "approve", "ada"), (other, "reject", "grace")]

        answers = await asyncio.gather(
            *(
                pressed(desk, record, answer, content_sha256=hashed, by=by)
                for desk, answer, by in (order if number % 2 else reversed(order))
            )
        )

        assert sorted(status for status, _ in answers) == [200, 409]
        [won] = [body for status, body in answers if status == 200]
        [lost] = [body for status, body in answers if status == 409]
        assert lost["approval"] == won
        assert lost["detail"].startswith(f"already {won['answer']} by {won['answered_by']} at ")
        [published] = {"approved": ["m"], "rejected": ["escalated"]}[won["answer"]]
        assert query(PUBLISHED) == [(f"{published}-e-{number}",)]
        query("DELETE FROM outbox_messages")
        winners.add(won["answered_by"])
    assert winners == {"ada", "grace"}
