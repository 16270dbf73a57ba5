"""What can be changed from the page: approve, reject, put back; on workers that are not started."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from letters import letter
from pages import Element, Page, parsed
from refunding import refund

from app.composition import create_app
from app.sandbox import Postgres
from app.settings import Settings
from outbox.records import DecisionRecord, Hold
from outbox.writer import DecisionWriter

Client = TestClient[Any, Any]
Decide = Callable[..., DecisionRecord]
Query = Callable[..., Any]
#: Opens a page, fills its form in and sends it as htmx does: path, fields, headers; status and what is shown then.
Send = Callable[..., Awaitable[tuple[int, Page]]]

PUBLISHED = "SELECT message_id FROM outbox_messages WHERE topic <> 'dead-letters' ORDER BY seq"


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    app = create_app(Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path))
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


async def sent(client: Client, form: Element, **fields: str) -> tuple[int, Page]:
    headers = json.loads(form.attributes["hx-headers"] or "")
    htmx = {"HX-Request": "true", "HX-Request-Type": "partial"}
    async with client.post(str(form.attributes["hx-post"]), data=fields, headers=htmx | headers) as response:
        assert response.content_type == "text/html"
        return response.status, parsed(await response.text())


async def form_at(client: Client, path: str) -> tuple[Element, dict[str, str]]:
    """The first form of a page that changes something, and its hidden fields."""
    async with client.get(path) as response:
        page = parsed(await response.text())
    hidden = {
        str(each.attributes["name"]): str(each.attributes["value"])
        for each in page.all("input")
        if each.attributes.get("type") == "hidden" and each.attributes["name"] != "csrf"
    }
    return next(each for each in page.all("form") if "hx-post" in each.attributes), hidden


@pytest.fixture
def send(client: Client) -> Send:
    async def run(path: str, **fields: str) -> tuple[int, Page]:
        form, hidden = await form_at(client, path)
        return await sent(client, form, **{"by": "ada"} | hidden | fields)

    return run


@pytest.fixture
async def held(writer: DecisionWriter, decision: Decide, message: Callable[..., Any]) -> DecisionRecord:
    """A decision of `recovery` that is held, with a refund, one message, and another one otherwise."""
    hold = Hold(reason="amount", expires_in=timedelta(days=1), otherwise=(message("escalated", topic="recovery"),))
    record = decision("pay-1", agent="recovery", status="held", effects=(refund(1),), hold=hold)
    await writer.record(record)
    return record


async def test_an_approval_does_what_was_shown_and_says_so(send: Send, held: DecisionRecord, query: Query) -> None:
    status, page = await send(f"/ui/approvals/{held.id}", answer="approve")

    assert status == 200
    assert "Approved." in page.text
    assert "approved by ada" in page.text
    assert (len(page.all("html")), len(page.all("h1"))) == (0, 1)
    assert query(PUBLISHED) == [("m-pay-1",)]
    assert query("SELECT count(*) FROM refunds") == [(1,)]


async def test_a_rejection_publishes_what_was_shown_in_its_place(
    send: Send, held: DecisionRecord, query: Query
) -> None:
    status, page = await send(f"/ui/approvals/{held.id}", answer="reject")

    assert (status, "rejected by ada" in page.text) == (200, True)
    assert query(PUBLISHED) == [("escalated",)]
    assert query("SELECT count(*) FROM refunds") == [(0,)]


async def test_of_two_who_press_at_once_the_second_is_shown_who_was_first(
    client: Client, held: DecisionRecord, query: Query
) -> None:
    form, hidden = await form_at(client, f"/ui/approvals/{held.id}")

    answers = await asyncio.gather(
        sent(client, form, **hidden, by="ada", answer="approve"),
        sent(client, form, **hidden, by="bob", answer="reject"),
    )

    (_, won), (status, lost) = sorted(answers, key=lambda each: each[0])
    assert sorted(status for status, _ in answers) == [200, 409]
    first = "ada" if "approved by ada" in won.text else "bob"
    assert re.search(rf"Your answer was not given: already (approved|rejected) by {first} at \d{{4}}-", lost.text)
    assert status == 409
    assert len(query(PUBLISHED)) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"by": ""}, "by: "),
        ({"by": "a\u202eb"}, "printable"),
        ({"by": "x" * 201}, "200"),
        ({"answer": "perhaps"}, "approve or reject"),
        ({"content_sha256": "00"}, "content_sha256"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_form_that_is_not_filled_in_changes_nothing_and_says_why(
    send: Send, held: DecisionRecord, query: Query, changes: dict[str, str], says: str
) -> None:
    status, page = await send(f"/ui/approvals/{held.id}", **{"answer": "approve"} | changes)

    assert (status, says in page.text) == (422, True)
    assert query("SELECT answer FROM approvals") == [(None,)]


@pytest.mark.parametrize(
    "headers", [{}, {"HX-Request": "true", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-origin"}]
)
async def test_what_no_page_of_ours_has_sent_changes_nothing(
    client: Client, held: DecisionRecord, query: Query, headers: dict[str, str]
) -> None:
    form, hidden = await form_at(client, f"/ui/approvals/{held.id}")
    fields = {"by": "ada", "answer": "approve", **hidden}

    for path in (str(form.attributes["hx-post"]), f"/ui/dead-letters/{held.id}/redrive", "/ui/outbox/dead/1/redrive"):
        async with client.post(path, data=fields, headers=headers) as response:
            expected = 403 if headers.get("Sec-Fetch-Site") == "cross-site" else 415  # no token of the page
            assert response.status == expected

    assert query("SELECT answer FROM approvals") == [(None,)]


async def test_an_answer_to_something_else_than_was_shown_is_not_given(
    send: Send, held: DecisionRecord, query: Query
) -> None:
    status, page = await send(f"/ui/approvals/{held.id}", answer="approve", content_sha256="0" * 64)

    assert (status, "not what you were shown" in page.text) == (409, True)
    assert query("SELECT answer FROM approvals") == [(None,)]


async def test_what_postgresql_refuses_stays_held_and_the_reason_is_shown(
    send: Send, held: DecisionRecord, query: Query
) -> None:
    query("ALTER TABLE refunds ADD CONSTRAINT none_today CHECK (amount_minor < 0)")

    status, page = await send(f"/ui/approvals/{held.id}", answer="approve")

    assert (status, "It stays held" in page.text, "none_today" in page.text) == (409, True, True)
    assert query("SELECT answer FROM approvals") == [(None,)]


async def test_a_decision_that_is_answered_or_overdue_has_no_form(
    client: Client, send: Send, held: DecisionRecord, writer: DecisionWriter
) -> None:
    overdue = replace(held, event_id="pay-2", hold=Hold(reason="amount", expires_in=timedelta(0)))
    await writer.record(overdue)
    await send(f"/ui/approvals/{held.id}", answer="reject")

    for record, says in ((held, "rejected by ada"), (overdue, "Nobody answered in time")):
        async with client.get(f"/ui/approvals/{record.id}") as response:
            page = parsed(await response.text())
        assert [each for each in page.all("form") if "hx-post" in each.attributes] == []
        assert says in page.text


async def test_a_dead_letter_is_put_back_once(send: Send, client: Client, writer: DecisionWriter, query: Query) -> None:
    await writer.bury(letter(7))
    path = f"/ui/dead-letters/{letter(7).id}"
    form, _ = await form_at(client, path)

    first = await send(path)
    second = await sent(client, form, by="bob")

    assert (first[0], "put back" in first[1].text, "by ada" in first[1].text) == (200, True, True)
    assert (second[0], "already redriven by ada" in second[1].text) == (409, True)
    assert len(query(PUBLISHED)) == 1


async def test_a_letter_that_was_cut_off_or_is_of_a_shadow_cannot_be_put_back(
    client: Client, writer: DecisionWriter
) -> None:
    await writer.bury(letter(7, consumer="fraud@v2"))
    async with client.get(f"/ui/dead-letters/{letter(7, consumer='fraud@v2').id}") as response:
        page = parsed(await response.text())

    assert [each for each in page.all("form") if "hx-post" in each.attributes] == []
    assert "under another label" in page.text


async def test_a_buried_message_is_put_back_once(send: Send, client: Client, query: Query) -> None:
    query(
        "INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason) "
        "VALUES (1, 1, 'm-1', 'payments', 'k', 'v', '[]', now(), 'too large')"
    )
    form, _ = await form_at(client, "/ui/outbox/dead/1")

    first = await send("/ui/outbox/dead/1")
    second = await sent(client, form, by="bob")

    assert (first[0], "Put back" in first[1].text) == (200, True)
    assert (second[0], "not buried any more" in second[1].text) == (409, True)
    assert query(PUBLISHED) == [("m-1",)]


@pytest.mark.parametrize("seq", ["x", "-1", "9" * 30, "1%2F2"])
async def test_a_message_that_cannot_be_is_404(client: Client, held: DecisionRecord, seq: str) -> None:
    form, _ = await form_at(client, f"/ui/approvals/{held.id}")
    headers = {"HX-Request": "true", **json.loads(form.attributes["hx-headers"] or "")}
    async with client.post(f"/ui/outbox/dead/{seq}/redrive", data={"by": "ada"}, headers=headers) as response:
        assert (response.status, response.content_type) == (404, "text/html")


async def test_nothing_is_answered_while_the_database_is_away(
    client: Client, held: DecisionRecord, postgres: Postgres, query: Query
) -> None:
    form, hidden = await form_at(client, f"/ui/approvals/{held.id}")
    postgres.crash()
    try:
        status, page = await sent(client, form, **hidden, by="ada", answer="approve")
    finally:
        postgres.restart()

    assert (status, "PostgreSQL does not answer" in page.text) == (503, True)
    assert query("SELECT answer FROM approvals") == [(None,)]


async def test_who_signs_in_with_a_token_presses_by_that_name_and_signs_out(
    database_url: str, tmp_path: Path, held: DecisionRecord, query: Query
) -> None:
    line = f"anna:approve:{hashlib.sha256(b'annas-token').hexdigest()}"
    settings = Settings(
        _env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path, api_tokens=line
    )
    app = create_app(settings)
    place = f"/ui/approvals/{held.id}"
    async with TestClient(TestServer(await app.web.wsgi())) as client:
        async with client.get("/ui/login", params={"next": place}) as response:
            assert f'value="{place}"' in await response.text()
        async with client.post("/ui/session", data={"token": "guessed", "next": place}) as response:
            assert (response.status, "Nobody has this token" in await response.text()) == (401, True)
        async with client.post("/ui/session", data={"token": "annas-token", "next": place}) as response:
            assert (response.url.path, "Sign out" in await response.text()) == (place, True)
        form, hidden = await form_at(client, place)
        status, _ = await sent(client, form, answer="reject", **hidden)
        assert status == 200
        assert query("SELECT answer, answered_by FROM approvals") == [("rejected", "anna")]
        async with client.post("/ui/logout") as response:
            assert response.url.path == "/ui/login"
        async with client.get(place) as response:
            assert "Sign out" not in await response.text()
    await app.runtime.database.close()
