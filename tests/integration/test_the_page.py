"""The page of a worker that is not started: it has its database and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from pages import Page, parsed, require_sound

from app.composition import create_app
from app.page.views import VIEWS
from app.sandbox import Postgres
from app.settings import Settings
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
#: What a stranger may write into any field of an event.
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\u202eevil\u0007"

Client = TestClient[Any, Any]
Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[Client]:
    app = create_app(Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path))
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running
    await app.runtime.database.close()


def nonce_of(response: ClientResponse) -> str:
    found = re.search(r"script-src 'nonce-([^']+)'", response.headers["Content-Security-Policy"])
    assert found is not None
    return found[1]


@pytest.fixture
def open_page(client: Client) -> Open:
    """A page that is sound; its status is 200 unless another one is expected."""

    async def opened(path: str, status: int = 200) -> Page:
        async with client.get(path, headers={"Accept": "text/html"}) as response:
            assert (response.status, response.content_type) == (status, "text/html")
            return require_sound(await response.text(), nonce_of(response))

    return opened


@pytest.mark.parametrize("path", [view.path for view in VIEWS if view.method == "get" and "{" not in view.path])
async def test_every_page_opens_with_nothing_in_the_database(open_page: Open, path: str) -> None:
    page = await open_page(path)

    assert len(page.all("h1")) == 1


async def test_a_page_may_do_nothing_but_what_its_policy_says(client: Client) -> None:
    async with client.get("/ui/") as first, client.get("/ui/") as second:
        headers = first.headers
        assert headers["Content-Security-Policy"].replace(nonce_of(first), "NONCE") == (
            "default-src 'none'; script-src 'nonce-NONCE'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types htmx"
        )
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
        assert headers["Cache-Control"] == "no-store"
        assert nonce_of(first) != nonce_of(second)


async def test_every_address_of_a_page_s_own_files_can_be_asked_for(client: Client, open_page: Open) -> None:
    page = await open_page("/ui/")
    files = [address for address in page.asked_for if address.startswith("/ui/static/")]

    assert len(files) >= 5
    for address in files:
        async with client.get(address) as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            tag = response.headers["ETag"]
        async with client.get(address, headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/ui/static/0/../page.css", "/ui/static/0/..%2f..%2f__init__.py", "/ui/static/0/nothing.js"]
)
async def test_nothing_but_the_page_s_own_files_can_be_asked_for(open_page: Open, path: str) -> None:
    await open_page(path, 404)


async def test_a_file_of_another_version_is_not_kept(client: Client) -> None:
    async with client.get("/ui/static/0000000000000000/page.css") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize(
    "accepts",
    [
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html",
        "application/json;q=0.1,text/html",
    ],
)
@pytest.mark.parametrize("path", ["/", "/ui"])
async def test_a_browser_is_led_to_the_page(client: Client, accepts: str, path: str) -> None:
    async with client.get(path, headers={"Accept": accepts}, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/ui/")


@pytest.mark.parametrize(
    "accepts", ["*/*", "application/json", "text/html;q=0.5,application/json", "", "text/html;q=x"]
)
async def test_a_program_is_told_where_the_api_is(client: Client, accepts: str) -> None:
    async with client.get("/", headers={"Accept": accepts}) as response:
        assert response.status == 200
        assert (await response.json())["api"] == "/openapi.json"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/ui/nothing", 404, "There is nothing here"),
        ("/ui/decisions/not-an-id", 404, "There is nothing here"),
        ("/ui/decisions/00000000-0000-5000-8000-000000000000", 404, "no decision"),
        ("/ui/decisions?colour=red", 400, "no parameter colour"),
        ("/ui/decisions?since=yesterday", 400, "since"),
    ],
)
async def test_what_goes_wrong_under_the_page_is_a_page(
    client: Client, open_page: Open, path: str, status: int, says: str
) -> None:
    page = await open_page(path, status)

    assert says in page.text


async def test_a_method_that_a_page_has_not_is_a_page_too(client: Client) -> None:
    async with client.delete("/ui/decisions") as response:
        assert (response.status, response.content_type) == (405, "text/html")
        assert "GET" in response.headers["Allow"]


async def test_a_program_gets_problems_and_no_pages(client: Client) -> None:
    async with client.get("/nothing", headers={"Accept": "text/html"}) as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_a_database_that_is_away_is_said_and_the_page_comes_back_by_itself(
    open_page: Open, postgres: Postgres
) -> None:
    postgres.crash()
    try:
        assert "PostgreSQL does not answer, so nothing is decided" in (await open_page("/ui/")).text
        assert "PostgreSQL does not answer" in (await open_page("/ui/decisions", 503)).text
    finally:
        postgres.restart()

    assert "wait for a person" in (await open_page("/ui/")).text


async def test_the_first_page_says_in_a_sentence_what_is_open(open_page: Open, query: Callable[..., Any]) -> None:
    query(
        'INSERT INTO dead_letters (id, consumer, reason, detail, topic, partition, "offset", recorded_at, headers) '
        "SELECT gen_random_uuid(), 'router', 'bad', 'x', 't', 0, n, now(), '[]' FROM generate_series(1, 2) AS n"
    )

    page = await open_page("/ui/")

    assert "2 events could not be processed" in page.text
    assert "/ui/dead-letters" in page.asked_for


async def test_htmx_gets_the_part_and_a_browser_the_whole(client: Client) -> None:
    async with client.get("/ui/decisions", headers={"HX-Request": "true", "HX-Request-Type": "partial"}) as response:
        part = parsed(await response.text())
    for forgotten in ({"HX-Request-Type": "full"}, {"HX-History-Restore-Request": "true"}):
        async with client.get("/ui/decisions", headers={"HX-Request": "true", **forgotten}) as response:
            assert len(parsed(await response.text()).all("nav")) == 1

    assert (len(part.all("nav")), len(part.all("h1")), len(part.all("title"))) == (0, 1, 1)


async def test_what_strangers_wrote_is_shown_as_text(
    open_page: Open, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    hostile = decision(
        "pay-1",
        agent="fraud",
        entity_id=HOSTILE.replace("\x07", ""),
        outcome=HOSTILE.replace("\x07", ""),
        reason=HOSTILE.replace("\x07", "") + "\nsecond line",
        decided_at=NOON,
    )
    await writer.record(hostile)

    for path in ("/ui/", "/ui/decisions", "/ui/decisions/groups", f"/ui/decisions/{hostile.id}"):
        page = await open_page(path)
        assert "<script>alert(1)</script>" in page.text
        assert "{{7*7}}" in page.text
        assert "\u202e" not in page.text
        assert page.all("img") == []


async def test_one_decision_shows_why_and_what_it_published(
    open_page: Open, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    record = decision("pay-1", outcome="review", reason="Five cards in an hour", confidence=0.5)
    await writer.record(record)

    page = await open_page(f"/ui/decisions/{record.id}")

    assert "Five cards in an hour" in page.text
    assert "m-pay-1" in page.text
    assert "timeline-customer[2]@7" in page.text
    assert "2 events of its window, hash 00ff" in page.text


async def test_decisions_are_filtered_and_go_on_page_by_page(
    open_page: Open, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for n in range(3):
        await writer.record(decision(f"pay-{n}", outcome="block", entity_id=f"c-{n}"))
    await writer.record(decision("pay-9", outcome="approve", entity_id="c-9"))

    first = await open_page("/ui/decisions?outcome=block&agent=&limit=2")
    [older] = [element for element in first.all("a") if element.attributes.get("rel") == "next"]
    second = await open_page(str(older.attributes["href"]))

    shown = [re.findall(r"c-\d", page.text) for page in (first, second)]
    assert [len(set(each)) for each in shown] == [2, 1]
    assert set(shown[0]) | set(shown[1]) == {"c-0", "c-1", "c-2"}
    assert "outcome=block" in str(older.attributes["href"])


async def test_failures_are_grouped_and_counted(
    open_page: Open, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    for n in range(3):
        await writer.record(decision(f"pay-{n}", outcome="review", fallback_reason="timeout"))

    page = await open_page("/ui/decisions/groups")

    assert "review committed rules for want of a model 3" in page.text


async def test_an_id_leads_to_the_story_it_belongs_to(
    client: Client, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    await writer.record(decision("pay-1", entity="customer", entity_id="c/1 ü"))

    for text in ("c/1 ü", "pay-1", "m-pay-1"):
        async with client.get("/ui/stories", params={"find": text}, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/ui/stories/customer/c%2F1%20%C3%BC")


async def test_a_kind_that_nobody_declares_has_no_stories(open_page: Open) -> None:
    await open_page("/ui/stories/planet/mars", 404)
