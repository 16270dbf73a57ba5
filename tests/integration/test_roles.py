"""Roles of every path of a worker: which one it asks for, and that none forgets to say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from app.composition import create_app
from app.settings import Settings
from app.web.callers import Role
from app.worker.application import Innervate

Client = TestClient[Any, Any]

#: What is open to whoever reaches the interface. Everything else asks for a role.
OPEN = {
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/"),
    ("GET", "/ui"),
    ("GET", "/ui/static/{digest}/{path}"),
    ("GET", "/ui/login"),
    ("POST", "/ui/session"),
    ("POST", "/ui/logout"),
}
#: What changes something, and for whom. Everything else changes nothing.
CHANGES = {
    ("POST", "/decisions/{decision_id}/approve"): Role.APPROVE,
    ("POST", "/decisions/{decision_id}/reject"): Role.APPROVE,
    ("POST", "/outbox/dead/{seq}/redrive"): Role.OPERATE,
    ("POST", "/outbox/dead/{seq}/replay"): Role.OPERATE,
    ("POST", "/dead-letters/{letter_id}/redrive"): Role.OPERATE,
    ("POST", "/dead-letters/{letter_id}/replay"): Role.OPERATE,
    ("POST", "/ui/approvals/{decision_id}/answer"): Role.APPROVE,
    ("POST", "/ui/dead-letters/{letter_id}/redrive"): Role.OPERATE,
    ("POST", "/ui/outbox/dead/{seq}/redrive"): Role.OPERATE,
}
API_TOKENS = ",".join(
    f"{role.word}er:{role.word}:{hashlib.sha256(role.word.encode()).hexdigest()}" for role in Role if role
)


@pytest.fixture
async def worker(tmp_path: Path) -> Innervate:
    """A worker that is not started and has no database to ask."""
    database_url = "postgresql://127.0.0.1:1/nowhere"
    settings = Settings(
        _env_file=None, kafka_broker="127.0.0.1:1", database_url=database_url, datadir=tmp_path, api_tokens=API_TOKENS
    )
    return create_app(settings)


@pytest.fixture
async def client(worker: Innervate) -> AsyncIterator[Client]:
    """Asks it from elsewhere: its sockets are not this machine's alone."""
    async with TestClient(TestServer(await worker.web.wsgi())) as client:
        worker.connections.is_private = False
        yield client


async def routes(worker: Innervate) -> list[tuple[str, str]]:
    """Every method and path that is answered."""
    application = await worker.web.wsgi()
    return [(route.method, route.resource.canonical) for route in application.router.routes()]


async def test_every_path_says_which_role_it_asks_for(worker: Innervate) -> None:
    found = await routes(worker)
    assert ("GET", "/decisions") in found
    assert [
        place for place in found if place not in worker.required_roles and place[0] not in {"HEAD", "OPTIONS"}
    ] == []


async def test_nothing_is_open_and_nothing_changes_anything_but_what_is_known_to(worker: Innervate) -> None:
    roles = worker.required_roles
    assert {place for place, role in roles.items() if role is Role.NOTHING} == OPEN
    assert {place: role for place, role in roles.items() if role > Role.READ} == CHANGES
    assert {place for place in roles if place[0] != "GET"} - OPEN == CHANGES.keys()


@pytest.mark.parametrize("shown", Role)
async def test_a_caller_gets_what_their_role_may_and_nothing_else(
    worker: Innervate, client: Client, shown: Role
) -> None:
    headers = {"Authorization": f"Bearer {shown.word}"} if shown else {}
    for (method, path), needed in worker.required_roles.items():
        place = re.sub(r"\{[^}]*\}", "x", path)
        # What is let in is looked at next: no path has this parameter, so nothing is done.
        asked = client.request(method, f"{place}?nonsense=1", headers=headers, allow_redirects=False)
        async with asked as response:
            expected = {400} if shown >= needed else {401, 403, 303}
            assert response.status in expected, f"{shown.word} asks for {method} {path}"
