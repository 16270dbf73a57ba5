"""Lists page by page: each row once, whatever is equal and whatever comes or goes, and an end that is said."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from problems import problem

from agents.engine.shadow import Shadow, ShadowWriter
from app.composition import create_app
from app.settings import Settings
from app.worker.application import Innervate
from outbox.records import DeadLetter, Hold, Origin
from outbox.writer import DecisionWriter

NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
Ask = Callable[[str], Awaitable[tuple[int, Any]]]

#: Each list, what it is called in the answer, and what names a row.
LISTS = {
    "/decisions?agent=fraud": ("decisions", "id"),
    "/dead-letters?consumer=router": ("dead_letters", "id"),
    "/outbox/dead": ("messages", "seq"),
    "/approvals": ("approvals", "id"),
}
NOBODY = uuid.UUID(int=1)
LETTER = DeadLetter(
    consumer="router",
    reason="invalid_json",
    detail="value must be JSON",
    origin=Origin(topic="payments", partition=3, offset=0, at=NOON),
    key=None,
    value=b"12345",
    headers=(),
)
BURIED = """
    INSERT INTO outbox_dead (seq, lane, message_id, topic, key, value, headers, committed_at, reason)
    SELECT n, n, 'm-' || n, 'payments', 'k', 'value', '[]', '2024-05-01T12:00:00Z', 'too large'
    FROM generate_series(1, 5) AS n
"""


@pytest.fixture
async def app(database_url: str, tmp_path: Path) -> AsyncIterator[Innervate]:
    """A worker that is not started: it has its database and nothing else."""
    built = create_app(
        Settings(_env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path)
    )
    yield built
    await built.runtime.database.close()


@pytest.fixture
async def client(app: Innervate) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(await app.web.wsgi())) as running:
        yield running


@pytest.fixture
def ask(client: TestClient[Any, Any]) -> Ask:
    async def get(path: str) -> tuple[int, Any]:
        async with client.get(path) as response:
            return response.status, await response.json()

    return get


@pytest.fixture
async def _rows(writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]) -> None:
    """Five rows of each list at the same instant, and others that are not asked for."""
    for n in range(5):
        await writer.record(decision(f"pay-{n}"))
        hold = Hold(reason="amount", expires_in=timedelta(days=1))
        await writer.record(decision(f"held-{n}", agent="recovery", status="held", hold=hold))
        await writer.bury(replace(LETTER, origin=replace(LETTER.origin, offset=n)))
        await writer.bury(replace(LETTER, consumer="fraud", origin=replace(LETTER.origin, offset=n)))
    query("ALTER TABLE approvals DISABLE TRIGGER ALL")
    query("UPDATE approvals SET asked_at = '2024-05-01T12:00:00Z'")
    query("UPDATE dead_letters SET died_at = '2024-05-01T12:00:00Z'")
    query(BURIED)


async def walk(ask: Ask, path: str, limit: int, meanwhile: Callable[[], Awaitable[None]] | None = None) -> list[Any]:
    """The names of the rows of all pages, in order."""
    rows, name = LISTS[path]
    both = "&" if "?" in path else "?"
    seen: list[Any] = []
    before = ""
    for _ in range(10):
        status, page = await ask(f"{path}{both}limit={limit}{before}")
        assert status == 200, page
        assert len(page[rows]) <= limit
        seen += [row[name] for row in page[rows]]
        if page["next"] is None:
            return seen
        assert len(page[rows]) == limit
        before = f"&before={page['next']}"
        if meanwhile is not None:
            await meanwhile()
    raise AssertionError(f"no end after {seen}")


@pytest.mark.usefixtures("_rows")
async def test_every_row_is_on_one_page_and_the_last_page_says_so(ask: Ask) -> None:
    for path in LISTS:
        everything = await walk(ask, path, 500)
        assert len(set(everything)) == 5
        for limit in (1, 2, 4, 5, 6):
            assert await walk(ask, path, limit) == everything, (path, limit)


@pytest.mark.usefixtures("_rows")
@pytest.mark.parametrize("path", LISTS)
async def test_what_comes_in_meanwhile_moves_no_page(
    ask: Ask, path: str, writer: DecisionWriter, decision: Callable[..., Any], query: Callable[..., Any]
) -> None:
    everything = await walk(ask, path, 500)
    numbers = iter(range(100, 200))

    async def more() -> None:
        n = next(numbers)
        await writer.record(decision(f"pay-{n}", decided_at=NOON + timedelta(hours=1)))
        hold = Hold(reason="amount", expires_in=timedelta(days=1))
        await writer.record(decision(f"held-{n}", agent="recovery", status="held", hold=hold))
        await writer.bury(replace(LETTER, origin=replace(LETTER.origin, offset=n)))
        query(BURIED.replace("1, 5", f"{n}, {n}"))

    assert await walk(ask, path, 2, more) == everything


async def test_an_empty_list_ends_at_once(ask: Ask) -> None:
    for path, (rows, _) in LISTS.items():
        status, page = await ask(path)
        assert (status, page[rows], page["next"]) == (200, [], None)


#: Places nobody knows, or that are none.
NO_PLACES = {
    f"/decisions?before={NOBODY}": (404, f"no decision {NOBODY}"),
    f"/dead-letters?before={NOBODY}": (404, f"no dead letter {NOBODY}"),
    f"/approvals?before={NOBODY}": (404, f"no held decision {NOBODY}"),
    f"/shadows?before={NOBODY}": (404, f"no decision {NOBODY}"),
    "/outbox/dead?before=123456": (404, "no message 123456"),
    "/decisions?before=": (400, "before: expected a UUID"),
    "/dead-letters?before=1": (400, "before: expected a UUID"),
    "/approvals?before=x": (400, "before: expected a UUID"),
    "/shadows?before=x": (400, "before: expected a UUID"),
    "/outbox/dead?before=-1": (400, "before: expected a number from 0 to 9223372036854775807"),
    "/outbox/dead?before=9223372036854775808": (400, "before: expected a number from 0 to 9223372036854775807"),
}


@pytest.mark.usefixtures("_rows")
async def test_a_page_before_what_nobody_knows_is_not_found_and_before_what_is_no_id_refused(ask: Ask) -> None:
    for path, (status, error) in NO_PLACES.items():
        assert await ask(path) == (status, problem(status, error))


@pytest.mark.parametrize("path", ["/decisions", "/dead-letters", "/outbox/dead", "/approvals", "/shadows"])
async def test_a_limit_is_a_number_from_1_to_500(ask: Ask, path: str) -> None:
    for limit in ("0", "-1", "501", "1e9", "1.0", "abc", "", "%2B5", "0x5", "%D9%A5", "9" * 400):
        assert await ask(f"{path}?limit={limit}") == (400, problem(400, "limit: expected a number from 1 to 500"))
    for limit in ("1", "500"):
        assert (await ask(f"{path}?limit={limit}"))[0] == 200


async def test_a_buried_message_that_was_put_back_is_still_a_place_to_go_on_from(
    ask: Ask, query: Callable[..., Any], commit: Callable[..., None]
) -> None:
    commit("m-1", "m-2", "m-3")
    query(
        "WITH gone AS (DELETE FROM outbox_messages WHERE message_id <> 'm-3' RETURNING *) INSERT INTO outbox_dead"
        " (seq, lane, message_id, topic, key, value, headers, committed_at, reason)"
        " SELECT seq, lane, message_id, topic, key, value, headers, committed_at, 'too large' FROM gone"
    )
    [(second,)] = query("DELETE FROM outbox_dead WHERE message_id = 'm-2' RETURNING seq")

    status, page = await ask(f"/outbox/dead?before={second}")

    assert (status, [one["message_id"] for one in page["messages"]]) == (200, ["m-1"])


async def test_disagreements_of_a_shadow_go_on_where_it_says(
    ask: Ask, writer: DecisionWriter, decision: Callable[..., Any]
) -> None:
    shadow = ShadowWriter(Shadow("v2"), writer)
    for n in range(3):
        await writer.record(decision(f"e-{n}"))
        await shadow.record(decision(f"e-{n}", outcome="block"))

    seen, before = [], ""
    for _ in range(3):
        _, body = await ask(f"/shadows?limit=1{before}")
        [found] = body["shadows"]
        assert body["next"] is None
        seen += [one["event_id"] for one in found["disagreements"]]
        before = f"&before={found['next']}"

    assert sorted(seen) == ["e-0", "e-1", "e-2"]
    assert found["next"] is None


async def test_every_view_refuses_a_parameter_it_does_not_know(app: Innervate, client: TestClient[Any, Any]) -> None:
    paths = {route.resource.canonical for route in client.app.router.routes() if route.resource is not None}
    assert {"/health/live", "/agents", "/decisions", "/timelines/{entity}/{entity_id}"} <= paths
    for path in paths:
        filled = re.sub(r"{\w+}", "1", path)
        for method in ("GET", "POST"):
            async with client.request(method, f"{filled}?nonsense=1", json={}) as response:
                allowed = sorted(app.query_parameters.get(path, ()))
                known = f"there are {', '.join(allowed)}" if allowed else "there are none here"
                # A method that a view does not have comes first.
                if response.status == 405:
                    continue
                assert response.status == 400
                if path.startswith("/ui"):  # for people
                    assert f"no parameter nonsense: {known}" in await response.text()
                else:
                    assert await response.json() == problem(400, f"no parameter nonsense: {known}")
